//! A container engine of this machine: podman, docker or buildah, run without a shell.

use std::{
    collections::VecDeque,
    fmt, fs,
    io::{self, BufRead as _, BufReader, Read},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::mpsc,
};

use thiserror::Error;

use super::{
    binary::Platform,
    logins,
    reference::ImageReference,
    registry::{Login, is_loopback},
};

/// So many of the last lines of a failed engine's standard error are kept.
const KEPT_LINES: usize = 20;

/// The engines, in the order in which they are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Without a daemon, and builds and runs.
    Podman,
    /// With a daemon.
    Docker,
    /// Without a daemon; builds only.
    Buildah,
}

/// What an engine builds.
#[derive(Debug, Clone, Copy)]
pub struct BuildRequest<'a> {
    /// The instructions.
    pub containerfile: &'a Path,
    /// The directory that the instructions may copy from.
    pub context: &'a Path,
    /// The name of the image afterwards.
    pub name: &'a str,
    /// `NAME=VALUE` for the `ARG`s of the instructions.
    pub arguments: &'a [String],
    /// Another platform than the engine's own.
    pub platform: Option<Platform>,
}

/// A container engine that is not there, or failed.
#[derive(Debug, Error)]
pub enum EngineError {
    /// None of them can be found.
    #[error("there is no container engine: podman, docker and buildah are not on the PATH")]
    None,
    /// The one that was asked for cannot be found.
    #[error("there is no `{0}` on the PATH")]
    Missing(Engine),
    /// It could not be started.
    #[error("failed to start `{engine}`")]
    Start {
        /// The engine.
        engine: Engine,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file for it could not be written, or one of its own not be read.
    #[error("failed to exchange files with `{engine}`")]
    Files {
        /// The engine.
        engine: Engine,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It said that it failed.
    #[error("`{engine} {verb}` ended with {status}:\n{said}")]
    Failed {
        /// The engine.
        engine: Engine,
        /// What it should have done.
        verb: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its standard error.
        said: String,
    },
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program())
    }
}

impl Engine {
    /// All of them, the first to look for first.
    pub const ALL: [Self; 3] = [Self::Podman, Self::Docker, Self::Buildah];

