//! Runs a command that cannot outlive this program, through `guard.py`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::repository::Repository;

/// How much of a failed command's standard error is shown.
const SHOWN_ERROR_LINES: usize = 40;

/// A command to run under guard.
#[derive(Debug)]
pub(crate) struct Guarded<'a> {
    /// The interpreter of `guard.py`.
    pub(crate) python: &'a Path,
    /// A short name without spaces for messages and files.
    pub(crate) name: &'a str,
    pub(crate) program: &'a Path,
    pub(crate) arguments: Vec<String>,
    /// The whole environment of the command.
    pub(crate) environment: Vec<(String, String)>,
    /// Where the command runs and its output is kept.
    pub(crate) directory: &'a Path,
    /// The command is killed after this time.
    pub(crate) limit: Duration,
}

/// What a command that ended well left.
#[derive(Debug)]
pub(crate) struct Finished {
    /// The file that holds the standard output.
    pub(crate) stdout: PathBuf,
    pub(crate) peak_memory_bytes: u64,
}

impl Finished {
    /// Reads the whole standard output as text.
    pub(crate) fn text(&self) -> Result<String> {
        fs::read_to_string(&self.stdout)
            .with_context(|| format!("failed to read `{}`", self.stdout.display()))
    }
}

/// Runs the command to its end. Shows the end of its standard error when it fails.
pub(crate) fn run(repository: &Repository, guarded: &Guarded<'_>) -> Result<Finished> {
    let file = |suffix: &str| guarded.directory.join(format!("{}.{suffix}", guarded.name));
    let (stdout, stderr, report) = (file("stdout"), file("stderr"), file("report"));
    let mut command = Command::new(guarded.python);
    command
        .arg(repository.path("xtask/guard.py"))
        .arg("--report")
        .arg(&report)
        .arg("--limit")
        .arg(guarded.limit.as_secs().to_string())
        .arg("--")
        .arg(guarded.program)
        .args(&guarded.arguments)
        .current_dir(guarded.directory)
        .env_clear()
        .envs(guarded.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(File::create(&stdout)?)
        .stderr(File::create(&stderr)?);
    let mut guard = Guard { child: command.spawn().context("failed to start Python")? };
    let status = guard.wait()?;
    if !status.success() {
        let program = guarded.program.file_name().unwrap_or_default().to_string_lossy();
        bail!(
            "`{program} {}` ended with {status}\n{}",
            guarded.arguments.join(" "),
            last_lines(&stderr)?
        );
    }
    let report: Value =
        serde_json::from_slice(&fs::read(&report)?).context("the guard's report is not JSON")?;
    let peak_memory_bytes = report
        .get("peak_memory_bytes")
        .and_then(Value::as_u64)
        .context("the guard reported no peak memory")?;
    Ok(Finished { stdout, peak_memory_bytes })
}

/// A running `guard.py`. Its command is killed when this is dropped.
struct Guard {
    child: Child,
}

impl Guard {
    /// Waits while the pipe stays open, which `Child::wait` would close first.
    fn wait(&mut self) -> Result<std::process::ExitStatus> {
        let pipe = self.child.stdin.take();
        let status = self.child.wait().context("failed to wait for the guard");
        drop(pipe);
        status
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}

fn last_lines(file: &Path) -> Result<String> {
    let text = String::from_utf8_lossy(&fs::read(file)?).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let skipped = lines.len().saturating_sub(SHOWN_ERROR_LINES);
    Ok(lines.into_iter().skip(skipped).collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn guarded<'a>(script: &str, directory: &'a Path, limit: Duration) -> Guarded<'a> {
        Guarded {
            python: Path::new("python3"),
            name: "script",
            program: Path::new("/bin/sh"),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            environment: ["PATH", "HOME"]
                .map(|name| (name.to_owned(), std::env::var(name).unwrap()))
                .into(),
            directory,
            limit,
        }
    }

    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn output_and_memory_of_a_command_are_reported() {
        let directory = tempfile::tempdir().unwrap();
        let finished =
            run(&Repository::find().unwrap(), &guarded("echo done", directory.path(), LONG))
                .unwrap();
        assert_eq!(finished.text().unwrap(), "done\n");
        assert!(finished.peak_memory_bytes > 100_000, "{finished:?}");
    }

    #[test]
    fn a_failed_command_is_an_error_with_its_last_words() {
        let directory = tempfile::tempdir().unwrap();
        let error = run(
            &Repository::find().unwrap(),
            &guarded("echo why >&2; exit 3", directory.path(), LONG),
        )
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "`sh -c echo why >&2; exit 3` ended with exit status: 3\nwhy"
        );
    }

    #[test]
    fn a_command_that_takes_too_long_is_killed() {
        let directory = tempfile::tempdir().unwrap();
        let limit = Duration::from_secs(1);
        let error =
            run(&Repository::find().unwrap(), &guarded("exec sleep 600", directory.path(), limit))
                .unwrap_err();
        assert!(error.to_string().ends_with("killed: it took more than 1 s"), "{error}");
    }

    /// The task's end closes the guard's standard input, whatever ended the task.
    #[test]
    fn nothing_outlives_the_task() {
        let directory = tempfile::tempdir().unwrap();
        let mut guard = Command::new("python3")
            .arg(Repository::find().unwrap().path("xtask/guard.py"))
            .args(["--limit", "600", "--report"])
            .arg(directory.path().join("report"))
            .args(["--", "/bin/sh", "-c", "sleep 600 & echo started; wait"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = guard.stdout.take().unwrap();
        let mut started = [0; 8];
        output.read_exact(&mut started).unwrap();
        drop(guard.stdin.take());
        // Every process of the command holds the pipe: it ends when the last of them is gone.
        assert_eq!(output.read_to_end(&mut Vec::new()).unwrap(), 0);
        assert!(!guard.wait().unwrap().success());
    }
}
