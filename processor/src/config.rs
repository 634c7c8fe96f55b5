//! The engine's settings, read once from the environment.
//!
//! The names are those of the predecessor where it had them. An empty value is
//! the same as none. All problems are reported together.

mod variables;

use std::{fmt, net::SocketAddr, num::NonZeroU32, str::FromStr, time::Duration};

use thiserror::Error;

pub use self::variables::{VARIABLES, Variable};
use crate::model::{
    arn::RoleArn,
    collector::CollectorAddress,
    events::MAX_BATCH_EVENTS,
    ids::{BucketName, InvalidId, Region},
    key::KeyPrefix,
    secret::Secret,
};

/// Where messages come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// A Lambda function that SQS invokes.
    Lambda,
    /// A process that reads the queue itself.
    Sqs,
    /// One message, object or file.
    Manual,
    /// Every object of a bucket.
    Scan,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 4] = [Self::Lambda, Self::Sqs, Self::Manual, Self::Scan];

    /// Returns the name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lambda => "lambda",
            Self::Sqs => "sqs",
            Self::Manual => "manual",
            Self::Scan => "scan",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Mode {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let found = Self::ALL.into_iter().find(|mode| mode.as_str() == text);
        found.ok_or_else(|| {
            InvalidId::new(text, "an execution mode", "it is lambda, sqs, manual or scan")
        })
    }
}

/// Where progress within an object is kept between two attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckpointKind {
    /// In this process only.
    None,
    /// In the message itself, which is sent anew.
    Continuation,
    /// In a table, which also keeps two processes from doing the same work.
    DynamoDb,
}

impl FromStr for CheckpointKind {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        match text {
            "none" => Ok(Self::None),
            "continuation" => Ok(Self::Continuation),
            "dynamodb" => Ok(Self::DynamoDb),
            _ => Err(InvalidId::new(
                text,
                "a kind of checkpoint",
                "it is none, continuation or dynamodb",
            )),
        }
    }
}

/// What writes to the customers' CloudWatch Logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryEngine {
    /// This process.
    Native,
    /// A Vector process for each batch.
    Vector,
}

impl FromStr for DeliveryEngine {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        match text {
            "native" => Ok(Self::Native),
            "vector" => Ok(Self::Vector),
            _ => Err(InvalidId::new(text, "a delivery engine", "it is native or vector")),
        }
    }
}

/// How to start Vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VectorSettings {
    /// The program: a path, or a name to be looked for.
    pub program: String,
    /// What it gets of this process's environment: the way to programs, through proxies, and to trusted certificates.
    pub environment: Vec<(&'static str, String)>,
}

/// The variables that Vector gets as they are.
const VECTOR_ENVIRONMENT: [&str; 10] = [
    "PATH",
    "TMPDIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// Access keys given by value.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKeys {
    /// The access key id.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: String,
    /// The session token of temporary keys.
    pub session_token: Option<String>,
}

impl fmt::Debug for AccessKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessKeys(***)")
    }
}

/// How to reach AWS.
#[derive(Debug, Clone, Default)]
pub struct AwsSettings {
    /// The region; none: as the profile or the instance says.
    pub region: Option<Region>,
    /// One endpoint for all services.
    pub endpoint_url: Option<String>,
    /// Whether buckets stand in the path of a URL.
    pub path_style: bool,
    /// The profile with the credentials.
    pub profile: Option<String>,
    /// Keys in place of any other credentials.
    pub keys: Option<Secret<AccessKeys>>,
}

/// The settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where messages come from, unless an option says otherwise.
    pub mode: Mode,
    /// The tenant table.
    pub table: String,
    /// The role that customers trust.
    pub central_role: Option<RoleArn>,
    /// The queue.
    pub queue_url: Option<String>,
    /// The dead-letter queue.
    pub dead_letter_queue_url: Option<String>,
    /// The only bucket to read from.
    pub source_bucket: Option<BucketName>,
    /// What stands before every key.
    pub key_prefix: KeyPrefix,
    /// What writes to CloudWatch Logs.
    pub delivery_engine: DeliveryEngine,
    /// How to start Vector, if that writes.
    pub vector: VectorSettings,
    /// The most events of one call.
    pub max_batch_size: usize,
    /// How often a call is repeated.
    pub retry_attempts: u32,
    /// The most messages in work.
    pub max_concurrency: usize,
    /// Memory for objects in work, in bytes.
    pub memory_budget: usize,
    /// How long a message is hidden at a time.
    pub visibility_timeout: Duration,
    /// The time from the first signal to the end.
    pub shutdown_grace: Duration,
    /// The age at which a parked message becomes a dead letter.
    pub park_max: Duration,
    /// Where progress is kept.
    pub checkpoint: CheckpointKind,
    /// The table for progress.
    pub checkpoint_table: Option<String>,
    /// The pause between two scans.
    pub scan_interval: Duration,
    /// Where metrics and probes are served.
    pub metrics_address: Option<SocketAddr>,
    /// Where traces go.
    pub collector: Option<CollectorAddress>,
    /// How much is logged.
    pub log_level: tracing::Level,
    /// How to reach AWS.
    pub aws: AwsSettings,
}

