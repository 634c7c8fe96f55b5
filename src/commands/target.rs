//! What the commands about stacks share: whom we talk to, and what the stacks are called.

#![expect(clippy::doc_markdown, reason = "the doc comments of flags are help texts")]

use clap::Args;
use mtlog_processor::model::ids::Region;

use super::{Context, identity};
use crate::{
    aws::{
        cloudformation::CloudFormation,
        session::{Profile, Session},
    },
    cli::{ConnectionArgs, FleetConnectionArgs},
    config::{
        connection::ConnectionFlags,
        deploy::{self as settings, DeployFlags, DeploySettings},
        layers::{self, Setting, Source},
        vars,
    },
    deploy::{
        desired::Place,
        stack::{Presence, Stack, StackName},
        target::{Naming, Target, former_stack_name, stack_name},
    },
    error::{CliError, ExitStatus, Message},
};

/// Which stacks, for commands that only look at them or take them away.
#[derive(Debug, Clone, Args)]
pub struct StackArgs {
    /// development, staging or production [env: ENVIRONMENT] [default: development]
    #[arg(long, short = 'e', alias = "env", value_name = "NAME")]
    environment: Option<String>,
    /// Name of the pipeline [env: PROJECT_NAME] [default: multi-tenant-logging]
    #[arg(long, short = 'p', value_name = "NAME")]
    project: Option<String>,
    /// A name for the stack other than the usual one
    #[arg(long, short = 's', value_name = "NAME")]
    stack_name: Option<String>,
    /// The cluster [env: CLUSTER_NAME]
    #[arg(long, alias = "cluster", value_name = "NAME")]
    cluster_name: Option<String>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl StackArgs {
    /// Returns the flags about the connection.
    pub(super) fn connection_flags(&self) -> ConnectionFlags {
        self.connection.flags()
    }

    /// Returns the flags for the settings' resolution.
    pub(super) fn flags(&self, targets: &[String]) -> DeployFlags {
        DeployFlags {
            targets: targets.to_vec(),
            environment: self.environment.clone(),
            project: self.project.clone(),
            stack_name: self.stack_name.clone(),
            cluster_name: self.cluster_name.clone(),
            connection: self.connection.flags(),
            ..DeployFlags::default()
        }
    }

    /// Returns the flags that the regional stack is found with, for commands to which a cluster says which objects are
    /// meant.
    pub(super) fn regional_flags(&self) -> DeployFlags {
        DeployFlags { cluster_name: None, ..self.flags(&[Target::Regional.to_string()]) }
    }
}

/// Which environment, in one or several regions, for commands that look at all of it.
#[derive(Debug, Clone, Args)]
pub struct FleetArgs {
    /// development, staging or production [env: ENVIRONMENT] [default: development]
    #[arg(long, short = 'e', alias = "env", value_name = "NAME")]
    environment: Option<String>,
    /// Name of the pipeline [env: PROJECT_NAME] [default: multi-tenant-logging]
    #[arg(long, short = 'p', value_name = "NAME")]
    project: Option<String>,
    #[command(flatten)]
    connection: FleetConnectionArgs,
}

impl FleetArgs {
    /// Opens the session at the rate that was asked for.
    pub(super) async fn open(&self, context: &Context<'_>) -> Result<Opened, CliError> {
        open_at_rate(context, &self.flags(), self.connection.max_api_rate()).await
    }

    /// Returns the flags for the settings' resolution.
    pub(super) fn flags(&self) -> DeployFlags {
        DeployFlags {
            environment: self.environment.clone(),
            project: self.project.clone(),
            connection: self.connection.flags(),
            ..DeployFlags::default()
        }
    }
}

/// An open connection with the settings that led to it.
#[derive(Debug, Clone)]
pub(super) struct Opened {
    pub(super) settings: DeploySettings,
    pub(super) session: Session,
    pub(super) place: Place,
}

/// Resolves the settings, opens the session and makes sure that the account is the one that the settings demand.
pub(super) async fn open(context: &Context<'_>, flags: &DeployFlags) -> Result<Opened, CliError> {
    open_at_rate(context, flags, USUAL_RATE).await
}

/// Calls to CloudFormation a second, where nobody says another number.
const USUAL_RATE: u32 = 10;

/// The same, with at most `rate` calls to CloudFormation a second.
pub(super) async fn open_at_rate(
    context: &Context<'_>,
    flags: &DeployFlags,
    rate: u32,
) -> Result<Opened, CliError> {
    let settings = settings::resolve(&context.layers, flags)?;
    let session = identity::open(context, &settings.connection).await?.at_rate(rate);
    let region = region(&settings, &session)?;
    let identity = identity::checked(&session, &settings.connection).await?;
    Ok(Opened { settings, session, place: Place { account: identity.account, region } })
}

/// Opens the session for a command about one stack, which may be a target or a stack's name.
pub(super) async fn open_subject(
    context: &Context<'_>,
    args: &StackArgs,
    subject: &str,
) -> Result<(Opened, Option<Target>), CliError> {
    let target = Target::ALL.into_iter().find(|target| target.as_str() == subject);
    let targets: Vec<String> = target.iter().map(ToString::to_string).collect();
    Ok((open(context, &args.flags(&targets)).await?, target))
}

/// The region, from the settings or else from the profile. There is no default: a stack in the wrong region costs
/// more than a flag.
fn region(settings: &DeploySettings, session: &Session) -> Result<Region, CliError> {
    if let Some(region) = &settings.connection.region {
        return Ok(region.value.clone());
    }
    let Some(text) = session.region() else {
        let text = format!("the region is missing: {}", layers::remedy(&vars::REGION));
        return Err(CliError::new(ExitStatus::Usage, Message(text)));
    };
    text.parse().map_err(|error| CliError::new(ExitStatus::Usage, error))
}

impl Opened {
    /// Returns every region that the command is about, the first one first and each once.
    pub(super) fn regions(&self) -> Vec<Region> {
        let mut regions = vec![self.place.region.clone()];
        for region in &self.settings.connection.more_regions {
            if !regions.contains(region) {
                regions.push(region.clone());
            }
        }
        regions
    }

