//! `mtlog tenant link`: everything that a customer needs, as they like it.

#![expect(clippy::doc_markdown, reason = "the doc comments of flags are help texts")]

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use mtlog_processor::model::{
    arn::Partition,
    ids::{AccountId, BucketName, Region},
    tenant::{DeliveryKind, Destination, TenantItem},
};
use serde::Serialize;

use super::{
    Opened, TableArgs, open,
    pipeline::{self, CentralArgs, Pipeline},
    single, table_error,
};
use crate::{
    aws::{
        s3::BucketPresence,
        s3_sharing::{Presigned, Signer},
    },
    cli::{ConsentArgs, duration},
    commands::{Context, deploy},
    config::{
        layers::Setting,
        tenant::{self, TableSettings},
        vars,
    },
    deploy::{
        desired::{Place, usual_bucket},
        execute,
    },
    error::{CliError, ExitStatus, Message},
    onboard::{
        handover::{self, Handover, HandoverError, OwnId, Terms},
        sharing,
    },
    template::catalogue::TemplateId,
    ui::{OutputFormat, Report, qr, style::Palette, table::Table},
};

/// Print what a customer needs: links, commands, a note to send
///
/// The template is put under its hash into the template bucket, where the customer's account may read it. A link opens
/// the customer's console with every field filled in. Nothing has to be sent back: `mtlog tenant wait` sees the role.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  mtlog tenant link acme --yes\n  mtlog tenant link acme --target-region us-east-2,us-west-2 --markdown > acme.md\n  mtlog tenant link acme --presign 12h --qr"
)]
pub(super) struct LinkArgs {
    /// The tenant
    #[arg(value_name = "TENANT")]
    tenant: String,
    /// Where the customer is to make the role [default: the delivery's region]
    #[arg(long, value_name = "REGION", value_delimiter = ',')]
    target_region: Vec<Region>,
    #[command(flatten)]
    publication: PublicationArgs,
    /// Put the tenant's own ExternalId into link and commands, in clear; it is a secret
    #[arg(long)]
    with_external_ids: bool,
    /// Print each link as a QR code, too
    #[arg(long, conflicts_with = "markdown")]
    qr: bool,
    /// Print a note for the customer in Markdown
    #[arg(long)]
    markdown: bool,
    #[command(flatten)]
    central: CentralArgs,
    #[command(flatten)]
    table: TableArgs,
    #[command(flatten)]
    consent: ConsentArgs,
}

/// Where the customer reads the template.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Template")]
pub(super) struct PublicationArgs {
    /// Bucket for the template; made when it is missing [env: TEMPLATE_BUCKET]
    #[arg(long, short = 'b', value_name = "NAME")]
    bucket: Option<String>,
    /// The template is there already: print links to it and publish nothing
    #[arg(long, value_name = "URL", conflicts_with_all = ["bucket", "presign"])]
    template_url: Option<String>,
    /// Let nobody into the bucket: sign the link, for so long (12h; at most 168h)
    #[arg(long, value_name = "TIME", value_parser = duration)]
    presign: Option<Duration>,
}

/// What is printed.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Linked {
    handover: Handover,
    #[serde(skip)]
    text: String,
}

impl Report for Linked {
    fn tables(&self) -> Vec<Table> {
        Vec::new()
    }

    fn text(&self, _palette: Palette) -> String {
        self.text.clone()
    }
}

/// Where the template is, and until when.
#[derive(Debug)]
pub(super) struct Published {
    url: String,
    /// A signed link does not last.
    dies: Option<Presigned>,
}

impl Published {
    /// For those who need no template of ours.
    pub(super) const fn nowhere() -> Self {
        Self { url: String::new(), dies: None }
    }
}

/// Runs `mtlog tenant link`.
pub(super) async fn run(context: &Context<'_>, args: &LinkArgs) -> Result<ExitStatus, CliError> {
    let settings = tenant::table(&context.layers, &args.table.flags())?;
    let opened = open(&settings).await?;
    let item = single(&opened, &args.tenant, DeliveryKind::CloudWatch)
        .await
        .map_err(|error| table_error(error, &opened.region))?;
    let item = match item.item {
        Ok(item) => item,
        Err(error) => {
            return Err(CliError::new(ExitStatus::Preflight, error)
                .next(format!("mtlog tenant show {}", args.tenant)));
        }
    };
    let pipeline = pipeline::find(context, &settings, &opened, &args.central).await?;
    let published = publish(context, &opened, &item, &args.publication, &args.consent).await?;
    let own_id = if args.with_external_ids { Own::Shown } else { Own::Kept };
    let handover = handover(&settings, &pipeline, &item, &args.target_region, own_id, &published)?;
    let mut text = written(if args.markdown { handover.markdown() } else { handover.text() })?;
    if args.qr && context.ui.output() == OutputFormat::Table {
        for offer in &handover.offers {
            text.push_str(&format!(
                "\n{} ({})\n{}\n",
                offer.region,
                offer.stack,
                code(&offer.link)?
            ));
        }
    }
    warn_of_death(context, &published);
    context.ui.emit(&Linked { handover, text })?;
    context.ui.next(&format!(
        "mtlog tenant wait {}{}",
        args.tenant,
        pipeline::typed_flags(&settings)
    ));
    Ok(ExitStatus::Success)
}

