//! Debian's registry on loopback, with a password, which cannot outlive this program.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::JoinHandle;

use anyhow::{Context, Result, bail};

use crate::command;
use crate::repository::Repository;

const USER: &str = "mtlog";
const PASSWORD: &str = "only-on-loopback";
/// `mtlog:only-on-loopback` in Base64.
const LOGIN: &str = "bXRsb2c6b25seS1vbi1sb29wYmFjaw==";
/// Longer than the step may ever take, in seconds.
const LIMIT_SECONDS: &str = "3600";

/// A running registry.
#[derive(Debug)]
pub(crate) struct Registry {
    process: Child,
    log: Option<JoinHandle<()>>,
    address: String,
    logins: PathBuf,
    requests: PathBuf,
}

impl Registry {
    /// Starts a registry on a free port and waits until it listens.
    pub(crate) fn start(repository: &Repository, python: &Path, directory: &Path) -> Result<Self> {
        let users = command::output(repository.command("htpasswd").args(["-nbB", USER, PASSWORD]))?;
        let file = |name: &str| directory.join(name);
        fs::write(file("htpasswd"), users).context("failed to write the registry's users")?;
        let configuration = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '127.0.0.1:0'}}\n\
             auth: {{htpasswd: {{realm: mtlog, path: {}}}}}\n",
            file("registry").display(),
            file("htpasswd").display()
        );
        fs::write(file("registry.yml"), configuration)
            .context("failed to configure the registry")?;
        let (logins, requests) = (file("auth.json"), file("registry.requests"));
        let mut process = repository
            .command(python)
            .arg(repository.path("xtask/guard.py"))
            .arg("--report")
            .arg(file("registry.report"))
            .args(["--limit", LIMIT_SECONDS, "--", "docker-registry", "serve"])
            .arg(file("registry.yml"))
            .stdin(Stdio::piped())
            .stdout(File::create(&requests)?)
            .stderr(Stdio::piped())
            .spawn()
            .context("failed to start the registry")?;
        let output = process.stderr.take();
        let mut registry = Self { process, log: None, address: String::new(), logins, requests };
        let mut lines = BufReader::new(output.context("the registry has no output")?).lines();
        let mut said = String::new();
        for line in lines.by_ref() {
            let line = line?;
            if let Some(address) = listening_on(&line) {
                address.clone_into(&mut registry.address);
                break;
            }
            said.push_str(&line);
            said.push('\n');
        }
        if registry.address.is_empty() {
            bail!("the registry did not start\n{said}");
        }
        // A full pipe would stop the registry.
        registry.log = Some(std::thread::spawn(move || lines.for_each(drop)));
        let logins = format!(r#"{{"auths":{{"{}":{{"auth":"{LOGIN}"}}}}}}"#, registry.address);
        fs::write(&registry.logins, logins).context("failed to write the logins")?;
        println!("registry on {}", registry.address);
        Ok(registry)
    }

    /// Returns the name of a repository.
    pub(crate) fn repository(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    /// Returns the file with the logins, in the form that every tool reads.
    pub(crate) fn logins(&self) -> &Path {
        &self.logins
    }

    /// Returns the log of all requests so far.
    pub(crate) fn requests(&self) -> Result<Vec<String>> {
        let text = fs::read_to_string(&self.requests).context("the registry has no log")?;
        Ok(text.lines().filter(|line| line.contains("/v2/")).map(str::to_owned).collect())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        drop(self.process.wait());
        if let Some(log) = self.log.take() {
            drop(log.join());
        }
    }
}

/// Reads the address out of the line that says so.
fn listening_on(line: &str) -> Option<&str> {
    let (_, after) = line.split_once("listening on ")?;
    after.split(['"', ' ', ',']).next().filter(|address| address.starts_with("127."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_the_registry_s_words() {
        let line = r#"time="2026-01-01T00:00:00Z" level=info msg="listening on 127.0.0.1:41573" go.version=go1.19"#;
        assert_eq!(listening_on(line), Some("127.0.0.1:41573"));
        assert_eq!(listening_on(r#"level=info msg="redis not configured""#), None);
    }
}
