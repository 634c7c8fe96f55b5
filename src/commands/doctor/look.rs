//! What `mtlog doctor` looks at: only what the checks need, everything at the same time.

use std::collections::BTreeSet;

use jiff::Timestamp;
use mtlog_processor::model::{
    arn::Partition,
    ids::BucketName,
    key::{KeyPrefix, LogObject},
};

use crate::{
    aws::{
        fault::Fault,
        s3::{BucketPresence, S3},
    },
    commands::{Context, target::Opened},
    deploy::{
        stack::Stack,
        target::{Target, stack_name},
    },
    doctor::{
        Look,
        facts::{BucketStanding, Facts, Keys, Provider},
    },
    onboard::table::{Entry, TableError, TenantTable},
    operate::{
        metric::{Period, Window},
        pipeline::Pipeline,
        reading::Reading,
        view::{self, Numbers},
    },
    template::{catalogue::TemplateId, document::Document},
};

/// The time that metrics are looked at, in minutes.
const HOUR: u16 = 60;
/// Clusters whose namespaces are listed; each costs a call.
const MAX_CLUSTERS: usize = 25;
/// Settings that name a part of the pipeline.
const SETTINGS: [&str; 5] = [
    "CENTRAL_LOG_DISTRIBUTION_ROLE_ARN",
    "TENANT_CONFIG_TABLE",
    "SQS_QUEUE_URL",
    "S3_KEY_PREFIX",
    "SOURCE_BUCKET",
];

/// The stacks, and what follows from them.
struct Deployed {
    stacks: Reading<Vec<Stack>>,
    global: Option<Stack>,
    regional: Option<Stack>,
    pipeline: Pipeline,
    /// The central role that the regional stack uses, if it is in this account.
    central_role: Option<String>,
}

async fn deployed(opened: &Opened) -> Deployed {
    let project = opened.settings.project.value.as_str();
    let listed = opened.session.cloudformation().stacks_named(&format!("{project}-")).await;
    let stacks = Reading::of(listed);
    let naming = opened.naming(&opened.place.region);
    let stack_of = |target| {
        let name = stack_name(target, naming).ok()?;
        stacks.value()?.iter().find(|stack| stack.name == name.as_str()).cloned()
    };
    let (global, regional) = (stack_of(Target::Global), stack_of(Target::Regional));
    let pipeline = regional.as_ref().map(Pipeline::of_stack).unwrap_or_default();
    let used =
        regional.as_ref().and_then(|stack| stack.outputs.get("CentralLogDistributionRoleArn"));
    let account = opened.place.account.as_str();
    let central_role = used.filter(|arn| arn.split(':').nth(4) == Some(account)).cloned();
    Deployed { stacks, global, regional, pipeline, central_role }
}

