//! `mtlog image publish`: from a static binary to a digest that Lambda takes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use mtlog_processor::model::ids::Region;
use serde::Serialize;

use super::{
    Context, DEFAULT_REPOSITORY, LoginArgs, connect, ecr_login, region_of, registry_error,
};
use crate::{
    aws::{ecr::Ensured, session::Session},
    cli::{ConnectionArgs, ConsentArgs},
    commands::identity,
    config::{connection, environment::program_path},
    error::{CliError, ExitStatus, Message},
    image::{
        binary::{self, Platform},
        certificates, export,
        pack::{Contents, Image, digest, pack},
        reference::{ImageReference, Repository},
        registry::{PushEvent, Registry},
        sbom,
    },
    ui::{Report, Ui, table::Table},
};

/// The package whose dependencies are inside the image.
const ENGINE_PACKAGE: &str = "mtlog-processor";
/// The engine's file name, next to this program in a release.
const ENGINE_FILE: &str = "log-processor";
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
    /// Repository in ECR; made when it is missing
    #[arg(long, value_name = "NAME", default_value = DEFAULT_REPOSITORY)]
    repository: String,
    /// Push to this region too; may be given several times
    #[arg(long = "also-region", value_name = "REGION")]
    also_regions: Vec<String>,
    /// Push to HOST/REPOSITORY instead of to ECR
    #[arg(long, value_name = "HOST/REPO", conflicts_with = "also_regions")]
    registry: Option<String>,
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
    let images = if args.oci_layout.is_some() || args.tarball.is_some() {
        write_files(&args, &image, &tag)?;
        Vec::new()
    } else if let Some(text) = &args.registry {
        let repository = usage(text.parse::<Repository>())?;
        usage(repository.tagged(&tag).to_string().parse::<ImageReference>())?;
        let registry = connect(context, &args.connection.flags(), &args.login, &repository).await?;
        let _consent =
            context.ui.agree(&format!("Push to {repository}?"), &args.consent.answers())?;
        vec![push(context.ui, &registry, &image, &repository, &tag).await?]
    } else {
        push_to_ecr(context, &args, &image, &tag).await?
    };
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
    let program = fs::read(&path).map_err(|error| {
        CliError::new(
            ExitStatus::Preflight,
            Message(format!("failed to read `{}`: {error}", path.display())),
        )
    })?;
    let platform = binary::platform(&program).map_err(|error| unusable(&path, error))?;
    if let Some(text) = &args.platform {
        let wanted = Platform::from_oci_name(text).ok_or_else(|| {
            CliError::new(
                ExitStatus::Usage,
                Message(format!("--platform: `{text}` is not linux/amd64 or linux/arm64")),
            )
        })?;
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

fn unusable(path: &Path, error: binary::BinaryError) -> CliError {
    let text = format!("`{}` cannot be the program of an image: {error}", path.display());
    CliError::new(ExitStatus::Preflight, Message(text))
        .next("cargo build --release -p mtlog-processor --target x86_64-unknown-linux-musl")
}

/// The engine next to this program, as a release has it.
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
    written.map_err(|error| CliError::new(ExitStatus::Unexpected, error))
}

async fn push_to_ecr(
    context: &Context<'_>,
    args: &PublishArgs,
    image: &Image,
    tag: &str,
) -> Result<Vec<String>, CliError> {
    let connection = connection::resolve(&context.layers, &args.connection.flags())?;
    let session = Session::open(&connection.session).await;
    let mut regions = vec![region_of(&session, &connection)?];
    for text in &args.also_regions {
        let region = usage(text.parse::<Region>())?;
        if !regions.contains(&region) {
            regions.push(region);
        }
    }
    let identity = identity::checked(&session, &connection).await?;
    let names: Vec<&str> = regions.iter().map(Region::as_str).collect();
    let question = format!(
        "Push {} to account {} in {}?",
        args.repository,
        identity.account,
        names.join(", ")
    );
    let _consent = context.ui.agree(&question, &args.consent.answers())?;
    let mut images = Vec::new();
    for region in &regions {
        let session = session.in_region(region);
        let ensured = session.ecr().ensure_repository(&args.repository).await.map_err(|fault| {
            CliError::aws(format!("failed to make sure of repository `{}`", args.repository), fault)
        })?;
        if ensured == Ensured::Created {
            context.ui.status(&format!("Made repository {} in {region}.", args.repository));
        }
        let (login, host) = ecr_login(&session, region).await?;
        let repository = usage(format!("{host}/{}", args.repository).parse::<Repository>())?;
        let registry = Registry::new(&host, &login).map_err(registry_error)?;
        images.push(push(context.ui, &registry, image, &repository, tag).await?);
    }
    Ok(images)
}

async fn push(
    ui: &Ui,
    registry: &Registry,
    image: &Image,
    repository: &Repository,
    tag: &str,
) -> Result<String, CliError> {
    let mut sent = 0;
    let verified = registry
        .push(image, repository, tag, &mut |event| {
            if let PushEvent::Uploaded { bytes, .. } = event {
                sent += bytes;
            }
            say(ui, &event);
        })
        .await
        .map_err(registry_error)?;
    ui.status(&format!(
        "{repository}:{tag} is complete: {sent} bytes sent, {} in all.",
        verified.layers_bytes
    ));
    Ok(repository.at_digest(&verified.digest).to_string())
}

fn say(ui: &Ui, event: &PushEvent) {
    match event {
        PushEvent::Present { digest, .. } => ui.detail(&format!("{digest} is there already.")),
        PushEvent::Uploading { digest, bytes } => {
            ui.status(&format!("Uploading {digest}, {bytes} bytes."))
        }
        PushEvent::Retrying { digest, attempt, reason } => {
            ui.warning(&format!(
                "attempt {attempt} to upload {digest} failed and is repeated: {reason}."
            ));
        }
        PushEvent::Uploaded { digest, .. } => ui.detail(&format!("{digest} is uploaded.")),
    }
}

fn usage<T, E>(parsed: Result<T, E>) -> Result<T, CliError>
where
    E: std::error::Error + Send + Sync + 'static,
{
    parsed.map_err(|error| CliError::new(ExitStatus::Usage, error))
}
