//! Puts an engine together from settings and options.

use std::sync::Arc;

use tracing::{error, info, warn};

use crate::{
    aws::{
        checkpoints::CheckpointTable,
        cloudwatch::CloudWatchSink,
        copier::S3Copier,
        dynamodb::TenantTable,
        roles::Roles,
        s3::S3Store,
        session::Session,
        sqs::SqsQueue,
        vector::{self, VectorSink},
    },
    config::{CheckpointKind, Config, DeliveryEngine},
    engine::{Engine, EngineSettings, Ports, Renewal, route::Scope, segment},
    error_chain::Chain,
    exit::ExitStatus,
    memory::{
        checkpoints::NoCheckpoints,
        clock::SystemClock,
        copier::{NoCopies, NotedCopies},
        directory::AnyTenant,
        sink::{LineSink, NoSink},
        store::FileStore,
    },
    metrics::Meter,
    model::arn::Partition,
    modes::options::{ProcessOptions, SinkKind},
    ports::{Checkpoints, Clock, LogSink, ObjectCopier, ObjectStore, Queue, TenantDirectory},
};

/// An engine and what its mode needs beside it.
pub(super) struct Wired {
    pub(super) engine: Arc<Engine>,
    pub(super) meter: Arc<Meter>,
    pub(super) store: Arc<dyn ObjectStore>,
    /// None when nothing needs AWS.
    pub(super) session: Option<Session>,
}

/// Makes the engine. The error says how to end, and has been reported.
pub(super) async fn engine(options: &ProcessOptions, config: &Config) -> Result<Wired, ExitStatus> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let meter = Arc::new(Meter::default());
    let writes_accounts = options.sink == SinkKind::Cloudwatch;
    let session = if writes_accounts || options.file.is_none() {
        Some(Session::open(&config.aws).await)
    } else {
        None
    };

    if session.as_ref().is_some_and(|session| session.region().is_none()) {
        error!("AWS_REGION is not set, and neither profile nor instance names a region");
        return Err(ExitStatus::Config);
    }

    let store: Arc<dyn ObjectStore> = match (&options.file, &session) {
        (Some(path), _) => Arc::new(FileStore::new(path.clone())),
        (None, Some(session)) => Arc::new(S3Store::new(session)),
        (None, None) => return Err(ExitStatus::Unexpected),
    };
    let directory: Arc<dyn TenantDirectory> = match (options.sink, &session) {
        (SinkKind::Cloudwatch, Some(session)) => Arc::new(TenantTable::new(session, &config.table)),
        (SinkKind::Cloudwatch | SinkKind::Stdout, _) => Arc::new(any_tenant()?),
    };
    let delivers = writes_accounts && !options.dry_run;
    let engine = if delivers { config.delivery_engine } else { DeliveryEngine::Native };
    if engine == DeliveryEngine::Vector {
        find_vector(config).await?;
    }
    let (sink, copier) = destinations(options, config, session.as_ref(), &clock, &meter)?;
    let region = session.as_ref().and_then(Session::region);
    let max_message_bytes = match region.as_ref().map(Partition::of) {
        Some(Partition::China) => segment::MAX_MESSAGE_BYTES_CHINA,
        Some(Partition::Aws | Partition::GovCloud) | None => segment::MAX_MESSAGE_BYTES,
    };
    let max_message_bytes = match engine {
        DeliveryEngine::Native => max_message_bytes,
        DeliveryEngine::Vector => max_message_bytes.min(vector::MAX_MESSAGE_BYTES),
    };
    let settings = EngineSettings {
        scope: Scope {
            prefix: config.key_prefix.clone(),
            // A file has no bucket of its own.
            bucket: if options.file.is_some() { None } else { config.source_bucket.clone() },
        },
        max_batch_events: config.max_batch_size,
        max_message_bytes,
        retries: config.retry_attempts,
        // Lines on standard output are to stay in order.
        puts_in_flight: if writes_accounts { 4 } else { 1 },
        shared_memory: config.shared_memory(),
        park_max: config.park_max,
        ..EngineSettings::default()
    };
    let checkpoints = checkpoints(options, config, session.as_ref(), &clock);
    let ports = Ports { store: Arc::clone(&store), directory, sink, copier, checkpoints, clock };
    let engine = Arc::new(Engine::new(ports, settings, Arc::clone(&meter)));
    Ok(Wired { engine, meter, store, session })
}

