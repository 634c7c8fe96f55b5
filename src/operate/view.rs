//! What is known of one environment in one region at one time, and how metrics become it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::{
    alarm::Alarm,
    metric::{Metric, Points, Series, Statistic, Window},
    pipeline::Pipeline,
    reading::Reading,
};
use crate::{
    aws::processor_log::{Excerpt, ReportedObject},
    deploy::target::Target,
};

/// Everything that `mtlog status` shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Environment {
    /// The account.
    pub account: String,
    /// The name of the pipeline.
    pub project: String,
    /// The environment.
    pub environment: String,
    /// When it was read.
    #[serde(serialize_with = "crate::instant::text")]
    pub at: Timestamp,
    /// What is in each region, in the order in which they were asked for.
    pub regions: Vec<RegionView>,
}

/// One region.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RegionView {
    /// The region.
    pub region: String,
    /// The stacks.
    pub stacks: Reading<Vec<StackRow>>,
    /// The queue.
    pub queue: Reading<Depth>,
    /// The age of the oldest message.
    pub oldest_message: Reading<OldestMessage>,
    /// The dead-letter queue.
    pub dead_letters: Reading<Depth>,
    /// The processor function.
    pub function: Reading<FunctionHour>,
    /// What arrives.
    pub arriving: Reading<Arriving>,
    /// What is delivered.
    pub delivered: Reading<Delivered>,
    /// How long it takes.
    pub latency: Reading<Latency>,
    /// The tenants of the table.
    pub tenants: Reading<Tenants>,
    /// The tenants whose objects were delivered in the last hour.
    pub served: Reading<FromLog<ServedTenant>>,
    /// The tenants whose objects failed in the last hour.
    pub failing: Reading<FromLog<FailingTenant>>,
    /// The alarms.
    pub alarms: Reading<Vec<Alarm>>,
}

/// One stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StackRow {
    /// The name.
    pub stack: String,
    /// Which of our stacks it is.
    pub target: Option<Target>,
    /// The state in one word.
    pub state: &'static str,
    /// CloudFormation's own word.
    pub status: String,
    /// CloudFormation's reason, if it gives one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was changed last.
    pub changed: Option<String>,
    /// The optional parts of a regional stack.
    pub parts: Vec<&'static str>,
    /// The version of the templates, if the stack says it.
    pub version: Option<String>,
    /// The image of the processor function, if there is one.
    pub image: Option<String>,
}

/// How full a queue is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Depth {
    /// Messages that may be received now.
    pub waiting: u64,
    /// Messages that somebody works on, or that wait for another try.
    pub in_flight: u64,
    /// Messages that are not due yet.
    pub delayed: u64,
    /// Messages that waited, by minute.
    pub history: Reading<Series>,
}

/// How long the oldest message has waited.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OldestMessage {
    /// Seconds; none when the queue is empty.
    pub seconds: Option<f64>,
    /// By minute.
    pub history: Series,
}

/// One hour of the processor function.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FunctionHour {
    /// The function's name.
    pub name: String,
    /// Invocations.
    pub invocations: f64,
    /// Invocations that failed as a whole.
    pub errors: f64,
    /// Invocations that were refused for want of concurrency.
    pub throttles: f64,
    /// The average time of an invocation.
    pub average_seconds: Option<f64>,
    /// The longest time of an invocation.
    pub longest_seconds: Option<f64>,
    /// Invocations by minute.
    pub history: Series,
}

/// One hour of arriving objects.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Arriving {
    /// Objects that were announced to the queue.
    pub objects: f64,
    /// Bytes of the objects that the processor function opened.
    pub bytes: f64,
    /// Objects by minute.
    pub history: Series,
}

/// One hour of deliveries by the processor function.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Delivered {
    /// Objects.
    pub objects: f64,
    /// Records.
    pub records: f64,
    /// Messages that were sent to the dead-letter queue.
    pub dead_letters: f64,
    /// Roles that refused the function.
    pub roles_refused: f64,
    /// Records by minute.
    pub history: Series,
}

/// The time from the writing of an object to its delivery, in the last hour.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Latency {
    /// Half of the objects were faster: the worst minute of the hour.
    pub median_seconds: Option<f64>,
    /// Ninety-nine of a hundred were faster: the worst minute of the hour.
    pub p99_seconds: Option<f64>,
    /// The median by minute.
    pub history: Series,
}

