//! Decodes an object's bytes into segments, on a thread that may block.

use tokio::sync::mpsc::{self, error::TryRecvError};

use crate::{
    decode::{
        BadReason, Counters, DecodeError, Decoded, Decoder, Framing, Options, ResumePoint,
        gzip::GzipError,
    },
    engine::{
        budget::Budget,
        read::ChunkReader,
        segment::{Cut, Cutter, Held, SegmentBuilder, Spare},
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

/// Where the decoding thread leaves full segments and finds emptied ones.
pub(crate) struct Outlet {
    full: mpsc::Sender<(Held, Cut)>,
    emptied: mpsc::Receiver<Held>,
    cut: Cutter,
    budget: Budget,
    spare: Spare,
    /// How many segments there are: with the builder, under way, and here. One is the object's own.
    segments: usize,
    most_segments: usize,
}

/// Where full segments come from and emptied ones go to.
#[derive(Debug)]
pub(crate) struct Segments {
    full: mpsc::Receiver<(Held, Cut)>,
    emptied: mpsc::Sender<Held>,
}

/// Connects a decoding thread with whoever sends its segments, `in_flight` at a time if there is memory for them.
pub(crate) fn channel(
    budget: &Budget,
    spare: &Spare,
    in_flight: usize,
    cut: Cutter,
) -> (Outlet, Segments) {
    // One more is filled meanwhile.
    let most_segments = in_flight + 1;
    let (full_sender, full) = mpsc::channel(most_segments);
    let (emptied_sender, emptied) = mpsc::channel(most_segments);
    let (budget, spare) = (budget.clone(), spare.clone());
    let outlet =
        Outlet { full: full_sender, emptied, cut, budget, spare, segments: 1, most_segments };
    (outlet, Segments { full, emptied: emptied_sender })
}

impl Segments {
    /// Returns the memory of the next segment, and the segment as it was cut, or none after the last.
    pub(crate) async fn next(&mut self) -> Option<(Held, Cut)> {
        self.full.recv().await
    }

    /// Gives a segment's memory back. Without that, decoding waits.
    pub(crate) fn give_back(&self, held: Held) {
        // There is room for all that were handed out, and a thread that has ended needs none.
        drop(self.emptied.try_send(held));
    }
}

impl Outlet {
    /// Passes on what was gathered up to `end`, and waits for memory for the next segment. Whether anybody wants that.
    fn pass_on(&mut self, builder: &mut SegmentBuilder, end: RecordPlace) -> bool {
        self.send(builder, end) && self.refill(builder)
    }

    /// Passes on what was gathered up to `end`. Whether somebody took it, or there was nothing.
    fn send(&self, builder: &mut SegmentBuilder, end: RecordPlace) -> bool {
        builder.take(end).is_none_or(|mut held| {
            // Here, while the segment is in the cache of the thread that has filled it.
            let cut = (self.cut)(std::mem::take(&mut held.segment));
            self.full.blocking_send((held, cut)).is_ok()
        })
    }

    /// Finds memory for the next segment: that of one that is done with, or more, or it waits. Whether there is any.
    fn refill(&mut self, builder: &mut SegmentBuilder) -> bool {
        let mut may_grow = true;
        loop {
            let done = match self.emptied.try_recv() {
                Err(TryRecvError::Empty) => {
                    let more = if may_grow { self.one_more() } else { None };
                    more.or_else(|| self.emptied.blocking_recv())
                }
                done => done.ok(),
            };
            match done {
                None => return false,
                // Others get it. The object's own is never given up, so one is left.
                Some(done) if done.is_wanted_elsewhere(&self.budget) => {
                    self.segments -= 1;
                    may_grow = false;
                }
                Some(done) => {
                    builder.reuse(done);
                    return true;
                }
            }
        }
    }

    fn one_more(&mut self) -> Option<Held> {
        if self.segments == self.most_segments {
            return None;
        }
        let more = Held::further(&self.spare, &self.budget)?;
        self.segments += 1;
        Some(more)
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
    // The place after the last record that was gathered.
    let mut end = from;
    let mut result = loop {
        match decoder.next() {
            Ok(Some(Decoded::Event(event))) => {
                if !builder.takes(&event.message) && !outlet.pass_on(&mut builder, end) {
                    break Err(ContentFault::NotWanted);
                }
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
        end = place(decoder.resume_point());
        if builder.is_full() && !outlet.pass_on(&mut builder, end) {
            break Err(ContentFault::NotWanted);
        }
    };
    if !matches!(result, Err(ContentFault::NotWanted))
        && !outlet.send(&mut builder, place(decoder.resume_point()))
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
