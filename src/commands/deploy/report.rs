//! What a deployment gives: the stacks with their outputs.

use std::collections::BTreeMap;

use mtlog_processor::model::ids::Region;
use serde::Serialize;

use crate::{
    deploy::{outputs, stack::Stack, target::Target},
    ui::{Report, Ui, table::Table},
};

/// What was done to a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Done {
    Created,
    Updated,
    Unchanged,
}

/// A stack that is as it should be.
#[derive(Debug, Serialize)]
pub(super) struct DeployedStack {
    target: Target,
    stack: String,
    id: String,
    region: String,
    account: String,
    result: Done,
    status: String,
    outputs: BTreeMap<String, String>,
}

impl DeployedStack {
    pub(super) fn new(
        target: Target,
        stack: &Stack,
        place: &crate::deploy::desired::Place,
        result: Done,
    ) -> Self {
        Self {
            target,
            stack: stack.name.clone(),
            id: stack.id.clone(),
            region: place.region.to_string(),
            account: place.account.to_string(),
            result,
            status: stack.status.to_string(),
            outputs: shown_outputs(stack),
        }
    }

    pub(super) fn stack(&self) -> &str {
        &self.stack
    }

    pub(super) fn is_in(&self, region: &Region) -> bool {
        self.region == region.as_str()
    }

    pub(super) const fn target(&self) -> Target {
        self.target
    }

    pub(super) const fn outputs(&self) -> &BTreeMap<String, String> {
        &self.outputs
    }
}

fn shown_outputs(stack: &Stack) -> BTreeMap<String, String> {
    let shown = |(name, value): (&String, &String)| (name.clone(), outputs::shown(name, value));
    stack.outputs.iter().map(shown).collect()
}

/// Everything that one run deployed.
#[derive(Debug, Default, Serialize)]
pub(super) struct DeployReport {
    pub(super) stacks: Vec<DeployedStack>,
}

impl DeployReport {
    /// Adds a stack, and tells a program that watches of its outputs.
    pub(super) fn add(&mut self, ui: &Ui, stack: DeployedStack) {
        ui.record("outputs", &stack);
        self.stacks.push(stack);
    }
}

impl Report for DeployReport {
    fn tables(&self) -> Vec<Table> {
        let mut tables = self.output_tables();
        tables.extend(self.handover());
        tables
    }
}

impl DeployReport {
    /// Returns what a customer hands over to the logging service, all regions together.
    fn handover(&self) -> Option<Table> {
        let mut table = Table::new(["ACCOUNT", "REGION", "ROLE"])
            .titled("For the logging service, unless it waits for the role by itself");
        let customers = self.stacks.iter().filter(|stack| stack.target == Target::Customer);
        let mut any = false;
        for stack in customers {
            let Some(role) = stack.outputs.get("CustomerLogDistributionRoleArn") else { continue };
            table.row([stack.account.clone(), stack.region.clone(), role.clone()]);
            any = true;
        }
        any.then_some(table)
    }

    fn output_tables(&self) -> Vec<Table> {
        self.stacks
            .iter()
            .map(|stack| {
                let mut table = Table::new(["OUTPUT", "VALUE"])
                    .titled(format!("{} in {}", stack.stack, stack.region))
                    .or_say("  no outputs");
                for (name, value) in &stack.outputs {
                    // Instructions of many lines belong to `mtlog outputs`.
                    if !value.contains('\n') {
                        table.row([name.clone(), value.clone()]);
                    }
                }
                table
            })
            .collect()
    }
}
