//! Decodes an object's bytes into segments, on a thread that may block.

use tokio::sync::mpsc;

use crate::{
    decode::{
        BadReason, Counters, DecodeError, Decoded, Decoder, Framing, Options, ResumePoint,
        gzip::GzipError,
    },
    engine::{
        budget::Budget,
        read::ChunkReader,
        segment::{Held, SegmentBuilder},
    },
    model::{events::RecordPlace, outcome::PoisonReason},
};

/// Why the content of an object cannot be read to its end.
#[derive(Debug)]
pub(crate) enum ContentFault {
    /// The bytes stopped coming; the reading side knows why.
    Interrupted,
    /// Nobody wants the segments any more.
    NotWanted,
    /// The compression is broken or refused.
    Gzip(GzipError),
    /// The records end in the middle, although the compression is whole.
    Cut(BadReason),
}

/// How many segments of one object are in memory: one is filled while the other is sent.
const SEGMENTS: usize = 2;

/// Where the decoding thread leaves full segments and finds emptied ones.
#[derive(Debug)]
pub(crate) struct Outlet {
    full: mpsc::Sender<Held>,
    emptied: mpsc::Receiver<Held>,
}

/// Where full segments come from and emptied ones go to.
#[derive(Debug)]
pub(crate) struct Segments {
    full: mpsc::Receiver<Held>,
    emptied: mpsc::Sender<Held>,
}

/// Connects a decoding thread with whoever sends its segments.
pub(crate) fn channel(budget: &Budget) -> (Outlet, Segments) {
    let (full_sender, full) = mpsc::channel(SEGMENTS);
    let (emptied_sender, emptied) = mpsc::channel(SEGMENTS);
    // The builder starts with the memory of the first segment; here is that of the others.
    for _ in 1..SEGMENTS {
        drop(emptied_sender.try_send(Held::new(budget)));
    }
    (Outlet { full: full_sender, emptied }, Segments { full, emptied: emptied_sender })
}

impl Segments {
    /// Returns the next segment, or none after the last.
    pub(crate) async fn next(&mut self) -> Option<Held> {
        self.full.recv().await
    }

    /// Gives a segment's memory back. Without that, decoding waits.
    pub(crate) fn give_back(&self, held: Held) {
        // There is room for all that were handed out, and a thread that has ended needs none.
        drop(self.emptied.try_send(held));
    }
}

impl Outlet {
    /// Passes on what was gathered up to `end`. Whether somebody took it, or there was nothing.
    fn pass_on(&self, builder: &mut SegmentBuilder, end: RecordPlace) -> bool {
        builder.take(end).is_none_or(|segment| self.full.blocking_send(segment).is_ok())
    }

    /// Waits for memory for the next segment. Whether there will be any.
    fn refill(&mut self, builder: &mut SegmentBuilder) -> bool {
        self.emptied.blocking_recv().map(|segment| builder.reuse(segment)).is_some()
    }
}

/// What decoding has come to.
#[derive(Debug)]
pub(crate) struct DecodeReport {
    pub(crate) counters: Counters,
    /// Where the first record stands that is no log record, and what is wrong with it.
    pub(crate) first_bad: Option<(u64, BadReason)>,
    pub(crate) result: Result<(), ContentFault>,
}

impl ContentFault {
    /// Returns the reason for a dead letter; none when the content is not to blame.
    pub(crate) const fn poison(&self) -> Option<PoisonReason> {
        match self {
            Self::Interrupted | Self::NotWanted => None,
            Self::Cut(_) | Self::Gzip(GzipError::Truncated { .. }) => Some(PoisonReason::Truncated),
            Self::Gzip(
                GzipError::Header { .. }
                | GzipError::Deflate { .. }
                | GzipError::Checksum { .. }
                | GzipError::TrailingGarbage { .. },
            ) => Some(PoisonReason::Corrupt),
            Self::Gzip(GzipError::Nested) => Some(PoisonReason::Nested),
            Self::Gzip(GzipError::Bomb { .. }) => Some(PoisonReason::Bomb),
        }
    }

    /// Whether reading the object again could help: the bytes may have been damaged on their way.
    pub(crate) const fn may_be_the_way(&self) -> bool {
        match self {
            Self::Gzip(GzipError::Bomb { .. } | GzipError::Nested)
            | Self::Cut(_)
            | Self::NotWanted => false,
            Self::Gzip(_) | Self::Interrupted => true,
        }
    }
}

/// Decodes from `from` on and sends every full segment; the last one too, whatever ended the reading.
pub(crate) fn decode(
    reader: ChunkReader,
    options: Options,
    from: RecordPlace,
    mut builder: SegmentBuilder,
    mut outlet: Outlet,
) -> DecodeReport {
    let mut decoder = if from == RecordPlace::default() {
        Decoder::new(reader, options)
    } else {
        Decoder::resume(reader, options, resume_point(from))
    };
    let mut cut = None;
    let mut first_bad = None;
    let mut result = loop {
        match decoder.next() {
            Ok(Some(Decoded::Event(event))) => {
                builder.push_event(event.position.index, event.timestamp_ms, &event.message);
            }
            Ok(Some(Decoded::Bad(bad))) => {
                if matches!(bad.reason, BadReason::Truncated | BadReason::UnclosedArray) {
                    cut = Some(bad.reason);
                }
                first_bad = first_bad.or(Some((bad.position.offset, bad.reason)));
                builder.push_undecodable();
            }
            Ok(None) => break cut.map_or(Ok(()), |reason| Err(ContentFault::Cut(reason))),
            Err(DecodeError::Read(_)) => break Err(ContentFault::Interrupted),
            Err(DecodeError::Gzip(error)) => break Err(ContentFault::Gzip(error)),
        }
        if builder.is_full() {
            let end = place(decoder.resume_point());
            if !outlet.pass_on(&mut builder, end) || !outlet.refill(&mut builder) {
                break Err(ContentFault::NotWanted);
            }
        }
    };
    if !matches!(result, Err(ContentFault::NotWanted))
        && !outlet.pass_on(&mut builder, place(decoder.resume_point()))
    {
        result = Err(ContentFault::NotWanted);
    }
    DecodeReport { counters: decoder.counters(), first_bad, result }
}

const fn place(point: ResumePoint) -> RecordPlace {
    RecordPlace {
        record: point.record,
        offset: point.offset,
        in_array: matches!(point.framing, Framing::Array),
    }
}

const fn resume_point(place: RecordPlace) -> ResumePoint {
    let framing = if place.in_array { Framing::Array } else { Framing::Sequence };
    ResumePoint { record: place.record, offset: place.offset, framing }
}
