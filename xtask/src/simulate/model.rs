//! What is simulated, and what comes out of it.

/// Calls that take a while, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Latencies {
    pub(crate) get: f64,
    pub(crate) put: f64,
    pub(crate) receive: f64,
    pub(crate) query: f64,
    pub(crate) assume: f64,
}

/// One run. All times are in milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    /// Objects in all.
    pub(crate) objects: u32,
    /// How many of them are written in a second; none: all are there from the start.
    pub(crate) arrivals_per_second: Option<f64>,
    pub(crate) tenants: u32,
    /// 0: every tenant writes as much as the others; 1: the second half as much as the first, the third a third.
    pub(crate) skew: f64,
    /// Processor time that an object takes.
    pub(crate) processor: f64,
    /// Calls that an object takes.
    pub(crate) puts: u32,
    pub(crate) latencies: Latencies,
    /// Calls of `PutLogEvents` that an account takes in a second.
    pub(crate) puts_per_second: f64,
    /// The same for the busiest tenant alone.
    pub(crate) busiest_puts_per_second: Option<f64>,
    pub(crate) workers: u32,
    /// Processors of a worker.
    pub(crate) cores: u32,
    /// Objects that a worker works on at a time.
    pub(crate) hands: u32,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            seed: 1,
            objects: 20_000,
            arrivals_per_second: Some(400.0),
            tenants: 200,
            skew: 1.0,
            processor: 2.0,
            puts: 1,
            latencies: Latencies { get: 30.0, put: 60.0, receive: 10.0, query: 8.0, assume: 80.0 },
            puts_per_second: 5_000.0,
            busiest_puts_per_second: None,
            workers: 5,
            cores: 1,
            hands: 10,
        }
    }
}

/// What a run came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Outcome {
    /// From the first arrival to the last delivery.
    pub(crate) seconds: f64,
    pub(crate) delivered: u32,
    /// Times from an object's arrival to its delivery, sorted, in milliseconds.
    pub(crate) waits: Vec<f64>,
    /// The same without the busiest tenant.
    pub(crate) quiet_waits: Vec<f64>,
    pub(crate) calls: Calls,
    /// The most messages that were received and not deleted.
    pub(crate) most_in_flight: u32,
    /// Processor time of all workers, as a part of what there was.
    pub(crate) utilisation: f64,
}

/// Calls by service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Calls {
    pub(crate) receive: u64,
    pub(crate) delete: u64,
    pub(crate) query: u64,
    pub(crate) assume: u64,
    pub(crate) get: u64,
    pub(crate) put: u64,
    pub(crate) throttled: u64,
    /// Messages that were given back to the queue.
    pub(crate) given_back: u64,
}

/// Returns the value that so many percent of sorted values do not exceed.
pub(crate) fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or_default()
}

/// Numbers that only look accidental: the same for the same seed.
#[derive(Debug)]
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a number from 0 up to 1, without 1.
    pub(crate) fn unit(&mut self) -> f64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let unit = (mixed >> 11) as f64 / (1_u64 << 53) as f64;
        unit
    }

    /// Returns the time to the next of events that come at random, so many in a second.
    pub(crate) fn gap(&mut self, per_second: f64) -> f64 {
        -(1.0 - self.unit()).ln() * 1000.0 / per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!((percentile(&values, 50), percentile(&values, 99)), (100.0, 198.0));
        assert_eq!((percentile(&[7.0], 50), percentile(&[], 99)), (7.0, 0.0));
    }

    #[test]
    fn numbers_depend_on_the_seed_alone() {
        let draw = |seed| {
            let mut numbers = Numbers::new(seed);
            [numbers.unit(), numbers.unit(), numbers.gap(10.0)].map(f64::to_bits)
        };
        assert_eq!(draw(5), draw(5));
        assert_ne!(draw(5), draw(6));
        let mut numbers = Numbers::new(5);
        assert!((0..1000).all(|_| (0.0..1.0).contains(&numbers.unit())));
    }
}