    /// Returns the same connection for one of several regions.
    pub(super) fn in_region(&self, region: &Region) -> Self {
        let mut settings = self.settings.clone();
        settings.connection.more_regions.clear();
        settings.connection.region =
            Some(Setting { value: region.clone(), source: Source::Flag("region") });
        Self {
            settings,
            session: self.session.in_region(region),
            place: Place { account: self.place.account.clone(), region: region.clone() },
        }
    }

    /// Returns the flags that were typed and that another command about the same stacks needs again.
    pub(super) fn typed_flags(&self) -> String {
        let settings = &self.settings;
        let mut flags = String::new();
        let mut add = |flag: &str, value: &str, source: &Source| {
            if matches!(source, Source::Flag(_)) {
                flags.push_str(&format!(" {flag} {value}"));
            }
        };
        add("-p", settings.project.value.as_str(), &settings.project.source);
        add("-e", settings.environment.value.as_str(), &settings.environment.source);
        if let Some(region) = &settings.connection.region {
            add("-r", region.value.as_str(), &region.source);
        }
        if let Some(Profile::Demanded(name)) = &settings.connection.session.profile {
            flags.push_str(&format!(" --profile {name}"));
        }
        flags
    }

    /// Returns what stack names are made of, for stacks in `region`.
    pub(super) fn naming<'a>(&'a self, region: &'a Region) -> Naming<'a> {
        Naming {
            project: self.settings.project.value.as_str(),
            environment: self.settings.environment.value.as_str(),
            region,
            cluster: self.settings.cluster.as_ref().map(|cluster| cluster.value.as_str()),
        }
    }

    /// Returns the stack's name: the one that was given, else the usual one.
    pub(super) fn stack_name(&self, target: Target) -> Result<StackName, CliError> {
        let usual = || {
            stack_name(target, self.naming(&self.place.region))
                .map_err(|error| CliError::new(ExitStatus::Usage, error))
        };
        self.settings.stack_name.clone().map_or_else(usual, Ok)
    }

    /// Returns the name that the stack had before mtlog, where that was another and none is given.
    pub(super) fn former_stack_name(&self, target: Target) -> Option<StackName> {
        if self.settings.stack_name.is_some() {
            return None;
        }
        former_stack_name(target, self.naming(&self.place.region))
    }

    /// Returns the stack of `target` under its name or its former one.
    pub(super) async fn stack(
        &self,
        client: &CloudFormation,
        target: Target,
    ) -> Result<(StackName, Presence), CliError> {
        let name = self.stack_name(target)?;
        let presence = presence(client, &name).await?;
        if presence == Presence::Absent
            && let Some(former) = self.former_stack_name(target)
        {
            let before = self::presence(client, &former).await?;
            if before != Presence::Absent {
                return Ok((former, before));
            }
        }
        Ok((name, presence))
    }

    /// Returns the stack of `target`, which must exist.
    pub(super) async fn existing(
        &self,
        client: &CloudFormation,
        target: Target,
    ) -> Result<Stack, CliError> {
        match self.stack(client, target).await? {
            (_, Presence::Present(stack)) => Ok(*stack),
            (name, Presence::Absent) => {
                Err(self.absent(&name).next(format!("mtlog deploy {target} --dry-run")))
            }
        }
    }

    /// Returns the stack that a command is about: that of the target, or the one with this name.
    pub(super) async fn subject(
        &self,
        client: &CloudFormation,
        target: Option<Target>,
        text: &str,
    ) -> Result<Stack, CliError> {
        if let Some(target) = target {
            return self.existing(client, target).await;
        }
        let name: StackName =
            text.parse().map_err(|error| CliError::new(ExitStatus::Usage, error))?;
        match presence(client, &name).await? {
            Presence::Present(stack) => Ok(*stack),
            Presence::Absent => Err(self.absent(&name)),
        }
    }

    /// The failure that a stack does not exist.
    pub(super) fn absent(&self, name: &StackName) -> CliError {
        let Place { account, region } = &self.place;
        let text = format!("there is no stack `{name}` in {region} of account {account}");
        CliError::new(ExitStatus::Preflight, Message(text))
            .hint("stack names are made of project, environment and region: check --project, --environment and --region")
            .next("mtlog status")
    }
}

async fn presence(client: &CloudFormation, name: &StackName) -> Result<Presence, CliError> {
    client
        .presence(name.as_str())
        .await
        .map_err(|fault| CliError::aws(format!("failed to read stack `{name}`"), fault))
}
