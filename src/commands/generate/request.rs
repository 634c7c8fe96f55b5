//! What the flags of `mtlog generate` mean together.

use std::path::PathBuf;

use jiff::Timestamp;
use mtlog_processor::model::{ids::BucketName, key::KeyPrefix};
use thiserror::Error;

use super::{Format, Framing, GenerateArgs, MessageFormat};
use crate::{
    config::{
        layers::{InvalidSettings, Layers},
        vars,
    },
    generate::{
        message::{InvalidMessageSize, MessageSize, ShapeChoice},
        pace::{Bursts, InvalidPace, Pace},
        population::{InvalidPopulation, Population, Replicas},
        run::{self, LineFormat, ObjectLayout, Work},
        source::Content,
        timeline::{InvalidTimeline, Timeline},
    },
};

/// Enough to look at, gone in a moment.
const USUAL_COUNT: u64 = 1000;
/// The predecessor's burst: so many records.
const USUAL_BATCH: (u64, u64) = (1, 50);
/// The predecessor's pause, in seconds.
const USUAL_SLEEP: (f64, f64) = (0.1, 5.0);

/// What to make and where to put it.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) work: Work,
    pub(super) target: Target,
    pub(super) manifest: Option<PathBuf>,
    pub(super) stats_interval: Option<u64>,
}

/// Where it goes.
#[derive(Debug)]
pub(super) enum Target {
    /// This machine.
    Local(LocalTarget),
    /// S3.
    Bucket(BucketTarget),
}

/// A place on this machine.
#[derive(Debug)]
pub(super) enum LocalTarget {
    /// Standard output.
    Lines(LineFormat),
    /// Files.
    Directory { path: PathBuf, prefix: KeyPrefix, layout: ObjectLayout },
}

/// A bucket, and the names and form of the objects in it.
#[derive(Debug)]
pub(super) struct BucketTarget {
    pub(super) name: BucketName,
    pub(super) prefix: KeyPrefix,
    pub(super) layout: ObjectLayout,
}

/// Flags that cannot be followed.
#[derive(Debug, Error)]
pub(super) enum InvalidRequest {
    #[error("objects hold the collector's records, so --format raw needs standard output")]
    RawObjects,
    #[error(transparent)]
    Population(#[from] InvalidPopulation),
    #[error(transparent)]
    Pace(#[from] InvalidPace),
    #[error(transparent)]
    Size(#[from] InvalidMessageSize),
    #[error(transparent)]
    Timeline(#[from] InvalidTimeline),
    #[error(transparent)]
    Settings(#[from] InvalidSettings),
}

impl Request {
    /// Reads the flags. `now` is where the records end, unless --start says otherwise.
    pub(super) fn resolve(
        args: GenerateArgs,
        layers: &Layers,
        now: Timestamp,
    ) -> Result<Self, InvalidRequest> {
        let prefix = key_prefix(&args, layers)?;
        let (pace, bursts) = pace(&args)?;
        let usual = if matches!(pace, Pace::Bursts(_)) { 0 } else { USUAL_COUNT };
        let records = Some(args.count.unwrap_or(usual)).filter(|count| *count > 0);
        let timeline = timeline(&args, records, pace, now)?;
        let size = message_size(&args)?;
        let shapes = match args.timestamp_format {
            MessageFormat::Mixed => ShapeChoice::Mixed,
            MessageFormat::Only(shape) => ShapeChoice::Only(shape),
        };
        let framing = match args.framing {
            Framing::Ndjson => run::Framing::Ndjson,
            Framing::Array => run::Framing::Array,
        };
        let layout = ObjectLayout { framing, records: args.records_per_object };
        let target = match (args.directory, args.bucket, args.format) {
            (None, None, None | Some(Format::Raw)) => {
                Target::Local(LocalTarget::Lines(LineFormat::Raw))
            }
            (None, None, Some(Format::Collector)) => {
                Target::Local(LocalTarget::Lines(LineFormat::Collector))
            }
            (Some(_), _, Some(Format::Raw)) | (_, Some(_), Some(Format::Raw)) => {
                return Err(InvalidRequest::RawObjects);
            }
            (Some(path), _, _) => Target::Local(LocalTarget::Directory { path, prefix, layout }),
            (None, Some(name), _) => Target::Bucket(BucketTarget { name, prefix, layout }),
        };
        let replicas = args.pod_name.map_or(Replicas::Count(args.pods), Replicas::Named);
        let population = Population {
            clusters: args.cluster,
            tenants: args.tenant,
            applications: args.application,
            replicas,
        };
        let content = Content { seed: args.seed, shapes, size, timeline };
        let work = Work { pods: population.pods(args.seed)?, content, records, pace, bursts };
        Ok(Self { work, target, manifest: args.manifest, stats_interval: args.stats_interval })
    }
}

fn key_prefix(args: &GenerateArgs, layers: &Layers) -> Result<KeyPrefix, InvalidSettings> {
    if let Some(prefix) = &args.key_prefix {
        return Ok(prefix.clone());
    }
    let mut resolver = layers.resolver();
    let setting = resolver.optional(&vars::KEY_PREFIX, None);
    resolver.finish()?;
    Ok(setting.map(|setting| setting.value).unwrap_or_default())
}

/// Any of the burst flags asks for bursts.
fn pace(args: &GenerateArgs) -> Result<(Pace, Option<u64>), InvalidPace> {
    if let Some(rate) = args.rate {
        return Ok((Pace::Rate(rate), None));
    }
    let sizes = (args.min_batch_size, args.max_batch_size);
    let pauses = (args.min_sleep, args.max_sleep);
    if sizes == (None, None) && pauses == (None, None) && args.total_batches.is_none() {
        return Ok((Pace::Unlimited, None));
    }
    let least = sizes.0.unwrap_or(USUAL_BATCH.0);
    let shortest = pauses.0.unwrap_or(USUAL_SLEEP.0);
    let bursts = Bursts::between(
        (least, sizes.1.unwrap_or(USUAL_BATCH.1.max(least))),
        (shortest, pauses.1.unwrap_or(USUAL_SLEEP.1.max(shortest))),
    )?;
    Ok((Pace::Bursts(bursts), args.total_batches.filter(|batches| *batches > 0)))
}

/// What comes slowly or without end has the time at which it is made, unless a time was asked for.
fn timeline(
    args: &GenerateArgs,
    records: Option<u64>,
    pace: Pace,
    now: Timestamp,
) -> Result<Timeline, InvalidTimeline> {
    let live = records.is_none() || pace != Pace::Unlimited;
    if live && args.start.is_none() && args.interval.is_none() {
        return Ok(Timeline::Clock);
    }
    Timeline::planned(records.unwrap_or(1).div_ceil(pods(args)), args.start, args.interval, now)
}

fn pods(args: &GenerateArgs) -> u64 {
    let replicas = if args.pod_name.is_some() { 1 } else { u64::from(args.pods) };
    let owners = args.tenant.len() * args.cluster.len() * args.application.len();
    replicas.saturating_mul(owners as u64).max(1)
}

fn message_size(args: &GenerateArgs) -> Result<Option<MessageSize>, InvalidMessageSize> {
    match (args.min_message_bytes, args.max_message_bytes) {
        (None, None) => Ok(None),
        (least, most) => {
            let least = least.unwrap_or(0);
            MessageSize::between(least, most.unwrap_or(least)).map(Some)
        }
    }
}
