//! `mtlog image list` and `prune`: what a repository in ECR holds, and what can go.

use std::collections::BTreeSet;

use clap::Args;
use serde::Serialize;

use super::{Context, DEFAULT_REPOSITORY, region_of};
use crate::{
    aws::{ecr::StoredImage, session::Session},
    cli::{ConnectionArgs, ConsentArgs},
    commands::identity,
    config::connection,
    error::{CliError, ExitStatus, Message},
    image::reference::{ImageReference, Version},
    ui::{Report, table::Table},
};

/// List the images of a repository in ECR
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// The repository
    #[arg(long, value_name = "NAME", default_value = DEFAULT_REPOSITORY)]
    repository: String,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Delete old images from a repository in ECR
#[derive(Debug, Args)]
pub(super) struct PruneArgs {
    /// How many of the newest images stay
    #[arg(long, value_name = "COUNT")]
    keep: usize,
    /// The repository
    #[arg(long, value_name = "NAME", default_value = DEFAULT_REPOSITORY)]
    repository: String,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    consent: ConsentArgs,
}

#[derive(Debug, Serialize)]
struct Row {
    digest: String,
    tags: Vec<String>,
    bytes: Option<u64>,
    pushed_at: Option<String>,
    /// The stacks that run it.
    used_by: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Listing {
    repository: String,
    images: Vec<Row>,
}

impl Report for Listing {
    fn tables(&self) -> Vec<Table> {
        let mut table = Table::new(["TAGS", "DIGEST", "BYTES", "PUSHED", "USED BY"])
            .or_say(format!("Repository {} holds no image.", self.repository));
        for row in &self.images {
            table.row([
                row.tags.join(", "),
                row.digest.clone(),
                row.bytes.map_or_else(|| "-".to_owned(), |bytes| bytes.to_string()),
                row.pushed_at.clone().unwrap_or_else(|| "-".to_owned()),
                if row.used_by.is_empty() { "-".to_owned() } else { row.used_by.join(", ") },
            ]);
        }
        vec![table]
    }
}

/// An image that a stack runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Use {
    stack: String,
    image: String,
}

/// Runs `mtlog image list`.
pub(super) async fn list(context: &Context<'_>, args: &ListArgs) -> Result<ExitStatus, CliError> {
    let connection = connection::resolve(&context.layers, &args.connection.flags())?;
    let session = Session::open(&connection.session).await;
    let images = images(&session, &args.repository).await?;
    let uses = uses(&session).await?;
    context.ui.emit(&listing(&args.repository, images, &uses))?;
    Ok(ExitStatus::Success)
}

/// Runs `mtlog image prune`.
pub(super) async fn prune(context: &Context<'_>, args: &PruneArgs) -> Result<ExitStatus, CliError> {
    let connection = connection::resolve(&context.layers, &args.connection.flags())?;
    let session = Session::open(&connection.session).await;
    let region = region_of(&session, &connection)?;
    let identity = identity::checked(&session, &connection).await?;
    let images = images(&session, &args.repository).await?;
    let uses = uses(&session).await?;
    let doomed = superfluous(&images, &args.repository, args.keep, &uses);
    if doomed.is_empty() {
        context.ui.status("Nothing to delete.");
        return Ok(ExitStatus::Success);
    }
    let leaving = images.into_iter().filter(|image| doomed.contains(&image.digest)).collect();
    context.ui.emit(&listing(&args.repository, leaving, &uses))?;
    let warning = format!(
        "{} to delete from {} in {region}, account {}.",
        count(doomed.len()),
        args.repository,
        identity.account
    );
    let _consent = context.ui.agree_by_name(&warning, &args.repository, &args.consent.answers())?;
    let failed = session.ecr().delete(&args.repository, &doomed).await.map_err(|fault| {
        CliError::aws(format!("failed to delete images of `{}`", args.repository), fault)
    })?;
    for (digest, reason) in &failed {
        context.ui.warning(&format!("{digest} was not deleted: {reason}."));
    }
    context.ui.status(&format!("Deleted {}.", count(doomed.len() - failed.len())));
    Ok(if failed.is_empty() { ExitStatus::Success } else { ExitStatus::Unexpected })
}

