//! The whole pipeline on one machine, through the real binary: `cargo xtask demo`.
//!
//! Deploys the stacks into two accounts of the emulator, onboards two tenants, writes log objects
//! as the collector does, delivers them, and compares what the customer's log groups hold with what
//! was generated. Knows the commands of `mtlog`, and nothing of how they work.

pub(crate) mod delivery;

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::emulator::{self, CENTRAL_ACCOUNT, CUSTOMER_ACCOUNT, Emulator, REGION};
use crate::mtlog::Mtlog;
use crate::python::{self, Environment};
use crate::repository::Repository;
use crate::scratch::Scratch;
use crate::{command, memory};

use self::delivery::{Contents, Tenant};

/// How the demo runs.
#[derive(Debug, PartialEq)]
pub(crate) struct DemoOptions {
    pub(crate) workload: Workload,
    /// Whether the emulator stays up afterwards, until Ctrl-C.
    pub(crate) keep: bool,
}

/// What the demo moves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Workload {
    /// So many records of two tenants and three applications.
    Mixed { records: u64 },
    /// One object of 200 MB before compression. The processor's peak memory is checked.
    LargeObject,
}

const PROJECT: &str = "mtlog-demo";
const ENVIRONMENT: &str = "development";
const CLUSTER: &str = "demo-cluster";
const SEED: &str = "20261124";
const APPLICATIONS: [&str; 3] = ["api-server", "scheduler", "worker"];
/// The second tenant wants two of the three applications, so that something is filtered.
static TENANTS: [Tenant; 2] = [
    Tenant { id: "analytics", log_group: "/ROSA/cluster-logs/analytics", wanted: &[] },
    Tenant {
        id: "storefront",
        log_group: "/ROSA/cluster-logs/storefront",
        wanted: &["api-server", "worker"],
    },
];

/// What the stacks said they made.
#[derive(Debug)]
struct Stacks {
    central_role: String,
    bucket: String,
    queue_url: String,
    tenant_table: String,
    customer_role: String,
}

/// Runs the demo. An error says what went wrong or what did not arrive.
pub(crate) fn run(repository: &Repository, options: &DemoOptions) -> Result<()> {
    let scratch = Scratch::new(repository, "demo")?;
    let mtlog = Mtlog::build(repository, &scratch)?;
    let emulator = Emulator::start(repository, scratch.path())?;
    println!("emulator on {}", emulator.endpoint());

    let demo = Demo { repository, scratch: &scratch, mtlog: &mtlog, emulator: &emulator };
    let stacks = demo.deploy()?;
    let outcome = demo.deliver(options.workload, &stacks);
    if options.keep {
        if let Err(error) = &outcome {
            println!("\nfailed: {error:#}");
        }
        println!("\n# The emulator stays up until Ctrl-C. To use it:");
        emulator::print_variables(
            &[emulator.variables(CENTRAL_ACCOUNT), stacks.variables()].concat(),
        );
        println!("# For the customer's account: export AWS_ACCESS_KEY_ID={CUSTOMER_ACCOUNT}");
        emulator.wait()?;
    }
    outcome
}

/// Deploys, onboards and generates as the demo does, and compares what arrived; between the two, `process` delivers.
/// It gets the settings of the processor.
pub(crate) fn deliver_through(
    repository: &Repository,
    scratch: &Scratch,
    mtlog: &Mtlog<'_>,
    emulator: &Emulator,
    records: u64,
    process: impl FnOnce(&[(String, String)]) -> Result<()>,
) -> Result<()> {
    let demo = Demo { repository, scratch, mtlog, emulator };
    let workload = Workload::Mixed { records };
    let stacks = demo.deploy()?;
    let manifest = demo.prepare(workload, &stacks)?;
    process(&stacks.variables())?;
    demo.check(workload, &manifest)
}

