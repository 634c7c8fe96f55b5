//! A budget of calls that all clients of a session share, so that many stacks together stay below AWS's rate limits.
//!
//! The limit sits below the SDK: its retries count as well.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
        SharedHttpConnector,
    },
    orchestrator::HttpRequest,
    runtime_components::RuntimeComponents,
};
use tokio::time::Instant;

/// So many seconds' worth of calls may be made at once after a rest: a plan needs its reads at the beginning.
const BURST_SECONDS: u32 = 3;

/// A budget. Its clones are the same one.
#[derive(Debug, Clone)]
pub(super) struct Budget(Arc<Mutex<Bucket>>);

/// A leaky bucket: each call takes its place in time, as early as the burst allows.
#[derive(Debug)]
struct Bucket {
    /// The time between two calls.
    spacing: Duration,
    burst: Duration,
    /// When the budget is whole again.
    full_at: Option<Instant>,
}

impl Bucket {
    /// Takes a place and returns how long to wait for it.
    fn take(&mut self, now: Instant) -> Duration {
        let full_at = self.full_at.map_or(now, |full_at| full_at.max(now)) + self.spacing;
        self.full_at = Some(full_at);
        full_at.saturating_duration_since(now).saturating_sub(self.burst)
    }
}

impl Budget {
    /// Makes a budget of `rate` calls a second; 0 counts as 1.
    pub(super) fn new(rate: u32) -> Self {
        let rate = rate.max(1);
        Self(Arc::new(Mutex::new(Bucket {
            spacing: Duration::from_secs(1) / rate,
            burst: Duration::from_secs(BURST_SECONDS.into()),
            full_at: None,
        })))
    }

    /// Returns the HTTP client with this limit.
    pub(super) fn limit(&self, client: SharedHttpClient) -> SharedHttpClient {
        SharedHttpClient::new(Limited { client, budget: self.clone() })
    }

    fn wait(&self) -> Duration {
        self.0.lock().map_or(Duration::ZERO, |mut bucket| bucket.take(Instant::now()))
    }
}

#[derive(Debug)]
struct Limited {
    client: SharedHttpClient,
    budget: Budget,
}

#[derive(Debug)]
struct LimitedConnector {
    connector: SharedHttpConnector,
    budget: Budget,
}

impl HttpClient for Limited {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let connector = self.client.http_connector(settings, components);
        SharedHttpConnector::new(LimitedConnector { connector, budget: self.budget.clone() })
    }
}

impl HttpConnector for LimitedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let wait = self.budget.wait();
        let connector = self.connector.clone();
        HttpConnectorFuture::new(async move {
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            connector.call(request).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_burst_calls_are_spread() {
        let mut bucket = Bucket {
            spacing: Duration::from_millis(100),
            burst: Duration::from_secs(1),
            full_at: None,
        };
        let now = Instant::now();
        let waits: Vec<u128> = (0..13).map(|_| bucket.take(now).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 200, 300]);
        let later = now + Duration::from_secs(60);
        assert_eq!(bucket.take(later), Duration::ZERO);
    }
}
