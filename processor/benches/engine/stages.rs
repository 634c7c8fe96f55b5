//! The stages of the chain on one thread: from raw inflate up to the hash that the signature needs.

use std::{
    hint::black_box,
    io::Read,
    sync::Arc,
    time::{Duration, Instant},
};

use flate2::bufread::MultiGzDecoder;
use memchr::{memchr_iter, memmem};
use mtlog_processor::{
    decode::{Decoded, Decoder, Limits, LogEvent, Options, Reading, gzip::Inflater},
    model::{
        events::{Batch, Segment},
        ids::LogStreamName,
    },
    ports::{Access, LogTarget},
    stages,
};

use crate::{
    FORMATS,
    objects::{ANY_DAY, Format, Object, object},
    table::Table,
};

/// How often anything is measured whose best counts.
pub(crate) const ROUNDS: usize = 9;
/// The size of a small object, in bytes before compression.
const SMALL: usize = 500_000;
/// How often a small object is read in one round.
const SMALL_REPEATS: usize = 40;

/// Something that is done to an object.
type Run = fn(&Object);

const STAGES: [(&str, Run); 8] = [
    (INFLATE, inflate_with_flate2),
    ("inflate", inflate),
    ("inflate, split: search the ends of records", search),
    ("decode with serde_json: inflate, split, message, timestamp", decode_plainly),
    ("decode: inflate, split, message, timestamp", decode),
    ("... and write events into segments", gather),
    (CHAIN, chain),
    ("decode of what is not compressed", decode_uncompressed),
];
const INFLATE: &str = "inflate with flate2 alone";
const CHAIN: &str = "... and make them requests, with their SHA-256: the whole chain";

/// What the stages took on one object.
struct Column {
    object: Object,
    best: Vec<Duration>,
}

impl Column {
    fn ratio(&self, stage: &str) -> f64 {
        self.best_of(INFLATE).as_secs_f64() / self.best_of(stage).as_secs_f64()
    }

    fn best_of(&self, stage: &str) -> Duration {
        self.best[STAGES.iter().position(|(name, _)| *name == stage).unwrap()]
    }
}

/// What all stages took on all objects.
pub(crate) struct Stages {
    columns: Vec<Column>,
    /// The chain and inflate on a small object.
    small: (Duration, Duration),
    /// How long two threads took to do twice what one thread does, as a multiple of one.
    two_at_once: f64,
}

impl Stages {
    pub(crate) fn measure(bytes: usize) -> Self {
        let mut columns: Vec<Column> = FORMATS
            .iter()
            .map(|format| Column {
                object: object(*format, bytes, ANY_DAY),
                best: vec![Duration::MAX; STAGES.len()],
            })
            .collect();
        // In turns, so that a bad moment of the machine does not hit one stage alone.
        for _ in 0..ROUNDS {
            for column in &mut columns {
                for (best, (_, run)) in column.best.iter_mut().zip(STAGES) {
                    *best = processor_time(|| run(&column.object)).min(*best);
                }
            }
        }
        let small = object(Format::Array, SMALL, ANY_DAY);
        let repeated = |run: Run| {
            let once = || processor_time(|| (0..SMALL_REPEATS).for_each(|_| run(&small)));
            (0..ROUNDS).map(|_| once()).min().unwrap_or_default()
        };
        let small = (repeated(chain), repeated(inflate_with_flate2));
        let two_at_once = two_at_once(&columns[0].object);
        Self { columns, small, two_at_once }
    }

    /// Returns the object in this format.
    pub(crate) fn object(&self, format: Format) -> &Object {
        &self.column(format).object
    }

    /// Returns what the whole chain takes on that object.
    pub(crate) fn chain(&self, format: Format) -> Duration {
        self.column(format).best_of(CHAIN)
    }

    fn column(&self, format: Format) -> &Column {
        self.columns.iter().find(|column| column.object.format == format).unwrap()
    }

    pub(crate) fn print(&self) {
        println!("\nMB/s before compression, and in brackets as a part of raw inflate\n");
        let names: Vec<String> = self
            .columns
            .iter()
            .map(|Column { object, .. }| {
                let ratio = object.plain.len() as f64 / object.compressed.len() as f64;
                format!(
                    "{}, {} MB, {ratio:.0}:1",
                    object.format.name(),
                    object.plain.len() / 1_000_000
                )
            })
            .collect();
        println!("| Stage | {} |\n|---|{}", names.join(" | "), "---|".repeat(names.len()));
        for (name, _) in STAGES {
            let cells: Vec<String> = self
                .columns
                .iter()
                .map(|column| {
                    let speed =
                        column.object.plain.len() as f64 / 1e6 / column.best_of(name).as_secs_f64();
                    format!("{speed:.0} ({:.2})", column.ratio(name))
                })
                .collect();
            println!("| {name} | {} |", cells.join(" | "));
        }
    }

