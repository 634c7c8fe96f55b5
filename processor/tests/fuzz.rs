//! Fuzzing of everything that reads bytes from outside.
//!
//! Each target gets the seeds of its corpus as they are, then mutations of them. The
//! number of inputs is fixed, and so is the randomness: a run of the tests is the same
//! everywhere. `MTLOG_FUZZ_SECONDS` fuzzes each target for so long instead, and
//! `MTLOG_FUZZ_SEED` chooses other mutations. An input that breaks a target is kept in
//! a file, which belongs into the corpus once the target is mended.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic: that is how it fails"
)]

#[path = "fuzz/mutate.rs"]
mod mutate;
#[path = "fuzz/targets.rs"]
mod targets;

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use mutate::Mutator;

/// How many mutations each target gets.
const INPUTS: usize = 4_000;

fn fuzz(name: &str, target: fn(&[u8]), words: &'static [&'static str]) {
    let seeds = seeds(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(name));
    assert!(seeds.len() >= 4, "the corpus of `{name}` is too small");
    for seed in &seeds {
        try_one(name, target, seed);
    }
    let mut mutator = Mutator::new(number("MTLOG_FUZZ_SEED").unwrap_or(1), seeds, words);
    match number("MTLOG_FUZZ_SECONDS") {
        None => (0..INPUTS).for_each(|_| try_one(name, target, &mutator.input())),
        Some(seconds) => {
            let end = Instant::now() + Duration::from_secs(seconds);
            while Instant::now() < end {
                try_one(name, target, &mutator.input());
            }
        }
    }
}

fn try_one(name: &str, target: fn(&[u8]), input: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| target(input))).is_err() {
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("fuzz-{name}-{}", std::process::id()));
        fs::write(&file, input).unwrap();
        panic!("`{name}` breaks on the input in `{}`", file.display());
    }
}

fn seeds(directory: &Path) -> Vec<Vec<u8>> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn any_body_is_a_notification_or_an_error() {
    fuzz("envelope", targets::envelope, targets::JSON_WORDS);
}

#[test]
fn any_key_is_in_the_layout_or_an_error() {
    fuzz("key", targets::key, targets::KEY_WORDS);
}

#[test]
fn any_timestamp_is_an_instant_or_the_fallback() {
    fuzz("timestamp", targets::timestamp, targets::TIME_WORDS);
}

#[test]
fn any_text_is_split_into_accounted_records() {
    fuzz("splitter", targets::splitter, targets::JSON_WORDS);
}

#[test]
fn any_compressed_bytes_end_within_their_limits() {
    fuzz("gzip", targets::gzip, targets::GZIP_WORDS);
}
