//! Reads a template into one form: functions in their long form, every scalar as text.

use std::{collections::BTreeMap, sync::LazyLock};

use mtlog::template::catalogue::TemplateId;
use serde_json::{Map, Value, json};
use serde_yaml::Value as Yaml;

/// The templates of this project, each parsed once.
static PARSED: LazyLock<BTreeMap<TemplateId, Template>> = LazyLock::new(|| {
    TemplateId::ALL.into_iter().map(|id| (id, Template::with_text(id, id.text()))).collect()
});

static NOTHING: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);

/// A parsed template.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    pub(crate) id: TemplateId,
    root: Value,
}

impl Template {
    pub(crate) fn of(id: TemplateId) -> &'static Self {
        &PARSED[&id]
    }

    /// Reads a text in place of the template's own, for trying out a mistake.
    pub(crate) fn with_text(id: TemplateId, text: &str) -> Self {
        // A key that occurs twice is an error here already.
        let yaml: Yaml =
            serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{}: {error}", id.path()));
        Self { id, root: long_form(&yaml, id.path()) }
    }

    pub(crate) fn all() -> impl Iterator<Item = &'static Self> {
        PARSED.values()
    }

    /// Returns a section, empty if the template has none.
    pub(crate) fn section(&self, name: &str) -> &Map<String, Value> {
        self.root.get(name).and_then(Value::as_object).unwrap_or(&NOTHING)
    }

    /// Returns what `path` leads to in a resource's properties as written, without functions resolved.
    pub(crate) fn property(&self, resource: &str, path: &[&str]) -> &Value {
        path.iter().fold(&self.root["Resources"][resource]["Properties"], |value, key| &value[*key])
    }

    pub(crate) fn resource(&self, name: &str) -> &Value {
        &self.root["Resources"][name]
    }
}

/// Turns YAML with CloudFormation's tags into plain JSON.
fn long_form(yaml: &Yaml, context: &str) -> Value {
    match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => json!(value.to_string()),
        Yaml::Number(value) => json!(value.to_string()),
        Yaml::String(text) => json!(text),
        Yaml::Sequence(values) => values.iter().map(|value| long_form(value, context)).collect(),
        Yaml::Mapping(entries) => entries
            .iter()
            .map(|(key, value)| {
                // CloudFormation refuses functions as keys.
                let Yaml::String(key) = key else {
                    panic!("{context}: {key:?} is no text and cannot be a key")
                };
                (key.clone(), long_form(value, context))
            })
            .collect(),
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let value = long_form(&tagged.value, context);
            match tag.trim_start_matches('!') {
                name @ ("Ref" | "Condition") => json!({ name: value }),
                "GetAtt" => {
                    let (resource, attribute) = value
                        .as_str()
                        .and_then(|text| text.split_once('.'))
                        .unwrap_or_else(|| panic!("{context}: GetAtt {value}"));
                    json!({"Fn::GetAtt": [resource, attribute]})
                }
                name => json!({ (format!("Fn::{name}")): value }),
            }
        }
    }
}
