//! Everything that one fake holds, shared by its connections and by the test that owns it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::authorize::{self, Ask};
use crate::canned;
use crate::clock::{Clock, Millis};
use crate::cloudformation::CloudFormation;
use crate::cloudwatch::CloudWatch;
use crate::dynamodb::DynamoDb;
use crate::error::ApiError;
use crate::fault::Faults;
use crate::http::{Reply, Request};
use crate::iam::Policy;
use crate::identity::{Caller, Identities};
use crate::journal::Journal;
use crate::lambda::Lambda;
use crate::logs::Logs;
use crate::random::Random;
use crate::s3::S3;
use crate::service::Service;
use crate::sns::Sns;
use crate::sqs::Sqs;
use crate::throttle::Throttles;
use crate::xml;

/// The state of a fake.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    /// Signalled when the clock moves and when a message arrives.
    pub(crate) wake: Arc<Notify>,
    pub(crate) journal: Journal,
    pub(crate) faults: Faults,
    pub(crate) throttles: Throttles,
    identities: Mutex<Identities>,
    random: Mutex<Random>,
    settings: Mutex<Settings>,
    logs: Mutex<Logs>,
    sqs: Mutex<Sqs>,
    s3: Mutex<S3>,
    dynamodb: Mutex<DynamoDb>,
    cloudwatch: Mutex<CloudWatch>,
    lambda: Mutex<Lambda>,
    sns: Mutex<Sns>,
    pub(crate) cloudformation: CloudFormation,
    pub(crate) endpoint: OnceLock<String>,
}

/// What a test can change about the whole fake.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// How far a request's time may be off; nothing is checked when absent.
    pub(crate) skew_tolerance: Option<Duration>,
    pub(crate) date_header: DateHeader,
    pub(crate) keep_alive: KeepAlive,
    /// Account and region pairs that the account has not activated.
    pub(crate) disabled_regions: BTreeSet<(String, String)>,
    /// The largest request body.
    pub(crate) max_body: u64,
}

/// Which clock the `Date` header of replies shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateHeader {
    /// The fake's own. An AWS client whose clock is 4 minutes off corrects itself by it.
    FakeClock,
    /// The machine's, so that a test may move the fake's clock without clients noticing.
    RealClock,
    /// None at all.
    Absent,
}

/// Whether connections stay open between requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepAlive {
    /// They stay open, as HTTP/1.1 has it.
    Yes,
    /// Every reply closes its connection.
    CloseEachTime,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new() -> Self {
        let wake = Arc::new(Notify::new());
        Self {
            clock: Clock::new(Arc::clone(&wake)),
            wake,
            journal: Journal::new(),
            faults: Faults::new(),
            throttles: Throttles::new(),
            identities: Mutex::new(Identities::new()),
            random: Mutex::new(Random::new(0xFA4E)),
            settings: Mutex::new(Settings {
                skew_tolerance: None,
                date_header: DateHeader::FakeClock,
                keep_alive: KeepAlive::Yes,
                disabled_regions: BTreeSet::new(),
                max_body: 1 << 30,
            }),
            logs: Mutex::new(Logs::new()),
            sqs: Mutex::new(Sqs::new()),
            s3: Mutex::new(S3::new()),
            dynamodb: Mutex::new(DynamoDb::new()),
            cloudwatch: Mutex::default(),
            lambda: Mutex::default(),
            sns: Mutex::default(),
            cloudformation: CloudFormation::new(),
            endpoint: OnceLock::new(),
        }
    }

    pub(crate) fn identities(&self) -> MutexGuard<'_, Identities> {
        lock(&self.identities)
    }

    pub(crate) fn random(&self) -> MutexGuard<'_, Random> {
        lock(&self.random)
    }

    pub(crate) fn settings(&self) -> MutexGuard<'_, Settings> {
        lock(&self.settings)
    }

    pub(crate) fn logs(&self) -> MutexGuard<'_, Logs> {
        lock(&self.logs)
    }

    pub(crate) fn sqs(&self) -> MutexGuard<'_, Sqs> {
        lock(&self.sqs)
    }

    pub(crate) fn s3(&self) -> MutexGuard<'_, S3> {
        lock(&self.s3)
    }

    pub(crate) fn dynamodb(&self) -> MutexGuard<'_, DynamoDb> {
        lock(&self.dynamodb)
    }

    pub(crate) fn cloudwatch(&self) -> MutexGuard<'_, CloudWatch> {
        lock(&self.cloudwatch)
    }

    pub(crate) fn lambda(&self) -> MutexGuard<'_, Lambda> {
        lock(&self.lambda)
    }

    pub(crate) fn sns(&self) -> MutexGuard<'_, Sns> {
        lock(&self.sns)
    }

    /// Returns the address that clients are given, without a slash at the end.
    pub(crate) fn endpoint(&self) -> &str {
        self.endpoint.get().map_or("", String::as_str)
    }
}

/// One call on its way through a service.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) service: Service,
    pub(crate) operation: &'a str,
    pub(crate) caller: &'a Caller,
    pub(crate) region: &'a str,
    pub(crate) now: Millis,
    pub(crate) request: &'a Request,
    pub(crate) request_id: &'a str,
}

impl Context<'_> {
    /// Writes the reply of a service that speaks the query protocol.
    pub(crate) fn query_reply(
        &self,
        namespace: &str,
        content: impl FnOnce(&mut xml::Writer),
    ) -> Reply {
        let operation = self.operation;
        let body = xml::document(&format!("{operation}Response"), Some(namespace), |out| {
            out.nest(&format!("{operation}Result"), content);
            out.nest("ResponseMetadata", |out| out.text("RequestId", self.request_id));
        });
        Reply::with_body(200, "text/xml", body)
    }

    /// Checks that the caller may do this to a resource of its own account that has no policy.
    pub(crate) fn authorize(&self, action: &str, resource: &str) -> Result<(), ApiError> {
        self.authorize_shared(action, resource, &self.caller.account, None, &[])
    }

    /// Checks that the caller may do this to a resource that may belong to somebody else.
    pub(crate) fn authorize_shared(
        &self,
        action: &str,
        resource: &str,
        owner: &str,
        resource_policy: Option<&Policy>,
        context: &[(&str, String)],
    ) -> Result<(), ApiError> {
        if self.may(action, resource, owner, resource_policy, context)? {
            return Ok(());
        }
        let message = authorize::denial(self.caller, action, resource);
        Err(canned::access_denied(self.service, &message))
    }

    /// Tells whether the caller may do this.
    pub(crate) fn may(
        &self,
        action: &str,
        resource: &str,
        owner: &str,
        resource_policy: Option<&Policy>,
        context: &[(&str, String)],
    ) -> Result<bool, ApiError> {
        let mut context = context.to_vec();
        context.push(("aws:RequestedRegion", self.region.to_owned()));
        let context = &context;
        let ask = Ask { caller: self.caller, action, resource, owner, resource_policy, context };
        authorize::allowed(&self.shared.identities(), &ask)
    }
}
