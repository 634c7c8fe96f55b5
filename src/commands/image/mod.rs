//! `mtlog image`: images, packed and pushed without a container engine or built by one.

mod build;
mod list;
mod place;
mod publish;
mod push;
mod verify;

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand, ValueEnum, builder::PossibleValue};
use mtlog_processor::model::{ids::Region, secret::Secret};

use self::place::{DestinationArgs, Place, places};
use super::Context;
use crate::{
    aws::session::Session,
    config::{
        connection::{self, Connection, ConnectionFlags},
        environment::{login_files, program_directories, program_path},
    },
    error::{CliError, ExitStatus, Message},
    image::{
        binary::{self, Platform},
        engine::{Engine, EngineError},
        failure::RegistryError,
        logins,
        reference::Repository,
        registry::{Login, Registry},
    },
};

/// The repository that images go to unless another one is named.
pub(super) const DEFAULT_REPOSITORY: &str = "log-processor";
/// The engine's file name, next to this program in a release.
const ENGINE_FILE: &str = "log-processor";

/// Build and push images
#[derive(Debug, Args)]
pub struct ImageArgs {
    #[command(subcommand)]
    command: ImageCommand,
}

#[derive(Debug, Subcommand)]
enum ImageCommand {
    /// Pack the engine into an image and push it; needs no container engine
    Publish(Box<publish::PublishArgs>),
    /// Build an image with podman, docker or buildah
    Build(Box<build::BuildArgs>),
    /// Push an image that a container engine has
    Push(Box<push::PushArgs>),
    /// Say whether Lambda will take an image, and which stacks run it
    Verify(verify::VerifyArgs),
    /// List the images of a repository in ECR
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    /// Delete old images from a repository in ECR
    Prune(list::PruneArgs),
}

impl ValueEnum for Engine {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.program()))
    }
}

/// Runs `mtlog image`.
pub async fn run(context: &Context<'_>, args: ImageArgs) -> Result<ExitStatus, CliError> {
    match args.command {
        ImageCommand::Publish(args) => publish::run(context, *args).await,
        ImageCommand::Build(args) => build::run(context, &args),
        ImageCommand::Push(args) => push::run(context, &args).await,
        ImageCommand::Verify(args) => verify::run(context, &args).await,
        ImageCommand::List(args) => list::list(context, &args).await,
        ImageCommand::Prune(args) => list::prune(context, &args).await,
    }
}

/// Who logs in at a registry that is not ECR.
#[derive(Debug, Clone, Args)]
struct LoginArgs {
    /// User at a registry that is not ECR
    #[arg(long, value_name = "NAME", requires = "password_stdin")]
    username: Option<String>,
    /// Read the password from standard input
    #[arg(long, requires = "username")]
    password_stdin: bool,
}

impl LoginArgs {
    fn login(&self) -> Result<Login, CliError> {
        /// No password is longer; more is a mistake such as a whole file.
        const LONGEST: u64 = 64 * 1024;
        let Some(user) = self.username.clone() else { return Ok(Login::Anonymous) };
        let mut password = String::new();
        std::io::stdin()
            .lock()
            .take(LONGEST)
            .read_to_string(&mut password)
            .map_err(|error| CliError::new(ExitStatus::Usage, error))?;
        let password = Secret::new(password.trim_end_matches(['\r', '\n']).to_owned());
        Ok(Login::Basic { user, password })
    }
}

/// Connects to the registry of `repository`.
async fn connect(
    context: &Context<'_>,
    flags: &ConnectionFlags,
    login: &LoginArgs,
    repository: &Repository,
) -> Result<Registry, CliError> {
    let login = login_for(context, flags, login, repository).await?;
    Registry::new(&repository.registry, &login).map_err(registry_error)
}

/// Returns the login for `repository`: a token of ECR, what the flags say, or what container tools keep in their files.
async fn login_for(
    context: &Context<'_>,
    flags: &ConnectionFlags,
    login: &LoginArgs,
    repository: &Repository,
) -> Result<Login, CliError> {
    if let Some((_, region)) = repository.ecr() {
        let connection = connection::resolve(&context.layers, flags)?;
        let session = Session::open(&connection.session).await.in_region(&region);
        return Ok(ecr_login(&session, &region).await?.0);
    }
    if login.username.is_some() {
        return login.login();
    }
    for path in login_files(context.layers.environment()) {
        // A file that is not there holds no login.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let found = logins::find(&text, repository).map_err(|error| {
            let what = format!("failed to take a login from `{}`", path.display());
            CliError::because(ExitStatus::Access, what, error)
                .hint("give the login with --username and --password-stdin")
        })?;
        if let Some(login) = found {
            context.ui.detail(&format!("The login is from {}.", path.display()));
            return Ok(login);
        }
    }
    Ok(Login::Anonymous)
}

