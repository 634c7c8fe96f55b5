//! `mtlog drift`: what in the account is no longer as the stacks made it.

use clap::Args;
use futures_util::future::join_all;
use serde::Serialize;

use super::{
    Context,
    target::{self, StackArgs},
};
use crate::{
    aws::cloudformation::CloudFormation,
    deploy::{
        drift::Drifted,
        stack::{NESTED_STACK_TYPE, Presence, Stack},
        status::Phase,
        target::Target,
    },
    error::{CliError, ExitStatus},
    ui::{Report, style::Palette, table::Table},
};

/// Show what in the account is no longer as the stacks made it
///
/// CloudFormation compares each resource with what the stack made of it, nested stacks included. Nothing is changed.
/// Ends with exit status 2 if something differs.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  mtlog drift regional -e production -r us-east-2")]
pub struct DriftArgs {
    /// global, regional, customer, cluster, cluster/vector, cluster/processor, all
    #[arg(value_name = "TARGET", required = true, num_args = 1..)]
    targets: Vec<String>,
    #[command(flatten)]
    stack: StackArgs,
}

#[derive(Debug, Serialize)]
struct StackDrift {
    target: Target,
    stack: String,
    checked: usize,
    drifted: Vec<Drifted>,
}

#[derive(Debug, Serialize)]
struct DriftReport {
    stacks: Vec<StackDrift>,
}

impl Report for DriftReport {
    fn tables(&self) -> Vec<Table> {
        self.stacks
            .iter()
            .map(|stack| {
                let mut table = Table::new(["RESOURCE", "WHAT", "THE STACK SAYS", "IT IS"])
                    .titled(&stack.stack)
                    .or_say(format!(
                        "  Everything is as the stack made it ({} stacks).",
                        stack.checked
                    ));
                for drifted in &stack.drifted {
                    if drifted.deleted {
                        let cells = [drifted.path.as_str(), "deleted", &drifted.physical_id, "-"];
                        table.row(cells.map(str::to_owned));
                    }
                    for property in &drifted.properties {
                        let value = |value: &Option<String>| {
                            value.clone().unwrap_or_else(|| "(not set)".to_owned())
                        };
                        table.row([
                            drifted.path.clone(),
                            property.path.clone(),
                            value(&property.expected),
                            value(&property.actual),
                        ]);
                    }
                }
                table
            })
            .collect()
    }

    fn text(&self, palette: Palette) -> String {
        let tables: Vec<String> = self.tables().iter().map(|table| table.render(palette)).collect();
        tables.join("\n")
    }
}

/// Runs `mtlog drift`.
pub async fn run(context: &Context<'_>, args: &DriftArgs) -> Result<ExitStatus, CliError> {
    let opened = target::open(context, &args.stack.flags(&args.targets)).await?;
    let client = opened.session.cloudformation();
    let mut report = DriftReport { stacks: Vec::new() };
    for target in &opened.settings.targets {
        let (name, presence) = opened.stack(&client, *target).await?;
        let Presence::Present(stack) = presence else {
            context.ui.status(&format!("There is no stack {name}."));
            continue;
        };
        context.ui.status(&format!("Comparing stack {name} with the account ..."));
        let (checked, drifted) = whole(&client, &stack).await?;
        report.stacks.push(StackDrift { target: *target, stack: stack.name, checked, drifted });
    }
    let differs = report.stacks.iter().any(|stack| !stack.drifted.is_empty());
    context.ui.emit(&report)?;
    if differs {
        context.ui.next(&format!("mtlog plan {}{}", args.targets.join(" "), opened.typed_flags()));
    }
    Ok(if differs { ExitStatus::Different } else { ExitStatus::Success })
}

/// Compares a stack and all that are nested in it, which CloudFormation does one by one.
async fn whole(client: &CloudFormation, root: &Stack) -> Result<(usize, Vec<Drifted>), CliError> {
    let failed = |fault| {
        CliError::aws(format!("failed to compare stack `{}` with the account", root.name), fault)
    };
    let mut stacks = vec![(root.id.clone(), String::new())];
    let mut next = 0;
    while let Some((id, prefix)) = stacks.get(next).cloned() {
        for resource in client.resources(&id).await.map_err(failed)? {
            let there =
                resource.status.phase() != Phase::Failed && !resource.physical_id.is_empty();
            if resource.resource_type == NESTED_STACK_TYPE && there {
                stacks.push((resource.physical_id, format!("{prefix}{}/", resource.logical_id)));
            }
        }
        next += 1;
    }
    let found = join_all(stacks.iter().map(|(id, _)| client.drift(id))).await;
    let mut drifted = Vec::new();
    for ((_, prefix), found) in stacks.iter().zip(found) {
        for resource in found.map_err(failed)? {
            // A nested stack differs only because something in it does.
            if resource.resource_type != NESTED_STACK_TYPE || resource.deleted {
                drifted.push(Drifted { path: format!("{prefix}{}", resource.path), ..resource });
            }
        }
    }
    drifted.sort_by(|a, b| a.path.cmp(&b.path));
    Ok((stacks.len(), drifted))
}
