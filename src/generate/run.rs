//! Spreads records evenly over the pods and writes them as lines or as objects.

use std::io::{self, Write};

use flate2::{Compression, write::GzEncoder};
use mtlog_processor::model::key::LogObject;
use thiserror::Error;

use super::{
    manifest::{Manifest, Tally},
    pace::{Next, Pace, Pacer, Stop},
    population::Pod,
    random::Random,
    record::RecordWriter,
    source::{Content, Message, PodSource},
};

/// Text is handed on in pieces of about this many bytes, which bounds what is held of an object.
const PIECE_BYTES: usize = 64 * 1024;
/// Progress is told once in so many records.
const PROGRESS_STEP: u64 = 512;

/// What is to be made.
#[derive(Debug, Clone)]
pub struct Work {
    /// Who writes.
    pub pods: Vec<Pod>,
    /// What they say.
    pub content: Content,
    /// How many records all of them write together; `None` has no end.
    pub records: Option<u64>,
    /// How fast.
    pub pace: Pace,
    /// The number of bursts after which the work ends; `None` has no end.
    pub bursts: Option<u64>,
}

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineFormat {
    /// The message as the container wrote it.
    Raw,
    /// The collector's record.
    Collector,
}

/// How records stand in an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// A line each, the last with its line end too.
    Ndjson,
    /// One JSON array on one line.
    Array,
}

/// How objects are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectLayout {
    /// How records stand in an object.
    pub framing: Framing,
    /// The most records of an object, at least 1.
    pub records: u64,
}

/// An object whose body is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishedObject {
    /// Its name.
    pub object: LogObject,
    /// What is in it.
    pub tally: Tally,
}

/// Where objects go. One is open at a time.
pub trait Destination {
    /// Takes the compressed bytes of an object.
    type Body: Write;

    /// Starts an object whose name is not known yet.
    fn open(&mut self) -> io::Result<Self::Body>;

    /// Puts a complete object in its place. An object that is never committed leaves nothing behind.
    fn commit(&mut self, body: Self::Body, finished: FinishedObject) -> io::Result<()>;
}

/// How the work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Everything was written.
    Complete,
    /// It was asked to stop. What was written is whole.
    Stopped,
}

