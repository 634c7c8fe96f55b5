//! Every object of the source bucket, once or again and again.

use std::{collections::BTreeSet, path::Path, time::Duration};

use serde::{Deserialize, Serialize};
use tracing::{error, info};

use crate::{
    config::Config,
    engine::{Engine, Handled, stop::Stop, verdict::Verdict},
    error_chain::Chain,
    exit::ExitStatus,
    model::{
        ids::{BucketName, TenantId},
        key::{KeyPrefix, LogObject},
        outcome::StopReason,
    },
    modes::{
        manual,
        options::{ProcessOptions, SinkKind},
        progress::Progress,
        wiring,
    },
    ports::{ListedObject, ObjectStore},
    shutdown::Signals,
};

/// How many objects are in work at a time.
const CONCURRENCY: usize = 4;
/// How often one object is tried before the scan goes on without it.
const ATTEMPTS: u32 = 3;

pub(super) async fn run(options: &ProcessOptions, config: &Config) -> ExitStatus {
    let Some(bucket) = config.source_bucket.clone() else {
        error!("SOURCE_BUCKET is not set: scan mode reads that bucket");
        return ExitStatus::Config;
    };
    let wired = match wiring::engine(options, config).await {
        Ok(wired) => wired,
        Err(status) => return status,
    };
    let cursor = match &options.cursor {
        None => Cursor::default(),
        Some(path) => match Cursor::load(path) {
            Ok(cursor) => cursor,
            Err(problem) => {
                error!(path = %path.display(), problem, "the cursor is not usable");
                return ExitStatus::Config;
            }
        },
    };
    let scan = Scan {
        engine: &wired.engine,
        store: wired.store.as_ref(),
        bucket,
        key_prefix: config.key_prefix.clone(),
        prefix: format!("{}{}", config.key_prefix, options.prefix.as_deref().unwrap_or_default()),
        options,
        interval: config.scan_interval,
        stop: Stop::default(),
        progress: Progress::start(options, &wired.meter),
    };
    let stop = scan.stop.clone();
    tokio::select! {
        status = scan.run(cursor) => status,
        status = interrupted(&stop) => status,
    }
}

async fn interrupted(stop: &Stop) -> ExitStatus {
    let Ok(mut signals) = Signals::listen() else { return std::future::pending().await };
    let name = signals.next().await;
    info!(signal = name, "stopping; a second signal ends at once");
    stop.stop(StopReason::Shutdown);
    signals.next().await;
    ExitStatus::Interrupted
}

/// Where a scan stands. Everything up to `after` is settled, but for `open`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cursor {
    /// The version of this file.
    #[serde(default)]
    schema: u32,
    /// The last key that was looked at.
    after: Option<String>,
    /// Keys up to `after` that are not settled; the next run tries them first.
    #[serde(default)]
    open: BTreeSet<String>,
}

const CURSOR_SCHEMA: u32 = 1;

impl Cursor {
    fn load(path: &Path) -> Result<Self, String> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(error.to_string()),
        };
        let cursor: Self = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        if cursor.schema == CURSOR_SCHEMA {
            Ok(cursor)
        } else {
            Err(format!("schema {} is not known", cursor.schema))
        }
    }

    /// Writes the file in one step: a crash leaves the old one or the new one.
    fn save(&self, path: &Path) -> Result<(), String> {
        let stored = Self { schema: CURSOR_SCHEMA, ..self.clone() };
        let text = serde_json::to_string(&stored).map_err(|error| error.to_string())?;
        let beside = path.with_extension("tmp");
        std::fs::write(&beside, text)
            .and_then(|()| std::fs::rename(&beside, path))
            .map_err(|error| error.to_string())
    }
}

struct Scan<'a> {
    engine: &'a Engine,
    store: &'a dyn ObjectStore,
    bucket: BucketName,
    key_prefix: KeyPrefix,
    /// What every listed key starts with.
    prefix: String,
    options: &'a ProcessOptions,
    interval: Duration,
    stop: Stop,
    progress: Progress,
}

