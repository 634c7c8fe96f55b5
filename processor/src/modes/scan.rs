//! Every object of the source bucket, once or again and again.

use std::{fmt, time::Duration};

use tracing::{error, info};

use crate::{
    config::Config,
    engine::{Engine, Handled, stop::Stop, verdict::Verdict},
    error_chain::Chain,
    exit::ExitStatus,
    model::{
        ids::{BucketName, TenantId},
        key::{KeyPrefix, LogObject},
        notification::ObjectRef,
        outcome::StopReason,
    },
    modes::{
        cursor::Cursor,
        manual,
        options::{ProcessOptions, SinkKind},
        progress::Progress,
        wiring,
    },
    ports::{FaultClass, ListPage, ListedObject, ObjectStore},
    shutdown::Signals,
};

/// How many objects are in work at a time.
const CONCURRENCY: usize = 4;
/// How often one object is tried before the scan goes on without it.
const ATTEMPTS: u32 = 3;

/// A way through the bucket.
pub struct Way<'a> {
    /// What the keys start with that are listed: sorted, and none is the beginning of another.
    pub prefixes: Vec<String>,
    /// Where to go on.
    pub cursor: Cursor,
    /// Is told how each object ended; none: that is a line of JSON on standard output.
    pub seen: Option<&'a dyn Fn(&Handled)>,
}

impl fmt::Debug for Way<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { prefixes, cursor, seen: _ } = self;
        f.debug_struct("Way")
            .field("prefixes", prefixes)
            .field("cursor", cursor)
            .finish_non_exhaustive()
    }
}

/// How a way through the bucket ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// The worst that happened.
    pub status: ExitStatus,
    /// Whether every object was looked at.
    pub complete: bool,
    /// How many objects are not settled; the next run with the same cursor tries them first.
    pub open: usize,
}

impl Ended {
    const fn early(status: ExitStatus) -> Self {
        Self { status, complete: false, open: 0 }
    }
}

pub(super) async fn run(options: &ProcessOptions, config: &Config) -> ExitStatus {
    let cursor = match options.cursor.as_deref().map(Cursor::load) {
        None => Cursor::default(),
        Some(Ok(cursor)) => cursor,
        Some(Err(problem)) => {
            let path = options.cursor.as_ref().map(|path| path.display().to_string());
            error!(path, problem, "the cursor is not usable");
            return ExitStatus::Config;
        }
    };
    let prefix = format!("{}{}", config.key_prefix, options.prefix.as_deref().unwrap_or_default());
    go(options, config, Way { prefixes: vec![prefix], cursor, seen: None }).await.status
}