/// Work that failed.
#[derive(Debug, Error)]
pub enum GenerateError {
    /// A line could not be written.
    #[error("failed to write a record")]
    Line(#[source] io::Error),
    /// An object could not be started.
    #[error("failed to start an object of pod `{pod}`")]
    Open {
        /// The pod's name.
        pod: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Bytes of an object could not be written.
    #[error("failed to write an object of pod `{pod}`")]
    Body {
        /// The pod's name.
        pod: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A complete object could not be put in its place.
    #[error("failed to store an object of pod `{pod}`")]
    Commit {
        /// The pod's name.
        pod: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl GenerateError {
    /// Is true if the reader of a pipe went away, which is how `head` ends what feeds it.
    pub fn is_broken_pipe(&self) -> bool {
        let (Self::Line(source)
        | Self::Open { source, .. }
        | Self::Body { source, .. }
        | Self::Commit { source, .. }) = self;
        source.kind() == io::ErrorKind::BrokenPipe
    }
}

/// Writes lines of all pods in turn to `out`, and counts each in `manifest` once it was handed to `out`.
pub fn lines(
    work: Work,
    format: LineFormat,
    out: &mut dyn Write,
    stop: &Stop,
    manifest: &mut Manifest,
    progress: &mut dyn FnMut(u64),
) -> Result<Ending, GenerateError> {
    let mut pacer = Pacer::new(work.pace, work.bursts, work.content.seed);
    let mut pods: Vec<PodState> =
        work.pods.into_iter().map(|pod| PodState::new(pod, &work.content)).collect();
    let mut message = Message::default();
    let mut piece = String::with_capacity(2 * PIECE_BYTES);
    let mut written = 0;
    let ending = 'work: loop {
        for pod in &mut pods {
            if work.records == Some(written) {
                break 'work Ending::Complete;
            }
            let next =
                pacer.next(stop, || write_lines(&mut piece, out)).map_err(GenerateError::Line)?;
            match next {
                Next::Record => {}
                Next::Done => break 'work Ending::Complete,
                Next::Stopped => break 'work Ending::Stopped,
            }
            pod.source.next(&mut message);
            match format {
                LineFormat::Raw => piece.push_str(&message.text),
                LineFormat::Collector => pod.records.write(&mut message, &mut piece),
            }
            piece.push('\n');
            pod.tally.add(&message.text);
            if piece.len() >= PIECE_BYTES {
                out.write_all(piece.as_bytes()).map_err(GenerateError::Line)?;
                piece.clear();
            }
            written += 1;
            if written.is_multiple_of(PROGRESS_STEP) {
                progress(written);
            }
        }
    };
    write_lines(&mut piece, out).map_err(GenerateError::Line)?;
    for pod in &pods {
        manifest.add(&pod.source.pod.tenant, &pod.source.pod.application, &pod.tally);
    }
    progress(written);
    Ok(ending)
}

/// Writes objects, one of each pod in turn, to `destination`.
pub fn objects<D: Destination>(
    work: Work,
    layout: ObjectLayout,
    destination: &mut D,
    stop: &Stop,
    progress: &mut dyn FnMut(u64),
) -> Result<Ending, GenerateError> {
    let shares = Shares { records: work.records, pods: work.pods.len() as u64 };
    let mut pods: Vec<PodState> =
        work.pods.into_iter().map(|pod| PodState::new(pod, &work.content)).collect();
    let mut writer = ObjectRun {
        layout,
        pacer: Pacer::new(work.pace, work.bursts, work.content.seed),
        stop,
        piece: String::with_capacity(2 * PIECE_BYTES),
        message: Message::default(),
        written: 0,
    };
    loop {
        let mut all_done = true;
        for (index, pod) in pods.iter_mut().enumerate() {
            let left = shares.of(index as u64).map_or(u64::MAX, |share| share - pod.written);
            if left == 0 {
                continue;
            }
            all_done = false;
            let next =
                writer.object(pod, left.min(layout.records.max(1)), destination, progress)?;
            progress(writer.written);
            match next {
                Next::Record => {}
                Next::Done => return Ok(Ending::Complete),
                Next::Stopped => return Ok(Ending::Stopped),
            }
        }
        if all_done {
            return Ok(Ending::Complete);
        }
    }
}

/// A pod with everything that goes on from record to record.
#[derive(Debug)]
struct PodState {
    source: PodSource,
    records: RecordWriter,
    names: Random,
    tally: Tally,
    written: u64,
}

impl PodState {
    fn new(pod: Pod, content: &Content) -> Self {
        Self {
            records: RecordWriter::new(&pod, content.seed),
            names: Random::named(content.seed, &format!("objects {}", pod.sequence)),
            source: PodSource::new(pod, content),
            tally: Tally::default(),
            written: 0,
        }
    }

    /// Names an object whose last record is `last`: the time of an upload, and an id.
    fn object(&mut self, last: &Message) -> LogObject {
        let mut file = last.time.strftime("%Y%m%d-%H%M%S-").to_string();
        self.names.uuid(&mut file);
        file.push_str(".json.gz");
        self.source.pod.object(file)
    }
}

/// How many of all records each pod writes.
#[derive(Debug, Clone, Copy)]
struct Shares {
    records: Option<u64>,
    pods: u64,
}

impl Shares {
    fn of(self, index: u64) -> Option<u64> {
        let records = self.records?;
        Some(records / self.pods.max(1) + u64::from(index < records % self.pods.max(1)))
    }
}

/// The state that objects share.
struct ObjectRun<'a> {
    layout: ObjectLayout,
    pacer: Pacer,
    stop: &'a Stop,
    piece: String,
    message: Message,
    written: u64,
}

impl ObjectRun<'_> {
    /// Writes one object of at most `records` records; an early end makes it shorter, and no records make none.
    fn object<D: Destination>(
        &mut self,
        pod: &mut PodState,
        records: u64,
        destination: &mut D,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Next, GenerateError> {
        let pod_name = pod.source.pod.name.clone();
        let named = |wrap: fn(String, io::Error) -> GenerateError| {
            let pod = pod_name.clone();
            move |source| wrap(pod, source)
        };
        let body = |pod, source| GenerateError::Body { pod, source };
        let writer =
            destination.open().map_err(named(|pod, source| GenerateError::Open { pod, source }))?;
        let mut gzip = GzEncoder::new(writer, Compression::default());
        let mut tally = Tally::default();
        self.piece.clear();
        let mut next = Next::Record;
        while tally.records < records {
            let Ok(turn) = self.pacer.next(self.stop, || Ok::<(), std::convert::Infallible>(()));
            next = turn;
            if next != Next::Record {
                break;
            }
            self.record(pod, &mut tally);
            if self.piece.len() >= PIECE_BYTES {
                gzip.write_all(self.piece.as_bytes()).map_err(named(body))?;
                self.piece.clear();
            }
            if self.written.is_multiple_of(PROGRESS_STEP) {
                progress(self.written);
            }
        }
        if tally.records == 0 {
            return Ok(next);
        }
        if self.layout.framing == Framing::Array {
            self.piece.push(']');
        }
        gzip.write_all(self.piece.as_bytes()).map_err(named(body))?;
        let writer = gzip.finish().map_err(named(body))?;
        let finished = FinishedObject { object: pod.object(&self.message), tally };
        destination
            .commit(writer, finished)
            .map_err(named(|pod, source| GenerateError::Commit { pod, source }))?;
        Ok(next)
    }

    fn record(&mut self, pod: &mut PodState, tally: &mut Tally) {
        pod.source.next(&mut self.message);
        if self.layout.framing == Framing::Array {
            self.piece.push(if tally.records == 0 { '[' } else { ',' });
        }
        pod.records.write(&mut self.message, &mut self.piece);
        if self.layout.framing == Framing::Ndjson {
            self.piece.push('\n');
        }
        tally.add(&self.message.text);
        pod.written += 1;
        self.written += 1;
    }
}

/// Writes out what is held, so that a reader sees it before a pause.
fn write_lines(piece: &mut String, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(piece.as_bytes())?;
    piece.clear();
    out.flush()
}
