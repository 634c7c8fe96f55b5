//! The fault matrix of the engine: what its tests injected, and what the stand-in for AWS then saw.
//!
//! The tests write down what they found while they run. A row without a finding is a
//! test that failed or did not run, and is as bad as a lost record.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::command;
use crate::repository::Repository;

/// How many rows the matrix has.
const ROWS: u64 = 65;
/// Tells the tests where to write what they find.
const DIRECTORY: &str = "MTLOG_FAULT_EVIDENCE";

/// Whether this process has run the tests, and their findings are fresh.
static RECORDED: AtomicBool = AtomicBool::new(false);

/// What all tests of one row found.
#[derive(Debug, Default, PartialEq)]
struct Row {
    injected: String,
    expected: String,
    worlds: u64,
    counts: BTreeMap<&'static str, u64>,
}

/// What is added up for each row.
const COUNTS: [&str; 11] = [
    "records", "arrived", "unwanted", "refused", "waiting", "buried", "lost", "twice", "bound",
    "messages", "letters",
];

impl Row {
    fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or_default()
    }

    fn holds(&self) -> bool {
        self.count("lost") == 0 && self.count("twice") <= self.count("bound")
    }

    /// Says where the records are, in words.
    fn seen(&self) -> String {
        let mut parts =
            vec![format!("{} of {} arrived", self.count("arrived"), self.count("records"))];
        for (name, text) in [
            ("unwanted", "unwanted"),
            ("refused", "refused and counted"),
            ("waiting", "waiting"),
            ("buried", "in letters"),
        ] {
            if self.count(name) > 0 {
                parts.push(format!("{} {text}", self.count(name)));
            }
        }
        if self.count("records") == 0 {
            parts = vec!["nothing to deliver".to_owned()];
        }
        for (name, one, many) in [
            ("messages", "message kept", "messages kept"),
            ("letters", "dead letter", "dead letters"),
        ] {
            match self.count(name) {
                0 => {}
                1 => parts.push(format!("1 {one}")),
                count => parts.push(format!("{count} {many}")),
            }
        }
        parts.join(", ")
    }
}

/// Makes a command that runs tests write down what they find.
pub(crate) fn record(repository: &Repository, tests: &mut Command) -> Result<()> {
    let directory = directory(repository);
    match fs::remove_dir_all(&directory) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error).context("failed to remove the last findings"),
    }
    tests.env(DIRECTORY, directory);
    RECORDED.store(true, Ordering::Relaxed);
    Ok(())
}

/// Runs the tests of the matrix, unless this process has done so, and prints what they found.
pub(crate) fn run(repository: &Repository) -> Result<()> {
    if !RECORDED.load(Ordering::Relaxed) {
        let mut tests = repository.cargo();
        let selection = ["--workspace", "--all-features", "--locked", "--test", "engine"];
        if command::works(repository.cargo().args(["nextest", "--version"])) {
            tests.args(["nextest", "run"]).args(selection).args(["-E", "test(/row_[0-9]/)"]);
        } else {
            tests.args(["test", "--quiet"]).args(selection).arg("row_");
        }
        record(repository, &mut tests)?;
        command::run(&mut tests)?;
    }
    let rows = read(&directory(repository))?;
    for line in table(&rows) {
        println!("{line}");
    }
    verdict(&rows)
}

fn directory(repository: &Repository) -> PathBuf {
    repository.target().join("xtask").join("faults")
}

fn read(directory: &std::path::Path) -> Result<BTreeMap<u64, Row>> {
    let mut rows: BTreeMap<u64, Row> = BTreeMap::new();
    let files = fs::read_dir(directory).context("the tests wrote no findings")?;
    for file in files {
        let path = file?.path();
        let finding: Value = serde_json::from_slice(&fs::read(&path)?)
            .with_context(|| format!("`{}` is not JSON", path.display()))?;
        add(&mut rows, &finding).with_context(|| format!("in `{}`", path.display()))?;
    }
    Ok(rows)
}