/// Goes a way through the source bucket. The cursor's file, if `options` names one, is written after each page.
pub async fn go(options: &ProcessOptions, config: &Config, way: Way<'_>) -> Ended {
    let Some(bucket) = config.source_bucket.clone() else {
        error!("SOURCE_BUCKET is not set: scan mode reads that bucket");
        return Ended::early(ExitStatus::Config);
    };
    let wired = match wiring::engine(options, config).await {
        Ok(wired) => wired,
        Err(status) => return Ended::early(status),
    };
    let scan = Scan {
        engine: &wired.engine,
        store: wired.store.as_ref(),
        bucket,
        key_prefix: config.key_prefix.clone(),
        prefixes: way.prefixes,
        seen: way.seen,
        options,
        interval: config.scan_interval,
        stop: Stop::default(),
        progress: Progress::start(options, &wired.meter),
    };
    let stop = scan.stop.clone();
    tokio::select! {
        ended = scan.run(way.cursor) => ended,
        status = interrupted(&stop) => Ended::early(status),
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

struct Scan<'a> {
    engine: &'a Engine,
    store: &'a dyn ObjectStore,
    bucket: BucketName,
    key_prefix: KeyPrefix,
    prefixes: Vec<String>,
    seen: Option<&'a dyn Fn(&Handled)>,
    options: &'a ProcessOptions,
    interval: Duration,
    stop: Stop,
    progress: Progress,
}

/// How a part of the way ended.
enum Part {
    /// All of it was looked at; this is the worst that happened.
    Whole(ExitStatus),
    /// It was broken off.
    Broken(ExitStatus),
}

impl Scan<'_> {
    async fn run(&self, mut cursor: Cursor) -> Ended {
        let mut status = self.try_open_again(&mut cursor).await;
        loop {
            // Objects that were written later may have a key before the cursor; only a watch looks at all again.
            let (round, complete) = match self.round(&mut cursor).await {
                Part::Whole(round) => (round, true),
                Part::Broken(round) => (round, false),
            };
            status = status.worse(round);
            if !self.options.watch || self.stop.reason().is_some() {
                return Ended { status, complete, open: cursor.open.len() };
            }
            cursor.after = None;
            tokio::select! {
                _ = self.stop.stopped() => return Ended { status, complete, open: cursor.open.len() },
                () = tokio::time::sleep(self.interval) => {}
            }
        }
    }

    /// Tries what an earlier run left behind: the cursor is past it.
    async fn try_open_again(&self, cursor: &mut Cursor) -> ExitStatus {
        let mut status = ExitStatus::Ok;
        let open: Vec<ObjectRef> = cursor
            .open
            .iter()
            .map(|key| ObjectRef::new(self.bucket.clone(), key.clone()))
            .collect();
        for group in open.chunks(CONCURRENCY) {
            if self.stop.reason().is_some() {
                break;
            }
            status = status.worse(self.deliver_all(group, cursor).await);
            self.save(cursor);
        }
        status
    }

    /// Goes through the bucket once.
    async fn round(&self, cursor: &mut Cursor) -> Part {
        let mut status = ExitStatus::Ok;
        let (mut seen, mut chosen) = (0_u64, 0_u64);
        for prefix in &self.prefixes {
            if is_past(cursor.after.as_deref(), prefix) {
                continue;
            }
            loop {
                if self.stop.reason().is_some() {
                    return Part::Broken(status);
                }
                let after =
                    cursor.after.as_deref().filter(|after| after.starts_with(prefix.as_str()));
                let page = match self.list(prefix, after).await {
                    Ok(page) => page,
                    Err(failed) => return Part::Broken(status.worse(failed)),
                };
                seen += page.objects.len() as u64;
                let last = page.objects.last().map(|listed| listed.object.key.clone());
                let wanted: Vec<ObjectRef> = page
                    .objects
                    .into_iter()
                    .filter(|listed| self.wants(listed))
                    .map(|listed| listed.object)
                    .collect();
                chosen += wanted.len() as u64;
                for group in wanted.chunks(CONCURRENCY) {
                    status = status.worse(self.deliver_all(group, cursor).await);
                    if self.stop.reason().is_some() {
                        cursor.after =
                            group.last().map(|object| object.key.clone()).or(cursor.after.take());
                        self.save(cursor);
                        return Part::Broken(status);
                    }
                }
                cursor.after = page.next.clone().or(last).or(cursor.after.take());
                self.save(cursor);
                info!(seen, chosen, after = cursor.after, "scanned");
                if page.next.is_none() {
                    break;
                }
            }
        }
        info!(bucket = %self.bucket, prefixes = self.prefixes.len(), seen, chosen, "scan complete");
        Part::Whole(status)
    }

    /// Delivers a few objects at a time and notes which of them are not settled.
    async fn deliver_all(&self, group: &[ObjectRef], cursor: &mut Cursor) -> ExitStatus {
        let mut status = ExitStatus::Ok;
        let ways = group.iter().map(|object| self.deliver(object));
        for (object, one) in group.iter().zip(futures_util::future::join_all(ways).await) {
            if one == ExitStatus::Transient || one == ExitStatus::Refused {
                cursor.open.insert(object.key.clone());
            } else {
                cursor.open.remove(&object.key);
            }
            status = status.worse(one);
        }
        status
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<ListPage, ExitStatus> {
        let mut attempt = 0;
        loop {
            match self.store.list(&self.bucket, prefix, after).await {
                Ok(page) => return Ok(page),
                Err(fault) => {
                    attempt += 1;
                    error!(error = %Chain(&fault), bucket = %self.bucket, attempt, "bucket not listed");
                    if attempt == ATTEMPTS {
                        return Err(match fault.class {
                            FaultClass::Denied | FaultClass::Systemic(_) => ExitStatus::Refused,
                            _ => ExitStatus::Transient,
                        });
                    }
                    tokio::time::sleep(Duration::from_secs(1) * attempt).await;
                }
            }
        }
    }

    fn wants(&self, listed: &ListedObject) -> bool {
        let at = listed.last_modified_ms;
        let since = self.options.since.is_none_or(|since| at >= since.as_millisecond());
        let before = self.options.before.is_none_or(|before| at < before.as_millisecond());
        since && before && self.wants_tenant(&listed.object.key, &self.options.tenants)
    }

    /// Without a choice of tenants, keys outside the layout are wanted too: their outcome says what they are.
    fn wants_tenant(&self, key: &str, tenants: &[TenantId]) -> bool {
        tenants.is_empty()
            || LogObject::parse(key, &self.key_prefix)
                .is_ok_and(|log| tenants.contains(&log.tenant))
    }

    async fn deliver(&self, object: &ObjectRef) -> ExitStatus {
        for attempt in 1..=ATTEMPTS {
            let handled = self.engine.handle_object(object, &self.stop).await;
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
        match self.seen {
            Some(seen) => seen(handled),
            None if self.options.sink != SinkKind::Stdout => manual::print(handled, &self.progress),
            None => {}
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

/// Whether a cursor is behind every key with this prefix.
fn is_past(after: Option<&str>, prefix: &str) -> bool {
    after.is_some_and(|after| after > prefix && !after.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_past_the_prefixes_before_it() {
        for (after, prefix, past) in [
            (None, "a/", false),
            (Some("a/x"), "a/", false),
            (Some("a/x"), "b/", false),
            (Some("b/x"), "a/", true),
            (Some("b/x"), "", false),
        ] {
            assert_eq!(is_past(after, prefix), past, "{after:?} {prefix}");
        }
    }
}
