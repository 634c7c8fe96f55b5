//! Checks of the central bucket.

use super::{
    Check, Finding, Look,
    Severity::{Problem, Warning},
    Texts, Verdict, check,
    facts::{BucketStanding, Facts},
    policy, seen,
};

/// What object keys end in (templates/regional/core-infrastructure.yaml).
const SUFFIX: &str = ".gz";
const CREATED: &str = "s3:ObjectCreated:*";
/// How many keys or tenants a finding names.
const NAMES: usize = 5;

const BUCKET: &str = "the bucket";

/// Codes MT110 to MT119.
pub(super) const CHECKS: &[Check] = &[
    check(
        Problem,
        &[Look::Bucket],
        present,
        Texts {
            code: "MT110",
            well: "the bucket is there",
            title: "the bucket is missing",
            why: "The collectors have nowhere to write to.",
            fix: "`mtlog drift regional` shows what was deleted by hand; deploy the stack again.",
        },
    ),
    check(
        Problem,
        &[Look::Bucket],
        notification,
        Texts {
            code: "MT111",
            well: "new objects are announced",
            title: "new objects are not announced",
            why: "The bucket does not tell the topic about new objects of the keys that collectors write. They are never \
              processed, and expire.",
            fix: "Deploy the regional stack again, then deliver what was missed with `mtlog replay`.",
        },
    ),
    check(
        Warning,
        &[Look::Bucket],
        expiry,
        Texts {
            code: "MT112",
            well: "objects are deleted in the end",
            title: "objects are kept for ever",
            why: "No lifecycle rule deletes delivered logs. They cost more every day and outlive what customers agreed to.",
            fix: "Deploy the regional stack again; S3DeleteAfterDays says how long objects are kept.",
        },
    ),
    check(
        Problem,
        &[Look::Bucket],
        encryption,
        Texts {
            code: "MT113",
            well: "objects are encrypted with the pipeline's key",
            title: "objects are not encrypted with the pipeline's key",
            why: "The bucket's default encryption was changed. Who may read the bucket may read the logs.",
            fix: "Deploy the regional stack again.",
        },
    ),
    check(
        Problem,
        &[Look::Bucket],
        public,
        Texts {
            code: "MT114",
            well: "public access is blocked",
            title: "public access is not blocked",
            why: "One wrong policy would show customers' logs to everybody.",
            fix: "Deploy the regional stack again, and find out with CloudTrail who switched the block off.",
        },
    ),
    check(
        Problem,
        &[Look::Bucket],
        transport,
        Texts {
            code: "MT115",
            well: "only TLS is accepted",
            title: "requests without TLS are accepted",
            why: "The bucket's policy lacks the statement that refuses plain HTTP.",
            fix: "Deploy the regional stack again.",
        },
    ),
    check(
        Warning,
        &[Look::Bucket, Look::Keys],
        odd_keys,
        Texts {
            code: "MT116",
            well: "keys can be read",
            title: "a key cannot be read",
            why: "A key is cluster/namespace/application/pod/file. An object with another key belongs to no tenant and goes \
              to the dead-letter queue.",
            fix: "Find the writer and correct its key_prefix; compare with `mtlog k8s render`.",
        },
    ),
    check(
        Problem,
        &[Look::Bucket, Look::Keys, Look::Items],
        homeless,
        Texts {
            code: "MT117",
            well: "every namespace has a tenant",
            title: "a namespace has no tenant",
            why: "Its logs arrive, belong to nobody who is switched on, and expire undelivered.",
            fix: "`mtlog tenant add NAMESPACE` or `mtlog tenant enable NAMESPACE`; or stop the collection there.",
        },
    ),
];

fn name(facts: &Facts) -> &str {
    facts.pipeline.bucket.as_deref().unwrap_or(BUCKET)
}

/// Judges a setting of a bucket that is there.
fn setting<T>(
    facts: &Facts,
    reading: &crate::operate::reading::Reading<T>,
    judge: impl FnOnce(&T) -> Verdict,
) -> Verdict {
    match facts.bucket.value() {
        Some(BucketStanding::Ours) => seen(reading, BUCKET, judge),
        Some(_) => Verdict::Skipped { reason: "the bucket is not there".to_owned() },
        None => seen(&facts.bucket, BUCKET, |_| Verdict::Well),
    }
}

