//! A directory of one run, removed at its end.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::repository::Repository;

/// A new directory under the target directory. Removed when dropped; what a killed run
/// left behind is removed by the next run.
#[derive(Debug)]
pub(crate) struct Scratch {
    directory: PathBuf,
}

impl Scratch {
    /// Makes the directory of this process for one purpose.
    pub(crate) fn new(repository: &Repository, purpose: &str) -> Result<Self> {
        let parent = repository.target().join("xtask").join(purpose);
        remove_abandoned(&parent);
        let directory = parent.join(std::process::id().to_string());
        fs::create_dir_all(&directory)
            .with_context(|| format!("failed to create `{}`", directory.display()))?;
        Ok(Self { directory })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            eprintln!("warning: failed to remove `{}`: {error}", self.directory.display());
        }
    }
}

/// Removes the directories of processes that are gone. The next run tries again what fails here.
fn remove_abandoned(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let process = Path::new("/proc").join(entry.file_name());
        if Path::new("/proc/self").exists() && !process.exists() {
            drop(fs::remove_dir_all(entry.path()));
        }
    }
}