impl Stacks {
    /// Returns the settings of the processor.
    fn variables(&self) -> Vec<(String, String)> {
        [
            ("SQS_QUEUE_URL", &self.queue_url),
            ("TENANT_CONFIG_TABLE", &self.tenant_table),
            ("CENTRAL_LOG_DISTRIBUTION_ROLE_ARN", &self.central_role),
        ]
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .into()
    }
}

impl Workload {
    fn tenants(self) -> &'static [Tenant] {
        match self {
            Self::Mixed { .. } => &TENANTS,
            Self::LargeObject => &TENANTS[..1],
        }
    }

    fn records(self) -> u64 {
        match self {
            Self::Mixed { records } => records,
            Self::LargeObject => memory::LARGE_OBJECT_RECORDS,
        }
    }
}

struct Demo<'a> {
    repository: &'a Repository,
    scratch: &'a Scratch,
    mtlog: &'a Mtlog<'a>,
    emulator: &'a Emulator,
}

impl Demo<'_> {
    /// Onboards the tenants, moves the records and compares.
    fn deliver(&self, workload: Workload, stacks: &Stacks) -> Result<()> {
        let manifest = self.prepare(workload, stacks)?;
        let peak_memory_bytes = self.process(workload, stacks)?;
        println!("\npeak memory of the processor: {}", memory::mebibytes(peak_memory_bytes));
        self.check(workload, &manifest)?;
        match workload {
            Workload::Mixed { .. } => Ok(()),
            Workload::LargeObject => memory::check(peak_memory_bytes),
        }
    }

    /// Onboards the tenants and writes their objects. Returns what was generated.
    fn prepare(&self, workload: Workload, stacks: &Stacks) -> Result<String> {
        for tenant in workload.tenants() {
            self.onboard(tenant, stacks)?;
        }
        self.generate(workload, stacks)
    }

    /// Compares what arrived with what was generated.
    fn check(&self, workload: Workload, manifest: &str) -> Result<()> {
        let tenants = workload.tenants();
        let delivered = self.read_back(tenants)?;
        let rows = delivery::compare(tenants, &delivery::parse_manifest(manifest)?, &delivered);
        println!("\n{}", delivery::table(&rows));
        let generated: u64 = rows.iter().map(|row| row.generated).sum();
        let records = workload.records();
        if records != generated {
            bail!("{records} records were asked for, {generated} were generated");
        }
        let wrong: Vec<_> =
            rows.iter().filter(|row| !row.is_exact()).map(|row| row.tenant).collect();
        if !wrong.is_empty() {
            bail!("what arrived for {} is not what was generated", wrong.join(", "));
        }
        println!("every message arrived exactly as generated");
        Ok(())
    }

    fn deploy(&self) -> Result<Stacks> {
        let base = ["-p", PROJECT, "-r", REGION, "--yes", "--output", "json"];
        let global = self.central("deploy-global", &[&["deploy", "global"], &base[..]].concat())?;
        let central_role = output(&global, "CentralLogDistributionRoleArn")?;
        let regional = self.central(
            "deploy-regional",
            &[&["deploy", "regional", "-e", ENVIRONMENT, "--include-sqs"], &base[..]].concat(),
        )?;
        let customer = self.step(
            "deploy-customer",
            &[&["deploy", "customer", "--central-role-arn", &central_role], &base[..]].concat(),
            &self.emulator.variables(CUSTOMER_ACCOUNT),
        )?;
        Ok(Stacks {
            bucket: output(&regional, "CentralLoggingBucketName")?,
            queue_url: output(&regional, "LogDeliveryQueueUrl")?,
            tenant_table: output(&regional, "TenantConfigTableName")?,
            customer_role: output(&customer, "CustomerLogDistributionRoleArn")?,
            central_role,
        })
    }

    fn onboard(&self, tenant: &Tenant, stacks: &Stacks) -> Result<()> {
        let mut arguments = vec!["tenant", "add", tenant.id, "--role-arn", &stacks.customer_role];
        arguments.extend(["--log-group", tenant.log_group, "--target-region", REGION]);
        for application in tenant.wanted {
            arguments.extend(["--application", application]);
        }
        arguments.extend(["-p", PROJECT, "-e", ENVIRONMENT, "-r", REGION, "--yes"]);
        self.central(&format!("tenant-add-{}", tenant.id), &arguments)?;
        Ok(())
    }

    fn generate(&self, workload: Workload, stacks: &Stacks) -> Result<String> {
        let manifest = self.scratch.join("manifest.jsonl");
        let (count, path) = (workload.records().to_string(), manifest.display().to_string());
        let mut arguments = vec!["generate", "--seed", SEED, "--count", &count];
        for tenant in workload.tenants() {
            arguments.extend(["--tenant", tenant.id]);
        }
        match workload {
            Workload::Mixed { .. } => {
                for application in APPLICATIONS {
                    arguments.extend(["--application", application]);
                }
            }
            Workload::LargeObject => arguments.extend(memory::LARGE_OBJECT),
        }
        arguments.extend(["--cluster", CLUSTER, "--bucket", &stacks.bucket, "--manifest", &path]);
        self.central("generate", &arguments)?;
        fs::read_to_string(&manifest).context("`mtlog generate` wrote no manifest")
    }

    /// Processes until the queue is empty. Returns the peak memory of the process.
    fn process(&self, workload: Workload, stacks: &Stacks) -> Result<u64> {
        let variables = [self.emulator.variables(CENTRAL_ACCOUNT), stacks.variables()].concat();
        let start = Instant::now();
        let arguments = ["process", "--mode", "sqs", "--until-empty"];
        let finished = match workload {
            Workload::Mixed { .. } => self.mtlog.run("process", &arguments, &variables),
            // What is measured is the program that images hold. The operator's has many more pages of its own.
            Workload::LargeObject => {
                self.mtlog.run_engine("process", arguments.get(1..).unwrap_or_default(), &variables)
            }
        }?;
        report("process", start);
        Ok(finished.peak_memory_bytes)
    }

    /// Reads the tenants' log groups in the customer's account.
    fn read_back(&self, tenants: &[Tenant]) -> Result<Vec<Contents>> {
        let start = Instant::now();
        let python = python::ensure(self.repository, Environment::Emulator)?;
        let groups =
            tenants.iter().map(|tenant| format!("{CUSTOMER_ACCOUNT}:{}", tenant.log_group));
        let lines = command::output(
            self.repository
                .command(python.interpreter())
                .arg("xtask/demo_verify.py")
                .args(["--endpoint", self.emulator.endpoint(), "--region", REGION])
                .args(groups),
        )?;
        report("read back", start);
        lines.lines().map(delivery::parse_contents).collect()
    }

    /// Runs a command in the account of the pipeline.
    fn central(&self, name: &str, arguments: &[&str]) -> Result<String> {
        self.step(name, arguments, &self.emulator.variables(CENTRAL_ACCOUNT))
    }

    fn step(
        &self,
        name: &str,
        arguments: &[&str],
        variables: &[(String, String)],
    ) -> Result<String> {
        let start = Instant::now();
        let text = self.mtlog.run(name, arguments, variables)?.text()?;
        report(name, start);
        Ok(text)
    }
}

fn report(name: &str, start: Instant) {
    println!("{name:<24} {:>6.1} s", start.elapsed().as_secs_f64());
}

/// Returns one stack output from what `mtlog deploy --output json` printed.
fn output(report: &str, key: &str) -> Result<String> {
    let report: Value =
        serde_json::from_str(report).with_context(|| format!("not JSON: {report}"))?;
    find(&report, key)
        .map(str::to_owned)
        .with_context(|| format!("the stacks have no output `{key}`: {report}"))
}

/// Finds the text of a key at any depth: which stack holds an output is not the demo's concern.
fn find<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    match value {
        Value::Object(fields) => fields
            .get(key)
            .and_then(Value::as_str)
            .or_else(|| fields.values().find_map(|field| find(field, key))),
        Value::Array(items) => items.iter().find_map(|item| find(item, key)),
        _ => None,
    }
}
