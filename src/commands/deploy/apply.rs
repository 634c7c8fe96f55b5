//! `mtlog apply`: carries out exactly the plan of a file, or refuses because something has moved.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;

use super::{
    Context, Others,
    fleet::{self, Fleet, Found},
};
use crate::{
    cli::{ConsentArgs, FleetConnectionArgs},
    commands::target,
    config::deploy::DeployFlags,
    deploy::saved::{PlanFileError, SavedPlan},
    error::{CliError, ExitStatus, Message},
};

/// Carry out a plan that `mtlog plan --save` wrote
///
/// The stacks must be as they were when the plan was made: one that was changed since is refused with exit status 8,
/// and so is a change set that would do more than the plan says. Who gives the file has seen the plan: nothing is
/// asked, except for the names of stacks that lose data or stop logs.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  mtlog apply plan.json --account 111122223333")]
pub struct ApplyArgs {
    /// The file
    #[arg(value_name = "PLANFILE")]
    path: PathBuf,
    #[command(flatten)]
    connection: FleetConnectionArgs,
    #[command(flatten)]
    consent: ConsentArgs,
    /// Stop watching after so many minutes; the operation goes on
    #[arg(long, value_name = "MINUTES", default_value_t = 60, help_heading = "Confirmation")]
    timeout: u64,
}

/// The largest plan file that is read.
const LARGEST: u64 = 16 * 1024 * 1024;

/// Runs `mtlog apply`.
pub async fn run(context: &Context<'_>, args: &ApplyArgs) -> Result<ExitStatus, CliError> {
    let plan = read(&args.path)?;
    let Some(first) = plan.stacks.first() else {
        context.ui.status("Nothing to do: the plan holds no stack.");
        return Ok(ExitStatus::Success);
    };
    let mut connection = args.connection.flags();
    let given = connection.region.iter().chain(&connection.more_regions);
    let planned: Vec<&str> = plan.stacks.iter().map(|stack| stack.region.as_str()).collect();
    if let Some(other) = given.into_iter().find(|region| !planned.contains(&region.as_str())) {
        let text = format!("--region {other}: the plan is for {}", planned.join(", "));
        return Err(CliError::new(ExitStatus::Usage, Message(text)));
    }
    connection.region = Some(first.region.to_string());
    connection.more_regions = planned.iter().map(|region| (*region).to_owned()).collect();
    let mut targets: Vec<String> =
        plan.stacks.iter().map(|stack| stack.target.to_string()).collect();
    targets.dedup();
    let value = |name: &str| first.parameters.get(name).cloned();
    let cluster = plan.stacks.iter().find_map(|stack| stack.parameters.get("ClusterName"));
    let global =
        plan.stacks.iter().find(|stack| stack.target == crate::deploy::target::Target::Global);
    let environment = plan.stacks.iter().find_map(|stack| stack.parameters.get("Environment"));
    let flags = DeployFlags {
        targets,
        project: value("ProjectName"),
        environment: environment.cloned(),
        cluster_name: cluster.cloned(),
        global_region: global.map(|stack| stack.region.to_string()),
        connection,
        ..DeployFlags::default()
    };
    let opened = target::open_at_rate(context, &flags, args.connection.max_api_rate()).await?;
    let mut answers = args.consent.answers();
    answers.yes = true;
    let fleet = Fleet {
        context,
        answers,
        timeout: Duration::from_secs(args.timeout.saturating_mul(60)),
        bake: Duration::ZERO,
        others: Others::Refuse,
        plan: Some(plan),
    };
    fleet::deploy(&fleet, &opened, None).await
}

fn read(path: &Path) -> Result<SavedPlan, CliError> {
    let what = || format!("failed to read the plan `{}`", path.display());
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST).read_to_string(&mut text))
        .map_err(|error| CliError::because(ExitStatus::Usage, what(), error))?;
    SavedPlan::of_text(&text).map_err(|error| {
        CliError::because(ExitStatus::Usage, what(), error)
            .next("mtlog plan TARGET --save PATH".to_owned())
    })
}

/// Writes the plan to a new file that only its owner can read.
pub(super) fn save(context: &Context<'_>, path: &Path, found: Found) -> Result<(), CliError> {
    let plan = SavedPlan { stacks: found.saved? };
    let what = || format!("failed to save the plan to `{}`", path.display());
    let text = plan.to_text().map_err(|error| {
        let hint = match &error {
            PlanFileError::Secret { .. } => "deploy this one without a plan file",
            _ => "mend what the plan names first",
        };
        CliError::because(ExitStatus::Preflight, what(), error).hint(hint)
    })?;
    let failed = |error| CliError::because(ExitStatus::Unexpected, what(), error);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path).map_err(failed)?;
    if let Err(error) = file.write_all(text.as_bytes()) {
        // Half a plan is worse than none. If it cannot be removed, reading it fails.
        drop(fs::remove_file(path));
        return Err(failed(error));
    }
    context.ui.status(&format!("Saved the plan to {}", path.display()));
    context.ui.next(&format!("mtlog apply {}", path.display()));
    Ok(())
}