/// Looks at what the checks need, everything at the same time.
pub(super) async fn look(context: &Context<'_>, opened: &Opened, looks: &BTreeSet<Look>) -> Facts {
    let now = Timestamp::now();
    let session = &opened.session;
    let Deployed { stacks, global, regional, pipeline, central_role: central } =
        deployed(opened).await;
    let known: &[Stack] = stacks.value().map_or(&[], Vec::as_slice);
    let wanted = |look: Look| looks.contains(&look);
    let window = Window::until(now, Period::Minute, HOUR);
    let metrics = view::metrics(&pipeline);
    let bucket = pipeline.bucket.as_deref().filter(|_| wanted(Look::Bucket));
    let bucket_name = bucket.and_then(|bucket| bucket.parse::<BucketName>().ok());
    let table = pipeline.table.as_deref();
    let function = pipeline.function.as_deref();
    let (project, environment) =
        (&opened.settings.project.value, &opened.settings.environment.value);
    let start = format!("{project}-{environment}-");
    let (s3, sqs, dynamodb) = (session.s3(), session.sqs(), session.dynamodb());
    let (lambda, cloudwatch, sts, iam) =
        (session.lambda(), session.cloudwatch(), session.sts(), session.iam());
    let sns = session.sns();
    // Boxed: together they are too large for one future.
    let of_bucket = Box::pin(async {
        tokio::join!(
            when(bucket, |bucket| standing(&s3, bucket, opened)),
            when(bucket, |bucket| s3.notifications(bucket)),
            when(bucket, |bucket| s3.expiry_days(bucket)),
            when(bucket, |bucket| s3.is_kms_encrypted(bucket)),
            when(bucket, |bucket| s3.blocks_the_public(bucket)),
            when(bucket_name.as_ref(), |bucket| s3.policy(bucket)),
            when(bucket.filter(|_| wanted(Look::Keys)), |bucket| {
                keys(&s3, bucket, &pipeline.key_prefix)
            }),
        )
    });
    let of_parts = Box::pin(async {
        let queue = pipeline.queue.as_ref().filter(|_| wanted(Look::Queues));
        let dead_letters = pipeline.dead_letters.as_ref().filter(|_| wanted(Look::Queues));
        tokio::join!(
            when(queue, |queue| sqs.settings(&queue.url)),
            when(dead_letters, |queue| sqs.settings(&queue.url)),
            when(table.filter(|_| wanted(Look::Table)), |table| dynamodb.facts(table)),
            when(function.filter(|_| wanted(Look::Function)), |name| lambda.function(name)),
            when(function.filter(|_| wanted(Look::Mappings)), |name| lambda.mappings(name)),
            when(Some(()).filter(|()| wanted(Look::Alarms)), |()| cloudwatch.alarms(&start)),
            when(Some(()).filter(|()| wanted(Look::Clock)), |()| sts.ahead()),
        )
    });
    let of_rest = Box::pin(async {
        let hour = (wanted(Look::Hour) && !metrics.is_empty()).then_some(&metrics);
        let role = central.as_deref().filter(|_| wanted(Look::CentralRole));
        let topic = pipeline.topic_arn.as_deref().filter(|_| wanted(Look::Topic));
        tokio::join!(
            when(topic, |topic| sns.topic(topic)),
            when(topic, |topic| sns.queues(topic)),
            when(hour, |metrics| cloudwatch.points(metrics, window)),
            when(role, |arn| iam.role(arn.rsplit('/').next().unwrap_or(arn))),
            items(opened, table.filter(|_| wanted(Look::Items))),
            providers(opened, known, wanted(Look::Providers)),
        )
    });
    let (of_bucket, of_parts, of_rest) = tokio::join!(of_bucket, of_parts, of_rest);
    let (bucket, notifications, expiry_days, kms_encrypted, blocks_the_public, policy, keys) =
        of_bucket;
    let (queue, dead_letters, table, function, mappings, alarms, ahead) = of_parts;
    let (topic, subscriptions, points, central_role, items, providers) = of_rest;
    Facts {
        now,
        account: opened.place.account.to_string(),
        template_version: template_version(),
        settings: settings(context),
        hour: points.map(|points| Numbers::of(&pipeline, &points, window)),
        global,
        regional,
        pipeline,
        ahead,
        central_role,
        bucket,
        notifications,
        expiry_days,
        kms_encrypted,
        blocks_the_public,
        bucket_policy: policy,
        keys,
        topic,
        subscriptions,
        queue,
        dead_letters,
        table,
        items,
        function,
        mappings,
        providers,
        alarms,
        stacks,
    }
}

/// Reads something of a thing, if there is one.
async fn when<S, T, F>(subject: Option<S>, read: impl FnOnce(S) -> F) -> Reading<T>
where
    F: Future<Output = Result<T, Fault>>,
{
    match subject {
        Some(subject) => Reading::of(read(subject).await),
        None => Reading::Absent,
    }
}

