//! Opens the SDK's configuration: profile, region, endpoint, credentials, HTTP client, retries.
//!
//! This is the only caller of `aws_config` in this crate.

use std::time::Duration;

use aws_config::{
    BehaviorVersion, SdkConfig, profile::ProfileFileCredentialsProvider,
    provider_config::ProviderConfig,
};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_smithy_http_client::tls;
use aws_smithy_types::{retry::RetryConfig, timeout::TimeoutConfig};
use aws_types::region::Region as SdkRegion;
use mtlog_processor::model::{ids::Region, secret::Secret};

use super::{
    budget::Budget, cloudformation::CloudFormation, cloudwatch::CloudWatch, dynamodb::DynamoDb,
    ecr::Ecr, iam::Iam, lambda::Lambda, logs::Logs, processor_log::ProcessorLog, s3::S3, sns::Sns,
    sqs::Sqs, sts::Sts,
};

/// A connection that cannot be made within this time is not made at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// One attempt of one call; a template upload is the longest.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);
/// How often the SDK sends one call. Polling loops have patience of their own on top.
const ATTEMPTS: u32 = 6;

/// Static credentials, as `.env` may hold them.
#[derive(Debug, Clone)]
pub struct Keys {
    /// The access key's id.
    pub access_key_id: String,
    /// The secret key.
    pub secret_access_key: Secret<String>,
    /// The session token of temporary credentials.
    pub session_token: Option<Secret<String>>,
}

/// A named profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Profile {
    /// Its credentials are used, whatever the environment holds: the user typed its name.
    Demanded(String),
    /// Access keys in the environment come first, as in every AWS tool.
    Suggested(String),
}

/// Everything that decides whom we talk to and as whom.
#[derive(Debug, Clone, Default)]
pub struct SessionSettings {
    /// The named profile; none: the SDK's own choice.
    pub profile: Option<Profile>,
    /// The region; none: the profile's.
    pub region: Option<Region>,
    /// One endpoint for every service, as emulators have.
    pub endpoint: Option<String>,
    /// Whether S3 addresses look like `host/bucket/key`.
    pub addressing: Addressing,
    /// Credentials that replace the SDK's own search.
    pub keys: Option<Keys>,
    /// Whether the environment holds access keys, which the SDK prefers to every profile that is not demanded.
    pub environment: EnvironmentKeys,
}

/// Whether the environment holds access keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EnvironmentKeys {
    /// It does.
    Present,
    /// It does not.
    #[default]
    Absent,
}

/// How S3 objects are addressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Addressing {
    /// `bucket.host/key`, as AWS wants it.
    #[default]
    VirtualHost,
    /// `host/bucket/key`, for endpoints without wildcard DNS.
    Path,
}

/// An open configuration, from which clients are made when they are needed.
#[derive(Debug, Clone)]
pub struct Session {
    config: SdkConfig,
    addressing: Addressing,
    /// Shared by every region and stack: CloudFormation limits an account's calls.
    budget: Option<Budget>,
}

impl Session {
    /// Loads the configuration. This reads files and the environment but calls no service.
    pub async fn open(settings: &SessionSettings) -> Self {
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
            .build_https();
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http.clone())
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .timeout_config(timeouts);
        match &settings.profile {
            None => {}
            Some(Profile::Suggested(name)) => loader = loader.profile_name(name),
            Some(Profile::Demanded(name)) => {
                let provider = ProfileFileCredentialsProvider::builder()
                    .configure(&ProviderConfig::default().with_http_client(http))
                    .profile_name(name)
                    .build();
                loader = loader.profile_name(name).credentials_provider(provider);
            }
        }
        if let Some(region) = &settings.region {
            loader = loader.region(SdkRegion::new(region.as_str().to_owned()));
        }
        if let Some(endpoint) = &settings.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        if let Some(keys) = &settings.keys {
            loader = loader.credentials_provider(Credentials::new(
                &keys.access_key_id,
                keys.secret_access_key.reveal(),
                keys.session_token.as_ref().map(|token| token.reveal().clone()),
                None,
                "settings",
            ));
        }
        Self { config: loader.load().await, addressing: settings.addressing, budget: None }
    }

    /// Returns the region in use, whether it was given or came from the profile.
    pub fn region(&self) -> Option<&str> {
        self.config.region().map(AsRef::as_ref)
    }

    /// Returns the SDK's configuration, for clients that other modules make.
    pub const fn sdk(&self) -> &SdkConfig {
        &self.config
    }

    /// Returns a session for another region with the same identity.
    #[must_use]
    pub fn in_region(&self, region: &Region) -> Self {
        let config =
            self.config.to_builder().region(SdkRegion::new(region.as_str().to_owned())).build();
        Self { config, addressing: self.addressing, budget: self.budget.clone() }
    }

    /// Returns a session with other credentials, in the region `region`.
    #[must_use]
    pub fn acting_as(&self, keys: &Keys, region: &Region) -> Self {
        let credentials = Credentials::new(
            &keys.access_key_id,
            keys.secret_access_key.reveal(),
            keys.session_token.as_ref().map(|token| token.reveal().clone()),
            None,
            "role",
        );
        let config = self
            .config
            .to_builder()
            .region(SdkRegion::new(region.as_str().to_owned()))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build();
        Self { config, addressing: self.addressing, budget: self.budget.clone() }
    }

    /// Returns the session with at most `rate` calls to CloudFormation a second, those of all its regions together.
    #[must_use]
    pub fn at_rate(self, rate: u32) -> Self {
        Self { budget: Some(Budget::new(rate)), ..self }
    }

    /// Makes a client for CloudFormation.
    pub fn cloudformation(&self) -> CloudFormation {
        CloudFormation::new(&self.config, self.budget.as_ref())
    }

    /// Makes a client for CloudWatch.
    pub fn cloudwatch(&self) -> CloudWatch {
        CloudWatch::new(&self.config)
    }

    /// Makes a client for the processor's own log.
    pub fn processor_log(&self) -> ProcessorLog {
        ProcessorLog::new(&self.config)
    }

    /// Makes a client for Lambda.
    pub fn lambda(&self) -> Lambda {
        Lambda::new(&self.config)
    }

    /// Makes a client for S3.
    pub fn s3(&self) -> S3 {
        S3::new(&self.config, self.addressing)
    }

    /// Makes a client for DynamoDB.
    pub fn dynamodb(&self) -> DynamoDb {
        DynamoDb::new(&self.config)
    }

    /// Makes a client for ECR.
    pub fn ecr(&self) -> Ecr {
        Ecr::new(&self.config)
    }

    /// Makes a client for IAM.
    pub fn iam(&self) -> Iam {
        Iam::new(&self.config)
    }

    /// Makes a client for CloudWatch Logs.
    pub fn logs(&self) -> Logs {
        Logs::new(&self.config)
    }

    /// Makes a client for SNS.
    pub fn sns(&self) -> Sns {
        Sns::new(&self.config)
    }

    /// Makes a client for SQS.
    pub fn sqs(&self) -> Sqs {
        Sqs::new(&self.config)
    }

    /// Makes a client for STS.
    pub fn sts(&self) -> Sts {
        Sts::new(&self.config)
    }
}
