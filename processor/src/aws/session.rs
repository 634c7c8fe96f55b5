//! Opens the way to AWS: credentials, region, endpoint, HTTP client.

use std::time::Duration;

use aws_config::{BehaviorVersion, Region as SdkRegion, SdkConfig, timeout::TimeoutConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_smithy_http_client::{
    Builder, Connector,
    proxy::ProxyConfig,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    http::SharedHttpClient, runtime_components::RuntimeComponents,
};
use aws_smithy_types::retry::RetryConfig;

use crate::{aws::skew::CorrectedClock, config::AwsSettings, model::ids::Region};

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer may take to start. Longer than the longest wait of `ReceiveMessage` (20 seconds).
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// The way to AWS with the engine's own credentials.
#[derive(Debug, Clone)]
pub struct Session {
    /// What every client of this process is made from. Calls are not repeated by the SDK.
    pub(crate) sdk: SdkConfig,
    /// Whether buckets stand in the path of a URL.
    pub(crate) path_style: bool,
}

impl Session {
    /// Opens a session. Nothing is sent before the first call.
    pub async fn open(settings: &AwsSettings) -> Self {
        let http = http_client(settings.endpoint_url.as_deref());
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .build();
        // The engine repeats calls itself, where it can count, bound and break off.
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .time_source(CorrectedClock)
            // Its correction would come on top of this one, learnt by each client for itself.
            .disable_clock_skew_correction(true)
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(1));
        if let Some(region) = &settings.region {
            loader = loader.region(sdk_region(region));
        }
        if let Some(endpoint) = &settings.endpoint_url {
            loader = loader.endpoint_url(endpoint);
        }
        if let Some(profile) = &settings.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(keys) = &settings.keys {
            let keys = keys.reveal();
            let credentials = Credentials::new(
                &keys.access_key_id,
                &keys.secret_access_key,
                keys.session_token.clone(),
                None,
                "mtlog",
            );
            loader = loader.credentials_provider(SharedCredentialsProvider::new(credentials));
        }
        Self { sdk: loader.load().await, path_style: settings.path_style }
    }

    /// Returns the region of this session, if one is known.
    pub fn region(&self) -> Option<Region> {
        self.sdk.region()?.as_ref().parse().ok()
    }
}

/// Makes the HTTP client of all SDK clients: rustls with ring, and the proxy that the environment names.
/// A stand-in on this machine is reached directly.
fn http_client(endpoint_url: Option<&str>) -> SharedHttpClient {
    let proxy = if endpoint_url.is_some_and(is_on_this_machine) {
        ProxyConfig::disabled()
    } else {
        ProxyConfig::from_env()
    };
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .proxy_config(proxy.clone());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.build()
    })
}

fn is_on_this_machine(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    ["localhost", "127.", "[::1]"].iter().any(|local| host.starts_with(local))
}

/// Returns the SDK's form of a region.
pub(crate) fn sdk_region(region: &Region) -> SdkRegion {
    SdkRegion::new(region.as_str().to_owned())
}
