//! The gates of deploying: start-up, calls, polling, the time until an end is seen.
//!
//! `cargo xtask bench deploying`
//!
//! Runs the built `mtlog` as a process against the stand-in for AWS, which answers at once, so that what is measured is
//! mtlog's own. Times say something about the machine as well: the first column of figures is the same run of a program
//! that does nothing, and the ratio is to that.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark waits, prints its figures and stops at the first fault"
)]

use std::{
    ffi::OsString,
    io::Read as _,
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use fake_aws::{FakeAws, Fault, Response, cloudformation::Pace};
use tempfile::TempDir;

const ACCOUNT: &str = "111111111111";
const REGION: &str = "us-east-2";
const RUNS: usize = 21;

/// The program that is measured: the one that `MTLOG_PROGRAM` names, else the one that was built for this.
fn program() -> OsString {
    std::env::var_os("MTLOG_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_mtlog").into())
}

/// One gate: what is measured against what it must be.
struct Gate {
    name: &'static str,
    target: String,
    measured: String,
    ratio: Option<f64>,
    met: bool,
}

/// A stand-in for AWS and a home to run `mtlog` in.
struct World {
    fake: FakeAws,
    home: TempDir,
}

impl World {
    fn new() -> Self {
        Self { fake: FakeAws::start_blocking(), home: TempDir::new().expect("a directory") }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .env_clear()
            .env("HOME", self.home.path())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_S3_USE_PATH_STYLE", "true")
            .envs(self.fake.environment(REGION, &self.fake.root_credentials(ACCOUNT)))
            .current_dir(self.home.path())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// Runs `mtlog` to its end and returns how long it took.
    fn run(&self, arguments: &[&str]) -> (Duration, Option<i32>) {
        let began = Instant::now();
        let status = self.command(arguments).status().expect("mtlog runs");
        (began.elapsed(), status.code())
    }
}

fn main() -> ExitCode {
    // Cargo runs benchmarks as tests too, without this word.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let nothing = median(|| {
        let began = Instant::now();
        Command::new("true").status().expect("`true` runs");
        began.elapsed()
    });
    println!("a program that does nothing starts and ends in {}", shown(nothing));
    let gates = [
        start_up(nothing, "mtlog --version", &["--version"], 10),
        start_up(nothing, "mtlog deploy --help", &["deploy", "--help"], 20),
        memory(),
        first_output(nothing),
        creation(nothing),
        creation_calls(),
        no_change(nothing),
        dry_run(),
        polling(),
        end_is_seen(),
        throttled(),
        rolled_back(),
    ];
    println!("\n{:<44} {:>16} {:>22} {:>9}", "GATE", "TARGET", "MEASURED", "RATIO");
    for gate in &gates {
        let ratio = gate.ratio.map_or_else(String::new, |ratio| format!("{ratio:.1}x"));
        let verdict = if gate.met { "" } else { "  MISSED" };
        println!("{:<44} {:>16} {:>22} {ratio:>9}{verdict}", gate.name, gate.target, gate.measured);
    }
    if gates.iter().all(|gate| gate.met) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn median(mut measure: impl FnMut() -> Duration) -> Duration {
    let mut times: Vec<Duration> = (0..RUNS).map(|_| measure()).collect();
    times.sort_unstable();
    times[RUNS / 2]
}