/// Whether the tenant's own external id is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Own {
    Shown,
    Kept,
}

/// Puts together what the customer needs.
pub(super) fn handover(
    settings: &TableSettings,
    pipeline: &Pipeline,
    item: &TenantItem,
    regions: &[Region],
    own: Own,
    published: &Published,
) -> Result<Handover, CliError> {
    let (role, log_group) = role_of(item)?;
    let terms = Terms {
        tenant: item.tenant.clone(),
        account: role.account().clone(),
        regions: if regions.is_empty() {
            vec![item.target_region.clone()]
        } else {
            regions.to_vec()
        },
        central_role: pipeline.central_role.clone(),
        external_id: match (&item.external_id, own) {
            (None, _) => OwnId::None,
            (Some(id), Own::Shown) => OwnId::Shown(id.clone()),
            (Some(_), Own::Kept) => OwnId::Kept,
        },
        role_path: role.path(),
        log_group: log_group.clone(),
        project: settings.project.value.clone(),
        template_url: published.url.clone(),
        death: published.dies.as_ref().map(death),
    };
    written(handover::handover(&terms))
}

pub(super) fn written<T>(result: Result<T, HandoverError>) -> Result<T, CliError> {
    result.map_err(|error| CliError::new(ExitStatus::Unexpected, error))
}

fn code(link: &str) -> Result<String, CliError> {
    qr::code(link).map_err(|error| {
        CliError::because(ExitStatus::Usage, "the link is too long for a QR code", error)
            .hint("without --presign it is shorter")
    })
}

fn role_of(
    item: &TenantItem,
) -> Result<
    (&mtlog_processor::model::arn::RoleArn, &mtlog_processor::model::ids::LogGroupName),
    CliError,
> {
    match &item.destination {
        Destination::CloudWatch { role, log_group, .. } => Ok((role, log_group)),
        Destination::S3 { .. } => Err(CliError::new(
            ExitStatus::Usage,
            Message("an s3 delivery needs no role of the customer".to_owned()),
        )),
    }
}

/// Sees to it that the customer can read the template.
pub(super) async fn publish(
    context: &Context<'_>,
    opened: &Opened,
    item: &TenantItem,
    args: &PublicationArgs,
    consent: &ConsentArgs,
) -> Result<Published, CliError> {
    if let Some(url) = &args.template_url {
        if !url.starts_with("https://") {
            let text = format!(
                "--template-url: `{url}` is no address that CloudFormation reads: it starts with https://"
            );
            return Err(CliError::new(ExitStatus::Usage, Message(text)));
        }
        return Ok(Published { url: url.clone(), dies: None });
    }
    let (role, _) = role_of(item)?;
    let place = Place { account: opened.identity.account.clone(), region: opened.region.clone() };
    let bucket = bucket(context, args, &place)?;
    let key = TemplateId::Customer.object_key();
    let reader = if args.presign.is_some() { None } else { Some(role.account()) };
    let todo = look(opened, &bucket, &key, reader, &place).await?;
    if todo != Todo::default() {
        let question = format!(
            "Write to bucket {bucket} in {} of account {}: {}?",
            place.region,
            place.account,
            todo.sentence()
        );
        let _consent = context.ui.agree(&question, &consent.answers())?;
        carry_out(context, opened, &bucket, &key, &todo, &place).await?;
    }
    let s3 = opened.session.s3();
    if let Some(life) = args.presign {
        let link = s3.presigned(&bucket, &key, life).await.map_err(|fault| {
            CliError::aws(format!("failed to sign a link to `{key}` in bucket `{bucket}`"), fault)
        })?;
        return Ok(Published { url: link.url.clone(), dies: Some(link) });
    }
    let suffix = Partition::of(&place.region).dns_suffix();
    Ok(Published {
        url: format!("https://{bucket}.s3.{}.{suffix}/{key}", place.region),
        dies: None,
    })
}