    pub(crate) fn judge(&self, table: &mut Table) {
        for column in &self.columns {
            let name = format!("whole chain / raw inflate, {}", column.object.format.name());
            match column.object.format {
                Format::Ndjson | Format::Array => table.at_least(name, column.ratio(CHAIN), 0.5),
                Format::Pretty | Format::Varying => {
                    table.told(name, format!("{:.2}", column.ratio(CHAIN)));
                }
            }
        }
        let small = self.small.1.as_secs_f64() / self.small.0.as_secs_f64();
        table.told("whole chain / raw inflate, array of 0.5 MB", format!("{small:.2}"));
        table.at_least("two objects at once / one, on two cores", self.two_at_once, 1.8);
    }
}

/// Returns the processor time of this thread that `work` takes.
pub(crate) fn processor_time(work: impl FnOnce()) -> Duration {
    let before = spent();
    work();
    spent().saturating_sub(before)
}

fn spent() -> Duration {
    // The count is brought up to date when the thread leaves the processor.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
}

/// Two threads with an object each against one thread with one, by the clock on the wall.
fn two_at_once(object: &Object) -> f64 {
    let timed = |work: &dyn Fn()| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    let alone = || chain(object);
    let both = || {
        std::thread::scope(|scope| {
            scope.spawn(alone);
            scope.spawn(alone);
        });
    };
    let (mut one, mut two) = (Duration::MAX, Duration::MAX);
    for _ in 0..3 * ROUNDS {
        one = one.min(timed(&alone));
        two = two.min(timed(&both));
    }
    2.0 * one.as_secs_f64() / two.as_secs_f64()
}

fn inflate_with_flate2(object: &Object) {
    read_all(MultiGzDecoder::new(&object.compressed[..]), |_| {});
}

fn inflate(object: &Object) {
    read_all(Inflater::new(&object.compressed[..], Limits::default()), |_| {});
}

/// The least that cutting into records can cost; separators across two chunks are missed.
fn search(object: &Object) {
    let between: &[u8] = match object.format {
        Format::Ndjson | Format::Varying => b"\n",
        Format::Array => b",{\"application\":",
        Format::Pretty => b"},\n{",
    };
    let finder = memmem::Finder::new(between);
    let mut found = 0;
    read_all(Inflater::new(&object.compressed[..], Limits::default()), |chunk| {
        found += match between {
            [byte] => memchr_iter(*byte, chunk).count(),
            _ => finder.find_iter(chunk).count(),
        };
    });
    black_box(found);
}

fn decode_plainly(object: &Object) {
    decode_with(&object.compressed, Reading::Plain);
}

fn decode(object: &Object) {
    decode_with(&object.compressed, Reading::Fast);
}

fn decode_uncompressed(object: &Object) {
    decode_with(&object.plain, Reading::Fast);
}

fn decode_with(bytes: &[u8], reading: Reading) {
    let mut decoder = Decoder::new(bytes, Options { reading, ..Options::default() });
    while let Some(decoded) = decoder.next().unwrap() {
        if let Decoded::Event(event) = decoded {
            black_box::<&LogEvent<'_>>(&event);
        }
    }
}

fn gather(object: &Object) {
    stages::segments(&object.compressed[..], Options::default(), black_box).unwrap();
}

pub(crate) fn chain(object: &Object) {
    with_bodies(object, |batch, body| {
        black_box(stages::digest(batch, body));
    });
}

fn with_bodies(object: &Object, mut visit: impl FnMut(&Batch, &[u8])) {
    let target = target();
    let send = |segment: Segment| {
        let (segment, batches) = stages::batches(segment, &target);
        batches.for_each(|batch| visit(&batch, &stages::body(&target, &batch)));
        Arc::try_unwrap(segment).unwrap_or_default()
    };
    stages::segments(&object.compressed[..], Options::default(), send).unwrap();
}

fn target() -> LogTarget {
    LogTarget {
        access: Access {
            tenant: "acme".parse().unwrap(),
            role: "arn:aws:iam::222222222222:role/customer".parse().unwrap(),
            external_id: None,
            region: "us-east-2".parse().unwrap(),
        },
        group: "/logs/acme".parse().unwrap(),
        stream: LogStreamName::sanitised("orders-orders-api-7c9d8f6b5d-x2x7k-2026-11-23"),
    }
}

/// Counts what the chain makes of an object: events, and bytes of bodies.
pub(crate) fn count(object: &Object) -> (u64, u64) {
    let (mut events, mut bytes) = (0, 0);
    with_bodies(object, |batch, body| {
        events += batch.len() as u64;
        bytes += body.len() as u64;
    });
    (events, bytes)
}

fn read_all(mut source: impl Read, mut visit: impl FnMut(&[u8])) {
    let mut chunk = vec![0; 256 << 10];
    loop {
        let read = source.read(&mut chunk).unwrap();
        if read == 0 {
            return;
        }
        visit(black_box(&chunk[..read]));
    }
}