fn shown(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

fn timed(name: &'static str, nothing: Duration, time: Duration, limit: Duration) -> Gate {
    Gate {
        name,
        target: format!("< {}", shown(limit)),
        measured: shown(time),
        ratio: Some(time.as_secs_f64() / nothing.as_secs_f64()),
        met: time < limit,
    }
}

fn start_up(nothing: Duration, name: &'static str, words: &[&str], limit_ms: u64) -> Gate {
    let world = World::new();
    let time = median(|| world.run(words).0);
    timed(name, nothing, time, Duration::from_millis(limit_ms))
}

/// The peak memory, as Python's `resource` tells it. Python's own is in it, so that it is never too low.
fn memory() -> Gate {
    const LIMIT: u64 = 15 * 1024;
    let script = "import resource,subprocess,sys\n\
                  subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)\n\
                  print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
    let output = Command::new("python3")
        .args(["-I", "-S", "-c", script])
        .arg(program())
        .arg("--version")
        .output()
        .expect("Python runs");
    let kibibytes: u64 = String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number");
    Gate {
        name: "peak memory of mtlog --version",
        target: "< 15 MiB".to_owned(),
        measured: format!("{kibibytes} KiB"),
        ratio: None,
        met: kibibytes < LIMIT,
    }
}

fn first_output(nothing: Duration) -> Gate {
    let time = median(|| {
        let world = World::new();
        let began = Instant::now();
        let mut child = world
            .command(&["deploy", "global", "-y"])
            .stderr(Stdio::piped())
            .spawn()
            .expect("mtlog runs");
        let mut byte = [0];
        child.stderr.as_mut().expect("a pipe").read_exact(&mut byte).expect("a byte");
        let time = began.elapsed();
        // The rest is read, so that nobody waits for a reader.
        drop(child.wait_with_output().expect("an end"));
        time
    });
    timed("first words of deploy global", nothing, time, Duration::from_millis(100))
}

fn creation(nothing: Duration) -> Gate {
    let time = median(|| {
        let world = World::new();
        let (time, code) = world.run(&["deploy", "global", "-y"]);
        assert_eq!(code, Some(0));
        time
    });
    timed("deploy global, whole", nothing, time, Duration::from_millis(500))
}

fn counted(name: &'static str, count: u64, limit: u64) -> Gate {
    Gate {
        name,
        target: format!("<= {limit}"),
        measured: count.to_string(),
        ratio: None,
        met: count <= limit,
    }
}

fn creation_calls() -> Gate {
    let world = World::new();
    world.run(&["deploy", "global", "-y"]);
    counted("deploy global, calls", world.fake.calls("*"), 8)
}

fn no_change(nothing: Duration) -> Gate {
    let world = World::new();
    world.run(&["deploy", "all", "--include-sqs", "-y"]);
    world.fake.clear_journal();
    let time = median(|| {
        let (time, code) = world.run(&["deploy", "all", "--include-sqs", "-y"]);
        assert_eq!(code, Some(0));
        time
    });
    let writes = world.fake.write_count();
    let gate = timed("deploy all without a change", nothing, time, Duration::from_secs(1));
    let measured = format!("{}, {writes} writes", gate.measured);
    Gate { met: gate.met && writes == 0, measured, ..gate }
}

fn dry_run() -> Gate {
    let world = World::new();
    world.run(&["deploy", "all", "--include-sqs", "--dry-run"]);
    counted("deploy all --dry-run, writes", world.fake.write_count(), 0)
}

/// A nested operation that stands still for a minute, which is short for one: the looks are closest together at the
/// beginning.
fn polling() -> Gate {
    const STILL: Duration = Duration::from_secs(60);
    let world = World::new();
    world.run(&["deploy", "global", "-y"]);
    let cloudformation = world.fake.cloudformation();
    cloudformation.set_pace(Pace::StepsPerRead(20));
    let mut child =
        world.command(&["deploy", "regional", "--include-sqs", "-y"]).spawn().expect("mtlog runs");
    while world.fake.calls("cloudformation:ExecuteChangeSet") == 0 {
        std::thread::yield_now();
    }
    cloudformation.set_pace(Pace::Held);
    world.fake.clear_journal();
    std::thread::sleep(STILL);
    let calls = world.fake.calls("*");
    cloudformation.set_pace(Pace::Instant);
    cloudformation.run();
    assert_eq!(child.wait().expect("an end").code(), Some(0));
    #[expect(clippy::cast_precision_loss, reason = "some dozens of calls")]
    let rate = calls as f64 / STILL.as_secs_f64();
    Gate {
        name: "calls a second while watching",
        target: "<= 1".to_owned(),
        measured: format!("{rate:.2}"),
        ratio: None,
        met: rate <= 1.0,
    }
}

/// How long after CloudFormation's end mtlog ends.
fn end_is_seen() -> Gate {
    const LAGS: usize = 5;
    let mut lags: Vec<Duration> = (0..LAGS)
        .map(|number| {
            let world = World::new();
            let cloudformation = world.fake.cloudformation();
            cloudformation.set_pace(Pace::StepsPerRead(3));
            let mut child = world.command(&["deploy", "global", "-y"]).spawn().expect("mtlog runs");
            while world.fake.calls("cloudformation:ExecuteChangeSet") == 0 {
                std::thread::yield_now();
            }
            cloudformation.set_pace(Pace::Held);
            // Not in step with the looks.
            let number = u32::try_from(number).expect("a small number");
            std::thread::sleep(Duration::from_millis(2_000) + Duration::from_millis(370) * number);
            cloudformation.set_pace(Pace::Instant);
            cloudformation.run();
            let ended = Instant::now();
            assert_eq!(child.wait().expect("an end").code(), Some(0));
            ended.elapsed()
        })
        .collect();
    lags.sort_unstable();
    let lag = lags[LAGS / 2];
    Gate {
        name: "the end is seen after, median",
        target: "<= 2000 ms".to_owned(),
        measured: shown(lag),
        ratio: None,
        met: lag <= Duration::from_secs(2),
    }
}

fn throttled() -> Gate {
    const DEPLOYMENTS: u64 = 5;
    let mut failures = 0;
    for seed in 0..DEPLOYMENTS {
        let world = World::new();
        world.fake.seed_faults(seed);
        let fault = Fault::on("cloudformation:*").probability(0.3);
        world.fake.inject(fault.respond(Response::throttling()));
        let (_, code) = world.run(&["deploy", "global", "-y"]);
        failures += u64::from(code != Some(0));
    }
    counted("failures with 30 % of calls throttled", failures, 0)
}

fn rolled_back() -> Gate {
    let world = World::new();
    let failure = fake_aws::cloudformation::PlannedFailure::new("CentralLogDistributionRole", "no");
    world.fake.cloudformation().fail(failure.during(fake_aws::cloudformation::During::Create));
    let (_, code) = world.run(&["deploy", "global", "-y"]);
    Gate {
        name: "exit status of a creation that rolls back",
        target: "4".to_owned(),
        measured: code.map_or_else(|| "none".to_owned(), |code| code.to_string()),
        ratio: None,
        met: code == Some(4),
    }
}
