//! `mtlog image push`: an image of a container engine, into ECR or another registry.

use clap::Args;
use serde::Serialize;

use super::{
    Context, DestinationArgs, LoginArgs, Place, engine, engine_error, places, registry_error,
};
use crate::{
    cli::{ConnectionArgs, ConsentArgs},
    error::{CliError, ExitStatus},
    image::{engine::Engine, failure::RegistryError, reference::ImageReference},
    ui::{Report, table::Table},
};

/// Push an image that a container engine has
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  mtlog image push localhost/mtlog-collector:0.1.0 --repository mtlog-collector --yes"
)]
pub(super) struct PushArgs {
    /// The image, as the engine calls it
    #[arg(value_name = "NAME:TAG")]
    image: String,
    /// The engine; the first that is there when absent
    #[arg(long, value_enum, value_name = "ENGINE")]
    engine: Option<Engine>,
    #[command(flatten)]
    destination: DestinationArgs,
    /// Tag in the registry; that of the image when absent
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    #[command(flatten)]
    login: LoginArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    consent: ConsentArgs,
}

#[derive(Debug, Serialize)]
struct Pushed {
    /// The references by digest, one for each region or registry.
    images: Vec<String>,
}

impl Report for Pushed {
    /// Only the references: the output is made to be used in another command.
    fn tables(&self) -> Vec<Table> {
        let mut table = Table::new([]);
        for image in &self.images {
            table.row([image.clone()]);
        }
        vec![table]
    }
}

/// Runs `mtlog image push`.
pub(super) async fn run(context: &Context<'_>, args: &PushArgs) -> Result<ExitStatus, CliError> {
    let engine = engine(context, args.engine)?;
    let tag = args.tag.clone().or_else(|| tag_of(&args.image)).ok_or_else(|| {
        let text = format!("`{}` has no tag", args.image);
        CliError::new(ExitStatus::Usage, text).hint("name the tag in the registry with --tag")
    })?;
    let places =
        places(context, &args.destination, &args.connection, &args.login, &args.consent, &tag)
            .await?;
    let mut images = Vec::new();
    for place in &places {
        place.prepare(context.ui).await?;
        images.push(push(context, engine, &args.image, place, &tag).await?.to_string());
    }
    context.ui.emit(&Pushed { images })?;
    Ok(ExitStatus::Success)
}

/// Pushes to one place and returns the reference by digest, read back from there.
async fn push(
    context: &Context<'_>,
    engine: Engine,
    image: &str,
    place: &Place,
    tag: &str,
) -> Result<ImageReference, CliError> {
    let target = place.repository.tagged(tag);
    context.ui.status(&format!("Pushing {target} with {engine}."));
    engine
        .push(image, &target, &place.login, &mut |line| context.ui.status(&format!("  {line}")))
        .map_err(engine_error)?;
    match place.registry.verify(&target).await {
        Ok(verified) => Ok(place.repository.at_digest(&verified.digest)),
        // It is where it was to go; a collector need not run in Lambda.
        Err(RegistryError::Unacceptable { source, .. }) => {
            context.ui.warning(&format!("Lambda will refuse {target}: {source}."));
            let digest = place.registry.digest_of(&target).await.map_err(registry_error)?;
            Ok(place.repository.at_digest(&digest))
        }
        Err(error) => Err(registry_error(error)),
    }
}

fn tag_of(image: &str) -> Option<String> {
    let (_, last) = image.rsplit_once('/').unwrap_or(("", image));
    last.split_once(':').map(|(_, tag)| tag.to_owned()).filter(|_| !image.contains('@'))
}

#[cfg(test)]
mod tests {
    use super::tag_of;

    #[test]
    fn the_tag_is_what_stands_behind_the_last_name() {
        for (image, tag) in [
            ("localhost/log-processor:0.1.0", Some("0.1.0")),
            ("log-processor:1", Some("1")),
            ("localhost:5000/log-processor", None),
            ("localhost/log-processor@sha256:00", None),
        ] {
            assert_eq!(tag_of(image).as_deref(), tag, "{image}");
        }
    }
}
