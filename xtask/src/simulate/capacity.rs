//! What a volume of logs a day takes: calls against quotas, processors, money. Pure arithmetic.

/// What was measured (`cargo xtask bench engine`), and what is assumed of the logs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Costs {
    /// Processor time of an object, whatever its size, in milliseconds.
    pub(crate) per_object: f64,
    /// Processor time of a MB before compression, in milliseconds.
    pub(crate) per_megabyte: f64,
    /// The size of an object before compression, in MB.
    pub(crate) object_megabytes: f64,
    /// The part of it that is message.
    pub(crate) message_part: f64,
    pub(crate) tenants: f64,
    /// The part of all logs that the busiest tenant writes.
    pub(crate) busiest_part: f64,
    /// How long an object is in work, in milliseconds: the calls for it, one after the other.
    pub(crate) object_wait: f64,
}

impl Default for Costs {
    fn default() -> Self {
        Self {
            per_object: 0.9,
            per_megabyte: 0.5,
            object_megabytes: 0.5,
            message_part: 0.14,
            tenants: 1_000.0,
            busiest_part: 0.1,
            object_wait: 150.0,
        }
    }
}

/// How many objects a process works on at a time, as it is set unless told otherwise.
const HANDS: f64 = 10.0;
/// How busy processors may be on average, so that peaks do not wait for long.
const LOAD: f64 = 0.6;
/// Messages of one receive, one delete, one invocation.
const BATCH: f64 = 10.0;
/// The part of a batch of `PutLogEvents` that is message, of 1 MiB; the rest is what each event counts for besides.
const BATCH_MEGABYTES: f64 = 0.95;
const SECONDS_A_DAY: f64 = 86_400.0;

/// A quota of AWS and what a volume asks of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Need {
    pub(crate) what: &'static str,
    pub(crate) used: f64,
    pub(crate) quota: f64,
}

/// What a volume takes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Capacity {
    pub(crate) terabytes: f64,
    pub(crate) objects_per_second: f64,
    pub(crate) puts_per_second: f64,
    /// Processors that are busy, at the usual load.
    pub(crate) cores: f64,
    /// Processes with one processor each, bounded by processor time or by waiting.
    pub(crate) processes: f64,
    pub(crate) needs: Vec<Need>,
    /// Dollars a day by what they are paid for.
    pub(crate) money: Vec<(&'static str, f64)>,
}

impl Capacity {
    /// Works out what so many TB a day take, counted before compression.
    pub(crate) fn of(terabytes: f64, costs: &Costs) -> Self {
        let megabytes = terabytes * 1e6 / SECONDS_A_DAY;
        let objects = megabytes / costs.object_megabytes;
        let message_megabytes = megabytes * costs.message_part;
        // An object takes one call at least.
        let per_object = (costs.object_megabytes * costs.message_part / BATCH_MEGABYTES).max(1.0);
        let puts = objects * per_object;
        let work = costs.per_object + costs.object_megabytes * costs.per_megabyte;
        let cores = objects * work / 1000.0 / LOAD;
        let at_once = objects * (work + costs.object_wait) / 1000.0;
        let processes = cores.max(at_once / HANDS / LOAD).ceil();
        let sessions = costs.tenants + 1.0;
        // A process sees every tenant, sooner or later; but not more often than it works on objects.
        let lookups = (processes * costs.tenants / 60.0).min(objects);
        let assumes = processes * sessions / (48.0 * 60.0);
        // The objects of an invocation share its processor, and wait side by side.
        let invocation = costs.object_wait + BATCH * work / FUNCTION_CORES;
        let functions = objects / BATCH * invocation / 1000.0;
        let needs = vec![
            Need {
                what: "PutLogEvents of the busiest account, a second",
                used: puts * costs.busiest_part,
                quota: 5_000.0,
            },
            Need { what: "AssumeRole, a second", used: assumes.min(objects), quota: 600.0 },
            Need { what: "SQS messages in flight", used: at_once / LOAD, quota: 120_000.0 },
            Need { what: "Lambda, concurrent invocations", used: functions / LOAD, quota: 1_000.0 },
            Need { what: "DynamoDB, reads a second", used: lookups, quota: 40_000.0 },
        ];
        Self {
            terabytes,
            objects_per_second: objects,
            puts_per_second: puts,
            cores,
            processes,
            needs,
            money: money(objects, message_megabytes, lookups, invocation, cores),
        }
    }

