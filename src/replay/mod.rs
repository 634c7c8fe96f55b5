//! Delivering objects of the bucket once more: which are meant, and what that costs. Pure.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use mtlog_processor::{
    engine::RANGE_BYTES,
    model::{
        ids::TenantId,
        key::{KeyPrefix, LogObject},
    },
};
use serde::Serialize;

/// CloudWatch Logs refuses events that are older.
/// Source: <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html>.
const OLDEST: SignedDuration = SignedDuration::from_hours(14 * 24);
/// The largest batch of events, in bytes of messages.
const BATCH_BYTES: u64 = 1_048_576;
/// Logs of hosted control planes shrink to about a tenth; it only serves the estimate.
const COMPRESSION: u64 = 10;

/// Which objects are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What keys start with before the cluster.
    pub prefix: KeyPrefix,
    /// The tenants; none: all.
    pub tenants: Vec<TenantId>,
    /// Only objects that were written then or later.
    pub since: Option<Timestamp>,
    /// Only objects that were written before.
    pub before: Timestamp,
}

impl Choice {
    /// Returns the tenant of an object that is meant, or that its key names none.
    pub fn admits(&self, key: &str, written: Timestamp) -> Option<Owner> {
        if written >= self.before || self.since.is_some_and(|since| written < since) {
            return None;
        }
        match LogObject::parse(key, &self.prefix) {
            Ok(log) if self.tenants.is_empty() || self.tenants.contains(&log.tenant) => {
                Some(Owner::Tenant(log.tenant))
            }
            Err(_) if self.tenants.is_empty() => Some(Owner::Nobody),
            Ok(_) | Err(_) => None,
        }
    }
}

/// Whose an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// A tenant's.
    Tenant(TenantId),
    /// The key does not follow the layout.
    Nobody,
}

/// Returns the prefixes to list, sorted: every tenant of every cluster, or whole clusters.
pub fn prefixes(prefix: &KeyPrefix, clusters: &[String], tenants: &[TenantId]) -> Vec<String> {
    let mut prefixes: Vec<String> = clusters
        .iter()
        .flat_map(|cluster| {
            let whole = format!("{prefix}{cluster}/");
            if tenants.is_empty() {
                vec![whole]
            } else {
                tenants.iter().map(|tenant| format!("{whole}{tenant}/")).collect()
            }
        })
        .collect();
    prefixes.sort();
    prefixes.dedup();
    prefixes
}

/// What a replay reads and how much it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// Objects.
    pub objects: u64,
    /// Their bytes, compressed as they are.
    pub bytes: u64,
    /// Objects from before 14 days: CloudWatch Logs refuses most of what is in them.
    pub too_old: u64,
    /// Objects whose keys do not follow the layout: they cannot be delivered.
    pub without_tenant: u64,
    /// When the oldest was written.
    #[serde(serialize_with = "crate::instant::maybe_text")]
    pub oldest: Option<Timestamp>,
    /// When the newest was written.
    #[serde(serialize_with = "crate::instant::maybe_text")]
    pub newest: Option<Timestamp>,
    /// Calls that the replay makes.
    pub calls: Calls,
    /// By tenant.
    pub tenants: BTreeMap<String, Share>,
}

/// Calls, by their operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Calls {
    /// `ListObjectsV2`, for the estimate and again for the work.
    pub list_objects: u64,
    /// `GetObject`: one for each 8 MiB of an object.
    pub get_object: u64,
    /// `PutLogEvents`, about, for each CloudWatch delivery of a tenant.
    pub put_log_events: u64,
}

/// What belongs to one tenant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Objects.
    pub objects: u64,
    /// Their bytes, compressed as they are.
    pub bytes: u64,
}

impl Estimate {
    /// Adds an object.
    pub fn add(&mut self, owner: &Owner, bytes: u64, written: Timestamp, now: Timestamp) {
        self.objects += 1;
        self.bytes += bytes;
        self.too_old += u64::from(now.duration_since(written) > OLDEST);
        self.oldest = Some(self.oldest.map_or(written, |oldest| oldest.min(written)));
        self.newest = Some(self.newest.map_or(written, |newest| newest.max(written)));
        self.calls.get_object += bytes.div_ceil(RANGE_BYTES).max(1);
        self.calls.put_log_events += bytes.saturating_mul(COMPRESSION).div_ceil(BATCH_BYTES).max(1);
        match owner {
            Owner::Tenant(tenant) => {
                let share = self.tenants.entry(tenant.to_string()).or_default();
                share.objects += 1;
                share.bytes += bytes;
            }
            Owner::Nobody => self.without_tenant += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn objects_are_chosen_by_time_and_tenant() {
        let all = Choice {
            prefix: "logs/".parse().unwrap(),
            tenants: Vec::new(),
            since: Some(time(100)),
            before: time(200),
        };
        let acme = Choice { tenants: vec!["acme".parse().unwrap()], ..all.clone() };
        let of = |name: &str| Some(Owner::Tenant(name.parse().unwrap()));
        for (choice, key, second, expected) in [
            (&all, "logs/c/acme/app/pod/f", 100, of("acme")),
            (&all, "logs/c/acme/app/pod/f", 99, None),
            (&all, "logs/c/acme/app/pod/f", 200, None),
            (&all, "logs/nonsense", 150, Some(Owner::Nobody)),
            (&acme, "logs/c/acme/app/pod/f", 150, of("acme")),
            (&acme, "logs/c/globex/app/pod/f", 150, None),
            (&acme, "logs/nonsense", 150, None),
        ] {
            assert_eq!(choice.admits(key, time(second)), expected, "{key} {second}");
        }
    }

    #[test]
    fn prefixes_are_sorted_and_as_narrow_as_the_choice() {
        let prefix = "logs/".parse().unwrap();
        let clusters = ["b".to_owned(), "a".to_owned()];
        let tenants = ["y".parse().unwrap(), "x".parse().unwrap()];
        assert_eq!(prefixes(&prefix, &clusters, &[]), ["logs/a/", "logs/b/"]);
        let narrow = ["logs/a/x/", "logs/a/y/", "logs/b/x/", "logs/b/y/"];
        assert_eq!(prefixes(&prefix, &clusters, &tenants), narrow);
    }

    #[test]
    fn an_estimate_counts_objects_bytes_and_calls() {
        let now = time(40 * 86_400);
        let mut estimate = Estimate::default();
        let acme = Owner::Tenant("acme".parse().unwrap());
        estimate.add(&acme, 9 * 1024 * 1024, now, now);
        estimate.add(&acme, 10, time(0), now);
        estimate.add(&Owner::Nobody, 0, now, now);
        assert_eq!((estimate.objects, estimate.too_old, estimate.without_tenant), (3, 1, 1));
        assert_eq!((estimate.calls.get_object, estimate.calls.put_log_events), (4, 92));
        assert_eq!(estimate.tenants["acme"], Share { objects: 2, bytes: 9 * 1024 * 1024 + 10 });
        assert_eq!((estimate.oldest, estimate.newest), (Some(time(0)), Some(now)));
    }
}
