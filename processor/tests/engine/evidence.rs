//! The judge of every world: what was put into the bucket against what the stand-in saw arrive.
//!
//! It does not ask the engine what was delivered. It reads the ledger of accepted
//! events and the two queues, and believes the engine only where it says that a
//! record was refused. `cargo xtask faults` prints what is written here.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};

use crate::matrix::MATRIX;

/// Names the directory that findings are written to. Without it they are only judged.
const DIRECTORY: &str = "MTLOG_FAULT_EVIDENCE";

/// One log line of the engine, by its fields.
pub(crate) type Line = BTreeMap<String, Value>;

/// What is known about one world.
#[derive(Debug, Default)]
pub(crate) struct Evidence(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The messages that each object must end in, by key.
    sent: BTreeMap<String, Vec<String>>,
    /// What the engine said of objects, in its order.
    lines: Vec<Line>,
    bound: usize,
    elsewhere: bool,
}

/// What the stand-in holds at the end.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The messages that each tenant's account accepted.
    pub(crate) delivered: BTreeMap<String, Vec<String>>,
    /// The bodies that are left in the queue.
    pub(crate) waiting: Vec<String>,
    /// The bodies in the dead-letter queue.
    pub(crate) buried: Vec<String>,
}

/// What became of the records.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Records put in.
    pub(crate) records: usize,
    /// Records that arrived.
    pub(crate) arrived: usize,
    /// Records that their tenant does not want.
    pub(crate) unwanted: usize,
    /// Records that were refused by name, and counted.
    pub(crate) refused: usize,
    /// Records of objects that are named in a message in the queue.
    pub(crate) waiting: usize,
    /// Records of objects that are named in a dead letter.
    pub(crate) buried: usize,
    /// Records that are none of these.
    pub(crate) lost: usize,
    /// Arrivals beyond the first.
    pub(crate) twice: usize,
    /// How many of those the fault explains.
    pub(crate) bound: usize,
    /// Messages left in the queue.
    pub(crate) messages: usize,
    /// Dead letters.
    pub(crate) letters: usize,
}

impl Evidence {
    /// Notes what the object with this key must end in; replaces what was noted of it before.
    pub(crate) fn expect(&self, key: &str, messages: Vec<String>) {
        self.state().sent.insert(key.to_owned(), messages);
    }

    /// Forgets what was noted of an object: its test compares by itself.
    pub(crate) fn forget(&self, key: &str) {
        self.state().sent.remove(key);
    }

    /// Forgets all objects.
    pub(crate) fn clear(&self) {
        self.state().sent.clear();
    }

    /// Leaves the judgement to the test: what it delivers does not reach the stand-in.
    pub(crate) fn delivered_elsewhere(&self) {
        self.state().elsewhere = true;
    }

    /// Allows so many more arrivals beyond the first.
    pub(crate) fn allow_twice(&self, records: usize) {
        self.state().bound += records;
    }

    /// Adds what the engine wrote.
    pub(crate) fn add_lines(&self, lines: Vec<Line>) {
        self.state().lines.extend(lines);
    }

