//! The stages between an object's bytes and its request bodies, one by one and on one thread.
//!
//! The engine runs them side by side, with the network in between. Benchmarks and instruction
//! counts run them here, from the same functions, so that what is measured is what ships.

use std::{io::Read, sync::Arc};

use crate::{
    aws::cloudwatch::body,
    decode::{DecodeError, Decoded, Decoder, Options},
    engine::{
        batch,
        segment::{MAX_MESSAGE_BYTES, SegmentBuilder},
    },
    model::events::{Batch, MAX_BATCH_EVENTS, RecordPlace, Segment},
    ports::LogTarget,
};

/// Decodes an object and hands over each full segment. `visit` returns the segment whose memory is used next.
pub fn segments(
    object: impl Read,
    options: Options,
    mut visit: impl FnMut(Segment) -> Segment,
) -> Result<(), DecodeError> {
    let mut builder = SegmentBuilder::unbounded(MAX_MESSAGE_BYTES);
    let mut decoder = Decoder::new(object, options);
    loop {
        let more = match decoder.next()? {
            Some(Decoded::Event(event)) => {
                builder.push_event(event.position.index, event.timestamp_ms, &event.message);
                true
            }
            Some(Decoded::Bad(_)) => {
                builder.push_undecodable();
                true
            }
            None => false,
        };
        if builder.is_full() || !more {
            if let Some(mut held) = builder.take(RecordPlace::default()) {
                held.segment = visit(held.segment);
                builder.reuse(held);
            }
            if !more {
                return Ok(());
            }
        }
    }
}

/// Cuts a segment into the batches that one call each takes.
pub fn batches(segment: &Arc<Segment>) -> impl Iterator<Item = Batch> {
    batch::cut(segment, MAX_BATCH_EVENTS).into_iter().map(|one| one.batch)
}

/// Appends the request body for a batch.
pub fn write_body(out: &mut Vec<u8>, target: &LogTarget, batch: &Batch) {
    body::write_request(out, target, batch);
}