    /// Returns the quota that is used up first.
    pub(crate) fn first(&self) -> Option<&Need> {
        let part = |need: &Need| need.used / need.quota;
        self.needs.iter().max_by(|one, other| part(one).total_cmp(&part(other)))
    }
}

/// List prices of us-east-1 in dollars, first tier, without free tiers; as known in November 2026, not compared with a
/// bill.
mod price {
    /// A GB into a log group of the standard class.
    pub(super) const INGESTION: f64 = 0.50;
    /// A request to SQS, and a notification to SNS. Deliveries from SNS to SQS are free.
    pub(super) const SQS: f64 = 0.40e-6;
    pub(super) const SNS: f64 = 0.50e-6;
    pub(super) const S3_PUT: f64 = 5e-6;
    pub(super) const S3_GET: f64 = 0.4e-6;
    /// An eventually consistent read of up to 4 kB: half a unit.
    pub(super) const READ: f64 = 0.0625e-6;
    pub(super) const INVOCATION: f64 = 0.20e-6;
    /// A GB-second on Arm.
    pub(super) const FUNCTION: f64 = 13.3334e-6;
    /// A processor for an hour: half of a c7g.large.
    pub(super) const CORE_HOUR: f64 = 0.036_25;
}

/// The memory of the function, in GB, and its part of a processor: 1,769 MB have a whole one.
const FUNCTION_MEMORY: f64 = 0.5;
const FUNCTION_CORES: f64 = 512.0 / 1_769.0;

fn money(
    objects: f64,
    message_megabytes: f64,
    lookups: f64,
    invocation: f64,
    cores: f64,
) -> Vec<(&'static str, f64)> {
    let day = |per_second: f64| per_second * SECONDS_A_DAY;
    vec![
        (
            "CloudWatch Logs, ingestion (the customers pay)",
            day(message_megabytes) / 1e3 * price::INGESTION,
        ),
        ("S3, writes of the collectors", day(objects) * price::S3_PUT),
        ("S3, reads", day(objects) * price::S3_GET),
        ("SNS", day(objects) * price::SNS),
        ("SQS, sends, receives and deletes", day(objects) * (1.0 + 2.0 / BATCH) * price::SQS),
        ("DynamoDB", day(lookups) * price::READ),
        (
            "the engine in Lambda",
            day(objects) / BATCH * price::INVOCATION
                + day(objects) / BATCH * invocation / 1e3 * FUNCTION_MEMORY * price::FUNCTION,
        ),
        ("or the engine in Kubernetes", cores * 24.0 * price::CORE_HOUR),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twice_the_volume_takes_twice_the_calls() {
        let costs = Costs::default();
        let (one, two) = (Capacity::of(100.0, &costs), Capacity::of(200.0, &costs));
        assert!((two.puts_per_second / one.puts_per_second - 2.0).abs() < 1e-9);
        assert!((two.cores / one.cores - 2.0).abs() < 1e-9);
        for (one, two) in one.money.iter().zip(&two.money) {
            assert!(two.1 > one.1, "{}", one.0);
        }
    }

    #[test]
    fn larger_objects_take_fewer_calls_until_a_batch_is_full() {
        let puts = |object_megabytes| {
            let costs = Costs { object_megabytes, ..Costs::default() };
            Capacity::of(100.0, &costs).puts_per_second
        };
        assert!(puts(0.5) > 2.0 * puts(5.0));
        assert!((puts(50.0) - puts(100.0)).abs() < 1e-6);
    }

    #[test]
    fn the_quota_that_is_used_up_first_is_the_one_with_the_largest_part() {
        let capacity = Capacity::of(10_000.0, &Costs::default());
        let first = capacity.first().unwrap();
        assert!(
            capacity.needs.iter().all(|need| need.used / need.quota <= first.used / first.quota)
        );
    }
}
