//! `mtlog image publish`: from a static binary to a digest that Lambda takes.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::{
    Context, DestinationArgs, LoginArgs, Place, bundled, places, program, registry_error,
    wanted_platform,
};
use crate::{
    cli::{ConnectionArgs, ConsentArgs},
    error::{CliError, ExitStatus, Message},
    image::{
        certificates, export,
        pack::{Contents, Image, digest, pack},
        registry::PushEvent,
        sbom,
    },
    ui::{Report, Ui, counter::Counter, table::Table},
};

/// The package whose dependencies are inside the image.
const ENGINE_PACKAGE: &str = "mtlog-processor";
/// So much of the digest goes into the tag: enough to tell builds of one version apart.
const TAG_DIGITS: usize = 12;

/// Pack the engine into an image and push it; needs no container engine
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  mtlog deploy regional --include-lambda --image \"$(mtlog image publish --yes)\""
)]
pub(super) struct PublishArgs {
    /// The static engine binary; the one next to this program when absent
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// Refuse a binary for another platform: linux/amd64 or linux/arm64
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
    #[command(flatten)]
    destination: DestinationArgs,
    /// Tag; made of version and content when absent
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// The source revision, for the image's annotations
    #[arg(long, value_name = "REVISION")]
    revision: Option<String>,
    /// Write an OCI layout here and push nothing
    #[arg(long, value_name = "DIR", conflicts_with_all = ["registry", "also_regions", "tarball"])]
    oci_layout: Option<PathBuf>,
    /// Write a tarball of the OCI layout here and push nothing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["registry", "also_regions"])]
    tarball: Option<PathBuf>,
    #[command(flatten)]
    login: LoginArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    consent: ConsentArgs,
}

#[derive(Debug, Serialize)]
struct Published {
    digest: String,
    platform: String,
    compressed_bytes: u64,
    /// The references, one for each region or registry.
    images: Vec<String>,
}

impl Report for Published {
    /// Only the references: the output is made to be used in another command.
    fn tables(&self) -> Vec<Table> {
        let mut table = Table::new([]);
        let lines =
            if self.images.is_empty() { std::slice::from_ref(&self.digest) } else { &self.images };
        for image in lines {
            table.row([image.clone()]);
        }
        vec![table]
    }
}

/// Runs `mtlog image publish`.
pub(super) async fn run(context: &Context<'_>, args: PublishArgs) -> Result<ExitStatus, CliError> {
    let image = build(&args)?;
    let tag = args.tag.clone().unwrap_or_else(|| default_tag(&image));
    let mut images = Vec::new();
    if args.oci_layout.is_some() || args.tarball.is_some() {
        write_files(&args, &image, &tag)?;
    } else {
        let (destination, connection) = (&args.destination, &args.connection);
        let places =
            places(context, destination, connection, &args.login, &args.consent, &tag).await?;
        for place in &places {
            images.push(push(context.ui, place, &image, &tag).await?);
        }
    }
    context.ui.emit(&Published {
        digest: image.manifest.digest.clone(),
        platform: image.platform.to_string(),
        compressed_bytes: image.layer.bytes.len() as u64,
        images,
    })?;
    Ok(ExitStatus::Success)
}

/// Reads the binary and packs it.
fn build(args: &PublishArgs) -> Result<Image, CliError> {
    let path = match &args.binary {
        Some(path) => path.clone(),
        None => bundled()?,
    };
    let (program, platform) = program(&path)?;
    if let Some(text) = &args.platform {
        let wanted = wanted_platform(text)?;
        if wanted != platform {
            let text = format!("`{}` is for {platform}, not for {wanted}", path.display());
            return Err(CliError::new(ExitStatus::Preflight, Message(text)));
        }
    }
    let contents = Contents {
        program: &program,
        platform,
        certificates: &certificates::pem(),
        sbom: &sbom::spdx(ENGINE_PACKAGE, &digest(&program)),
        version: env!("CARGO_PKG_VERSION"),
        revision: args.revision.as_deref(),
    };
    pack(&contents).map_err(|error| CliError::new(ExitStatus::Unexpected, error))
}

fn default_tag(image: &Image) -> String {
    let hex = image.manifest.digest.trim_start_matches("sha256:");
    let short: String = hex.chars().take(TAG_DIGITS).collect();
    format!("{}-{short}", env!("CARGO_PKG_VERSION"))
}

fn write_files(args: &PublishArgs, image: &Image, tag: &str) -> Result<(), CliError> {
    let written = match (&args.oci_layout, &args.tarball) {
        (Some(directory), _) => export::write_layout(image, tag, directory),
        (None, Some(file)) => export::write_tarball(image, tag, file),
        (None, None) => Ok(()),
    };
    written.map_err(|error| {
        let full = error.is_disk_full();
        let error = CliError::new(ExitStatus::Unexpected, error);
        if full {
            error.hint("the disk is full; nothing half-written is left under the name")
        } else {
            error
        }
    })
}

/// Pushes to one place and returns the reference by digest.
async fn push(ui: &Ui, place: &Place, image: &Image, tag: &str) -> Result<String, CliError> {
    let target = place.repository.tagged(tag);
    let reference = place.repository.at_digest(&image.manifest.digest).to_string();
    // Asked before anything else: without a change, this is all that there is to do.
    if place.registry.holds(image, &place.repository, tag).await.map_err(registry_error)? {
        ui.status(&format!("{target} is there already; nothing was sent."));
        return Ok(reference);
    }
    place.prepare(ui).await?;
    let (mut sent, mut bar) = (0, None);
    place
        .registry
        .push(image, &place.repository, tag, &mut |event| match event {
            PushEvent::Present { digest, .. } => ui.detail(&format!("{digest} is there already.")),
            PushEvent::Uploading { digest, bytes } => {
                ui.status(&format!("Uploading {digest}, {bytes} bytes."));
                bar = Some(Counter::bytes(ui, bytes));
            }
            PushEvent::Sent { bytes } => {
                if let Some(bar) = &bar {
                    bar.set(bytes);
                }
            }
            PushEvent::Retrying { subject, attempt, reason } => ui.warning(&format!(
                "attempt {attempt} at {subject} failed and is repeated: {reason}."
            )),
            PushEvent::Uploaded { digest, bytes } => {
                bar = None;
                sent += bytes;
                ui.detail(&format!("{digest} is uploaded."));
            }
        })
        .await
        .map_err(registry_error)?;
    ui.status(&format!(
        "{target} is complete: {sent} bytes sent, {} in all.",
        image.layer.bytes.len()
    ));
    Ok(reference)
}
