//! Checks that the processor's memory does not grow with the object that it reads.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::demo::delivery;
use crate::mtlog::Mtlog;
use crate::repository::Repository;
use crate::scratch::Scratch;

/// The most memory that the processor may ever use.
const LIMIT_BYTES: u64 = 64 * MEBIBYTE;
const MEBIBYTE: u64 = 1024 * 1024;

/// The least size of the messages of a large object, in bytes: 200,000 of 1,000 bytes each.
const LARGE_OBJECT_BYTES: u64 = 200_000_000;
pub(crate) const LARGE_OBJECT_RECORDS: u64 = 200_000;
/// The flags of `mtlog generate` that put these into one object.
pub(crate) const LARGE_OBJECT: [&str; 4] =
    ["--records-per-object", "200000", "--min-message-bytes", "1000"];

/// Has the processor read one large object from a file and write its messages, without AWS.
pub(crate) fn run(repository: &Repository) -> Result<()> {
    let scratch = Scratch::new(repository, "memory")?;
    let mtlog = Mtlog::build(repository, &scratch)?;
    let (objects, manifest) = (scratch.join("objects"), scratch.join("manifest.jsonl"));
    let (directory, manifest_path) =
        (objects.display().to_string(), manifest.display().to_string());
    let count = LARGE_OBJECT_RECORDS.to_string();
    let mut arguments = vec!["generate", "--count", &count];
    arguments.extend(LARGE_OBJECT);
    arguments.extend(["--directory", &directory, "--manifest", &manifest_path]);
    mtlog.run("generate", &arguments, &[])?;
    let generated = delivery::parse_manifest(
        &fs::read_to_string(&manifest).context("`mtlog generate` wrote no manifest")?,
    )?;
    let message_bytes: u64 = generated.iter().map(delivery::Generated::bytes).sum();
    if message_bytes < LARGE_OBJECT_BYTES {
        bail!(
            "the generated object holds {message_bytes} bytes, and {LARGE_OBJECT_BYTES} are needed"
        );
    }

    let object = only_file(&objects)?.display().to_string();
    let arguments = ["--mode", "manual", "--file", &object, "--sink", "stdout"];
    let finished = mtlog.run_engine("process", &arguments, &[])?;
    let written = fs::metadata(&finished.stdout).context("the processor wrote nothing")?.len();
    println!("object: {} of messages, {} written", mebibytes(message_bytes), mebibytes(written));
    println!("peak memory of the processor: {}", mebibytes(finished.peak_memory_bytes));
    if written < message_bytes {
        bail!("the processor wrote {written} bytes of {message_bytes}");
    }
    check(finished.peak_memory_bytes)
}

/// Fails when a peak is above the limit.
pub(crate) fn check(peak_bytes: u64) -> Result<()> {
    if peak_bytes >= LIMIT_BYTES {
        bail!(
            "the processor used {}, and {} is its limit",
            mebibytes(peak_bytes),
            mebibytes(LIMIT_BYTES)
        );
    }
    Ok(())
}

/// Returns a number of bytes as people read it.
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{}.{} MiB", bytes / MEBIBYTE, bytes % MEBIBYTE * 10 / MEBIBYTE)
}

/// Returns the one file at the end of a chain of directories.
fn only_file(directory: &Path) -> Result<PathBuf> {
    let mut path = directory.to_owned();
    while path.is_dir() {
        let entries: Vec<_> = fs::read_dir(&path)
            .with_context(|| format!("failed to list `{}`", path.display()))?
            .collect::<Result<_, _>>()?;
        let [entry] = entries.as_slice() else {
            bail!("`{}` holds {} entries instead of one", path.display(), entries.len());
        };
        path = entry.path();
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_itself_is_too_much() {
        assert!(check(LIMIT_BYTES - 1).is_ok());
        assert_eq!(
            check(LIMIT_BYTES).unwrap_err().to_string(),
            "the processor used 64.0 MiB, and 64.0 MiB is its limit"
        );
        assert_eq!(mebibytes(1_600_000), "1.5 MiB");
    }
}