fn count(images: usize) -> String {
    if images == 1 { "1 image".to_owned() } else { format!("{images} images") }
}

async fn images(session: &Session, repository: &str) -> Result<Vec<StoredImage>, CliError> {
    session
        .ecr()
        .images(repository)
        .await
        .map_err(|fault| CliError::aws(format!("failed to list repository `{repository}`"), fault))?
        .ok_or_else(|| {
            let text = format!("there is no repository `{repository}` in this account and region");
            CliError::new(ExitStatus::Preflight, Message(text)).next("mtlog image publish")
        })
}

/// The images that stacks of this account and region run. It must be known before anything is deleted.
pub(super) async fn uses(session: &Session) -> Result<Vec<Use>, CliError> {
    let stacks = session
        .cloudformation()
        .stacks_named("")
        .await
        .map_err(|fault| CliError::aws("failed to find out which images are in use", fault))?;
    let image = |stack: &crate::deploy::stack::Stack| stack.parameters.get("ECRImageUri").cloned();
    Ok(stacks
        .iter()
        .filter_map(|stack| {
            Some(Use {
                stack: stack.name.clone(),
                image: image(stack).filter(|uri| !uri.is_empty())?,
            })
        })
        .collect())
}

/// Returns the digests that can go: not among the newest `keep`, and run by no stack.
fn superfluous(
    newest_first: &[StoredImage],
    repository: &str,
    keep: usize,
    uses: &[Use],
) -> BTreeSet<String> {
    newest_first
        .iter()
        .skip(keep)
        .filter(|image| users(image, repository, uses).is_empty())
        .map(|image| image.digest.clone())
        .collect()
}

/// Returns the stacks that run an image of `repository`. A parameter that is no reference counts for every image: what
/// is not understood is not deleted.
pub(super) fn users(image: &StoredImage, repository: &str, uses: &[Use]) -> Vec<String> {
    let runs = |uri: &str| match uri.parse::<ImageReference>() {
        Err(_) => true,
        Ok(used) if used.repository.path != repository => false,
        Ok(used) => match used.version {
            Version::Digest(digest) => digest == image.digest,
            Version::Tag(tag) => image.tags.contains(&tag),
        },
    };
    uses.iter().filter(|used| runs(&used.image)).map(|used| used.stack.clone()).collect()
}

fn listing(repository: &str, images: Vec<StoredImage>, uses: &[Use]) -> Listing {
    let images = images
        .into_iter()
        .map(|image| Row {
            used_by: users(&image, repository, uses),
            pushed_at: image
                .pushed_at
                .and_then(|time| jiff::Timestamp::try_from(time).ok())
                .map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
            digest: image.digest,
            tags: image.tags,
            bytes: image.bytes,
        })
        .collect();
    Listing { repository: repository.to_owned(), images }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(digest: &str, tag: &str) -> StoredImage {
        StoredImage {
            digest: digest.to_owned(),
            tags: vec![tag.to_owned()],
            bytes: None,
            pushed_at: None,
        }
    }

    #[test]
    fn an_image_in_use_is_never_superfluous() {
        let digest = |letter: &str| format!("sha256:{}", letter.repeat(64));
        let images = [
            image(&digest("d"), "4"),
            image(&digest("c"), "3"),
            image(&digest("b"), "2"),
            image(&digest("a"), "1"),
        ];
        let used = |uri: &str| vec![Use { stack: "s".to_owned(), image: uri.to_owned() }];
        let letters = |uses: &[Use], keep| {
            let digests = superfluous(&images, "log-processor", keep, uses);
            digests.iter().filter_map(|digest| digest.chars().last()).collect::<String>()
        };
        let host = "1.dkr.ecr.us-east-1.amazonaws.com";
        assert_eq!(letters(&[], 1), "abc");
        assert_eq!(letters(&used(&format!("{host}/log-processor@{}", digest("b"))), 1), "ac");
        assert_eq!(letters(&used(&format!("{host}/log-processor:1")), 0), "bcd");
        assert_eq!(letters(&used(&format!("{host}/other:1")), 0), "abcd");
        assert_eq!(letters(&used("not a reference"), 0), "");
        assert_eq!(letters(&[], 9), "");
    }
}
