//! `mtlog image verify`: will Lambda take it, and does a stack run it?

use clap::Args;
use mtlog_processor::model::ids::Region;
use serde::Serialize;

use super::{Context, LoginArgs, connect, list, registry_error};
use crate::{
    aws::{ecr::StoredImage, session::Session},
    cli::ConnectionArgs,
    config::connection,
    error::{CliError, ExitStatus, Message},
    image::reference::{ImageReference, Version},
    ui::{Report, table::Table},
};

/// Say whether Lambda will take an image, and which stacks run it
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
    /// The stacks that run it; null when they are not known.
    used_by: Option<Vec<String>>,
}

impl Report for Verdict {
    fn tables(&self) -> Vec<Table> {
        let mut table = Table::new([]).titled(format!("Lambda takes {}", self.image));
        for (name, value) in [
            ("digest", self.digest.clone()),
            ("platform", self.platform.clone()),
            ("Lambda architecture", self.lambda_architecture.to_owned()),
            ("compressed size", format!("{} bytes", self.compressed_bytes)),
            (
                "used by",
                match self.used_by.as_deref() {
                    None => "not known".to_owned(),
                    Some([]) => "no stack".to_owned(),
                    Some(stacks) => stacks.join(", "),
                },
            ),
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
    let place = image.repository.ecr();
    if let Some((_, region)) = &place {
        check_region(context, args, &image, region)?;
    }
    let registry =
        connect(context, &args.connection.flags(), &args.login, &image.repository).await?;
    let verified = registry.verify(&image).await.map_err(registry_error)?;
    let used_by = match &place {
        Some((account, region)) => {
            let connection = connection::resolve(&context.layers, &args.connection.flags())?;
            let session = Session::open(&connection.session).await.in_region(region);
            let own = session.sts().identity().await.map(|identity| identity.account).ok();
            if own.as_ref().is_some_and(|own| own != account) {
                context.ui.warning(&format!(
                    "the image is in account {account} and this is another one; Lambda takes it only if the repository's policy allows this account.",
                ));
            }
            used_by(context, &session, &image, &verified.digest).await
        }
        None => {
            context.ui.warning(&format!(
                "{} is not a private ECR registry; Lambda takes images only from ECR in its own region.",
                image.repository.registry
            ));
            None
        }
    };
    context.ui.emit(&Verdict {
        image: image.to_string(),
        digest: verified.digest,
        platform: verified.platform.to_string(),
        lambda_architecture: verified.platform.lambda_name(),
        compressed_bytes: verified.layers_bytes,
        used_by,
    })?;
    Ok(ExitStatus::Success)
}

/// Refuses an image of another region than the one that was named: Lambda would
/// (<https://docs.aws.amazon.com/lambda/latest/dg/images-create.html>).
fn check_region(
    context: &Context<'_>,
    args: &VerifyArgs,
    image: &ImageReference,
    region: &Region,
) -> Result<(), CliError> {
    let connection = connection::resolve(&context.layers, &args.connection.flags())?;
    match &connection.region {
        Some(named) if named.value != *region => {
            let text = format!(
                "Lambda in {} ({}) will refuse `{image}`: the image is in {region}",
                named.value, named.source
            );
            Err(CliError::new(ExitStatus::Preflight, Message(text))
                .hint("`mtlog image publish --also-region REGION` puts it into more regions"))
        }
        _ => Ok(()),
    }
}

/// Returns the stacks that run the image. Not knowing them is no reason not to say the rest.
async fn used_by(
    context: &Context<'_>,
    session: &Session,
    image: &ImageReference,
    digest: &str,
) -> Option<Vec<String>> {
    let stored = StoredImage {
        digest: digest.to_owned(),
        tags: match &image.version {
            Version::Tag(tag) => vec![tag.clone()],
            Version::Digest(_) => Vec::new(),
        },
        bytes: None,
        pushed_at: None,
    };
    match list::uses(session).await {
        Ok(uses) => Some(list::users(&stored, &image.repository.path, &uses)),
        Err(error) => {
            context.ui.warning(&format!("{}.", error.chain().join(": ")));
            None
        }
    }
}
