//! `mtlog image`: the engine's image, built and pushed without a container engine.

mod list;
mod publish;
mod verify;

use std::io::Read as _;

use clap::{Args, Subcommand};
use mtlog_processor::model::{ids::Region, secret::Secret};

use super::Context;
use crate::{
    aws::session::Session,
    config::connection::{self, Connection, ConnectionFlags},
    error::{CliError, ExitStatus, Message},
    image::{
        reference::Repository,
        registry::{Login, Registry, RegistryError},
    },
};

/// The repository that images go to unless another one is named.
const DEFAULT_REPOSITORY: &str = "log-processor";

/// Build and push the engine's image
#[derive(Debug, Args)]
pub struct ImageArgs {
    #[command(subcommand)]
    command: ImageCommand,
}

#[derive(Debug, Subcommand)]
enum ImageCommand {
    /// Pack the engine into an image and push it; needs no container engine
    Publish(Box<publish::PublishArgs>),
    /// Say whether Lambda will take an image
    Verify(verify::VerifyArgs),
    /// List the images of a repository in ECR
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    /// Delete old images from a repository in ECR
    Prune(list::PruneArgs),
}

/// Runs `mtlog image`.
pub async fn run(context: &Context<'_>, args: ImageArgs) -> Result<ExitStatus, CliError> {
    match args.command {
        ImageCommand::Publish(args) => publish::run(context, *args).await,
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

/// Connects to the registry of `repository`: to ECR with a token of its own, to others as the flags say.
async fn connect(
    context: &Context<'_>,
    flags: &ConnectionFlags,
    login: &LoginArgs,
    repository: &Repository,
) -> Result<Registry, CliError> {
    let login = match repository.ecr() {
        None => login.login()?,
        Some((_, region)) => {
            let connection = connection::resolve(&context.layers, flags)?;
            let session = Session::open(&connection.session).await.in_region(&region);
            ecr_login(&session, &region).await?.0
        }
    };
    Registry::new(&repository.registry, &login).map_err(registry_error)
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

/// Gives a failure at a registry its exit status and advice.
fn registry_error(error: RegistryError) -> CliError {
    match error {
        RegistryError::Denied { .. } => CliError::new(ExitStatus::Access, error).hint(
            "for ECR the identity needs ecr:GetAuthorizationToken and push permission on the repository; \
             for another registry give --username and --password-stdin",
        ),
        RegistryError::Missing { .. } => CliError::new(ExitStatus::Preflight, error)
            .hint("check the repository's name, the tag and the region"),
        RegistryError::Unacceptable { .. } => {
            CliError::new(ExitStatus::Preflight, error).next("mtlog image publish")
        }
        RegistryError::Client { .. } | RegistryError::Failed { .. } | RegistryError::Different { .. } => {
            CliError::new(ExitStatus::Unexpected, error)
                .hint("nothing is tagged before everything is there; the same command carries on where this one ended")
        }
    }
}
