//! Runs a scenario: events in the order of their time.
//!
//! The rules are the engine's: a worker receives while it has free hands, shares them among tenants in turns, asks the
//! tenant table once a minute and STS once in 48 minutes for each tenant, sends up to four segments of an object at a
//! time, each in one call, while it decodes one more, pauses after a throttle and repeats three times, then gives
//! the message back.

#![expect(
    clippy::indexing_slicing,
    reason = "objects, workers and accounts are numbered from 0 and never go away"
)]

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BinaryHeap, VecDeque},
};

use super::model::{Numbers, Outcome, Scenario};

/// Calls of one object that are under way at a time.
const PUTS_IN_FLIGHT: u32 = 4;
/// The most objects of one tenant that a worker works on at a time.
const MOST_PER_TENANT: u32 = 4;
/// The most messages that a worker holds.
const MOST_HELD: u32 = 500;
/// Messages of one receive or delete.
const BATCH: u32 = 10;
/// How long a delete waits for others.
const DELETE_WAIT: f64 = 200.0;
/// How long a tenant's item is used.
const ITEM_LIFE: f64 = 60_000.0;
/// How long a session is used: 80 % of an hour.
const SESSION_LIFE: f64 = 48.0 * 60_000.0;
/// The first pause after a throttle; each further one is twice as long.
const PAUSE: f64 = 2_000.0;
const REPETITIONS: u32 = 3;
/// How long a message that is given back for the first time stays away.
const AWAY: f64 = 30_000.0;
const LONGEST_AWAY: f64 = 900_000.0;

/// Something that happens.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// A message becomes visible.
    Visible(usize),
    Received(usize),
    /// The object's first bytes are there, and tenant and role are known.
    Opened(Work),
    Decoded(Work),
    PutAnswered(Work),
    /// A call's pause is over.
    PutAgain {
        work: Work,
        repetition: u32,
    },
    Flush(usize),
}

/// One attempt at an object. What belongs to an earlier attempt has no effect.
#[derive(Debug, Clone, Copy)]
struct Work {
    object: usize,
    attempt: u32,
}

#[derive(Debug)]
struct Scheduled {
    at: f64,
    number: u64,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The earliest is the greatest, so that a heap gives it first.
impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.total_cmp(&self.at).then(other.number.cmp(&self.number))
    }
}

#[derive(Debug, Default)]
struct Object {
    tenant: usize,
    arrived: f64,
    attempt: u32,
    worker: usize,
    decoding: bool,
    decoded: u32,
    /// Calls that are under way, and those that were answered.
    under_way: u32,
    answered: u32,
}

#[derive(Debug, Default)]
struct Worker {
    hands_free: u32,
    held: u32,
    receiving: bool,
    /// When each processor is free.
    cores: Vec<f64>,
    waiting: BTreeMap<usize, VecDeque<usize>>,
    /// The tenants with somebody waiting, in the order of their turns.
    turns: VecDeque<usize>,
    in_work: BTreeMap<usize, u32>,
    /// Until when items and sessions are used, and from when on they are there.
    items: BTreeMap<usize, (f64, f64)>,
    sessions: BTreeMap<usize, (f64, f64)>,
    central: (f64, f64),
    to_delete: u32,
}

/// Calls that an account still takes.
#[derive(Debug)]
struct Bucket {
    per_second: f64,
    left: f64,
    at: f64,
}

struct Run<'a> {
    scenario: &'a Scenario,
    now: f64,
    events: BinaryHeap<Scheduled>,
    scheduled: u64,
    numbers: Numbers,
    objects: Vec<Object>,
    workers: Vec<Worker>,
    accounts: Vec<Bucket>,
    queue: VecDeque<usize>,
    in_flight: u32,
    busy: f64,
    outcome: Outcome,
}

/// Runs a scenario to the delivery of its last object.
pub(crate) fn run(scenario: &Scenario) -> Outcome {
    let mut run = Run::new(scenario);
    run.write_objects();
    while let Some(next) = run.events.pop() {
        run.now = next.at;
        run.handle(next.event);
    }
    run.finish()
}

