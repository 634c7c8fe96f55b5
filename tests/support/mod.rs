//! Runs the built `mtlog` in a directory and a home of its own, with nothing of the machine's environment.

pub(crate) mod pipeline;

use std::{
    ffi::OsStr,
    fs,
    process::{Command, Output, Stdio},
};

use fake_aws::FakeAws;
use tempfile::TempDir;

/// The account that tests deploy to.
pub(crate) const ACCOUNT: &str = "111111111111";
/// The region that tests deploy to.
pub(crate) const REGION: &str = "us-east-2";

/// A place to run `mtlog` in.
pub(crate) struct Mtlog {
    directory: TempDir,
    environment: Vec<(String, String)>,
}

impl Mtlog {
    /// Without AWS: every call fails at once.
    pub(crate) fn offline() -> Self {
        let mut mtlog =
            Self { directory: TempDir::new().expect("a directory"), environment: Vec::new() };
        mtlog.set("AWS_EC2_METADATA_DISABLED", "true");
        mtlog
    }

    /// With a stand-in for AWS, as the root user of [`ACCOUNT`].
    pub(crate) fn with(fake: &FakeAws) -> Self {
        let mut mtlog = Self::offline();
        for (name, value) in fake.environment(REGION, &fake.root_credentials(ACCOUNT)) {
            mtlog.set(name, &value);
        }
        mtlog.set("AWS_S3_USE_PATH_STYLE", "true");
        mtlog
    }

    /// Sets an environment variable; an empty value takes it away.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(known, _)| known != name);
        if !value.is_empty() {
            self.environment.push((name.to_owned(), value.to_owned()));
        }
    }

    /// Writes a file into the directory.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.directory.path().join(name), text).expect("a written file");
    }

    /// Writes a file below the home, with the directories that lead to it.
    pub(crate) fn write_in(&self, path: &str, text: &str) {
        let path = self.directory.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        fs::write(path, text).expect("a written file");
    }

    /// Whether a file is in the directory.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.directory.path().join(name).exists()
    }

    /// Returns what is in a file of the directory.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.directory.path().join(name)).expect("a readable file")
    }

    /// Prepares a run, for tests that talk to the process.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mtlog"));
        command
            .env_clear()
            .env("HOME", self.directory.path())
            .env("COLUMNS", "100")
            .envs(
                self.environment.iter().map(|(name, value)| (OsStr::new(name), OsStr::new(value))),
            )
            .current_dir(self.directory.path())
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    /// Runs `mtlog` and waits for its end.
    #[must_use = "look at the exit status at least"]
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let Output { status, stdout, stderr } =
            self.command(arguments).output().expect("mtlog runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Ran { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Fails the test, with everything that was printed, unless the exit status is `code`.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Fails the test unless standard error contains each of `parts`.
    #[track_caller]
    pub(crate) fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stderr.contains(part), "`{part}` is not in:\n{}", self.stderr);
        }
        self
    }

    /// Returns standard output as JSON of schema 1.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        let value: serde_json::Value = serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}:\n{}", self.stdout));
        assert_eq!(value["schema"], 1);
        value
    }
}
