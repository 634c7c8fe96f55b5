//! Runs the built `mtlog` in a directory and a home of its own, with nothing of the machine's environment.

pub(crate) mod pipeline;

use std::{
    ffi::OsStr,
    fs,
    io::{Read as _, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio},
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

    /// Returns the path of a file in the directory.
    pub(crate) fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
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

    /// Starts `mtlog` in a terminal of its own, by `script` of util-linux.
    pub(crate) fn in_terminal(&self, arguments: &[&str]) -> Terminal {
        let words = arguments.iter().map(|word| format!(" '{}'", word.replace('\'', "'\\''")));
        let line = format!("'{}'{}", env!("CARGO_BIN_EXE_mtlog"), words.collect::<String>());
        let mut command = Command::new("script");
        command
            .env_clear()
            .env("HOME", self.directory.path())
            .env("TERM", "xterm")
            .env("SHELL", "/bin/sh")
            .env("PATH", "/usr/bin:/bin")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.directory.path())
            .args(["--quiet", "--flush", "--return", "--command", &line, "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().expect("`script` of util-linux runs");
        let (keys, screen) = (child.stdin.take(), child.stdout.take());
        Terminal {
            child,
            keys: keys.expect("a keyboard"),
            screen: screen.expect("a screen"),
            seen: String::new(),
            read: 0,
        }
    }

    /// Runs `mtlog` and waits for its end.
    #[must_use = "look at the exit status at least"]
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().expect("mtlog runs"))
    }
}

/// A run in a terminal.
pub(crate) struct Terminal {
    child: Child,
    keys: ChildStdin,
    screen: ChildStdout,
    /// Everything that was on the screen.
    seen: String,
    /// How much of that has been answered.
    read: usize,
}

impl Terminal {
    /// Waits until `question` is on the screen, and types `answer` and the enter key.
    pub(crate) fn answer(&mut self, question: &str, answer: &str) {
        loop {
            let rest = self.seen.get(self.read..).unwrap_or_default();
            if let Some(place) = rest.find(question) {
                self.read += place + question.len();
                break;
            }
            let mut bytes = [0; 4096];
            let count = self.screen.read(&mut bytes).expect("a readable screen");
            assert!(count > 0, "`{question}` was not asked:\n{}", self.seen);
            self.seen.push_str(&String::from_utf8_lossy(bytes.get(..count).unwrap_or_default()));
        }
        self.keys.write_all(format!("{answer}\r").as_bytes()).expect("a key that can be pressed");
        self.keys.flush().expect("a key that can be pressed");
    }

    /// Waits for the end. Returns the exit status and everything that was on the screen.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let mut rest = Vec::new();
        // The screen is gone when the run has ended.
        let _gone = self.screen.read_to_end(&mut rest);
        self.seen.push_str(&String::from_utf8_lossy(&rest));
        drop(self.keys);
        (self.child.wait().expect("an end").code(), self.seen)
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
    /// Reads what a process left.
    pub(crate) fn of(output: Output) -> Self {
        let Output { status, stdout, stderr } = output;
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Self { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }

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
