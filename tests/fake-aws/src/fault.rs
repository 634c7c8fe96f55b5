//! Fault rules: which calls go wrong, how often, and how.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::canned::Response;
use crate::clock::Millis;
use crate::journal::CallFacts;
use crate::random::Random;

type Condition = Arc<dyn Fn(&CallFacts) -> bool + Send + Sync>;
type Deed = Arc<dyn Fn(&CallFacts) + Send + Sync>;

/// A rule: the calls it is for, when it strikes, and what happens then.
///
/// Rules are asked in the order in which they were injected, and the first one that strikes
/// decides. A rule without [`Fault::times`], [`Fault::nth`] or [`Fault::probability`] strikes at
/// every call that it is for.
///
/// ```
/// use fake_aws::{Fault, Response};
///
/// let rule = Fault::on("logs:PutLogEvents")
///     .account("111122223333")
///     .times(3)
///     .respond(Response::throttling());
/// # let _unused = rule;
/// ```
#[derive(Clone)]
pub struct Fault {
    pattern: String,
    conditions: Vec<Condition>,
    skip: u64,
    times: Option<u64>,
    probability: Option<f64>,
    until: Option<Millis>,
    deed: Option<Deed>,
    effect: Effect,
}

/// What happens to a call that a rule strikes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Effect {
    /// Wait before anything else, in real time.
    pub(crate) delay: Duration,
    /// Wait before anything else, on the fake's clock.
    pub(crate) virtual_delay: Duration,
    /// Whether the call still has its effect.
    pub(crate) applies: Applies,
    pub(crate) outcome: Outcome,
}

/// Whether a struck call is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Applies {
    #[default]
    Yes,
    No,
}

/// What the client gets to see.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Outcome {
    /// The true reply.
    #[default]
    Reply,
    /// Another reply.
    Respond(Response),
    /// The connection is reset.
    Reset,
    /// No answer, for as long as the client waits.
    Stall,
    /// The true reply, with a broken body.
    Body(BodyFault),
}

