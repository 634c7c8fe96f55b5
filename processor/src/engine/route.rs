//! Chooses where an object goes. Pure.

use std::time::Duration;

use thiserror::Error;

use crate::{
    model::{
        ids::BucketName,
        key::{InvalidKey, KeyPrefix, LogObject},
        notification::ObjectRef,
        outcome::{Outcome, PoisonReason, Skip, Stage},
        tenant::{DeliveryKind, InvalidItem, TenantItem},
    },
    ports::DirectoryItem,
};

/// Which objects this engine reads.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// What stands before every key.
    pub prefix: KeyPrefix,
    /// The only bucket to read from; none: any.
    pub bucket: Option<BucketName>,
}

/// Why an object is not read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum OutOfScope {
    #[error("bucket `{0}` is not the one that SOURCE_BUCKET names")]
    Bucket(BucketName),
    #[error("the object key does not follow the layout")]
    Key(#[source] InvalidKey),
}

impl OutOfScope {
    pub(crate) const fn outcome(&self) -> Outcome {
        let reason = match self {
            Self::Bucket(_) => PoisonReason::BucketNotAllowed,
            Self::Key(_) => PoisonReason::InvalidKey,
        };
        Outcome::Poison { reason, stage: Stage::Route }
    }
}

/// Reads whose object it is.
pub(crate) fn admit(object: &ObjectRef, scope: &Scope) -> Result<LogObject, OutOfScope> {
    if scope.bucket.as_ref().is_some_and(|allowed| *allowed != object.bucket) {
        return Err(OutOfScope::Bucket(object.bucket.clone()));
    }
    LogObject::parse(&object.key, &scope.prefix).map_err(OutOfScope::Key)
}

/// What one item of a tenant asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Route<'a> {
    /// Deliver to this destination.
    Deliver(&'a TenantItem),
    /// Nothing to deliver there.
    Skip(DeliveryKind, Skip),
    /// The item cannot be used; the others can.
    Unusable { kind: &'a str, problem: &'a InvalidItem },
}

/// Judges each item of a tenant by itself. Without any item the tenant is unknown: the result is empty.
/// `now` is the time since the epoch; an item past its `ttl` counts as deleted.
pub(crate) fn routes<'a>(
    items: &'a [DirectoryItem],
    application: &str,
    now: Duration,
) -> Vec<Route<'a>> {
    let alive = |item: &&DirectoryItem| match item {
        Ok(item) => item.ttl.is_none_or(|ttl| ttl > now.as_secs()),
        Err(_) => true,
    };
    items.iter().filter(alive).filter_map(|item| route(item, application)).collect()
}

fn route<'a>(item: &'a DirectoryItem, application: &str) -> Option<Route<'a>> {
    match item {
        Ok(item) if !item.enabled => Some(Route::Skip(item.destination.kind(), Skip::Disabled)),
        Ok(item) if !item.desired_logs.wants(application) => {
            Some(Route::Skip(item.destination.kind(), Skip::Unwanted))
        }
        Ok(item) => Some(Route::Deliver(item)),
        Err(item) if item.enabled => {
            Some(Route::Unusable { kind: &item.kind, problem: &item.problem })
        }
        // Broken and switched off: nobody wants anything from it, but the tenant is known.
        Err(item) => Some(Route::Skip(item.kind.parse().ok()?, Skip::Disabled)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::tenant::{AttributeError, DesiredLogs, Destination},
        ports::UnusableItem,
    };

    #[expect(clippy::unnecessary_wraps, reason = "what a directory returns")]
    fn item(enabled: bool, desired: &[&str], ttl: Option<u64>) -> DirectoryItem {
        Ok(TenantItem {
            tenant: "acme".parse().unwrap(),
            destination: Destination::S3 {
                bucket: "acme-logs".parse().unwrap(),
                prefix: "x/".to_owned(),
            },
            enabled,
            target_region: "us-east-2".parse().unwrap(),
            desired_logs: DesiredLogs::new(desired.iter().map(|name| (*name).to_owned())),
            external_id: None,
            status: None,
            created_at: None,
            updated_at: None,
            ttl,
        })
    }

    fn broken(enabled: bool) -> DirectoryItem {
        let problems = vec![AttributeError::Missing { name: "log_group_name" }];
        Err(UnusableItem {
            kind: "cloudwatch".to_owned(),
            enabled,
            problem: InvalidItem { problems },
        })
    }

    #[test]
    fn each_item_is_judged_by_itself() {
        let now = Duration::from_secs(1000);
        let words = |items: &[DirectoryItem]| -> Vec<&'static str> {
            let word = |route: Route<'_>| match route {
                Route::Deliver(_) => "deliver",
                Route::Skip(_, skip) => skip.as_str(),
                Route::Unusable { .. } => "unusable",
            };
            routes(items, "API", now).into_iter().map(word).collect()
        };
        for (items, expected) in [
            (vec![], vec![]),
            (vec![item(true, &[], None)], vec!["deliver"]),
            (vec![item(true, &["api"], None)], vec!["deliver"]),
            (vec![item(true, &["other"], None)], vec!["application_not_wanted"]),
            (vec![item(false, &[], None)], vec!["delivery_disabled"]),
            (vec![item(true, &[], Some(999))], vec![]),
            (vec![item(true, &[], Some(1001))], vec!["deliver"]),
            (vec![broken(true), item(true, &[], None)], vec!["unusable", "deliver"]),
            (vec![broken(false), item(true, &[], None)], vec!["delivery_disabled", "deliver"]),
        ] {
            assert_eq!(words(&items), expected);
        }
    }

    #[test]
    fn only_objects_in_scope_are_admitted() {
        let scope =
            Scope { prefix: "logs/".parse().unwrap(), bucket: Some("central".parse().unwrap()) };
        let object =
            |bucket: &str, key: &str| ObjectRef::new(bucket.parse().unwrap(), key.to_owned());
        assert_eq!(
            admit(&object("central", "logs/c/t/a/p/f"), &scope).unwrap().tenant.as_str(),
            "t"
        );
        for (object, reason) in [
            (object("other", "logs/c/t/a/p/f"), PoisonReason::BucketNotAllowed),
            (object("central", "c/t/a/p/f"), PoisonReason::InvalidKey),
            (object("central", "logs/c/t/a/p"), PoisonReason::InvalidKey),
        ] {
            let refused = admit(&object, &scope).unwrap_err();
            assert_eq!(refused.outcome(), Outcome::Poison { reason, stage: Stage::Route });
        }
    }
}