async fn standing(s3: &S3, bucket: &str, opened: &Opened) -> Result<BucketStanding, Fault> {
    let Ok(name) = bucket.parse::<BucketName>() else { return Ok(BucketStanding::Absent) };
    let region = opened.place.region.as_str();
    Ok(match s3.presence(&name, &opened.place.account).await? {
        BucketPresence::Ours { region: Some(place) } if place != region => {
            BucketStanding::Elsewhere
        }
        BucketPresence::Ours { .. } => BucketStanding::Ours,
        BucketPresence::Elsewhere { .. } => BucketStanding::Elsewhere,
        BucketPresence::Absent => BucketStanding::Absent,
        BucketPresence::Foreign => BucketStanding::Foreign,
    })
}

/// Lists the namespaces of the first clusters, and reads the first thousand keys.
async fn keys(s3: &S3, bucket: &str, prefix: &str) -> Result<Keys, Fault> {
    let mut keys = Keys::default();
    if let Ok(key_prefix) = prefix.parse::<KeyPrefix>() {
        for key in s3.first_keys(bucket, prefix).await?.keys {
            if let Err(error) = LogObject::parse(&key, &key_prefix) {
                keys.odd.push((key, error.to_string()));
            }
        }
    }
    let last = |segment: &str| {
        segment.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned()
    };
    let clusters = s3.segments(bucket, prefix).await?.prefixes;
    for cluster in clusters.iter().take(MAX_CLUSTERS) {
        for namespace in s3.segments(bucket, cluster).await?.prefixes {
            // Two slashes in a row make a namespace without a name, and a key that is odd.
            if !namespace.ends_with("//") {
                keys.namespaces.entry(last(&namespace)).or_insert_with(|| last(cluster));
            }
        }
    }
    Ok(keys)
}

async fn items(opened: &Opened, table: Option<&str>) -> Reading<Vec<Entry>> {
    let Some(table) = table else { return Reading::Absent };
    let read = async { TenantTable::open(opened.session.dynamodb(), table).await?.entries().await };
    match read.await {
        Ok(entries) => Reading::known(entries),
        Err(TableError::Missing { .. }) => Reading::Absent,
        Err(TableError::Call { source, .. }) => Reading::missing(&source),
        Err(error) => Reading::Failed { reason: error.to_string() },
    }
}

/// Looks up the identity provider that each cluster's stack trusts.
async fn providers(opened: &Opened, stacks: &[Stack], wanted: bool) -> Vec<Provider> {
    let iam = opened.session.iam();
    let partition = Partition::of(&opened.place.region);
    let mut providers = Vec::new();
    for stack in stacks.iter().filter(|_| wanted) {
        let parameter = |name: &str| stack.parameters.get(name).filter(|value| !value.is_empty());
        let Some(url) = parameter("OIDCProviderURL") else { continue };
        let issuer = url.trim_start_matches("https://").to_owned();
        let arn = format!("arn:{partition}:iam::{}:oidc-provider/{issuer}", opened.place.account);
        providers.push(Provider {
            stack: stack.name.clone(),
            audience: parameter("OIDCAudience").cloned().unwrap_or_default(),
            known: Reading::of(iam.oidc_provider(&arn).await),
            issuer,
        });
    }
    providers
}

fn template_version() -> String {
    let document = Document::parse(TemplateId::Regional.text()).ok();
    let outputs = document.as_ref().map(|document| document.section("Outputs"));
    let output = outputs.and_then(|outputs| outputs.get("StackVersion").copied());
    output
        .and_then(|output| output.get("Value"))
        .and_then(|value| value.as_str())
        .unwrap_or("none")
        .to_owned()
}

/// Returns the settings that name a part of the pipeline: variable, value, source.
fn settings(context: &Context<'_>) -> Vec<(String, String, String)> {
    let (environment, file) = (context.layers.environment(), context.layers.dotenv());
    let found = SETTINGS.iter().filter_map(|name| match (environment.get(name), file.get(name)) {
        (Some(value), _) => Some((name, value, "the environment".to_owned())),
        (None, Some((value, line))) => {
            Some((name, value, format!("{}, line {line}", file.path().display())))
        }
        (None, None) => None,
    });
    found
        .filter(|(_, value, _)| !value.is_empty())
        .map(|(name, value, source)| ((*name).to_owned(), value.to_owned(), source))
        .collect()
}