/// Where and how a reply's body breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BodyFault {
    pub(crate) at: BodyPosition,
    pub(crate) kind: BodyFaultKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyPosition {
    Percent(u8),
    Byte(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyFaultKind {
    /// A TCP reset.
    Reset,
    /// The connection is closed in good order, with bytes missing.
    Close,
    /// Nothing more comes for this long, then the rest.
    Stall(Duration),
    /// The rest is left out, and the length header agrees with that.
    Shorten,
}

impl Fault {
    /// Starts a rule for `service:operation`; `*` stands for any of both, and `*` alone for all.
    pub fn on(pattern: &str) -> Self {
        Self {
            pattern: pattern.to_owned(),
            conditions: Vec::new(),
            skip: 0,
            times: None,
            probability: None,
            until: None,
            deed: None,
            effect: Effect::default(),
        }
    }

    /// Restricts the rule to calls for which the condition holds.
    #[must_use]
    pub fn when(mut self, condition: impl Fn(&CallFacts) -> bool + Send + Sync + 'static) -> Self {
        self.conditions.push(Arc::new(condition));
        self
    }

    /// Restricts the rule to one caller's account.
    #[must_use]
    pub fn account(self, account: &str) -> Self {
        let account = account.to_owned();
        self.when(move |call| call.account == account)
    }

    /// Restricts the rule to callers that act in this role, given as an ARN, or to calls that
    /// want to take it.
    #[must_use]
    pub fn role(self, role_arn: &str) -> Self {
        let role = role_arn.to_owned();
        self.when(move |call| call.role == role || call.resource == role)
    }

    /// Restricts the rule to one region.
    #[must_use]
    pub fn region(self, region: &str) -> Self {
        let region = region.to_owned();
        self.when(move |call| call.region == region)
    }

    /// Restricts the rule to one log group, queue, bucket, table or role.
    #[must_use]
    pub fn resource(self, resource: &str) -> Self {
        let resource = resource.to_owned();
        self.when(move |call| call.resource == resource)
    }

    /// Restricts the rule to object keys (or stream names) that begin like this.
    #[must_use]
    pub fn key_prefix(self, prefix: &str) -> Self {
        let prefix = prefix.to_owned();
        self.when(move |call| call.key.starts_with(&prefix))
    }

    /// Lets that many calls pass before the rule begins to strike.
    #[must_use]
    pub fn skip(mut self, calls: u64) -> Self {
        self.skip = calls;
        self
    }

    /// Strikes only at the call of this number, counted from 1 among those the rule is for.
    #[must_use]
    pub fn nth(self, number: u64) -> Self {
        self.skip(number.saturating_sub(1)).times(1)
    }

    /// Strikes at most that often.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// Strikes with this probability, drawn from the fake's seeded source.
    #[must_use]
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = Some(probability);
        self
    }

    /// Strikes only before this time on the fake's clock.
    #[must_use]
    pub fn until(mut self, time: jiff::Timestamp) -> Self {
        self.until = Some(time.as_millisecond());
        self
    }

    /// Does this when the rule strikes, before the call is carried out: overwrites an object,
    /// deletes a stream, moves the clock. It may use any method of the fake. A handle to the fake
    /// that it owns keeps the server running until the rule is removed.
    #[must_use]
    pub fn run(mut self, deed: impl Fn(&CallFacts) + Send + Sync + 'static) -> Self {
        self.deed = Some(Arc::new(deed));
        self
    }

    /// Answers like this; the call has no effect.
    #[must_use]
    pub fn respond(mut self, response: Response) -> Self {
        self.effect.applies = Applies::No;
        self.effect.outcome = Outcome::Respond(response);
        self
    }

    /// Carries the call out and then answers like this.
    #[must_use]
    pub fn respond_after_applying(mut self, response: Response) -> Self {
        self.effect.outcome = Outcome::Respond(response);
        self
    }

    /// Resets the connection; the call has no effect.
    #[must_use]
    pub fn reset(mut self) -> Self {
        self.effect.applies = Applies::No;
        self.effect.outcome = Outcome::Reset;
        self
    }

    /// Carries the call out and then resets the connection.
    #[must_use]
    pub fn reset_after_applying(mut self) -> Self {
        self.effect.outcome = Outcome::Reset;
        self
    }

    /// Never answers; the call has no effect.
    #[must_use]
    pub fn stall(mut self) -> Self {
        self.effect.applies = Applies::No;
        self.effect.outcome = Outcome::Stall;
        self
    }

    /// Carries the call out and never answers: the client's timeout comes after acceptance.
    #[must_use]
    pub fn stall_after_applying(mut self) -> Self {
        self.effect.outcome = Outcome::Stall;
        self
    }

    /// Waits in real time before the call is carried out or refused.
    #[must_use]
    pub fn delay(mut self, by: Duration) -> Self {
        self.effect.delay = by;
        self
    }

    /// Waits on the fake's clock before the call is carried out or refused.
    #[must_use]
    pub fn virtual_delay(mut self, by: Duration) -> Self {
        self.effect.virtual_delay = by;
        self
    }

    /// Resets the connection after this part of the reply's body.
    #[must_use]
    pub fn reset_body_at_percent(self, percent: u8) -> Self {
        self.body(BodyPosition::Percent(percent), BodyFaultKind::Reset)
    }

    /// Closes the connection after this part of the reply's body.
    #[must_use]
    pub fn close_body_at_percent(self, percent: u8) -> Self {
        self.body(BodyPosition::Percent(percent), BodyFaultKind::Close)
    }

    /// Closes the connection after that many bytes of the reply's body.
    #[must_use]
    pub fn close_body_at_byte(self, byte: u64) -> Self {
        self.body(BodyPosition::Byte(byte), BodyFaultKind::Close)
    }

    /// Sends nothing for that long after this part of the reply's body.
    #[must_use]
    pub fn stall_body_at_percent(self, percent: u8, stall: Duration) -> Self {
        self.body(BodyPosition::Percent(percent), BodyFaultKind::Stall(stall))
    }

    /// Leaves out the rest after this part of the reply's body, with a matching length header.
    #[must_use]
    pub fn shorten_body_to_percent(self, percent: u8) -> Self {
        self.body(BodyPosition::Percent(percent), BodyFaultKind::Shorten)
    }

    fn body(mut self, at: BodyPosition, kind: BodyFaultKind) -> Self {
        self.effect.outcome = Outcome::Body(BodyFault { at, kind });
        self
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Fault")
            .field("pattern", &self.pattern)
            .field("times", &self.times)
            .field("effect", &self.effect)
            .finish_non_exhaustive()
    }
}

/// An injected rule, to ask about it and to take it back.
#[derive(Debug, Clone)]
pub struct FaultHandle {
    rule: Arc<Rule>,
}

impl FaultHandle {
    /// Tells how often the rule has struck.
    pub fn hits(&self) -> u64 {
        self.rule.hits.load(Ordering::SeqCst)
    }

    /// Tells how many calls the rule was for, struck or not.
    pub fn matched(&self) -> u64 {
        self.rule.matched.load(Ordering::SeqCst)
    }

    /// Ends the rule.
    pub fn remove(&self) {
        self.rule.removed.store(true, Ordering::SeqCst);
    }
}

#[derive(Debug)]
struct Rule {
    fault: Fault,
    matched: AtomicU64,
    hits: AtomicU64,
    removed: AtomicBool,
}

/// All rules of one fake.
#[derive(Debug)]
pub(crate) struct Faults {
    rules: Mutex<Vec<Arc<Rule>>>,
    random: Mutex<Random>,
}

impl Faults {
    pub(crate) fn new() -> Self {
        Self { rules: Mutex::new(Vec::new()), random: Mutex::new(Random::new(1)) }
    }

    pub(crate) fn inject(&self, fault: Fault) -> FaultHandle {
        let rule = Arc::new(Rule {
            fault,
            matched: AtomicU64::new(0),
            hits: AtomicU64::new(0),
            removed: AtomicBool::new(false),
        });
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&rule));
        FaultHandle { rule }
    }

    pub(crate) fn clear(&self) {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) fn seed(&self, seed: u64) {
        *self.random.lock().unwrap_or_else(PoisonError::into_inner) = Random::new(seed);
    }

    /// Finds what happens to a call, and counts it.
    pub(crate) fn strike(&self, call: &CallFacts, now: Millis) -> Option<Effect> {
        let struck = {
            let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
            rules.retain(|rule| !rule.removed.load(Ordering::SeqCst));
            rules.iter().find(|rule| self.strikes(rule, call, now)).cloned()
        }?;
        // Without the lock: the deed may inject further rules.
        if let Some(deed) = &struck.fault.deed {
            deed(call);
        }
        Some(struck.fault.effect.clone())
    }

    fn strikes(&self, rule: &Rule, call: &CallFacts, now: Millis) -> bool {
        let fault = &rule.fault;
        if !call.is(&fault.pattern)
            || fault.until.is_some_and(|until| now >= until)
            || !fault.conditions.iter().all(|condition| condition(call))
        {
            return false;
        }
        let number = rule.matched.fetch_add(1, Ordering::SeqCst) + 1;
        if number <= fault.skip {
            return false;
        }
        if fault.times.is_some_and(|times| rule.hits.load(Ordering::SeqCst) >= times) {
            return false;
        }
        let struck = fault.probability.is_none_or(|probability| {
            self.random.lock().unwrap_or_else(PoisonError::into_inner).chance(probability)
        });
        if struck {
            rule.hits.fetch_add(1, Ordering::SeqCst);
        }
        struck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(account: &str) -> CallFacts {
        CallFacts {
            service: "logs".to_owned(),
            operation: "PutLogEvents".to_owned(),
            account: account.to_owned(),
            key: "app-pod".to_owned(),
            ..CallFacts::default()
        }
    }

    fn check(fault: Fault, expected: &[bool]) {
        let faults = Faults::new();
        let text = format!("{fault:?}");
        let handle = faults.inject(fault.respond(Response::throttling()));
        let seen: Vec<bool> =
            expected.iter().map(|_| faults.strike(&call("1"), 10).is_some()).collect();
        assert_eq!(seen, expected, "{text}");
        assert_eq!(handle.hits(), expected.iter().filter(|hit| **hit).count() as u64);
    }

    #[test]
    fn rules_strike_when_they_should() {
        check(Fault::on("logs:PutLogEvents"), &[true, true]);
        check(Fault::on("logs:PutLogEvents").times(1), &[true, false]);
        check(Fault::on("logs:*").skip(1).times(1), &[false, true, false]);
        check(Fault::on("*").nth(3), &[false, false, true, false]);
        check(Fault::on("sqs:*"), &[false]);
        check(Fault::on("*").account("2"), &[false]);
        check(Fault::on("*").key_prefix("app-"), &[true]);
        check(Fault::on("*").when(|call| call.operation.starts_with("Get")), &[false]);
        check(Fault::on("*").until(jiff::Timestamp::UNIX_EPOCH), &[false]);
        check(Fault::on("*").probability(0.0), &[false, false]);
        check(Fault::on("*").probability(1.0), &[true, true]);
    }

    #[test]
    fn a_removed_rule_strikes_no_more() {
        let faults = Faults::new();
        let handle = faults.inject(Fault::on("*").reset());
        assert!(faults.strike(&call("1"), 0).is_some());
        handle.remove();
        assert!(faults.strike(&call("1"), 0).is_none());
    }

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        let run = |seed| {
            let faults = Faults::new();
            faults.seed(seed);
            faults.inject(Fault::on("*").probability(0.5).reset());
            (0..64).map(|_| faults.strike(&call("1"), 0).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }
}