/// Makes sure that Vector is there before a message is taken.
async fn find_vector(config: &Config) -> Result<(), ExitStatus> {
    let found = vector::version(&config.vector).await.map_err(|error| {
        let error = Chain(&error);
        error!(%error, "DELIVERY_ENGINE=vector needs Vector: install it, or name it with VECTOR_PROGRAM");
        ExitStatus::Config
    })?;
    info!(version = found, "delivering through vector");
    if !found.starts_with(&format!("{}.", vector::VERSION)) {
        warn!(version = found, known = vector::VERSION, "this version of vector was not tried");
    }
    Ok(())
}

/// Returns whether messages may be sent anew.
pub(super) const fn renewal(config: &Config) -> Renewal {
    match config.checkpoint {
        CheckpointKind::Continuation => Renewal::Allowed,
        CheckpointKind::None | CheckpointKind::DynamoDb => Renewal::Never,
    }
}

/// Makes the queue that the settings name.
pub(super) fn queue(
    config: &Config,
    session: Option<&Session>,
) -> Result<Arc<dyn Queue>, ExitStatus> {
    let (Some(url), Some(session)) = (&config.queue_url, session) else {
        error!("SQS_QUEUE_URL is not set: sqs mode reads that queue");
        return Err(ExitStatus::Config);
    };
    Ok(Arc::new(SqsQueue::new(session, url, config.dead_letter_queue_url.clone())))
}

fn checkpoints(
    options: &ProcessOptions,
    config: &Config,
    session: Option<&Session>,
    clock: &Arc<dyn Clock>,
) -> Arc<dyn Checkpoints> {
    if options.dry_run {
        return Arc::new(NoCheckpoints);
    }
    match (config.checkpoint, &config.checkpoint_table, session) {
        (CheckpointKind::DynamoDb, Some(table), Some(session)) => {
            let owner = format!("{}-{:x}", std::process::id(), clock.now_ms());
            Arc::new(CheckpointTable::new(session, table, Arc::clone(clock), owner))
        }
        (CheckpointKind::DynamoDb | CheckpointKind::None | CheckpointKind::Continuation, _, _) => {
            Arc::new(NoCheckpoints)
        }
    }
}

type Destinations = (Arc<dyn LogSink>, Arc<dyn ObjectCopier>);

fn destinations(
    options: &ProcessOptions,
    config: &Config,
    session: Option<&Session>,
    clock: &Arc<dyn Clock>,
    meter: &Arc<Meter>,
) -> Result<Destinations, ExitStatus> {
    if options.dry_run {
        return Ok((Arc::new(NoSink), Arc::new(NotedCopies::default())));
    }
    match (options.sink, session) {
        (SinkKind::Stdout, _) | (SinkKind::Cloudwatch, None) => {
            Ok((Arc::new(LineSink::stdout()), Arc::new(NotedCopies::default())))
        }
        (SinkKind::Cloudwatch, Some(session)) => {
            let Some(central_role) = config.central_role.clone() else {
                error!(
                    "CENTRAL_LOG_DISTRIBUTION_ROLE_ARN is not set: it is the way into the customers' accounts"
                );
                return Err(ExitStatus::Config);
            };
            let roles = Arc::new(Roles::new(
                session.clone(),
                central_role,
                Arc::clone(clock),
                Arc::clone(meter),
            ));
            let native = CloudWatchSink::new(session.clone(), Arc::clone(&roles));
            let sink: Arc<dyn LogSink> = match config.delivery_engine {
                DeliveryEngine::Native => Arc::new(native),
                DeliveryEngine::Vector => Arc::new(VectorSink::new(
                    native,
                    Arc::clone(&roles),
                    config.vector.clone(),
                    config.aws.endpoint_url.clone(),
                    Arc::clone(clock),
                )),
            };
            if options.file.is_some() {
                return Ok((sink, Arc::new(NoCopies)));
            }
            Ok((sink, Arc::new(S3Copier::new(session.clone(), roles))))
        }
    }
}

/// Names for a sink that writes no account. They are never sent anywhere.
fn any_tenant() -> Result<AnyTenant, ExitStatus> {
    let role = "arn:aws:iam::000000000000:role/none".parse();
    let (Ok(role), Ok(group), Ok(region)) = (role, "none".parse(), "us-east-1".parse()) else {
        return Err(ExitStatus::Unexpected);
    };
    Ok(AnyTenant::new(role, group, region))
}