    /// Returns the name of the program.
    pub const fn program(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::Docker => "docker",
            Self::Buildah => "buildah",
        }
    }

    /// Returns `wanted` if it is in one of `directories`, or the first of all engines that is.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(wanted: Option<Self>, directories: &[PathBuf]) -> Result<Self, EngineError> {
        let is_there = |engine: &Self| {
            directories.iter().any(|directory| directory.join(engine.program()).is_file())
        };
        match wanted {
            Some(engine) if is_there(&engine) => Ok(engine),
            Some(engine) => Err(EngineError::Missing(engine)),
            None => Self::ALL.into_iter().find(is_there).ok_or(EngineError::None),
        }
    }

    /// Builds an image and returns its id. What the engine says goes to `on_line`.
    ///
    /// # Errors
    /// When the engine fails, with the end of what it said.
    pub fn build(
        self,
        request: &BuildRequest<'_>,
        on_line: &mut dyn FnMut(&str),
    ) -> Result<String, EngineError> {
        let files = |source| EngineError::Files { engine: self, source };
        let directory = tempfile::tempdir().map_err(files)?;
        let id = directory.path().join("id");
        let mut command = Command::new(self.program());
        command.arg("build").arg("--file").arg(request.containerfile);
        command.arg("--tag").arg(request.name).arg("--iidfile").arg(&id);
        for argument in request.arguments {
            command.arg("--build-arg").arg(argument);
        }
        if let Some(platform) = request.platform {
            command.arg("--platform").arg(platform.to_string());
        }
        match self {
            // One time for all files, so that the same contents give the same image.
            Self::Podman | Self::Buildah => command.args(["--timestamp", "0"]),
            // Lambda refuses the index that attestations come in.
            Self::Docker => command
                .env("BUILDX_NO_DEFAULT_ATTESTATIONS", "1")
                .args(["--build-arg", "SOURCE_DATE_EPOCH=0"]),
        };
        command.arg(request.context);
        run(self, "build", command, on_line)?;
        let id = fs::read_to_string(&id).map_err(files)?;
        Ok(id.trim().to_owned())
    }

    /// Pushes the image called `name` as `target`. Without a login, the engine uses those that it keeps.
    ///
    /// # Errors
    /// When the engine fails, with the end of what it said.
    pub fn push(
        self,
        name: &str,
        target: &ImageReference,
        login: &Login,
        on_line: &mut dyn FnMut(&str),
    ) -> Result<(), EngineError> {
        let files = |source| EngineError::Files { engine: self, source };
        // Only this user may read it, and it is gone when the push ends.
        let directory = tempfile::tempdir().map_err(files)?;
        let kept = directory.path().join("config.json");
        let given = match login {
            Login::Anonymous => false,
            Login::Basic { user, password } => {
                let text = logins::file_of(&target.repository.registry, user, password);
                fs::write(&kept, text.reveal()).map_err(files)?;
                true
            }
        };
        let mut command = Command::new(self.program());
        match self {
            Self::Podman | Self::Buildah => {
                command.arg("push");
                if given {
                    command.arg("--authfile").arg(&kept);
                }
                if is_loopback(&target.repository.registry) {
                    command.arg("--tls-verify=false");
                }
                command.arg(name).arg(format!("docker://{target}"));
            }
            Self::Docker => {
                let mut tag = Command::new(self.program());
                tag.arg("tag").arg(name).arg(target.to_string());
                run(self, "tag", tag, on_line)?;
                if given {
                    command.arg("--config").arg(directory.path());
                }
                command.arg("push").arg(target.to_string());
            }
        }
        run(self, "push", command, on_line)
    }
}

/// Runs the engine and hands on its lines as they come.
fn run(
    engine: Engine,
    verb: &'static str,
    mut command: Command,
    on_line: &mut dyn FnMut(&str),
) -> Result<(), EngineError> {
    let failed = |source| EngineError::Start { engine, source };
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let mut said = VecDeque::new();
    let status = std::thread::scope(|scope| {
        let (sender, lines) = mpsc::channel();
        let error_sender = sender.clone();
        scope.spawn(move || forward(stdout, |line| drop(sender.send((line, Stream::Output)))));
        scope.spawn(move || forward(stderr, |line| drop(error_sender.send((line, Stream::Error)))));
        for (line, stream) in lines {
            on_line(&line);
            if stream == Stream::Error {
                if said.len() == KEPT_LINES {
                    said.pop_front();
                }
                said.push_back(line);
            }
        }
        child.wait()
    })
    .map_err(failed)?;
    if status.success() {
        return Ok(());
    }
    let said = Vec::from(said).join("\n");
    Err(EngineError::Failed { engine, verb, status, said })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Output,
    Error,
}

fn forward(stream: Option<impl Read>, mut to: impl FnMut(String)) {
    let Some(stream) = stream else { return };
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    // A stream that breaks has ended; how the program ended says whether that matters.
    while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        to(String::from_utf8_lossy(&line).trim_end().to_owned());
        line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_engine_on_the_path_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let path = [directory.path().to_owned()];
        assert!(matches!(Engine::find(None, &path), Err(EngineError::None)));
        for (name, found) in
            [("buildah", Engine::Buildah), ("docker", Engine::Docker), ("podman", Engine::Podman)]
        {
            assert!(matches!(Engine::find(Some(found), &path), Err(EngineError::Missing(_))));
            fs::write(directory.path().join(name), "").unwrap();
            assert_eq!(Engine::find(None, &path).unwrap(), found);
            assert_eq!(Engine::find(Some(Engine::Buildah), &path).unwrap(), Engine::Buildah);
        }
    }
}