fn add(rows: &mut BTreeMap<u64, Row>, finding: &Value) -> Result<()> {
    let number = |name: &str| {
        finding.get(name).and_then(Value::as_u64).with_context(|| format!("no `{name}`"))
    };
    let text = |name: &str| {
        let text = finding.get(name).and_then(Value::as_str);
        text.map(str::to_owned).with_context(|| format!("no `{name}`"))
    };
    let row = rows.entry(number("row")?).or_default();
    row.injected = text("injected")?;
    row.expected = text("expected")?;
    row.worlds += 1;
    for name in COUNTS {
        *row.counts.entry(name).or_default() += number(name)?;
    }
    Ok(())
}

fn table(rows: &BTreeMap<u64, Row>) -> Vec<String> {
    let mut cells = vec![
        ["row", "injected", "expected", "seen", "runs", "lost", "twice <= bound"]
            .map(str::to_owned),
    ];
    for (number, row) in rows {
        cells.push([
            number.to_string(),
            row.injected.clone(),
            row.expected.clone(),
            row.seen(),
            row.worlds.to_string(),
            row.count("lost").to_string(),
            format!("{} <= {}", row.count("twice"), row.count("bound")),
        ]);
    }
    let width = |column: usize| {
        let lengths = cells.iter().filter_map(|line| line.get(column));
        lengths.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..7).map(width).collect();
    cells
        .iter()
        .map(|line| {
            let padded = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        })
        .collect()
}

fn verdict(rows: &BTreeMap<u64, Row>) -> Result<()> {
    let missing: Vec<String> =
        (1..=ROWS).filter(|number| !rows.contains_key(number)).map(|row| row.to_string()).collect();
    if !missing.is_empty() {
        bail!("no finding of row {}: the test failed or did not run", missing.join(", "));
    }
    let broken: Vec<String> =
        rows.iter().filter(|(_, row)| !row.holds()).map(|(row, _)| row.to_string()).collect();
    if !broken.is_empty() {
        bail!("the contract is broken in row {}", broken.join(", "));
    }
    let sum = |name: &str| rows.values().map(|row| row.count(name)).sum::<u64>();
    println!(
        "{} rows: lost = 0 of {} records, duplicates {} <= {}",
        rows.len(),
        sum("records"),
        sum("twice"),
        sum("bound")
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn finding(row: u64, lost: u64, twice: u64) -> Value {
        json!({
            "row": row, "injected": "a reset", "expected": "delivered", "records": 5, "arrived": 4,
            "unwanted": 0, "refused": 1, "waiting": 0, "buried": 0, "lost": lost, "twice": twice,
            "bound": 2, "messages": 0, "letters": 1,
        })
    }

    fn rows(findings: impl IntoIterator<Item = Value>) -> BTreeMap<u64, Row> {
        let mut rows = BTreeMap::new();
        findings.into_iter().for_each(|one| add(&mut rows, &one).unwrap());
        rows
    }

    #[test]
    fn the_findings_of_a_row_are_added_up() {
        let lines = table(&rows([finding(7, 0, 1), finding(7, 0, 3)]));
        let cells: Vec<&str> =
            lines[1].split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        let seen = "8 of 10 arrived, 2 refused and counted, 2 dead letters";
        assert_eq!(cells, ["7", "a reset", "delivered", seen, "2", "0", "4 <= 4"]);
    }

    #[test]
    fn a_missing_row_a_loss_and_a_duplicate_too_many_are_failures() {
        let verdict_of = |change: fn(u64) -> Option<Value>| {
            let error = verdict(&rows((1..=ROWS).filter_map(change))).err();
            error.map(|error| error.to_string())
        };
        assert_eq!(verdict_of(|row| Some(finding(row, 0, 2))), None);
        assert_eq!(
            verdict_of(|row| (row != 39).then(|| finding(row, 0, 0))).unwrap(),
            "no finding of row 39: the test failed or did not run"
        );
        for broken in [
            |row| Some(finding(row, u64::from(row == 3), 0)),
            |row| Some(finding(row, 0, if row == 3 { 3 } else { 0 })),
        ] {
            assert_eq!(verdict_of(broken).unwrap(), "the contract is broken in row 3");
        }
    }
}
