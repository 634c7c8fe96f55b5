//! What is worth doing after a deployment.

use super::{Run, report::DeployedStack};
use crate::deploy::target::Target;

/// Says what is worth doing next, by what was deployed last.
pub(super) fn suggest(run: &Run<'_>, stack: &DeployedStack) {
    let ui = run.context.ui;
    let flags = run.opened.typed_flags();
    let output = |name: &str| stack.outputs().get(name).map(String::as_str);
    match stack.target() {
        Target::Global => ui.next(&format!("mtlog deploy regional --include-sqs{flags}")),
        Target::Regional if output("LogDeliveryQueueUrl").is_none() => {
            ui.warning(
                "There is no queue: new log objects are announced to nobody and not delivered.",
            );
            ui.next(&format!("mtlog deploy regional --include-sqs{flags}"));
        }
        Target::Regional if output("LogDistributorFunctionName").is_none() => {
            ui.next(&format!("mtlog process --mode sqs{flags}"));
        }
        Target::Regional => ui.next(&format!("mtlog tenant list{flags}")),
        Target::Customer => ui.next(&format!("mtlog customer check{flags}")),
        Target::ClusterVector | Target::ClusterProcessor => {
            ui.next(&format!("mtlog outputs {}{flags}", stack.target()));
        }
    }
}
