//! `mtlog generate`: writes realistic pod logs to standard output, a directory or the bucket.

mod bucket;
mod request;

use std::{
    fs::File,
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
};

use jiff::{SignedDuration, Timestamp};
use mtlog_processor::model::{
    ids::{BucketName, TenantId},
    key::KeyPrefix,
};
use tokio::sync::oneshot;

use self::request::{LocalTarget, Request, Target};
use super::Context;
use crate::{
    cli::ConnectionArgs,
    error::{CliError, ExitStatus},
    generate::{
        directory::Directory,
        manifest::Manifest,
        message::Shape,
        pace::{InvalidPace, Rate, Stop},
        run::{self, Ending, GenerateError, Work},
    },
    ui::counter::Counter,
};

/// Write realistic pod logs to standard output, a directory or the bucket
///
/// The same --seed, --start and options give the same bytes. Messages of several lines (stack traces) are one record.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  mtlog generate --count 20
  mtlog generate --count 0 --rate 50 --format collector
  mtlog generate --count 100000 --tenant acme --tenant globex --directory out --manifest out.jsonl")]
pub struct GenerateArgs {
    /// Where the random sequences start
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Records of all pods together; 0 never ends [default: 1000, or no end with bursts]
    #[arg(long, value_name = "NUMBER")]
    count: Option<u64>,
    /// Records a second; as fast as possible when absent
    #[arg(long, value_name = "NUMBER", value_parser = parse_rate, conflicts_with = "min_batch_size")]
    rate: Option<Rate>,

    /// A namespace that logs come from; may be repeated
    #[arg(long, value_name = "NAME", alias = "customer-id", default_value = "test-tenant")]
    tenant: Vec<TenantId>,
    /// A cluster; may be repeated, and every tenant is on each
    #[arg(long, value_name = "NAME", alias = "cluster-id", default_value = "test-cluster")]
    cluster: Vec<String>,
    /// An application; may be repeated, and every tenant has each
    #[arg(long, value_name = "NAME", default_value = "test-app")]
    application: Vec<String>,
    /// Pods of each application
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pods: u32,
    /// The name of the only pod, instead of --pods
    #[arg(long, value_name = "NAME", conflicts_with = "pods")]
    pod_name: Option<String>,

    /// What a line is: the message alone, or the collector's record [default: raw on standard output, else collector]
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// Write objects below this directory
    #[arg(long, value_name = "PATH", conflicts_with = "bucket")]
    directory: Option<PathBuf>,
    /// Write objects to this bucket
    #[arg(long, value_name = "NAME")]
    bucket: Option<BucketName>,
    /// Text before CLUSTER/NAMESPACE/... in object keys [env: S3_KEY_PREFIX]
    #[arg(long, value_name = "PREFIX")]
    key_prefix: Option<KeyPrefix>,
    /// Records of one object
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    records_per_object: u64,
    /// How records stand in an object
    #[arg(long, value_name = "FRAMING", default_value = "ndjson")]
    framing: Framing,
    /// Write what was made to this file: a JSON line per tenant and application, with count and content hash
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,

    /// The time of the first record; when absent, records end now, or have the time at which they are made
    #[arg(long, value_name = "TIME")]
    start: Option<Timestamp>,
    /// The time between two records of a pod, such as 10ms or 1s
    #[arg(long, value_name = "DURATION")]
    interval: Option<SignedDuration>,
    /// The form of messages; --list-formats shows them
    #[arg(long, value_name = "FORMAT", default_value = "mixed", value_parser = parse_message_format)]
    timestamp_format: MessageFormat,
    /// List the forms of messages and end
    #[arg(long)]
    list_formats: bool,
    /// Fill messages up to at least so many bytes
    #[arg(long, value_name = "BYTES")]
    min_message_bytes: Option<u64>,
    /// Fill messages up to at most so many bytes; longer ones are not cut
    #[arg(long, value_name = "BYTES")]
    max_message_bytes: Option<u64>,

    /// Write in bursts of at least so many records, with pauses between
    #[arg(long, value_name = "NUMBER")]
    min_batch_size: Option<u64>,
    /// The most records of a burst
    #[arg(long, value_name = "NUMBER", conflicts_with = "rate")]
    max_batch_size: Option<u64>,
    /// The shortest pause between bursts
    #[arg(long, value_name = "SECONDS", conflicts_with = "rate")]
    min_sleep: Option<f64>,
    /// The longest pause between bursts
    #[arg(long, value_name = "SECONDS", conflicts_with = "rate")]
    max_sleep: Option<f64>,
    /// End after so many bursts; 0 never ends
    #[arg(long, value_name = "NUMBER", conflicts_with = "rate")]
    total_batches: Option<u64>,
    /// Say on standard error how far it is, once in so many records
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    stats_interval: Option<u64>,

    #[command(flatten)]
    connection: ConnectionArgs,
}

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// The message as the container wrote it.
    Raw,
    /// The collector's JSON record.
    Collector,
}