/// The tenants of the table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Tenants {
    /// Tenants with a delivery that is switched on.
    pub enabled: u64,
    /// Tenants all of whose deliveries are switched off.
    pub disabled: u64,
    /// Tenants with an item that nobody can use, by name.
    pub unusable: Vec<String>,
}

/// Tenants, as the processor's log of the last hour tells of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FromLog<T> {
    /// From then on, the whole log was read.
    #[serde(serialize_with = "crate::instant::text")]
    pub since: Timestamp,
    /// Whether that is the whole hour. A log that is too long is read from its end.
    pub complete: bool,
    /// The tenants, those with the most first.
    pub tenants: Vec<T>,
}

/// A tenant whose objects were delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServedTenant {
    /// The tenant.
    pub tenant: String,
    /// Objects, once for each destination.
    pub objects: u64,
    /// Records.
    pub records: u64,
}

/// A tenant whose objects failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailingTenant {
    /// The tenant; empty for objects that belong to none.
    pub tenant: String,
    /// Why, the most frequent reason.
    pub reason: String,
    /// How often.
    pub objects: u64,
}

impl<T> FromLog<T> {
    /// Counts what an excerpt holds.
    pub fn of(excerpt: &Excerpt, count: impl FnOnce(&[ReportedObject]) -> Vec<T>) -> Self {
        Self { since: excerpt.since, complete: excerpt.complete, tenants: count(&excerpt.objects) }
    }
}

/// Counts delivered objects by tenant, those with the most records first.
pub fn served(objects: &[ReportedObject]) -> Vec<ServedTenant> {
    let mut counts: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for object in objects {
        let (objects, records) = counts.entry(&object.tenant).or_default();
        *objects += 1;
        *records += object.delivered;
    }
    let mut served: Vec<ServedTenant> = counts
        .into_iter()
        .map(|(tenant, (objects, records))| ServedTenant {
            tenant: tenant.to_owned(),
            objects,
            records,
        })
        .collect();
    served.sort_by(|a, b| b.records.cmp(&a.records).then_with(|| a.tenant.cmp(&b.tenant)));
    served
}

/// Counts failed objects by tenant, those with the most first.
pub fn failing(objects: &[ReportedObject]) -> Vec<FailingTenant> {
    let mut counts: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
    for object in objects {
        *counts.entry(&object.tenant).or_default().entry(object.reason()).or_default() += 1;
    }
    let mut failing: Vec<FailingTenant> = counts
        .into_iter()
        .map(|(tenant, reasons)| FailingTenant {
            tenant: tenant.to_owned(),
            objects: reasons.values().sum(),
            reason: reasons
                .into_iter()
                .max_by_key(|(_, count)| *count)
                .map_or_else(String::new, |(reason, _)| reason.to_owned()),
        })
        .collect();
    failing.sort_by(|a, b| b.objects.cmp(&a.objects).then_with(|| a.tenant.cmp(&b.tenant)));
    failing
}

/// The metrics of a pipeline, in the order of [`Numbers`].
pub fn metrics(pipeline: &Pipeline) -> Vec<Metric> {
    let mut metrics = Vec::new();
    if let Some(queue) = &pipeline.queue {
        let metric = |name, statistic| of_queue(&queue.name, name, statistic);
        metrics.extend([
            metric("ApproximateNumberOfMessagesVisible", Statistic::Maximum),
            metric("ApproximateAgeOfOldestMessage", Statistic::Maximum),
            metric("NumberOfMessagesSent", Statistic::Sum),
        ]);
    }
    if let Some(queue) = &pipeline.dead_letters {
        metrics.push(of_queue(
            &queue.name,
            "ApproximateNumberOfMessagesVisible",
            Statistic::Maximum,
        ));
    }
    if let Some(function) = &pipeline.function {
        let metric = |namespace, name, statistic| Metric {
            namespace,
            name,
            dimensions: vec![("FunctionName", function.clone())],
            statistic,
        };
        let lambda = "AWS/Lambda";
        let engine = "mtlog";
        metrics.extend([
            metric(lambda, "Invocations", Statistic::Sum),
            metric(lambda, "Errors", Statistic::Sum),
            metric(lambda, "Throttles", Statistic::Sum),
            metric(lambda, "Duration", Statistic::Average),
            metric(lambda, "Duration", Statistic::Maximum),
            metric(engine, "bytes_opened", Statistic::Sum),
            metric(engine, "objects_delivered", Statistic::Sum),
            metric(engine, "records_delivered", Statistic::Sum),
            metric(engine, "dlq_sent", Statistic::Sum),
            metric(engine, "assume_role_denied", Statistic::Sum),
            metric(engine, "e2e_latency_seconds", Statistic::Median),
            metric(engine, "e2e_latency_seconds", Statistic::Percentile99),
        ]);
    }
    metrics
}

