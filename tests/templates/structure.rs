//! What every template must look like.

use std::collections::BTreeSet;

use mtlog::template::catalogue::TemplateId;
use serde_json::{Value, json};

use super::{document::Template, world::list};

/// Types that CloudFormation cannot tag. `xtask/templates_check.py` holds this against AWS's own
/// resource schemas.
const UNTAGGABLE: &[&str] = &[
    "AWS::IAM::ManagedPolicy",
    "AWS::KMS::Alias",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
];

fn resources() -> Vec<(TemplateId, String, Value)> {
    let mut resources = Vec::new();
    for template in Template::all() {
        for (name, resource) in template.section("Resources") {
            resources.push((template.id, name.clone(), resource.clone()));
        }
    }
    resources
}

/// Returns all policy statements of a resource as written, with choices left in.
fn statements(value: &Value) -> Vec<Value> {
    match value {
        Value::Object(entries) => {
            let own =
                list(entries.get("Statement").unwrap_or(&Value::Null)).into_iter().map(|entry| {
                    // `!If [Condition, statement, AWS::NoValue]`
                    entry.get("Fn::If").map_or(entry.clone(), |choice| choice[1].clone())
                });
            own.chain(entries.values().flat_map(statements))
                .filter(|statement| statement.get("Effect").is_some())
                .collect()
        }
        Value::Array(values) => values.iter().flat_map(statements).collect(),
        // Trust policies with computed keys are JSON text.
        Value::String(text)
            if text.trim_start().starts_with('{') && text.contains("\"Statement\"") =>
        {
            serde_json::from_str(text).map(|document: Value| statements(&document)).unwrap()
        }
        _ => Vec::new(),
    }
}

fn unique_statements(resource: &Value) -> Vec<Value> {
    let mut seen = BTreeSet::new();
    statements(&resource["Properties"]).into_iter().filter(|s| seen.insert(s.to_string())).collect()
}

#[test]
fn every_resource_carries_the_four_tags_and_none_that_changes() {
    let allowed: BTreeSet<&str> =
        ["Project", "Environment", "ManagedBy", "StackType", "Name", "ClusterName"].into();
    for (id, name, resource) in resources() {
        let kind = resource["Type"].as_str().unwrap();
        let tags: Vec<String> = list(&resource["Properties"]["Tags"])
            .iter()
            .map(|tag| tag["Key"].as_str().unwrap().to_owned())
            .collect();
        if UNTAGGABLE.contains(&kind) {
            assert!(tags.is_empty(), "{id:?} {name}");
            continue;
        }
        for wanted in ["Project", "Environment", "ManagedBy", "StackType"] {
            assert!(tags.iter().any(|tag| tag == wanted), "{id:?} {name} lacks the tag {wanted}");
        }
        assert!(tags.iter().all(|tag| allowed.contains(tag.as_str())), "{id:?} {name}: {tags:?}");
    }
}

#[test]
fn every_resource_has_a_name_for_people() {
    for (id, name, resource) in resources() {
        assert!(resource["Metadata"]["mtlog:name"].is_string(), "{id:?} {name}");
    }
}

#[test]
fn every_wildcard_has_a_reason_and_every_reason_a_wildcard() {
    for (id, name, resource) in resources() {
        let reasons =
            resource["Metadata"]["mtlog:wildcards"].as_object().cloned().unwrap_or_default();
        let mut used = BTreeSet::new();
        for statement in unique_statements(&resource) {
            let sid = statement["Sid"]
                .as_str()
                .unwrap_or_else(|| panic!("{id:?} {name}: {statement} has no Sid"));
            let is_wide =
                statement["Principal"] == "*" || statement["Resource"].to_string().contains('*');
            if is_wide {
                let reason = reasons.get(sid).and_then(Value::as_str).unwrap_or_default();
                assert!(
                    reason.ends_with('.'),
                    "{id:?} {name}: {sid} has a wildcard without a reason"
                );
                used.insert(sid.to_owned());
            }
            assert!(
                statement.get("NotAction").is_none() && statement.get("NotPrincipal").is_none(),
                "{name}: {sid}"
            );
            if statement["Effect"] == "Allow" {
                assert_ne!(statement["Action"], "*", "{id:?} {name}: {sid}");
                assert_ne!(statement["Principal"], json!("*"), "{id:?} {name}: {sid}");
                assert_ne!(statement["Principal"]["AWS"], json!("*"), "{id:?} {name}: {sid}");
            }
        }
        let stale: Vec<_> = reasons.keys().filter(|sid| !used.contains(*sid)).collect();
        assert!(stale.is_empty(), "{id:?} {name}: reasons without a wildcard: {stale:?}");
    }
}

#[test]
fn every_suppressed_finding_has_a_reason() {
    for (id, name, resource) in resources() {
        for skip in list(&resource["Metadata"]["checkov"]["skip"]) {
            let comment = skip["comment"].as_str().unwrap_or_default();
            assert!(comment.len() > 40 && comment.ends_with('.'), "{id:?} {name}: {skip}");
        }
    }
}

/// Tells whether the comment above a line explains a trust edge; only lines that open the same list
/// item may stand between them.
fn is_explained(lines: &[&str], index: usize) -> bool {
    let mut above = lines.iter().take(index).rev().map(|line| line.trim()).peekable();
    while above
        .next_if(|line| {
            matches!(*line, "- !If") || line.starts_with("- Has") || line.starts_with("- Is")
        })
        .is_some()
    {}
    above.take_while(|line| line.starts_with('#')).any(|line| line.starts_with("# Trust edge:"))
}

