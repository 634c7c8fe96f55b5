//! Everything about the Kubernetes manifests and the collector's program, in one task with one count.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command;
use crate::python;
use crate::repository::Repository;

/// Builds the manifests, runs the collector's program over its lines, and validates what was built.
pub(crate) fn run(repository: &Repository) -> Result<()> {
    // The features are those of the whole workspace, so that nothing is compiled a second time.
    let tests = |name: &str| {
        let mut command = repository.cargo();
        command.args(["test", "--workspace", "--all-features", "--locked", "--quiet", "--test"]);
        command.arg(name).args(["--", "--nocapture"]);
        command
    };
    let built = command::output(tests("cli").arg("k8s::"))?;
    print!("{built}");
    let ran = command::output(&mut tests("vrl"))?;
    print!("{ran}");
    let checked = command::output(&mut validation(repository)?)?;
    print!("{checked}");

    let resources = count(&checked, "resources")?;
    let schemas = count(&checked, "schemas")?;
    let cases = count(&ran, "VRL cases")?;
    println!("k8s: {resources} resources, {schemas} schemas, {cases} VRL cases");
    Ok(())
}

/// Validates the manifests that the tests hold equal to what kubectl builds.
pub(crate) fn validate(repository: &Repository) -> Result<()> {
    command::run(&mut validation(repository)?)
}

fn validation(repository: &Repository) -> Result<Command> {
    let mut command = python::lint(repository)?;
    command.args(["xtask/k8s_check.py", "tests/snapshots/k8s"]);
    Ok(command)
}

/// Finds `NUMBER what` in a text that counts.
fn count(text: &str, what: &str) -> Result<u64> {
    let found = text.match_indices(what).find_map(|(at, _)| {
        let before = text.get(..at)?.trim_end_matches(' ');
        let digits = before.rsplit(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse().ok()
    });
    let number: u64 = found.with_context(|| format!("nothing counted the {what}"))?;
    if number == 0 {
        bail!("there are no {what}");
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_found_and_a_missing_or_empty_one_fails() {
        let text = "running\n11 kustomizations, 98 resources, 91 of them checked against 14 schemas (x)\n0 VRL cases\n";
        assert_eq!(count(text, "resources").unwrap(), 98);
        assert_eq!(count(text, "schemas").unwrap(), 14);
        assert!(count(text, "VRL cases").is_err());
        assert!(count(text, "lines").is_err());
    }
}