fn of_queue(queue: &str, name: &'static str, statistic: Statistic) -> Metric {
    let dimensions = vec![("QueueName", queue.to_owned())];
    Metric { namespace: "AWS/SQS", name, dimensions, statistic }
}

/// The answers for [`metrics`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Numbers {
    queue: Option<QueueNumbers>,
    dead: Option<Series>,
    function: Option<FunctionNumbers>,
}

#[derive(Debug, Clone, PartialEq)]
struct QueueNumbers {
    waiting: Series,
    oldest: Series,
    sent: Series,
}

#[derive(Debug, Clone, PartialEq)]
struct FunctionNumbers {
    name: String,
    invocations: Series,
    errors: Series,
    throttles: Series,
    average: Series,
    longest: Series,
    bytes: Series,
    objects: Series,
    records: Series,
    dead_letters: Series,
    refused: Series,
    median: Series,
    p99: Series,
}

impl Numbers {
    /// Sorts the answers, which stand in the order of [`metrics`].
    pub fn of(pipeline: &Pipeline, answers: &[Points], window: Window) -> Self {
        let mut answers = answers.iter();
        let mut next = || answers.next().map_or_else(Series::default, |p| Series::of(p, window));
        let queue = pipeline.queue.as_ref().map(|_| QueueNumbers {
            waiting: next(),
            oldest: next(),
            sent: next(),
        });
        let dead = pipeline.dead_letters.as_ref().map(|_| next());
        let function = pipeline.function.as_ref().map(|name| FunctionNumbers {
            name: name.clone(),
            invocations: next(),
            errors: next(),
            throttles: next(),
            average: next(),
            longest: next(),
            bytes: next(),
            objects: next(),
            records: next(),
            dead_letters: next(),
            refused: next(),
            median: next(),
            p99: next(),
        });
        Self { queue, dead, function }
    }

    fn queue<T>(&self, read: impl FnOnce(&QueueNumbers) -> T) -> Reading<T> {
        self.queue.as_ref().map_or(Reading::Absent, |numbers| Reading::known(read(numbers)))
    }

    fn function<T>(&self, read: impl FnOnce(&FunctionNumbers) -> T) -> Reading<T> {
        self.function.as_ref().map_or(Reading::Absent, |numbers| Reading::known(read(numbers)))
    }

    /// Returns the messages that waited.
    pub fn waiting(&self) -> Reading<Series> {
        self.queue(|numbers| numbers.waiting.clone())
    }

    /// Returns the messages that waited in the dead-letter queue.
    pub fn dead(&self) -> Reading<Series> {
        self.dead.clone().map_or(Reading::Absent, Reading::known)
    }

    /// Returns the age of the oldest message.
    pub fn oldest_message(&self) -> Reading<OldestMessage> {
        self.queue(|numbers| OldestMessage {
            seconds: numbers.oldest.newest(),
            history: numbers.oldest.clone(),
        })
    }

    /// Returns what arrived.
    pub fn arriving(&self) -> Reading<Arriving> {
        self.queue(|numbers| Arriving {
            objects: numbers.sent.sum(),
            bytes: self.function.as_ref().map_or(0.0, |function| function.bytes.sum()),
            history: numbers.sent.clone(),
        })
    }

    /// Returns how the function did.
    pub fn function_hour(&self) -> Reading<FunctionHour> {
        const MILLISECONDS: f64 = 1000.0;
        self.function(|numbers| FunctionHour {
            name: numbers.name.clone(),
            invocations: numbers.invocations.sum(),
            errors: numbers.errors.sum(),
            throttles: numbers.throttles.sum(),
            average_seconds: numbers.average.average().map(|ms| ms / MILLISECONDS),
            longest_seconds: numbers.longest.largest().map(|ms| ms / MILLISECONDS),
            history: numbers.invocations.clone(),
        })
    }