#[test]
fn every_trust_edge_has_a_comment() {
    for (id, name, resource) in resources() {
        let lines: Vec<&str> = id.text().lines().collect();
        let start = lines.iter().position(|line| *line == format!("  {name}:")).unwrap();
        for statement in unique_statements(&resource) {
            let grants = statement["Effect"] == "Allow"
                && (statement.get("Principal").is_some()
                    || statement["Action"].to_string().contains("sts:AssumeRole"));
            if !grants {
                continue;
            }
            let sid = statement["Sid"].as_str().unwrap();
            // In a text document the comment stands above the whole document.
            let is_text = !id.text().contains(&format!("- Sid: {sid}\n"));
            let wanted = if is_text {
                "AssumeRolePolicyDocument: !Sub".to_owned()
            } else {
                format!("- Sid: {sid}")
            };
            let (index, _) = lines
                .iter()
                .enumerate()
                .skip(start)
                .find(|(_, line)| line.trim() == wanted)
                .unwrap_or_else(|| panic!("{id:?} {name}: {sid}"));
            assert!(
                is_explained(&lines, index),
                "{id:?} {name}: no comment about the trust edge above {sid}"
            );
        }
    }
}

#[test]
fn no_text_names_a_partition_or_an_account() {
    for template in Template::all() {
        for (number, line) in template.id.text().lines().enumerate() {
            let is_pattern =
                line.contains("AllowedPattern") || line.contains("arn:aws:iam::ACCOUNT");
            assert!(
                is_pattern || !line.contains("arn:aws"),
                "{}:{}: {line}",
                template.id.path(),
                number + 1
            );
            assert!(
                !line.contains("s3.amazonaws.com/"),
                "{}:{}: {line}",
                template.id.path(),
                number + 1
            );
        }
    }
}

#[test]
fn bucket_table_key_and_queues_survive_deletion_and_replacement() {
    let kept = ["AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::SQS::Queue"];
    for (id, name, resource) in resources() {
        let is_kept = kept.contains(&resource["Type"].as_str().unwrap());
        // After a first creation that fails they go, so that the next try finds their names free.
        let expected = if is_kept { json!("RetainExceptOnCreate") } else { Value::Null };
        assert_eq!(
            resource.get("DeletionPolicy").cloned().unwrap_or_default(),
            expected,
            "{id:?} {name}"
        );
        let expected = if is_kept { json!("Retain") } else { Value::Null };
        assert_eq!(
            resource.get("UpdateReplacePolicy").cloned().unwrap_or_default(),
            expected,
            "{id:?} {name}"
        );
    }
}

#[test]
fn every_export_is_named_after_its_output() {
    for template in Template::all() {
        for (name, output) in template.section("Outputs") {
            if let Some(export) = output.get("Export") {
                let expected = json!({"Fn::Sub": format!("${{AWS::StackName}}-{name}")});
                assert_eq!(export["Name"], expected, "{:?} {name}", template.id);
            }
            assert!(
                output["Description"].as_str().unwrap().ends_with('.'),
                "{:?} {name}",
                template.id
            );
        }
    }
}

#[test]
fn the_regional_stack_passes_up_every_output_of_its_children() {
    let main = Template::of(TemplateId::Regional).section("Outputs");
    for child in TemplateId::Regional.children() {
        for name in Template::of(child.template).section("Outputs").keys() {
            assert!(main.contains_key(name), "{} of {} is not passed up", name, child.resource);
        }
    }
}

#[test]
fn the_regional_stack_has_every_output_that_a_later_step_takes() {
    // The parameters of the cluster templates that come from the regional stack, under its names.
    let main = Template::of(TemplateId::Regional).section("Outputs");
    let own = ["ClusterName", "OIDCProviderURL"];
    for id in [TemplateId::ClusterVector, TemplateId::ClusterProcessor] {
        for (name, parameter) in Template::of(id).section("Parameters") {
            if parameter.get("Default").is_none() && !own.contains(&name.as_str()) {
                assert!(main.contains_key(name), "{id:?} needs {name}");
            }
        }
    }
    for name in [
        "KMSKeyArn",
        "S3KeyPrefix",
        "RandomSuffix",
        "Region",
        "LogDeliveryQueueUrl",
        "LogDeliveryDLQUrl",
        "TenantConfigTableName",
    ] {
        assert!(main.contains_key(name), "{name}");
    }
}

#[test]
fn the_service_accounts_are_those_of_the_manifests() {
    for (id, expected) in [
        (TemplateId::ClusterVector, "vector-logs"),
        (TemplateId::ClusterProcessor, "log-processor"),
    ] {
        let parameters = Template::of(id).section("Parameters");
        assert_eq!(parameters["ServiceAccountName"]["Default"], expected);
        assert_eq!(parameters["ServiceAccountNamespace"]["Default"], "logging");
    }
}

#[test]
fn a_template_with_a_key_that_is_a_function_or_occurs_twice_is_refused() {
    for text in [
        "Resources:\n  R:\n    Type: T\n    ? !Sub '${X}:aud'\n    : y\n",
        "Resources:\n  R:\n    Type: T\n    Type: U\n",
        "Resources:\n  - a\n  : !Ref B\n",
    ] {
        let parsed = std::panic::catch_unwind(|| Template::with_text(TemplateId::Global, text));
        assert!(parsed.is_err(), "{text}");
    }
}
