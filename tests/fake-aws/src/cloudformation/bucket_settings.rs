//! A bucket's properties as the documents that S3's own calls give back.

use serde_json::Value;

use super::template::scalar;
use crate::xml;

/// Returns the documents by the names of their sub-resources.
pub(super) fn documents(properties: &Value) -> Vec<(&'static str, String)> {
    let mut documents = Vec::new();
    if let Some(block) = properties.get("PublicAccessBlockConfiguration") {
        let text = xml::document("PublicAccessBlockConfiguration", None, |out| {
            for name in [
                "BlockPublicAcls",
                "IgnorePublicAcls",
                "BlockPublicPolicy",
                "RestrictPublicBuckets",
            ] {
                let value = block.get(name).map_or_else(|| "false".to_owned(), scalar);
                out.text(name, &value);
            }
        });
        documents.push(("publicAccessBlock", text));
    }
    if let Some(encryption) = properties.get("BucketEncryption") {
        documents.push(("encryption", self::encryption(encryption)));
    }
    if let Some(lifecycle) = properties.get("LifecycleConfiguration") {
        documents.push(("lifecycle", self::lifecycle(lifecycle)));
    }
    if let Some(notification) = properties.get("NotificationConfiguration") {
        documents.push(("notification", self::notification(notification)));
    }
    documents
}

fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn encryption(value: &Value) -> String {
    xml::document("ServerSideEncryptionConfiguration", None, |out| {
        for rule in list(value, "ServerSideEncryptionConfiguration") {
            out.nest("Rule", |out| {
                if let Some(default) = rule.get("ServerSideEncryptionByDefault") {
                    out.nest("ApplyServerSideEncryptionByDefault", |out| {
                        for name in ["SSEAlgorithm", "KMSMasterKeyID"] {
                            if let Some(value) = default.get(name) {
                                out.text(name, &scalar(value));
                            }
                        }
                    });
                }
            });
        }
    })
}

fn lifecycle(value: &Value) -> String {
    xml::document("LifecycleConfiguration", None, |out| {
        for rule in list(value, "Rules") {
            out.nest("Rule", |out| {
                for (name, property) in [("ID", "Id"), ("Status", "Status")] {
                    if let Some(value) = rule.get(property) {
                        out.text(name, &scalar(value));
                    }
                }
                out.nest("Filter", |_| {});
                if let Some(days) = rule.get("ExpirationInDays") {
                    out.nest("Expiration", |out| out.text("Days", &scalar(days)));
                }
            });
        }
    })
}

fn notification(value: &Value) -> String {
    xml::document("NotificationConfiguration", None, |out| {
        for topic in list(value, "TopicConfigurations") {
            out.nest("TopicConfiguration", |out| {
                out.text("Id", "stack");
                for (name, property) in [("Topic", "Topic"), ("Event", "Event")] {
                    if let Some(value) = topic.get(property) {
                        out.text(name, &scalar(value));
                    }
                }
                let key = topic.get("Filter").and_then(|filter| filter.get("S3Key"));
                if let Some(key) = key {
                    out.nest("Filter", |out| {
                        out.nest("S3Key", |out| {
                            for rule in list(key, "Rules") {
                                out.nest("FilterRule", |out| {
                                    for name in ["Name", "Value"] {
                                        let value = rule.get(name).map(scalar).unwrap_or_default();
                                        out.text(name, &value);
                                    }
                                });
                            }
                        });
                    });
                }
            });
        }
    })
}