fn bucket(
    context: &Context<'_>,
    args: &PublicationArgs,
    place: &Place,
) -> Result<BucketName, CliError> {
    let mut resolver = context.layers.resolver();
    let bucket = resolver.optional::<BucketName>(&vars::TEMPLATE_BUCKET, args.bucket.as_deref());
    resolver.finish()?;
    Ok(bucket.map_or_else(|| usual_bucket(place), |Setting { value, .. }| value))
}

/// What has to be written before the customer can read the template.
#[derive(Debug, Default, PartialEq, Eq)]
struct Todo {
    create: bool,
    upload: bool,
    /// The account that has to be let in.
    admit: Option<AccountId>,
}

impl Todo {
    fn sentence(&self) -> String {
        let mut parts = Vec::new();
        if self.create {
            parts.push("make it".to_owned());
        }
        if self.upload {
            parts.push("the customer template".to_owned());
        }
        if let Some(reader) = &self.admit {
            parts.push(format!("a policy that lets account {reader} read that one object"));
        }
        parts.join(", ")
    }
}

async fn look(
    opened: &Opened,
    bucket: &BucketName,
    key: &str,
    reader: Option<&AccountId>,
    place: &Place,
) -> Result<Todo, CliError> {
    let s3 = opened.session.s3();
    let failed = |fault| CliError::aws(format!("failed to look at bucket `{bucket}`"), fault);
    let presence = s3.presence(bucket, &place.account).await.map_err(failed)?;
    let unusable = |text: String| {
        CliError::new(ExitStatus::Preflight, Message(text))
            .hint("name another bucket with --bucket, or where the template is with --template-url")
    };
    let create = match presence {
        BucketPresence::Absent => true,
        BucketPresence::Ours { .. } => false,
        BucketPresence::Foreign => {
            return Err(unusable(format!(
                "bucket `{bucket}` belongs to somebody else, or this identity may not see it: that takes \
                 `s3:ListBucket` on it"
            )));
        }
        BucketPresence::Elsewhere { region } => {
            let text = format!("bucket `{bucket}` is in {region}, not in {}", place.region);
            return Err(unusable(text));
        }
    };
    let upload = create || !s3.has_object(bucket, &place.account, key).await.map_err(failed)?;
    let admit = match reader {
        None => None,
        Some(reader) => {
            let before = if create { None } else { s3.policy(bucket).await.map_err(failed)? };
            admitting(before.as_deref(), bucket, key, reader, place)?.map(|_| reader.clone())
        }
    };
    Ok(Todo { create, upload, admit })
}

async fn carry_out(
    context: &Context<'_>,
    opened: &Opened,
    bucket: &BucketName,
    key: &str,
    todo: &Todo,
    place: &Place,
) -> Result<(), CliError> {
    let s3 = opened.session.s3();
    let failed = |fault| CliError::aws(format!("failed to write to bucket `{bucket}`"), fault);
    if todo.create {
        execute::create_bucket(&s3, bucket, &place.region).await.map_err(deploy::step_failed)?;
    }
    if todo.upload {
        let content = TemplateId::Customer.text().as_bytes().to_vec();
        s3.put_if_absent(bucket, &place.account, key, content).await.map_err(failed)?;
    }
    if let Some(reader) = &todo.admit {
        // Read again: a new bucket has a policy by now, and another run may have added to an old one.
        let before = s3.policy(bucket).await.map_err(failed)?;
        if let Some(policy) = admitting(before.as_deref(), bucket, key, reader, place)? {
            s3.set_policy(bucket, &policy).await.map_err(failed)?;
        }
    }
    context.ui.detail(&format!("published {key} in bucket {bucket}"));
    Ok(())
}

fn admitting(
    policy: Option<&str>,
    bucket: &BucketName,
    key: &str,
    reader: &AccountId,
    place: &Place,
) -> Result<Option<String>, CliError> {
    sharing::with_reader(policy, bucket, key, reader, Partition::of(&place.region)).map_err(
        |error| {
            CliError::new(ExitStatus::Preflight, error)
                .hint("use --presign, or keep the template elsewhere and give --template-url")
        },
    )
}

pub(super) fn warn_of_death(context: &Context<'_>, published: &Published) {
    let Some(link) = &published.dies else { return };
    context.ui.warning(&format!("The links {}.", death(link)));
}

/// Says when a signed link dies, as far as anybody knows.
fn death(link: &Presigned) -> String {
    let ends = minute(link.ends);
    match link.signer {
        Signer::SessionUntil(end) if end < link.ends => format!(
            "die on {}: a session signed them, and it ends before the {ends} that was asked for",
            minute(end)
        ),
        Signer::Lasting | Signer::SessionUntil(_) => format!("die on {ends}"),
        Signer::Session => format!(
            "die with the session that signed them, whenever that ends, and on {ends} at the latest"
        ),
    }
}

fn minute(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