impl Scan<'_> {
    async fn run(&self, mut cursor: Cursor) -> ExitStatus {
        let mut status = ExitStatus::Ok;
        loop {
            // Objects that were written later may have a key before the cursor; only a watch looks at all again.
            let round = self.round(&mut cursor).await;
            status = status.worse(round);
            if !self.options.watch || self.stop.reason().is_some() {
                return status;
            }
            cursor.after = None;
            tokio::select! {
                _ = self.stop.stopped() => return status,
                () = tokio::time::sleep(self.interval) => {}
            }
        }
    }

    /// Goes through the bucket once.
    async fn round(&self, cursor: &mut Cursor) -> ExitStatus {
        let mut status = ExitStatus::Ok;
        let (mut seen, mut chosen) = (0_u64, 0_u64);
        loop {
            let page = match self.list(cursor.after.as_deref()).await {
                Ok(page) => page,
                Err(failed) => return failed,
            };
            seen += page.objects.len() as u64;
            let last = page.objects.last().map(|listed| listed.object.key.clone());
            let wanted: Vec<ListedObject> = page
                .objects
                .into_iter()
                .filter(|listed| self.wants(listed, &cursor.open))
                .collect();
            chosen += wanted.len() as u64;
            for group in wanted.chunks(CONCURRENCY) {
                let ways = group.iter().map(|listed| self.deliver(listed));
                for (listed, one) in group.iter().zip(futures_util::future::join_all(ways).await) {
                    let key = &listed.object.key;
                    if one == ExitStatus::Transient || one == ExitStatus::Refused {
                        cursor.open.insert(key.clone());
                    } else {
                        cursor.open.remove(key);
                    }
                    status = status.worse(one);
                }
                if self.stop.reason().is_some() {
                    cursor.after = group
                        .last()
                        .map(|listed| listed.object.key.clone())
                        .or_else(|| cursor.after.clone());
                    self.save(cursor);
                    return status;
                }
            }
            cursor.after = page.next.clone().or(last).or_else(|| cursor.after.clone());
            self.save(cursor);
            info!(seen, chosen, after = cursor.after, "scanned");
            if page.next.is_none() {
                info!(bucket = %self.bucket, prefix = self.prefix, seen, chosen, "scan complete");
                return status;
            }
        }
    }

    async fn list(&self, after: Option<&str>) -> Result<crate::ports::ListPage, ExitStatus> {
        let mut attempt = 0;
        loop {
            match self.store.list(&self.bucket, &self.prefix, after).await {
                Ok(page) => return Ok(page),
                Err(fault) => {
                    attempt += 1;
                    error!(error = %Chain(&fault), bucket = %self.bucket, attempt, "bucket not listed");
                    if attempt == ATTEMPTS {
                        return Err(match fault.class {
                            crate::ports::FaultClass::Denied
                            | crate::ports::FaultClass::Systemic(_) => ExitStatus::Refused,
                            _ => ExitStatus::Transient,
                        });
                    }
                    tokio::time::sleep(Duration::from_secs(1) * attempt).await;
                }
            }
        }
    }

    fn wants(&self, listed: &ListedObject, open: &BTreeSet<String>) -> bool {
        let at = listed.last_modified_ms;
        let since = self.options.since.is_none_or(|since| at >= since.as_millisecond());
        let before = self.options.before.is_none_or(|before| at < before.as_millisecond());
        let again = open.contains(&listed.object.key);
        (again || (since && before)) && self.wants_tenant(&listed.object.key, &self.options.tenants)
    }

    /// Without a choice of tenants, keys outside the layout are wanted too: their outcome says what they are.
    fn wants_tenant(&self, key: &str, tenants: &[TenantId]) -> bool {
        tenants.is_empty()
            || LogObject::parse(key, &self.key_prefix)
                .is_ok_and(|log| tenants.contains(&log.tenant))
    }

    async fn deliver(&self, listed: &ListedObject) -> ExitStatus {
        for attempt in 1..=ATTEMPTS {
            let handled = self.engine.handle_object(&listed.object, &self.stop).await;
            let last = attempt == ATTEMPTS || self.stop.reason().is_some();
            let pause = match handled.verdict {
                Verdict::Retry { visible_in } if !last => visible_in,
                Verdict::Ack
                | Verdict::Bury
                | Verdict::Retry { .. }
                | Verdict::Park { .. }
                | Verdict::Leave => {
                    return self.concluded(&handled);
                }
            };
            tokio::select! {
                _ = self.stop.stopped() => return ExitStatus::Transient,
                () = tokio::time::sleep(pause) => {}
            }
        }
        ExitStatus::Transient
    }

    fn concluded(&self, handled: &Handled) -> ExitStatus {
        if self.options.sink != SinkKind::Stdout {
            manual::print(handled, &self.progress);
        }
        manual::exit_status(handled)
    }

    fn save(&self, cursor: &Cursor) {
        let Some(path) = self.options.cursor.as_deref().filter(|_| !self.options.dry_run) else {
            return;
        };
        if let Err(problem) = cursor.save(path) {
            error!(path = %path.display(), problem, "the cursor is not saved");
        }
    }
}