    /// Returns what was delivered.
    pub fn delivered(&self) -> Reading<Delivered> {
        self.function(|numbers| Delivered {
            objects: numbers.objects.sum(),
            records: numbers.records.sum(),
            dead_letters: numbers.dead_letters.sum(),
            roles_refused: numbers.refused.sum(),
            history: numbers.records.clone(),
        })
    }

    /// Returns how long deliveries took.
    pub fn latency(&self) -> Reading<Latency> {
        self.function(|numbers| Latency {
            median_seconds: numbers.median.largest(),
            p99_seconds: numbers.p99.largest(),
            history: numbers.median.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operate::{metric::Period, pipeline::Queue};

    #[test]
    fn answers_find_their_places() {
        let queue = |name: &str| Some(Queue { name: name.to_owned(), url: String::new() });
        let pipeline = Pipeline {
            queue: queue("q"),
            dead_letters: queue("d"),
            function: Some("f".to_owned()),
            ..Pipeline::default()
        };
        let window = Window::until(Timestamp::UNIX_EPOCH, Period::Minute, 1);
        // Each metric's value is its number.
        let asked = metrics(&pipeline);
        let answers: Vec<Points> = (1_i32..)
            .zip(&asked)
            .map(|(number, _)| Points(vec![(window.start, f64::from(number))]))
            .collect();
        let place = |namespace: &str, name: &str, statistic| {
            let found = asked.iter().position(|metric| {
                (metric.namespace, metric.name, metric.statistic) == (namespace, name, statistic)
            });
            #[expect(clippy::cast_precision_loss, reason = "there are few")]
            found.map(|index| (index + 1) as f64).unwrap()
        };
        let numbers = Numbers::of(&pipeline, &answers, window);
        let delivered = numbers.delivered().value().cloned().unwrap();
        assert_eq!(
            (delivered.objects, delivered.records, delivered.dead_letters, delivered.roles_refused),
            (
                place("mtlog", "objects_delivered", Statistic::Sum),
                place("mtlog", "records_delivered", Statistic::Sum),
                place("mtlog", "dlq_sent", Statistic::Sum),
                place("mtlog", "assume_role_denied", Statistic::Sum)
            )
        );
        let hour = numbers.function_hour().value().cloned().unwrap();
        assert_eq!(
            (hour.errors, hour.throttles),
            (
                place("AWS/Lambda", "Errors", Statistic::Sum),
                place("AWS/Lambda", "Throttles", Statistic::Sum)
            )
        );
        let longest = place("AWS/Lambda", "Duration", Statistic::Maximum) / 1000.0;
        assert_eq!(hour.longest_seconds, Some(longest));
        let latency = numbers.latency().value().cloned().unwrap();
        let p99 = place("mtlog", "e2e_latency_seconds", Statistic::Percentile99);
        assert_eq!(latency.p99_seconds, Some(p99));
        let arriving = numbers.arriving().value().cloned().unwrap();
        assert_eq!(
            (arriving.objects, arriving.bytes),
            (
                place("AWS/SQS", "NumberOfMessagesSent", Statistic::Sum),
                place("mtlog", "bytes_opened", Statistic::Sum)
            )
        );
        assert_eq!(Numbers::of(&Pipeline::default(), &[], window), Numbers::default());
    }

    fn object(tenant: &str, outcome: &str, delivered: u64) -> ReportedObject {
        ReportedObject {
            tenant: tenant.to_owned(),
            outcome: outcome.to_owned(),
            delivered,
            ..ReportedObject::default()
        }
    }

    #[test]
    fn the_tenant_with_the_most_failures_comes_first() {
        let objects = [
            object("b", "role_denied", 0),
            object("a", "throttled", 0),
            object("a", "role_denied", 0),
            object("a", "role_denied", 0),
        ];
        let expected = |tenant: &str, count| FailingTenant {
            tenant: tenant.to_owned(),
            reason: "role_denied".to_owned(),
            objects: count,
        };
        assert_eq!(failing(&objects), [expected("a", 3), expected("b", 1)]);
    }

    #[test]
    fn the_tenant_with_the_most_records_comes_first() {
        let objects =
            [object("b", "delivered", 2), object("a", "delivered", 3), object("b", "delivered", 4)];
        let expected = |tenant: &str, objects, records| ServedTenant {
            tenant: tenant.to_owned(),
            objects,
            records,
        };
        assert_eq!(served(&objects), [expected("b", 2, 6), expected("a", 1, 3)]);
    }
}
