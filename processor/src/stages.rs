//! The stages between an object's bytes and its request bodies, one by one and on one thread.
//!
//! The engine runs them side by side, with the network in between. Benchmarks and instruction
//! counts run them here, from the same functions, so that what is measured is what ships.

use std::{io::Read, sync::Arc};

use bytes::Bytes;

use crate::{
    aws::cloudwatch::body,
    decode::{DecodeError, Decoded, Decoder, Options},
    engine::{
        batch,
        segment::{Held, SegmentBuilder, Sizes},
    },
    model::events::{Batch, MAX_BATCH_EVENTS, RecordPlace, Segment, sha256_digits},
    ports::LogTarget,
};

/// Decodes an object and hands over each full segment. `visit` returns the segment whose memory is used next.
pub fn segments(
    object: impl Read,
    options: Options,
    mut visit: impl FnMut(Segment) -> Segment,
) -> Result<(), DecodeError> {
    let mut builder = SegmentBuilder::new(Sizes::default(), Held::default());
    let mut decoder = Decoder::new(object, options);
    let mut pass_on = |builder: &mut SegmentBuilder| {
        if let Some(mut held) = builder.take(RecordPlace::default()) {
            held.segment = visit(std::mem::take(&mut held.segment));
            builder.reuse(held);
        }
    };
    while let Some(decoded) = decoder.next()? {
        match decoded {
            Decoded::Event(event) => {
                if !builder.takes(&event.message) {
                    pass_on(&mut builder);
                }
                builder.push_event(event.position.index, event.timestamp_ms, &event.message);
            }
            Decoded::Bad(_) => builder.push_undecodable(),
        }
        if builder.is_full() {
            pass_on(&mut builder);
        }
    }
    pass_on(&mut builder);
    Ok(())
}

/// Cuts a segment into the batches that one call each takes, and encloses what becomes the request as it stands.
pub fn batches(
    segment: Segment,
    target: &LogTarget,
) -> (Arc<Segment>, impl Iterator<Item = Batch>) {
    let enclosure = |_| Some(body::enclosure(target));
    let (segment, batches) = batch::cut(segment, MAX_BATCH_EVENTS, enclosure);
    (segment, batches.into_iter().map(|one| one.batch))
}

/// Returns the request body for a batch: what stands in the segment, or what is written anew.
pub fn body(target: &LogTarget, batch: &Batch) -> Bytes {
    batch.request(|| {
        let mut written = Vec::new();
        body::write_request(&mut written, target, batch);
        written.into()
    })
}

/// Returns the hash of a body that the signature needs: as it was taken when the body was made, or taken now.
pub fn digest(batch: &Batch, body: &[u8]) -> String {
    let taken = batch.digest().map(str::to_owned);
    taken.unwrap_or_else(|| sha256_digits(body))
}