/// How records stand in an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Framing {
    /// A line each.
    Ndjson,
    /// One JSON array on one line.
    Array,
}

/// Which messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MessageFormat {
    Mixed,
    Only(Shape),
}

/// Runs the command.
pub async fn run(context: &Context<'_>, args: GenerateArgs) -> Result<ExitStatus, CliError> {
    if args.list_formats {
        context.ui.data(&message_formats());
        return Ok(ExitStatus::Success);
    }
    let connection = args.connection.flags();
    let Request { work, target, manifest, stats_interval } =
        Request::resolve(args, &context.layers, Timestamp::now())
            .map_err(|error| CliError::new(ExitStatus::Usage, error))?;
    let counter = Counter::start(context.ui, work.records, stats_interval);
    let (stop_sender, stop_receiver) = mpsc::channel();
    let stop = Stop(stop_receiver);
    let writing = async {
        match target {
            Target::Bucket(target) => {
                bucket::write(context, &connection, work, target, stop, counter).await
            }
            Target::Local(target) => write_on_thread(work, target, stop, counter).await,
        }
    };
    tokio::pin!(writing);
    let finished = tokio::select! {
        finished = &mut writing => finished,
        _ = tokio::signal::ctrl_c() => {
            drop(stop_sender);
            // A reader that does not read holds up the end too; who asks a second time does not wait for it.
            tokio::select! {
                finished = writing => finished,
                _ = tokio::signal::ctrl_c() => return Ok(ExitStatus::Detached),
            }
        }
    };
    let Finished { ending, manifest: written } = finished?;
    if let Some(path) = manifest {
        write_manifest(&path, &written)?;
    }
    Ok(match ending {
        Ending::Complete => ExitStatus::Success,
        Ending::Stopped => ExitStatus::Detached,
    })
}

/// What was written, and whether it was everything.
#[derive(Debug)]
struct Finished {
    ending: Ending,
    manifest: Manifest,
}

/// Writes on a thread of its own, which the process's end does not wait for.
async fn write_on_thread(
    work: Work,
    target: LocalTarget,
    stop: Stop,
    counter: Counter,
) -> Result<Finished, CliError> {
    let (sender, result) = oneshot::channel();
    let _detached = thread::spawn(move || {
        // Nobody listens any more after a second Ctrl-C.
        drop(sender.send(write_locally(work, target, &stop, &counter)));
    });
    result.await.map_err(|error| CliError::new(ExitStatus::Unexpected, error))?
}

/// Writes to standard output or a directory. Blocks.
fn write_locally(
    work: Work,
    target: LocalTarget,
    stop: &Stop,
    counter: &Counter,
) -> Result<Finished, CliError> {
    let mut progress = |written| counter.set(written);
    let mut manifest = Manifest::default();
    let ending = match target {
        LocalTarget::Lines(format) => {
            let mut stdout = io::stdout().lock();
            run::lines(work, format, &mut stdout, stop, &mut manifest, &mut progress)
        }
        LocalTarget::Directory { path, prefix, layout } => {
            let mut directory = Directory::create(&path, prefix).map_err(|error| {
                CliError::new(ExitStatus::Unexpected, error)
                    .hint(format!("--directory {} cannot be used", path.display()))
            })?;
            let ending = run::objects(work, layout, &mut directory, stop, &mut progress);
            manifest = directory.into_manifest();
            ending
        }
    };
    Ok(Finished { ending: ended(ending)?, manifest })
}

/// A reader that went away ends the work without a word, as `head` does to what feeds it.
fn ended(result: Result<Ending, GenerateError>) -> Result<Ending, CliError> {
    match result {
        Err(error) if error.is_broken_pipe() => Ok(Ending::Complete),
        other => other.map_err(|error| CliError::new(ExitStatus::Unexpected, error)),
    }
}

fn write_manifest(path: &Path, manifest: &Manifest) -> Result<(), CliError> {
    let written = File::create(path).map(BufWriter::new).and_then(|mut file| {
        manifest.write(&mut file)?;
        file.flush()
    });
    written.map_err(|error| {
        CliError::new(ExitStatus::Unexpected, error)
            .hint(format!("--manifest {} cannot be written", path.display()))
    })
}

fn message_formats() -> String {
    let mut text =
        format!("{:<12} all of them, in the proportions of a hosted control plane\n", "mixed");
    for (name, looks) in Shape::catalogue() {
        text.push_str(&format!("{name:<12} {looks}\n"));
    }
    text
}

fn parse_rate(text: &str) -> Result<Rate, String> {
    let records = text.parse().map_err(|_| format!("`{text}` is no number"))?;
    Rate::per_second(records).map_err(|error: InvalidPace| error.to_string())
}

fn parse_message_format(text: &str) -> Result<MessageFormat, String> {
    if text == "mixed" {
        return Ok(MessageFormat::Mixed);
    }
    text.parse()
        .map(MessageFormat::Only)
        .map_err(|error| format!("{error}; --list-formats shows those that exist"))
}