impl<'a> Run<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        let worker = || Worker {
            hands_free: scenario.hands,
            cores: vec![0.0; scenario.cores as usize],
            ..Worker::default()
        };
        let account = |tenant: u32| {
            let own = scenario.busiest_puts_per_second.filter(|_| tenant == 0);
            let per_second = own.unwrap_or(scenario.puts_per_second);
            Bucket { per_second, left: per_second, at: 0.0 }
        };
        Self {
            scenario,
            now: 0.0,
            events: BinaryHeap::new(),
            scheduled: 0,
            numbers: Numbers::new(scenario.seed),
            objects: Vec::new(),
            workers: (0..scenario.workers).map(|_| worker()).collect(),
            accounts: (0..scenario.tenants).map(account).collect(),
            queue: VecDeque::new(),
            in_flight: 0,
            busy: 0.0,
            outcome: Outcome::default(),
        }
    }

    fn at(&mut self, at: f64, event: Event) {
        self.scheduled += 1;
        self.events.push(Scheduled { at, number: self.scheduled, event });
    }

    fn write_objects(&mut self) {
        let weights: Vec<f64> = (1..=self.scenario.tenants)
            .map(|rank| f64::from(rank).powf(-self.scenario.skew))
            .collect();
        let all: f64 = weights.iter().sum();
        let mut at = 0.0;
        for number in 0..self.scenario.objects {
            let mut left = self.numbers.unit() * all;
            // Where everybody writes as much, they do so in turns.
            let tenant = if self.scenario.skew == 0.0 {
                (number % self.scenario.tenants) as usize
            } else {
                weights
                    .iter()
                    .position(|weight| {
                        left -= weight;
                        left < 0.0
                    })
                    .unwrap_or_default()
            };
            if let Some(per_second) = self.scenario.arrivals_per_second {
                at += self.numbers.gap(per_second);
            }
            self.objects.push(Object { tenant, arrived: at, ..Object::default() });
            self.at(at, Event::Visible(number as usize));
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Visible(object) => {
                self.queue.push_back(object);
                (0..self.workers.len()).for_each(|worker| self.receive(worker));
            }
            Event::Received(worker) => self.received(worker),
            Event::Opened(work) if self.is_present(work) => self.decode(work.object),
            Event::Decoded(work) if self.is_present(work) => self.decoded(work.object),
            Event::PutAnswered(work) if self.is_present(work) => self.put_answered(work.object),
            Event::PutAgain { work, repetition } if self.is_present(work) => {
                self.put(work.object, repetition);
            }
            Event::Opened(_)
            | Event::Decoded(_)
            | Event::PutAnswered(_)
            | Event::PutAgain { .. } => {}
            Event::Flush(worker) => self.flush(worker),
        }
    }

    fn work(&self, object: usize) -> Work {
        Work { object, attempt: self.objects[object].attempt }
    }

    fn is_present(&self, work: Work) -> bool {
        self.objects[work.object].attempt == work.attempt
    }

    /// Asks for messages, if the worker has hands for them and there are any.
    fn receive(&mut self, number: usize) {
        let worker = &mut self.workers[number];
        if worker.receiving
            || worker.hands_free == 0
            || worker.held >= MOST_HELD
            || self.queue.is_empty()
        {
            return;
        }
        worker.receiving = true;
        let at = self.now + self.scenario.latencies.receive;
        self.at(at, Event::Received(number));
    }

    fn received(&mut self, number: usize) {
        self.outcome.calls.receive += 1;
        let worker = &mut self.workers[number];
        worker.receiving = false;
        let most = worker.hands_free.min(MOST_HELD - worker.held).min(BATCH);
        for _ in 0..most {
            let Some(object) = self.queue.pop_front() else { break };
            let tenant = self.objects[object].tenant;
            self.objects[object].worker = number;
            let worker = &mut self.workers[number];
            worker.held += 1;
            let lane = worker.waiting.entry(tenant).or_default();
            if lane.is_empty() {
                worker.turns.push_back(tenant);
            }
            lane.push_back(object);
            self.in_flight += 1;
        }
        self.outcome.most_in_flight = self.outcome.most_in_flight.max(self.in_flight);
        self.give_hands(number);
        self.receive(number);
    }

    /// Gives free hands to tenants in turns.
    fn give_hands(&mut self, number: usize) {
        let per_tenant = (self.scenario.hands / 2).clamp(1, MOST_PER_TENANT);
        let mut passed_over = 0;
        loop {
            let worker = &mut self.workers[number];
            if worker.hands_free == 0 || passed_over >= worker.turns.len() {
                return;
            }
            let Some(tenant) = worker.turns.pop_front() else { return };
            if worker.in_work.get(&tenant).copied().unwrap_or_default() >= per_tenant {
                worker.turns.push_back(tenant);
                passed_over += 1;
                continue;
            }
            passed_over = 0;
            let Some(lane) = worker.waiting.get_mut(&tenant) else { continue };
            let Some(object) = lane.pop_front() else { continue };
            if !lane.is_empty() {
                worker.turns.push_back(tenant);
            }
            worker.hands_free -= 1;
            *worker.in_work.entry(tenant).or_default() += 1;
            self.open(object);
        }
    }

    /// Looks the tenant up and asks for the object; the role is needed when there is something to send.
    fn open(&mut self, object: usize) {
        let (tenant, number) = (self.objects[object].tenant, self.objects[object].worker);
        let (now, latencies) = (self.now, self.scenario.latencies);
        let worker = &mut self.workers[number];
        let item = worker.items.entry(tenant).or_insert((0.0, -1.0));
        if item.1 <= now {
            self.outcome.calls.query += 1;
            *item = (now + latencies.query, now + ITEM_LIFE);
        }
        let known = item.0.max(now);
        self.outcome.calls.get += 1;
        let at = known + latencies.get;
        let work = self.work(object);
        self.at(at, Event::Opened(work));
    }

    /// Returns when there is a session of the tenant's role.
    fn session(&mut self, object: usize) -> f64 {
        let (tenant, number) = (self.objects[object].tenant, self.objects[object].worker);
        let (now, assume) = (self.now, self.scenario.latencies.assume);
        let worker = &mut self.workers[number];
        let session = worker.sessions.entry(tenant).or_insert((0.0, -1.0));
        if session.1 <= now {
            if worker.central.1 <= now {
                self.outcome.calls.assume += 1;
                worker.central = (now + assume, now + SESSION_LIFE);
            }
            self.outcome.calls.assume += 1;
            *session = (worker.central.0.max(now) + assume, now + SESSION_LIFE);
        }
        session.0.max(now)
    }

    fn decode(&mut self, object: usize) {
        let (number, each) =
            (self.objects[object].worker, self.scenario.processor / f64::from(self.scenario.puts));
        self.objects[object].decoding = true;
        let now = self.now;
        let cores = &mut self.workers[number].cores;
        let first = cores.iter_mut().min_by(|one, other| one.total_cmp(other));
        let Some(core) = first else { return };
        *core = core.max(now) + each;
        let at = *core;
        self.busy += each;
        let work = self.work(object);
        self.at(at, Event::Decoded(work));
    }

    fn decoded(&mut self, object: usize) {
        let state = &mut self.objects[object];
        state.decoding = false;
        state.decoded += 1;
        self.send(object);
        self.go_on_decoding(object);
    }

    /// One segment is filled while others are sent.
    fn go_on_decoding(&mut self, object: usize) {
        let state = &self.objects[object];
        if !state.decoding
            && state.decoded < self.scenario.puts
            && state.decoded - state.answered <= PUTS_IN_FLIGHT
        {
            self.decode(object);
        }
    }

    fn send(&mut self, object: usize) {
        let work = self.work(object);
        while self.is_present(work) {
            let state = &mut self.objects[object];
            if state.under_way == PUTS_IN_FLIGHT
                || state.answered + state.under_way == state.decoded
            {
                return;
            }
            state.under_way += 1;
            self.put(object, 0);
        }
    }

    fn put(&mut self, object: usize, repetition: u32) {
        let start = self.session(object);
        let tenant = self.objects[object].tenant;
        self.outcome.calls.put += 1;
        let account = &mut self.accounts[tenant];
        let passed = (start - account.at).max(0.0) / 1000.0;
        account.left = (account.left + passed * account.per_second).min(account.per_second);
        account.at = account.at.max(start);
        let answered = start + self.scenario.latencies.put;
        if account.left >= 1.0 {
            account.left -= 1.0;
            let work = self.work(object);
            self.at(answered, Event::PutAnswered(work));
            return;
        }
        self.outcome.calls.throttled += 1;
        if repetition < REPETITIONS {
            let work = self.work(object);
            let pause = self.numbers.unit() * PAUSE * f64::from(1 << repetition);
            self.at(answered + pause, Event::PutAgain { work, repetition: repetition + 1 });
        } else {
            self.give_back(object);
        }
    }

    fn put_answered(&mut self, object: usize) {
        let state = &mut self.objects[object];
        state.under_way -= 1;
        state.answered += 1;
        if state.answered == self.scenario.puts {
            self.done(object);
            return;
        }
        self.send(object);
        self.go_on_decoding(object);
    }

    fn done(&mut self, object: usize) {
        let Object { tenant, arrived, worker, .. } = self.objects[object];
        let wait = self.now - arrived;
        self.outcome.delivered += 1;
        self.outcome.seconds = self.now / 1000.0;
        self.outcome.waits.push(wait);
        if tenant != 0 {
            self.outcome.quiet_waits.push(wait);
        }
        if self.workers[worker].to_delete == 0 {
            let at = self.now + DELETE_WAIT;
            self.at(at, Event::Flush(worker));
        }
        self.workers[worker].to_delete += 1;
        if self.workers[worker].to_delete == BATCH {
            self.flush(worker);
        }
        self.let_go(object);
    }

    fn give_back(&mut self, object: usize) {
        self.outcome.calls.given_back += 1;
        let Object { tenant, arrived, attempt, worker, .. } = self.objects[object];
        let away = (AWAY * f64::from(1 << attempt.min(16))).min(LONGEST_AWAY);
        // What it has delivered is not sent again by the same process; here, all of it is.
        self.objects[object] =
            Object { tenant, arrived, attempt: attempt + 1, worker, ..Object::default() };
        self.in_flight = self.in_flight.saturating_sub(1);
        let at = self.now + away;
        self.at(at, Event::Visible(object));
        self.let_go(object);
    }

    fn let_go(&mut self, object: usize) {
        let Object { tenant, worker: number, .. } = self.objects[object];
        let worker = &mut self.workers[number];
        worker.hands_free += 1;
        worker.held -= 1;
        if let Some(count) = worker.in_work.get_mut(&tenant) {
            *count -= 1;
        }
        self.give_hands(number);
        self.receive(number);
    }

    fn flush(&mut self, number: usize) {
        let worker = &mut self.workers[number];
        if worker.to_delete > 0 {
            self.outcome.calls.delete += 1;
            self.in_flight = self.in_flight.saturating_sub(worker.to_delete);
            worker.to_delete = 0;
        }
    }

    fn finish(mut self) -> Outcome {
        self.outcome.waits.sort_by(f64::total_cmp);
        self.outcome.quiet_waits.sort_by(f64::total_cmp);
        let there =
            self.outcome.seconds * 1000.0 * f64::from(self.scenario.workers * self.scenario.cores);
        self.outcome.utilisation = if there > 0.0 { self.busy / there } else { 0.0 };
        self.outcome
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::{Calls, Latencies, percentile};
    use super::*;

    fn still() -> Scenario {
        Scenario {
            objects: 100,
            arrivals_per_second: None,
            tenants: 10,
            skew: 0.0,
            processor: 1.0,
            latencies: Latencies { get: 0.0, put: 100.0, receive: 0.0, query: 0.0, assume: 0.0 },
            workers: 1,
            hands: 10,
            ..Scenario::default()
        }
    }

    #[test]
    fn a_run_depends_on_its_seed_alone() {
        let scenario = Scenario { objects: 2_000, ..Scenario::default() };
        assert_eq!(run(&scenario), run(&scenario));
        assert_ne!(run(&scenario), run(&Scenario { seed: 2, ..scenario.clone() }));
    }

    #[test]
    fn calls_are_those_of_warm_caches() {
        let outcome = run(&still());
        assert_eq!(outcome.delivered, 100);
        let calls = Calls { receive: 0, delete: 0, ..outcome.calls };
        let expected = Calls { query: 10, assume: 11, get: 100, put: 100, ..Calls::default() };
        assert_eq!(calls, expected);
        let two = run(&Scenario { workers: 2, ..still() });
        assert_eq!((two.calls.query, two.calls.assume), (20, 22));
    }

    #[test]
    fn waiting_is_bounded_by_hands_and_working_by_processors() {
        // Ten rounds of ten calls.
        let calls = run(&still()).seconds;
        assert!((1.0..1.1).contains(&calls), "{calls}");
        let work = run(&Scenario { processor: 50.0, ..still() }).seconds;
        assert!((5.0..5.4).contains(&work), "{work}");
        let two_cores = run(&Scenario { processor: 50.0, cores: 2, ..still() }).seconds;
        assert!((2.5..2.9).contains(&two_cores), "{two_cores}");
    }

    #[test]
    fn sending_overlaps_with_decoding() {
        let one = Scenario { objects: 1, tenants: 1, processor: 1_000.0, puts: 10, ..still() };
        // Every segment takes 100 ms to decode and 100 ms to send: 11 steps, not 20.
        let seconds = run(&one).seconds;
        assert!((1.09..1.11).contains(&seconds), "{seconds}");
    }

    #[test]
    fn four_calls_are_under_way_at_a_time() {
        let one = Scenario { objects: 1, tenants: 1, processor: 10.0, puts: 10, ..still() };
        // Nothing to decode: three rounds of at most four calls of 100 ms each.
        let seconds = run(&one).seconds;
        assert!((0.3..0.32).contains(&seconds), "{seconds}");
    }

    #[test]
    fn a_throttled_tenant_does_not_hold_up_the_others() {
        let scenario =
            Scenario { objects: 4_000, arrivals_per_second: Some(100.0), ..Scenario::default() };
        let free = run(&scenario);
        let throttled = run(&Scenario { busiest_puts_per_second: Some(2.0), ..scenario });
        assert!(throttled.calls.throttled > 100 && throttled.delivered == 4_000);
        let (before, after) =
            (percentile(&free.quiet_waits, 99), percentile(&throttled.quiet_waits, 99));
        assert!(after < 1.1 * before, "{before} {after}");
    }
}
