//! The customer's side of an onboarding, in the same run: another profile, another account, the customer's stack.

use std::time::Duration;

use mtlog_processor::model::{
    ids::AccountId,
    tenant::{Destination, TenantItem},
};

use super::{TableArgs, pipeline::Pipeline};
use crate::{
    cli::ConsentArgs,
    commands::{Context, deploy, identity},
    config::{
        connection::{self, ConnectionFlags},
        deploy::DeployFlags,
        tenant::TableSettings,
    },
    error::{CliError, ExitStatus, Message},
    onboard::{handover::log_group_prefix, rules::LOG_GROUP_PREFIX},
};

/// How long the customer's stack is watched.
const DEPLOYMENT: Duration = Duration::from_secs(30 * 60);

/// A profile of the customer's.
#[derive(Debug)]
pub(super) struct Side {
    flags: ConnectionFlags,
    profile: String,
    account: AccountId,
}

impl Side {
    /// Finds out whose account the profile leads to. Nothing is written.
    pub(super) async fn open(
        context: &Context<'_>,
        table: &TableArgs,
        profile: &str,
    ) -> Result<Self, CliError> {
        let central = table.flags().connection;
        let flags = ConnectionFlags {
            profile: Some(profile.to_owned()),
            region: central.region,
            endpoint_url: central.endpoint_url,
            ..ConnectionFlags::default()
        };
        let mut connection = connection::resolve(&context.layers, &flags)?;
        // The guard of the settings is about the central account.
        connection.account = None;
        let session = identity::open(context, &connection).await?;
        let identity = identity::checked(&session, &connection).await?;
        Ok(Self { flags, profile: profile.to_owned(), account: identity.account })
    }

    /// Returns the account that the profile leads to.
    pub(super) const fn account(&self) -> &AccountId {
        &self.account
    }

    /// Refuses to go on unless the profile leads to the account of the item's role.
    pub(super) fn must_own(&self, item: &TenantItem) -> Result<(), CliError> {
        match &item.destination {
            Destination::CloudWatch { role, .. } if *role.account() != self.account => {
                let text = format!(
                    "profile `{}` leads to account {}, but the role of tenant `{}` is in account {}",
                    self.profile,
                    self.account,
                    item.tenant,
                    role.account()
                );
                Err(CliError::new(ExitStatus::Preflight, Message(text))
                    .hint("nothing was written; name another profile with --customer-profile"))
            }
            Destination::CloudWatch { .. } | Destination::S3 { .. } => Ok(()),
        }
    }

    /// Deploys the customer's stack in the item's region.
    pub(super) async fn deploy(
        &self,
        context: &Context<'_>,
        settings: &TableSettings,
        pipeline: &Pipeline,
        item: &TenantItem,
        consent: &ConsentArgs,
    ) -> Result<(), CliError> {
        let Destination::CloudWatch { role, log_group, .. } = &item.destination else {
            return Ok(());
        };
        let mut parameters = Vec::new();
        if role.path() != "/" {
            parameters.push(format!("RolePath={}", role.path()));
        }
        let prefix = log_group_prefix(log_group);
        if prefix != LOG_GROUP_PREFIX {
            parameters.push(format!("LogGroupPrefix={prefix}"));
        }
        let flags = DeployFlags {
            targets: vec!["customer".to_owned()],
            project: Some(settings.project.value.to_string()),
            central_role_arn: Some(pipeline.central_role.to_string()),
            external_id: item.external_id.as_ref().map(|id| id.reveal().to_string()),
            parameters,
            connection: ConnectionFlags {
                region: Some(item.target_region.to_string()),
                account: Some(self.account.to_string()),
                ..self.flags.clone()
            },
            ..DeployFlags::default()
        };
        let role_made =
            deploy::customer_role(context, &flags, consent.answers(), DEPLOYMENT).await?;
        if role_made.as_deref() == Some(role.to_string().as_str()) {
            return Ok(());
        }
        let text = format!(
            "the customer's stack made role `{}`, but the item names `{role}`",
            role_made.unwrap_or_default()
        );
        Err(CliError::new(ExitStatus::NeedsAttention, Message(text))
            .next(format!("mtlog tenant set {} --role-arn ARN", item.tenant)))
    }
}
