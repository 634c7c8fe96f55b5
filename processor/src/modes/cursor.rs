//! Where a way through the bucket stands, in a file.

use std::{collections::BTreeSet, io, path::Path};

use serde::{Deserialize, Serialize};

/// Everything up to `after` is settled, but for `open`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// The version of this file.
    #[serde(default)]
    schema: u32,
    /// The last key that was looked at.
    pub after: Option<String>,
    /// Keys up to `after` that are not settled; the next run tries them first.
    #[serde(default)]
    pub open: BTreeSet<String>,
    /// Which objects the cursor is about, when somebody wants to know that later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection: Option<Selection>,
}

/// Which objects of a bucket are meant. Times are in milliseconds since the epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// The bucket.
    pub bucket: String,
    /// The clusters; none: all.
    pub clusters: BTreeSet<String>,
    /// The tenants; none: all.
    pub tenants: BTreeSet<String>,
    /// Only objects that were written then or later.
    pub since_ms: Option<i64>,
    /// Only objects that were written before.
    pub before_ms: i64,
}

const SCHEMA: u32 = 1;

impl Cursor {
    /// Reads the file; one that does not exist is a beginning.
    pub fn load(path: &Path) -> Result<Self, String> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error.to_string()),
        };
        let cursor: Self = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        if cursor.schema == SCHEMA {
            Ok(cursor)
        } else {
            Err(format!("schema {} is not known", cursor.schema))
        }
    }

    /// Writes the file in one step: a crash leaves the old one or the new one.
    pub fn save(&self, path: &Path) -> Result<(), String> {
        let stored = Self { schema: SCHEMA, ..self.clone() };
        let text = serde_json::to_string(&stored).map_err(|error| error.to_string())?;
        let beside = path.with_extension("tmp");
        std::fs::write(&beside, text)
            .and_then(|()| std::fs::rename(&beside, path))
            .map_err(|error| error.to_string())
    }
}
