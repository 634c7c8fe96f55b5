//! The variables that the engine reads, with their meaning and what holds without them.

/// A variable of the environment, for help texts and samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// The name.
    pub name: &'static str,
    /// What it sets.
    pub meaning: &'static str,
    /// What holds without it; empty: nothing.
    pub default: &'static str,
    /// Whether the value must not be shown.
    pub secret: bool,
}

const fn variable(name: &'static str, meaning: &'static str, default: &'static str) -> Variable {
    Variable { name, meaning, default, secret: false }
}

const fn secret(name: &'static str, meaning: &'static str) -> Variable {
    Variable { name, meaning, default: "", secret: true }
}

/// Everything that the engine reads.
pub const VARIABLES: &[Variable] = &[
    variable("EXECUTION_MODE", "lambda, sqs, manual or scan", "lambda"),
    variable(
        "TENANT_CONFIG_TABLE",
        "DynamoDB table with the tenants' deliveries",
        "tenant-configurations",
    ),
    variable(
        "CENTRAL_LOG_DISTRIBUTION_ROLE_ARN",
        "role in the central account that customers trust",
        "",
    ),
    variable("SQS_QUEUE_URL", "queue to read in sqs mode", ""),
    variable(
        "DEAD_LETTER_QUEUE_URL",
        "queue for dead letters; by default the one in the queue's redrive policy",
        "",
    ),
    variable("SOURCE_BUCKET", "the only bucket that objects are read from; scan mode lists it", ""),
    variable("S3_KEY_PREFIX", "literal text before every object key, such as logs/", ""),
    variable(
        "DELIVERY_ENGINE",
        "what writes to CloudWatch Logs: native, or a vector process",
        "native",
    ),
    variable("VECTOR_PROGRAM", "the program for DELIVERY_ENGINE=vector", "vector"),
    variable("MAX_BATCH_SIZE", "most events in one PutLogEvents call, 1 to 10000", "10000"),
    variable(
        "RETRY_ATTEMPTS",
        "how often a failed call is repeated before its message is given back, 0 to 20",
        "3",
    ),
    variable("MAX_CONCURRENCY", "most messages in work at a time, 1 to 256", "10"),
    variable(
        "MEMORY_BUDGET_MIB",
        "memory for objects in work, 32 or more; bounds MAX_CONCURRENCY at 4 MiB each, and the rest makes them faster",
        "44",
    ),
    variable(
        "VISIBILITY_TIMEOUT",
        "seconds that a received message is hidden before it is extended, 15 to 43200",
        "120",
    ),
    variable("SHUTDOWN_GRACE", "seconds from SIGTERM to the end, 1 to 600", "25"),
    variable(
        "PARK_MAX_HOURS",
        "age at which a message that waits for somebody becomes a dead letter, 1 to 336",
        "12",
    ),
    variable(
        "CHECKPOINT",
        "where progress within an object is kept: none, continuation or dynamodb",
        "none",
    ),
    variable("CHECKPOINT_TABLE", "DynamoDB table for CHECKPOINT=dynamodb", ""),
    variable(
        "SCAN_INTERVAL",
        "seconds between two scans in scan mode with --watch, 1 to 86400",
        "10",
    ),
    variable("METRICS_ADDRESS", "address that serves /metrics, /livez and /readyz in sqs mode", ""),
    variable("OTEL_EXPORTER_OTLP_ENDPOINT", "traces; http://HOST:PORT of a collector", ""),
    variable("LOG_LEVEL", "error, warn, info, debug or trace", "info"),
    variable("AWS_REGION", "region of the engine's own services", ""),
    variable("AWS_ENDPOINT_URL", "endpoint for all AWS services, for a stand-in", ""),
    variable("AWS_S3_USE_PATH_STYLE", "true if buckets stand in the path of URLs", "false"),
    variable("AWS_PROFILE", "profile with the credentials", ""),
    secret(
        "AWS_ACCESS_KEY_ID",
        "access key id; with AWS_SECRET_ACCESS_KEY in place of other credentials",
    ),
    secret("AWS_SECRET_ACCESS_KEY", "secret access key"),
    secret("AWS_SESSION_TOKEN", "session token of temporary keys"),
];