/// One setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigProblem {
    /// The value breaks a rule.
    #[error("{name}: {problem}")]
    Value {
        /// The variable.
        name: &'static str,
        /// What is wrong.
        problem: InvalidId,
    },
    /// The value is needed and not there.
    #[error("{name} is not set: {why}")]
    Missing {
        /// The variable.
        name: &'static str,
        /// What needs it.
        why: &'static str,
    },
}

/// Everything that is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{} bad setting(s): {}", .0.len(), join(.0))]
pub struct ConfigErrors(pub Vec<ConfigProblem>);

fn join(problems: &[ConfigProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Config {
    /// Reads the settings. `lookup` gives the value of a variable.
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigErrors> {
        let mut reader = Reader { lookup, problems: Vec::new() };
        let checkpoint = reader.parsed("CHECKPOINT").unwrap_or(CheckpointKind::None);
        let checkpoint_table = reader.text("CHECKPOINT_TABLE");
        if checkpoint == CheckpointKind::DynamoDb && checkpoint_table.is_none() {
            let why = "CHECKPOINT=dynamodb keeps progress in it";
            reader.problems.push(ConfigProblem::Missing { name: "CHECKPOINT_TABLE", why });
        }
        let config = Self {
            mode: reader.parsed("EXECUTION_MODE").unwrap_or(Mode::Lambda),
            table: reader
                .text("TENANT_CONFIG_TABLE")
                .unwrap_or_else(|| "tenant-configurations".to_owned()),
            central_role: reader.parsed("CENTRAL_LOG_DISTRIBUTION_ROLE_ARN"),
            queue_url: reader.url("SQS_QUEUE_URL"),
            dead_letter_queue_url: reader.url("DEAD_LETTER_QUEUE_URL"),
            source_bucket: reader.parsed("SOURCE_BUCKET"),
            key_prefix: reader.parsed("S3_KEY_PREFIX").unwrap_or_default(),
            delivery_engine: reader.parsed("DELIVERY_ENGINE").unwrap_or(DeliveryEngine::Native),
            vector: reader.vector(),
            max_batch_size: reader.number(
                "MAX_BATCH_SIZE",
                1..=MAX_BATCH_EVENTS as u64,
                MAX_BATCH_EVENTS as u64,
            ),
            retry_attempts: reader.number("RETRY_ATTEMPTS", 0..=20, 3),
            max_concurrency: reader.number("MAX_CONCURRENCY", 1..=256, 10),
            memory_budget: reader.memory_budget(),
            visibility_timeout: reader.seconds("VISIBILITY_TIMEOUT", 15..=43_200, 120),
            shutdown_grace: reader.seconds("SHUTDOWN_GRACE", 1..=600, 25),
            park_max: reader.seconds_in_hours("PARK_MAX_HOURS", 1..=336, 12),
            checkpoint,
            checkpoint_table,
            scan_interval: reader.seconds("SCAN_INTERVAL", 1..=86_400, 10),
            metrics_address: reader.address("METRICS_ADDRESS"),
            collector: reader.parsed("OTEL_EXPORTER_OTLP_ENDPOINT"),
            log_level: reader.log_level("LOG_LEVEL"),
            aws: reader.aws(),
        };
        if reader.problems.is_empty() { Ok(config) } else { Err(ConfigErrors(reader.problems)) }
    }
}

/// Reads variables and collects what is wrong with them.
struct Reader<F> {
    lookup: F,
    problems: Vec<ConfigProblem>,
}

impl<F: Fn(&str) -> Option<String>> Reader<F> {
    fn text(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    fn refuse(&mut self, name: &'static str, value: &str, what: &'static str, rule: &'static str) {
        let problem = InvalidId::new(value, what, rule);
        self.problems.push(ConfigProblem::Value { name, problem });
    }

    fn parsed<T: FromStr<Err = InvalidId>>(&mut self, name: &'static str) -> Option<T> {
        match self.text(name)?.parse() {
            Ok(value) => Some(value),
            Err(problem) => {
                self.problems.push(ConfigProblem::Value { name, problem });
                None
            }
        }
    }

    fn number<T: TryFrom<u64> + Default>(
        &mut self,
        name: &'static str,
        range: std::ops::RangeInclusive<u64>,
        default: u64,
    ) -> T {
        let text = self.text(name);
        let number = match &text {
            None => default,
            Some(text) => match text.parse::<u64>() {
                Ok(number) if range.contains(&number) => number,
                _ => {
                    let rule = VARIABLES.iter().find(|variable| variable.name == name);
                    self.refuse(
                        name,
                        text,
                        "a number in range",
                        rule.map_or("", |variable| variable.meaning),
                    );
                    default
                }
            },
        };
        T::try_from(number).unwrap_or_default()
    }

    /// Without a setting, half of what a Lambda function has; elsewhere the documented default.
    fn memory_budget(&mut self) -> usize {
        let function_mib =
            self.text("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").and_then(|text| text.parse::<u64>().ok());
        let default = function_mib.map_or(44, |mib| (mib / 2).max(32));
        self.number::<usize>("MEMORY_BUDGET_MIB", 32..=1_048_576, default)
            .saturating_mul(1024 * 1024)
    }

    fn seconds(
        &mut self,
        name: &'static str,
        range: std::ops::RangeInclusive<u64>,
        default: u64,
    ) -> Duration {
        Duration::from_secs(self.number(name, range, default))
    }

    fn seconds_in_hours(
        &mut self,
        name: &'static str,
        range: std::ops::RangeInclusive<u64>,
        default: u64,
    ) -> Duration {
        Duration::from_secs(self.number::<u64>(name, range, default) * 3600)
    }

    fn url(&mut self, name: &'static str) -> Option<String> {
        let url = self.text(name)?;
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        if rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace)) {
            return Some(url);
        }
        self.refuse(name, &url, "a URL", "it starts with https:// or http://");
        None
    }

    fn address(&mut self, name: &'static str) -> Option<SocketAddr> {
        let text = self.text(name)?;
        let address = text.parse().ok();
        if address.is_none() {
            self.refuse(name, &text, "an address to listen on", "it looks like 0.0.0.0:9090");
        }
        address
    }

    fn flag(&mut self, name: &'static str) -> bool {
        match self.text(name).map(|text| text.to_lowercase()).as_deref() {
            None | Some("false" | "0" | "no") => false,
            Some("true" | "1" | "yes") => true,
            Some(other) => {
                let other = other.to_owned();
                self.refuse(name, &other, "a truth value", "it is true or false");
                false
            }
        }
    }

    fn log_level(&mut self, name: &'static str) -> tracing::Level {
        match self.text(name).map(|text| text.to_lowercase()).as_deref() {
            None | Some("info") => tracing::Level::INFO,
            Some("error") => tracing::Level::ERROR,
            Some("warn" | "warning") => tracing::Level::WARN,
            Some("debug") => tracing::Level::DEBUG,
            Some("trace") => tracing::Level::TRACE,
            Some(other) => {
                let other = other.to_owned();
                self.refuse(name, &other, "a log level", "it is error, warn, info, debug or trace");
                tracing::Level::INFO
            }
        }
    }

    fn vector(&self) -> VectorSettings {
        let given = |name: &'static str| Some((name, self.text(name)?));
        VectorSettings {
            program: self.text("VECTOR_PROGRAM").unwrap_or_else(|| "vector".to_owned()),
            environment: VECTOR_ENVIRONMENT.into_iter().filter_map(given).collect(),
        }
    }

    fn aws(&mut self) -> AwsSettings {
        let keys = match (self.text("AWS_ACCESS_KEY_ID"), self.text("AWS_SECRET_ACCESS_KEY")) {
            (Some(access_key_id), Some(secret_access_key)) => {
                let session_token = self.text("AWS_SESSION_TOKEN");
                Some(Secret::new(AccessKeys { access_key_id, secret_access_key, session_token }))
            }
            (None, None) => None,
            (Some(_), None) => {
                let why = "AWS_ACCESS_KEY_ID is nothing without it";
                self.problems.push(ConfigProblem::Missing { name: "AWS_SECRET_ACCESS_KEY", why });
                None
            }
            (None, Some(_)) => {
                let why = "AWS_SECRET_ACCESS_KEY is nothing without it";
                self.problems.push(ConfigProblem::Missing { name: "AWS_ACCESS_KEY_ID", why });
                None
            }
        };
        AwsSettings {
            region: self.parsed("AWS_REGION").or_else(|| self.parsed("AWS_DEFAULT_REGION")),
            endpoint_url: self.url("AWS_ENDPOINT_URL"),
            path_style: self.flag("AWS_S3_USE_PATH_STYLE"),
            profile: self.text("AWS_PROFILE"),
            keys,
        }
    }
}

/// What one object in work may always hold, in bytes: the chunks ahead of the decoder, its window, one segment, and a
/// body where that has to be written anew. What is left of the budget is shared.
pub const BYTES_PER_OBJECT: usize = 4 * 1024 * 1024;

impl Config {
    /// Returns how many messages may be in work, within the memory budget.
    pub fn concurrency(&self) -> NonZeroU32 {
        let by_memory = self.memory_budget / BYTES_PER_OBJECT;
        let count = u32::try_from(by_memory.min(self.max_concurrency)).unwrap_or(u32::MAX);
        NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN)
    }

    /// Returns how much memory objects in work may hold beyond what each may always hold, in bytes.
    pub fn shared_memory(&self) -> usize {
        let own = usize::try_from(self.concurrency().get()).unwrap_or(usize::MAX);
        self.memory_budget.saturating_sub(own.saturating_mul(BYTES_PER_OBJECT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
        Config::from_env(|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_set_gives_the_documented_defaults() {
        let config = read(&[]).unwrap();
        let documented =
            |name: &str| VARIABLES.iter().find(|variable| variable.name == name).unwrap().default;
        assert_eq!(config.mode.as_str(), documented("EXECUTION_MODE"));
        assert_eq!(config.table, documented("TENANT_CONFIG_TABLE"));
        assert_eq!(config.delivery_engine, documented("DELIVERY_ENGINE").parse().unwrap());
        assert_eq!(config.vector.program, documented("VECTOR_PROGRAM"));
        assert_eq!(config.max_batch_size.to_string(), documented("MAX_BATCH_SIZE"));
        assert_eq!(config.retry_attempts.to_string(), documented("RETRY_ATTEMPTS"));
        assert_eq!(config.max_concurrency.to_string(), documented("MAX_CONCURRENCY"));
        assert_eq!(
            (config.memory_budget / 1024 / 1024).to_string(),
            documented("MEMORY_BUDGET_MIB")
        );
        assert_eq!(
            config.visibility_timeout.as_secs().to_string(),
            documented("VISIBILITY_TIMEOUT")
        );
        assert_eq!(config.shutdown_grace.as_secs().to_string(), documented("SHUTDOWN_GRACE"));
        assert_eq!((config.park_max.as_secs() / 3600).to_string(), documented("PARK_MAX_HOURS"));
        assert_eq!(config.scan_interval.as_secs().to_string(), documented("SCAN_INTERVAL"));
        assert_eq!(config.log_level, tracing::Level::INFO);
        assert!(config.queue_url.is_none() && config.aws.keys.is_none() && !config.aws.path_style);
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let problems = read(&[
            ("EXECUTION_MODE", "batch"),
            ("DELIVERY_ENGINE", "fluent-bit"),
            ("MAX_BATCH_SIZE", "10001"),
            ("RETRY_ATTEMPTS", "many"),
            ("SQS_QUEUE_URL", "queue"),
            ("SOURCE_BUCKET", "A_B"),
            ("LOG_LEVEL", "loud"),
            ("METRICS_ADDRESS", "9090"),
            ("CENTRAL_LOG_DISTRIBUTION_ROLE_ARN", "role"),
            ("CHECKPOINT", "dynamodb"),
            ("AWS_ACCESS_KEY_ID", "AKIA"),
            ("AWS_S3_USE_PATH_STYLE", "maybe"),
        ])
        .unwrap_err()
        .to_string();
        for name in [
            "EXECUTION_MODE",
            "DELIVERY_ENGINE",
            "MAX_BATCH_SIZE",
            "RETRY_ATTEMPTS",
            "SQS_QUEUE_URL",
            "SOURCE_BUCKET",
            "LOG_LEVEL",
            "METRICS_ADDRESS",
            "CENTRAL_LOG_DISTRIBUTION_ROLE_ARN",
            "CHECKPOINT_TABLE",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_S3_USE_PATH_STYLE",
        ] {
            assert!(problems.contains(name), "{name} in {problems}");
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let config =
            read(&[("AWS_ACCESS_KEY_ID", "AKIAX"), ("AWS_SECRET_ACCESS_KEY", "hunter2")]).unwrap();
        let printed = format!("{config:?}");
        assert!(!printed.contains("AKIAX") && !printed.contains("hunter2"));
    }

    #[test]
    fn memory_bounds_concurrency() {
        for (budget, most, expected) in
            [("44", "10", 10), ("32", "10", 8), ("96", "10", 10), ("512", "200", 128)]
        {
            let config = read(&[("MEMORY_BUDGET_MIB", budget), ("MAX_CONCURRENCY", most)]).unwrap();
            assert_eq!(config.concurrency().get(), expected, "{budget} {most}");
        }
    }
}
