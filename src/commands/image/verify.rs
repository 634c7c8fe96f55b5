//! `mtlog image verify`: will Lambda take it?

use clap::Args;
use serde::Serialize;

use super::{Context, LoginArgs, connect, registry_error};
use crate::{
    cli::ConnectionArgs,
    error::{CliError, ExitStatus},
    image::reference::ImageReference,
    ui::{Report, table::Table},
};

/// Say whether Lambda will take an image
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// The image, with its tag or digest
    #[arg(value_name = "IMAGE")]
    image: String,
    #[command(flatten)]
    login: LoginArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(Debug, Serialize)]
struct Verdict {
    image: String,
    digest: String,
    platform: String,
    lambda_architecture: &'static str,
    compressed_bytes: u64,
}

impl Report for Verdict {
    fn tables(&self) -> Vec<Table> {
        let mut table = Table::new([]).titled(format!("Lambda takes {}", self.image));
        for (name, value) in [
            ("digest", self.digest.clone()),
            ("platform", self.platform.clone()),
            ("Lambda architecture", self.lambda_architecture.to_owned()),
            ("compressed size", format!("{} bytes", self.compressed_bytes)),
        ] {
            table.row([name.to_owned(), value]);
        }
        vec![table]
    }
}

/// Runs `mtlog image verify`.
pub(super) async fn run(context: &Context<'_>, args: &VerifyArgs) -> Result<ExitStatus, CliError> {
    let image: ImageReference =
        args.image.parse().map_err(|error| CliError::new(ExitStatus::Usage, error))?;
    let registry =
        connect(context, &args.connection.flags(), &args.login, &image.repository).await?;
    let verified = registry.verify(&image).await.map_err(registry_error)?;
    if image.repository.ecr().is_none() {
        context.ui.warning(&format!(
            "{} is not a private ECR registry; Lambda takes images only from ECR in its own region.",
            image.repository.registry
        ));
    }
    context.ui.emit(&Verdict {
        image: image.to_string(),
        digest: verified.digest,
        platform: verified.platform.to_string(),
        lambda_architecture: verified.platform.lambda_name(),
        compressed_bytes: verified.layers_bytes,
    })?;
    Ok(ExitStatus::Success)
}