/// Logs in at ECR and returns the registry's host too.
async fn ecr_login(session: &Session, region: &Region) -> Result<(Login, String), CliError> {
    let login =
        session.ecr().login().await.map_err(|fault| {
            CliError::aws(format!("failed to log in at ECR in {region}"), fault)
        })?;
    Ok((Login::Basic { user: login.user, password: login.password }, login.host))
}

/// Returns the region of the settings or of the profile.
fn region_of(session: &Session, connection: &Connection) -> Result<Region, CliError> {
    if let Some(setting) = &connection.region {
        return Ok(setting.value.clone());
    }
    let Some(region) = session.region() else {
        return Err(CliError::new(
            ExitStatus::Usage,
            Message("the region of the repository is missing".to_owned()),
        )
        .hint("give --region or set AWS_REGION"));
    };
    region.parse().map_err(|error| CliError::new(ExitStatus::Usage, error))
}

/// Reads a static binary and its platform.
fn program(path: &Path) -> Result<(Vec<u8>, Platform), CliError> {
    let program = fs::read(path).map_err(|error| {
        let what = format!("failed to read `{}`", path.display());
        CliError::because(ExitStatus::Preflight, what, error)
    })?;
    let platform = binary::platform(&program).map_err(|error| {
        let what = format!("`{}` cannot be the program of an image", path.display());
        CliError::because(ExitStatus::Preflight, what, error).next("cargo xtask dist")
    })?;
    Ok((program, platform))
}

/// Returns the engine next to this program, as a release has it.
fn bundled() -> Result<PathBuf, CliError> {
    let own = program_path().map_err(|error| CliError::new(ExitStatus::Unexpected, error))?;
    let path = own.with_file_name(ENGINE_FILE);
    if path.is_file() {
        return Ok(path);
    }
    let text = format!("there is no `{}` next to this program", path.display());
    Err(CliError::new(ExitStatus::Preflight, Message(text))
        .hint("name the static engine binary with --binary PATH"))
}

fn wanted_platform(text: &str) -> Result<Platform, CliError> {
    Platform::from_oci_name(text).ok_or_else(|| {
        let text = format!("--platform: `{text}` is not linux/amd64 or linux/arm64");
        CliError::new(ExitStatus::Usage, Message(text))
    })
}

/// Finds the container engine.
fn engine(context: &Context<'_>, wanted: Option<Engine>) -> Result<Engine, CliError> {
    let directories = program_directories(context.layers.environment());
    Engine::find(wanted, &directories).map_err(engine_error)
}

/// Gives a failure of a container engine its exit status and advice.
fn engine_error(error: EngineError) -> CliError {
    match error {
        EngineError::None | EngineError::Missing(_) => CliError::new(ExitStatus::Preflight, error)
            .hint("`mtlog image publish` packs and pushes the engine's image without one"),
        EngineError::Start { .. } | EngineError::Files { .. } | EngineError::Failed { .. } => {
            CliError::new(ExitStatus::Unexpected, error)
        }
    }
}

fn usage<T, E>(parsed: Result<T, E>) -> Result<T, CliError>
where
    E: std::error::Error + Send + Sync + 'static,
{
    parsed.map_err(|error| CliError::new(ExitStatus::Usage, error))
}

/// Gives a failure at a registry its exit status and advice.
fn registry_error(error: RegistryError) -> CliError {
    match error {
        RegistryError::Login { .. } => CliError::new(ExitStatus::Access, error).hint(
            "give --username and --password-stdin, or log in with `podman login` or `docker login`; \
             ECR takes a token of its own account and region only",
        ),
        RegistryError::Forbidden { .. } => CliError::new(ExitStatus::Access, error).hint(
            "in ECR, the identity needs push permission on the repository, and another account's repository needs \
             a policy that allows it; `mtlog iam policy image publish` prints what it takes, and \
             `aws sts get-caller-identity` shows who it is",
        ),
        RegistryError::Missing { .. } => CliError::new(ExitStatus::Preflight, error)
            .hint("check the repository's name, the tag, the account and the region"),
        RegistryError::Taken { .. } => CliError::new(ExitStatus::Conflict, error)
            .hint("choose another --tag, or leave it out: it is then made of the version and the content"),
        RegistryError::Unacceptable { .. } => {
            CliError::new(ExitStatus::Preflight, error).next("mtlog image publish")
        }
        RegistryError::Passing { .. } => CliError::new(ExitStatus::TryAgain, error).hint(
            "nothing is tagged before everything is there; the same command carries on where this one ended",
        ),
        RegistryError::Client { .. }
        | RegistryError::Failed { .. }
        | RegistryError::Different { .. } => CliError::new(ExitStatus::Unexpected, error),
    }
}