    /// Returns what became of the records. The engine must have counted an object that it calls delivered in full.
    pub(crate) fn findings(&self, seen: &Seen) -> Findings {
        let state = self.state();
        let mut findings = Findings {
            bound: state.bound,
            messages: seen.waiting.len(),
            letters: seen.buried.len(),
            ..Findings::default()
        };
        // For each tenant and message, how often it must have arrived and how often it may have.
        let mut counts: BTreeMap<&str, BTreeMap<&str, (usize, usize)>> = BTreeMap::new();
        for (key, messages) in state.sent.iter().filter(|_| !state.elsewhere) {
            let named = |bodies: &[String]| bodies.iter().any(|body| body.contains(key));
            let said = state.lines.iter().rev().find(|line| is_about(line, key));
            findings.records += messages.len();
            let required = if named(&seen.waiting) {
                findings.waiting += messages.len();
                false
            } else if named(&seen.buried) {
                findings.buried += messages.len();
                false
            } else if said.is_some_and(is_unwanted) {
                findings.unwanted += messages.len();
                false
            } else {
                true
            };
            if let Some(line) = said.filter(|line| line["outcome"] == "delivered") {
                assert_eq!(number(line, "read"), messages.len(), "counted of `{key}`: {line:?}");
                findings.refused += refused(line);
            }
            let tenant = counts.entry(tenant_of(key)).or_default();
            for message in messages {
                let (must, may) = tenant.entry(message).or_default();
                *must += usize::from(required);
                *may += 1;
            }
        }
        let mut missing = 0;
        for (tenant, counts) in &counts {
            let mut arrived: BTreeMap<&str, usize> = BTreeMap::new();
            for message in seen.delivered.get(*tenant).into_iter().flatten() {
                *arrived.entry(message).or_default() += 1;
            }
            for (message, (must, may)) in counts {
                let arrived = arrived.get(message).copied().unwrap_or_default();
                missing += must.saturating_sub(arrived);
                findings.arrived += arrived.min(*may);
                findings.twice += arrived.saturating_sub(*may);
            }
        }
        findings.lost = missing.saturating_sub(findings.refused);
        findings
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Findings {
    /// Fails the test when a record is lost, or arrived more often than the fault explains; writes the rest down.
    pub(crate) fn judge(&self) {
        assert_eq!(self.lost, 0, "lost records: {self:?}");
        assert!(self.twice <= self.bound, "more duplicates than the fault explains: {self:?}");
        if let (Some(directory), Some((row, test))) = (std::env::var_os(DIRECTORY), row()) {
            self.write(PathBuf::from(directory), row, &test);
        }
    }

    fn write(&self, directory: PathBuf, row: usize, test: &str) {
        use std::sync::atomic::{AtomicU32, Ordering};
        static WRITTEN: AtomicU32 = AtomicU32::new(0);
        let (injected, expected) = MATRIX[row - 1];
        let record = json!({
            "row": row,
            "injected": injected,
            "expected": expected,
            "test": test,
            "records": self.records,
            "arrived": self.arrived,
            "unwanted": self.unwanted,
            "refused": self.refused,
            "waiting": self.waiting,
            "buried": self.buried,
            "lost": self.lost,
            "twice": self.twice,
            "bound": self.bound,
            "messages": self.messages,
            "letters": self.letters,
        });
        std::fs::create_dir_all(&directory).unwrap();
        let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
        let name = format!("{row:02}-{}-{number}.json", std::process::id());
        std::fs::write(directory.join(name), record.to_string()).unwrap();
    }
}

/// Returns the row of the fault matrix that the running test is about. A test's thread has its name.
fn row() -> Option<(usize, String)> {
    let thread = std::thread::current();
    let test = thread.name()?.rsplit("::").next()?;
    let row = test.strip_prefix("row_")?.get(..2)?.parse().ok()?;
    Some((row, test.to_owned()))
}

/// Returns the second segment of a key: the tenant.
fn tenant_of(key: &str) -> &str {
    key.split('/').nth(1).unwrap_or_default()
}

fn is_about(line: &Line, key: &str) -> bool {
    line["key"] == key && line["destination"] != "s3" && line["outcome"] != "duplicate"
}

fn is_unwanted(line: &Line) -> bool {
    line["outcome"] == "application_not_wanted" || line["outcome"] == "delivery_disabled"
}

fn refused(line: &Line) -> usize {
    ["rejected_old", "rejected_new", "expired", "quarantined", "undecodable"]
        .into_iter()
        .map(|state| number(line, state))
        .sum()
}

fn number(line: &Line, name: &str) -> usize {
    line[name].as_u64().and_then(|number| number.try_into().ok()).unwrap()
}

#[test]
fn the_judge_sees_what_is_lost_and_what_comes_twice() {
    let evidence = Evidence::default();
    evidence.expect("c/acme/a/p/1", vec!["a".to_owned(), "b".to_owned()]);
    evidence.expect("c/acme/a/p/2", vec!["a".to_owned(), "c".to_owned()]);
    evidence.expect("c/other/a/p/3", vec!["d".to_owned()]);
    evidence.expect("c/other/a/p/4", vec!["e".to_owned()]);
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let seen = Seen {
        delivered: [("acme".to_owned(), texts(&["a", "c", "c", "b"]))].into(),
        waiting: vec!["about c/other/a/p/3".to_owned()],
        buried: Vec::new(),
    };
    let found = evidence.findings(&seen);
    // One `a` and the `e` are missing, one `c` is too much, the `d` is still to come.
    assert_eq!((found.records, found.arrived, found.waiting), (6, 3, 1));
    assert_eq!((found.lost, found.twice, found.bound), (2, 1, 0));
}
