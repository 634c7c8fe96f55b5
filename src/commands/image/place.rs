//! Where images go: repositories in ECR, one for each region, or one repository of another registry.

use clap::Args;
use mtlog_processor::model::ids::Region;

use super::{
    Context, DEFAULT_REPOSITORY, LoginArgs, ecr_login, login_for, region_of, registry_error, usage,
};
use crate::{
    aws::{
        ecr::{Ecr, Ensured},
        session::Session,
    },
    cli::{ConnectionArgs, ConsentArgs},
    commands::identity,
    config::connection,
    error::CliError,
    image::{
        reference::{ImageReference, Repository},
        registry::{Login, Registry},
    },
    ui::Ui,
};

/// Where to push.
#[derive(Debug, Args)]
pub(super) struct DestinationArgs {
    /// Repository in ECR; made when it is missing
    #[arg(long, value_name = "NAME", default_value = DEFAULT_REPOSITORY)]
    pub(super) repository: String,
    /// Push to this region too; may be given several times
    #[arg(long = "also-region", value_name = "REGION")]
    pub(super) also_regions: Vec<String>,
    /// Push to HOST/REPOSITORY instead of to ECR
    #[arg(long, value_name = "HOST/REPO", conflicts_with_all = ["also_regions", "repository"])]
    pub(super) registry: Option<String>,
}

/// A repository with an open door.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) repository: Repository,
    pub(super) registry: Registry,
    pub(super) login: Login,
    /// The API that makes the repository, when it is in ECR.
    ecr: Option<(Ecr, Region)>,
}

impl Place {
    /// Makes sure that there is a repository. Only ECR wants it made before the first push.
    pub(super) async fn prepare(&self, ui: &Ui) -> Result<(), CliError> {
        let Some((ecr, region)) = &self.ecr else { return Ok(()) };
        let name = &self.repository.path;
        let ensured = ecr.ensure_repository(name).await.map_err(|fault| {
            CliError::aws(format!("failed to make sure of repository `{name}`"), fault)
        })?;
        if ensured == Ensured::Created {
            ui.status(&format!("Made repository {name} in {region}."));
        }
        Ok(())
    }
}

/// Returns the places to push `tag` to, after the question whether that may be done.
pub(super) async fn places(
    context: &Context<'_>,
    destination: &DestinationArgs,
    connection: &ConnectionArgs,
    login: &LoginArgs,
    consent: &ConsentArgs,
    tag: &str,
) -> Result<Vec<Place>, CliError> {
    if let Some(text) = &destination.registry {
        let repository = usage(text.parse::<Repository>())?;
        usage(repository.tagged(tag).to_string().parse::<ImageReference>())?;
        let login = login_for(context, &connection.flags(), login, &repository).await?;
        let _consent = context.ui.agree(&format!("Push to {repository}?"), &consent.answers())?;
        let registry = Registry::new(&repository.registry, &login).map_err(registry_error)?;
        return Ok(vec![Place { repository, registry, login, ecr: None }]);
    }
    let connection = connection::resolve(&context.layers, &connection.flags())?;
    let session = Session::open(&connection.session).await;
    let mut regions = vec![region_of(&session, &connection)?];
    for text in &destination.also_regions {
        let region = usage(text.parse::<Region>())?;
        if !regions.contains(&region) {
            regions.push(region);
        }
    }
    let identity = identity::checked(&session, &connection).await?;
    let names: Vec<&str> = regions.iter().map(Region::as_str).collect();
    let question = format!(
        "Push {} to account {} in {}?",
        destination.repository,
        identity.account,
        names.join(", ")
    );
    let _consent = context.ui.agree(&question, &consent.answers())?;
    let mut places = Vec::new();
    for region in regions {
        let session = session.in_region(&region);
        let (login, host) = ecr_login(&session, &region).await?;
        let repository = usage(format!("{host}/{}", destination.repository).parse::<Repository>())?;
        usage(repository.tagged(tag).to_string().parse::<ImageReference>())?;
        let registry = Registry::new(&host, &login).map_err(registry_error)?;
        places.push(Place { repository, registry, login, ecr: Some((session.ecr(), region)) });
    }
    Ok(places)
}