pub(super) fn present(facts: &Facts) -> Verdict {
    seen(&facts.bucket, BUCKET, |standing| match standing {
        BucketStanding::Ours => Verdict::Well,
        BucketStanding::Elsewhere => Verdict::found(name(facts), "is in another region"),
        BucketStanding::Absent => Verdict::found(name(facts), "does not exist"),
        BucketStanding::Foreign => {
            Verdict::found(name(facts), "belongs to another account, or needs s3:ListBucket")
        }
    })
}

pub(super) fn notification(facts: &Facts) -> Verdict {
    setting(facts, &facts.notifications, |notifications| {
        let topic = facts.pipeline.topic_arn.as_deref().unwrap_or_default();
        let prefix = facts.pipeline.key_prefix.as_str();
        let to_topic: Vec<_> = notifications.iter().filter(|found| found.topic == topic).collect();
        let right = |found: &&crate::aws::bucket::Notification| {
            found.suffix == SUFFIX
                && found.prefix == prefix
                && found.events.iter().any(|event| event == CREATED)
        };
        if to_topic.iter().any(right) {
            return Verdict::Well;
        }
        let text = match to_topic.first() {
            None => format!("announces nothing to topic `{topic}`"),
            Some(found) => format!(
                "announces {} of keys `{}*{}`, and collectors write `{prefix}*{SUFFIX}`",
                found.events.join(", "),
                found.prefix,
                found.suffix
            ),
        };
        Verdict::found(name(facts), text)
    })
}

pub(super) fn expiry(facts: &Facts) -> Verdict {
    setting(facts, &facts.expiry_days, |days| {
        Verdict::well_if(days.is_some(), || Finding::new(name(facts), "keeps its objects for ever"))
    })
}

pub(super) fn encryption(facts: &Facts) -> Verdict {
    if facts.parameter("EnableS3Encryption") == Some("false") {
        return Verdict::Skipped { reason: "the stack was asked not to use a key".to_owned() };
    }
    setting(facts, &facts.kms_encrypted, |encrypted| {
        Verdict::well_if(*encrypted, || {
            Finding::new(name(facts), "does not encrypt with the pipeline's key")
        })
    })
}

pub(super) fn public(facts: &Facts) -> Verdict {
    setting(facts, &facts.blocks_the_public, |blocks| {
        Verdict::well_if(*blocks, || Finding::new(name(facts), "does not block all public access"))
    })
}

pub(super) fn transport(facts: &Facts) -> Verdict {
    setting(facts, &facts.bucket_policy, |policy| {
        let refuses = policy.as_deref().is_some_and(refuses_plain_http);
        Verdict::well_if(refuses, || Finding::new(name(facts), "takes requests without TLS"))
    })
}

/// Whether a statement of the policy denies everybody what does not come over TLS.
fn refuses_plain_http(policy: &str) -> bool {
    policy::statements(policy).iter().any(|statement| {
        let everybody = policy::says(statement, "/Principal", &["*"])
            || policy::says(statement, "/Principal/AWS", &["*"]);
        everybody
            && policy::says(statement, "/Effect", &["Deny"])
            && policy::says(statement, "/Condition/Bool/aws:SecureTransport", &["false"])
    })
}

pub(super) fn odd_keys(facts: &Facts) -> Verdict {
    setting(facts, &facts.keys, |keys| {
        let shown = keys.odd.iter().take(NAMES);
        Verdict::of(shown.map(|(key, reason)| Finding::new(key, reason)).collect())
    })
}

pub(super) fn homeless(facts: &Facts) -> Verdict {
    setting(facts, &facts.keys, |keys| {
        seen(&facts.expected_tenants(), "the tenant table", |tenants| {
            let homeless = keys
                .namespaces
                .iter()
                .filter(|(namespace, _)| !tenants.contains(namespace.as_str()));
            let findings = homeless.take(NAMES).map(|(namespace, cluster)| {
                let text = format!(
                    "writes logs in cluster `{cluster}`, but no tenant of this name is switched on"
                );
                Finding::new(format!("namespace {namespace}"), text)
            });
            Verdict::of(findings.collect())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_of_plain_http_is_found() {
        for (policy, expected) in [
            (
                r#"{"Statement": [{"Effect": "Deny", "Principal": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]}"#,
                true,
            ),
            (
                r#"{"Statement": [{"Effect": "Allow", "Principal": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]}"#,
                false,
            ),
            (r#"{"Statement": []}"#, false),
            ("nonsense", false),
        ] {
            assert_eq!(refuses_plain_http(policy), expected, "{policy}");
        }
    }
}
