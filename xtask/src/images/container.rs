//! The published image at work under podman.

use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail, ensure};

use super::queue::EmptyQueue;
use super::{RECORDS, Test};
use crate::demo;
use crate::emulator::{CENTRAL_ACCOUNT, Emulator, REGION};

/// A container that is still there then is killed, whatever became of this program; seconds.
const CONTAINER_LIMIT: &str = "--timeout=300";
/// The time that the container has to stop, in seconds.
const STOP_SECONDS: &str = "10";
/// How a process ends that had to be killed.
const KILLED: &str = "137";

/// Has the image deliver everything that is in the queue, and compares what arrived.
pub(super) fn deliver(test: &Test<'_>, image: &str) -> Result<()> {
    let logins = format!("--authfile={}", test.registry.logins().display());
    let start = Instant::now();
    test.podman.run("pull", &["pull", "--quiet", "--tls-verify=false", &logins, image])?;
    println!("{:<24} {:>6.1} s", "pulled by podman", start.elapsed().as_secs_f64());
    let version = test
        .podman
        .run("version", &["run", "--rm", CONTAINER_LIMIT, image, "--version"])?
        .text()?;
    ensure!(version.starts_with("log-processor "), "the image says {version}");

    let emulator = Emulator::start(test.repository, test.scratch.path())?;
    demo::deliver_through(test.repository, test.scratch, test.mtlog, &emulator, RECORDS, |stacks| {
        let variables = [emulator.variables(CENTRAL_ACCOUNT), stacks.to_vec()].concat();
        let file = format!("--env-file={}", test.podman.variables("deliver.env", &variables)?);
        let start = Instant::now();
        let arguments = [
            "run",
            "--rm",
            "--network=host",
            "--read-only",
            "--cap-drop=all",
            CONTAINER_LIMIT,
            &file,
        ];
        test.podman.run(
            "deliver",
            &[&arguments[..], &[image, "--mode", "sqs", "--until-empty"]].concat(),
        )?;
        println!("{:<24} {:>6.1} s", "delivered in a container", start.elapsed().as_secs_f64());
        Ok(())
    })
}

/// Measures the time to the first poll, and stops the container with SIGTERM as an orchestrator does.
pub(super) fn stop(test: &Test<'_>, image: &str) -> Result<()> {
    let queue = EmptyQueue::open()?;
    let variables = [
        ("EXECUTION_MODE", "sqs".to_owned()),
        ("AWS_ENDPOINT_URL", queue.endpoint()?),
        ("SQS_QUEUE_URL", format!("{}/{CENTRAL_ACCOUNT}/queue", queue.endpoint()?)),
        (
            "CENTRAL_LOG_DISTRIBUTION_ROLE_ARN",
            format!("arn:aws:iam::{CENTRAL_ACCOUNT}:role/central"),
        ),
        ("AWS_ACCESS_KEY_ID", CENTRAL_ACCOUNT.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "none".to_owned()),
        ("AWS_REGION", REGION.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value));
    let file = format!("--env-file={}", test.podman.variables("stop.env", &variables)?);
    let arguments =
        ["run", "--detach", "--name=stop", "--network=host", CONTAINER_LIMIT, &file, image];
    let start = Instant::now();
    test.podman.run("start", &arguments)?;
    let status = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let status = test.podman.run("wait", &["wait", "stop"])?.text();
            queue.wake()?;
            status
        });
        let polled = queue.first_poll();
        println!("{:<24} {:>6.2} s", "start to first poll", start.elapsed().as_secs_f64());
        let start = Instant::now();
        // A container that did not poll is stopped too, or has ended already.
        let stopped = test.podman.run("stop", &["stop", "--time", STOP_SECONDS, "stop"]);
        println!("{:<24} {:>6.2} s", "stopped by SIGTERM", start.elapsed().as_secs_f64());
        let status = waiting.join().map_err(|_| anyhow!("waiting for the container broke down"))?;
        drop(polled?);
        stopped?;
        status
    });
    let log =
        || test.podman.run("log", &["logs", "stop"]).and_then(|log| log.text()).unwrap_or_default();
    match status.with_context(log)?.trim() {
        "0" => Ok(()),
        KILLED => bail!("the container had to be killed after {STOP_SECONDS} s\n{}", log()),
        other => bail!("the container ended with {other}\n{}", log()),
    }
}
