//! `mtlog image build`: an image by the container engine that is there.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use serde::Serialize;
use tempfile::TempDir;

use super::{Context, bundled, engine, engine_error, program, wanted_platform};
use crate::{
    error::{CliError, ExitStatus},
    image::{
        certificates,
        engine::{BuildRequest, Engine},
    },
    ui::{Report, table::Table},
};

/// The instructions, as in the repository.
const PROCESSOR: &str = include_str!("../../../processor/Containerfile.processor");
const COLLECTOR: &str = include_str!("../../../processor/Containerfile.collector");
/// Where the processor's instructions stand in the sources.
const PROCESSOR_PATH: &str = "processor/Containerfile.processor";

/// What an image is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Component {
    /// Vector, which writes pod logs to the bucket
    Collector,
    /// The engine
    Processor,
}

impl Component {
    /// The image's name unless another one is given.
    const fn image_name(self) -> &'static str {
        match self {
            Self::Collector => concat!("localhost/mtlog-collector:", env!("CARGO_PKG_VERSION")),
            Self::Processor => concat!("localhost/log-processor:", env!("CARGO_PKG_VERSION")),
        }
    }
}

/// Build an image with podman, docker or buildah
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mtlog image build collector --engine podman")]
pub(super) struct BuildArgs {
    /// What to build
    #[arg(value_enum)]
    component: Component,
    /// The engine; the first that is there when absent
    #[arg(long, value_enum, value_name = "ENGINE")]
    engine: Option<Engine>,
    /// Name of the image
    #[arg(long, value_name = "NAME:TAG")]
    tag: Option<String>,
    /// Take this static engine binary; processor only
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// Compile the engine from the sources here; processor only
    #[arg(long, value_name = "DIR", conflicts_with = "binary")]
    source: Option<PathBuf>,
    /// Another platform than this machine's: linux/amd64 or linux/arm64
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
    /// A value for an ARG of the Containerfile; may be given several times
    #[arg(long = "build-arg", value_name = "NAME=VALUE")]
    build_args: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Built {
    image: String,
    /// The engine's id of the image.
    id: String,
    engine: String,
}

impl Report for Built {
    /// Only the name: the output is made to be used in another command.
    fn tables(&self) -> Vec<Table> {
        let mut table = Table::new([]);
        table.row([self.image.clone()]);
        vec![table]
    }
}

/// What the engine reads.
struct Sources {
    containerfile: PathBuf,
    context: PathBuf,
    arguments: Vec<String>,
    /// Removed when the build is over.
    _directory: Option<TempDir>,
}

/// Runs `mtlog image build`.
pub(super) fn run(context: &Context<'_>, args: &BuildArgs) -> Result<ExitStatus, CliError> {
    let engine = engine(context, args.engine)?;
    let platform = args.platform.as_deref().map(wanted_platform).transpose()?;
    let sources = match args.component {
        Component::Collector => collector(args)?,
        Component::Processor => processor(args)?,
    };
    let name = args.tag.as_deref().unwrap_or(args.component.image_name());
    context.ui.status(&format!("Building {name} with {engine}."));
    let arguments = [&sources.arguments[..], &args.build_args].concat();
    let request = BuildRequest {
        containerfile: &sources.containerfile,
        context: &sources.context,
        name,
        arguments: &arguments,
        platform,
    };
    let id = engine
        .build(&request, &mut |line| context.ui.status(&format!("  {line}")))
        .map_err(engine_error)?;
    context.ui.emit(&Built { image: name.to_owned(), id, engine: engine.to_string() })?;
    Ok(ExitStatus::Success)
}

/// The collector needs nothing but its instructions: they fetch Vector and check it.
fn collector(args: &BuildArgs) -> Result<Sources, CliError> {
    if args.binary.is_some() || args.source.is_some() {
        let text = "--binary and --source have a meaning for the processor only".to_owned();
        return Err(CliError::new(ExitStatus::Usage, text));
    }
    prepared(&[("Containerfile", COLLECTOR.as_bytes(), 0o444)], Vec::new())
}

/// The processor is compiled where there are sources, or made of a binary.
fn processor(args: &BuildArgs) -> Result<Sources, CliError> {
    let sources = match (&args.source, &args.binary) {
        (Some(directory), _) => Some(directory.clone()),
        (None, None) if Path::new(PROCESSOR_PATH).is_file() => Some(PathBuf::from(".")),
        (None, _) => None,
    };
    if let Some(context) = sources {
        let containerfile = context.join(PROCESSOR_PATH);
        if !containerfile.is_file() {
            let text = format!(
                "`{}` does not hold the sources: `{PROCESSOR_PATH}` is missing",
                context.display()
            );
            return Err(CliError::new(ExitStatus::Preflight, text)
                .hint("name the directory with --source, or a static binary with --binary"));
        }
        return Ok(Sources { containerfile, context, arguments: Vec::new(), _directory: None });
    }
    let path = match &args.binary {
        Some(path) => path.clone(),
        None => bundled()?,
    };
    let (program, platform) = program(&path)?;
    if let Some(wanted) = args.platform.as_deref().map(wanted_platform).transpose()?
        && wanted != platform
    {
        let text = format!("`{}` is for {platform}, not for {wanted}", path.display());
        return Err(CliError::new(ExitStatus::Preflight, text));
    }
    let certificates = certificates::pem();
    let files: [(&str, &[u8], u32); 3] = [
        ("Containerfile", PROCESSOR.as_bytes(), 0o444),
        ("ca-certificates.crt", certificates.as_bytes(), 0o444),
        ("log-processor", &program, 0o555),
    ];
    prepared(&files, vec!["PROGRAM=given".to_owned()])
}

/// Writes a build context of its own.
fn prepared(files: &[(&str, &[u8], u32)], arguments: Vec<String>) -> Result<Sources, CliError> {
    let failed = |error: std::io::Error| {
        let what = "failed to write what the engine builds from";
        CliError::because(ExitStatus::Unexpected, what, error)
    };
    let directory = tempfile::tempdir().map_err(failed)?;
    for (name, content, mode) in files {
        let path = directory.path().join(name);
        fs::write(&path, content).map_err(failed)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).map_err(failed)?;
    }
    Ok(Sources {
        containerfile: directory.path().join("Containerfile"),
        context: directory.path().to_owned(),
        arguments,
        _directory: Some(directory),
    })
}
