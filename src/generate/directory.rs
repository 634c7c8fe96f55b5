//! Objects as files below a directory, under the path that their key would have.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use mtlog_processor::model::key::KeyPrefix;

use super::{
    manifest::Manifest,
    run::{Destination, FinishedObject},
};

/// A directory that objects are written to. A file appears under its name only when it is complete.
#[derive(Debug)]
pub struct Directory {
    root: PathBuf,
    prefix: KeyPrefix,
    manifest: Manifest,
}

impl Directory {
    /// Makes `root` if it is missing.
    pub fn create(root: &Path, prefix: KeyPrefix) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        Ok(Self { root: root.to_owned(), prefix, manifest: Manifest::default() })
    }

    /// Returns what was stored.
    pub fn into_manifest(self) -> Manifest {
        self.manifest
    }
}

impl Destination for Directory {
    type Body = PartialFile;

    fn open(&mut self) -> io::Result<PartialFile> {
        // Two generators may share a directory.
        let path = self.root.join(format!(".mtlog-generate-{}.partial", std::process::id()));
        let file = File::create(&path)?;
        Ok(PartialFile { file, path })
    }

    fn commit(&mut self, mut body: PartialFile, finished: FinishedObject) -> io::Result<()> {
        body.file.flush()?;
        let path = self.root.join(finished.object.key(&self.prefix));
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::rename(&body.path, path)?;
        self.manifest.add(&finished.object.tenant, &finished.object.application, &finished.tally);
        Ok(())
    }
}

/// A file that is being written; removed again unless it was committed.
#[derive(Debug)]
pub struct PartialFile {
    file: File,
    path: PathBuf,
}

impl Write for PartialFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        // After a commit nothing has this name any more, which is no failure.
        drop(fs::remove_file(&self.path));
    }
}
