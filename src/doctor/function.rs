//! Checks of the processor function.

use super::{
    Check, Finding, Look,
    Severity::{Problem, Warning},
    Texts, Verdict, check,
    facts::Facts,
    seen,
};
use crate::{aws::lambda::FunctionFacts, deploy::outputs};

const FUNCTION: &str = "the function";
/// From this share of the timeout on, an invocation is about to be cut off. The template's alarm has the same.
const NEAR_TIMEOUT: f64 = 0.9;

/// Codes MT140 to MT149.
pub(super) const CHECKS: &[Check] = &[
    check(
        Problem,
        &[Look::Function],
        active,
        Texts {
            code: "MT140",
            well: "the function is active",
            title: "the function is missing or failed",
            why: "Lambda cannot run it: its image or role is gone, or its last change failed.",
            fix: "`mtlog image verify` looks at the image; deploy the regional stack again.",
        },
    ),
    check(
        Problem,
        &[Look::Function],
        environment,
        Texts {
            code: "MT141",
            well: "the function's variables are those of the stack",
            title: "the function's variables are not those of the stack",
            why: "Somebody changed them by hand. The function reads or writes somewhere else.",
            fix: "Deploy the regional stack again; `mtlog drift regional` shows what else was changed.",
        },
    ),
    check(
        Problem,
        &[Look::Queues, Look::Function, Look::Mappings],
        fed,
        Texts {
            code: "MT142",
            well: "the queue feeds the function",
            title: "the queue does not feed the function",
            why: "The event source mapping is missing or disabled. Messages wait until their objects expire.",
            fix: "Switch it on again: `aws lambda update-event-source-mapping --uuid UUID --enabled`. AWS disables it when \
              the function's role lost its rights.",
        },
    ),
    check(
        Problem,
        &[Look::Function, Look::Mappings],
        single_failures,
        Texts {
            code: "MT143",
            well: "single failures are reported",
            title: "single failures are not reported",
            why: "Without ReportBatchItemFailures Lambda takes a batch as all or nothing: what the function says of single \
              messages is ignored, and failed ones are deleted.",
            fix: "Deploy the regional stack again.",
        },
    ),
    check(
        Problem,
        &[Look::Hour],
        errors,
        Texts {
            code: "MT144",
            well: "the function runs without errors",
            title: "the function fails",
            why: "Whole invocations fail: a crash, a timeout, too little memory. Their messages come back and wait.",
            fix: "Look at the function's log group /aws/lambda/FUNCTION for ERROR and for `Task timed out`.",
        },
    ),
    check(
        Problem,
        &[Look::Hour],
        throttles,
        Texts {
            code: "MT145",
            well: "the function is not throttled",
            title: "the function is throttled",
            why: "The account's or the function's concurrency is used up. Messages come back unread and lose a receive.",
            fix: "Raise ReservedConcurrency, or set MaximumConcurrency so that the queue starts no more than there is.",
        },
    ),
    check(
        Warning,
        &[Look::Function, Look::Hour],
        timeout,
        Texts {
            code: "MT146",
            well: "the function has time enough",
            title: "the function is near its timeout",
            why: "An invocation that is cut off is repeated, and its logs are delivered twice.",
            fix: "Raise LambdaTimeoutSeconds or LambdaMemoryMB, or lower BatchSize.",
        },
    ),
    check(
        Problem,
        &[Look::Hour],
        roles_refused,
        Texts {
            code: "MT147",
            well: "no role refuses the function",
            title: "a role refuses the function",
            why: "A customer's role, or the central one, does not let the processor in: a changed trust policy or \
              ExternalId, or a deleted role. That customer's logs wait.",
            fix: "`mtlog status` names the failing tenants; compare the customer's trust policy with `mtlog tenant show TENANT`.",
        },
    ),
];

fn name(facts: &Facts) -> &str {
    facts.pipeline.function.as_deref().unwrap_or(FUNCTION)
}

/// Judges a function that is there.
fn existing(facts: &Facts, judge: impl FnOnce(&FunctionFacts) -> Verdict) -> Verdict {
    seen(&facts.function, FUNCTION, |function| match function {
        Some(function) => judge(function),
        None => Verdict::Skipped { reason: "the function does not exist".to_owned() },
    })
}

pub(super) fn active(facts: &Facts) -> Verdict {
    seen(&facts.function, FUNCTION, |function| match function {
        None => Verdict::found(name(facts), "does not exist, although the stack has it"),
        Some(function) => {
            let failed = function.state == "Failed" || function.last_update == "Failed";
            Verdict::well_if(!failed, || {
                let text = format!(
                    "is {}, and its last change {}: {}",
                    function.state, function.last_update, function.reason
                );
                Finding::new(name(facts), text)
            })
        }
    })
}

pub(super) fn environment(facts: &Facts) -> Verdict {
    let Some(stack) = &facts.regional else {
        return super::stacks::not_deployed("the regional stack");
    };
    existing(facts, |function| {
        let told = outputs::variables(&stack.outputs);
        // Lambda sets the region itself.
        let wanted = told.iter().filter(|(variable, _)| variable.as_str() != "AWS_REGION");
        let found = wanted.filter_map(|(variable, value)| {
            let text = match function.variables.get(variable) {
                None => format!("lacks {variable}; the stack says `{value}`"),
                Some(has) if has != value => {
                    format!("has {variable}=`{has}`, and the stack says `{value}`")
                }
                Some(_) => return None,
            };
            Some(Finding::new(name(facts), text))
        });
        Verdict::of(found.collect())
    })
}

pub(super) fn fed(facts: &Facts) -> Verdict {
    let queue = facts.queue.value().and_then(Option::as_ref);
    let Some(queue) = queue else {
        return super::stacks::not_deployed("the queue");
    };
    seen(&facts.mappings, FUNCTION, |mappings| {
        let Some(mapping) = mappings.iter().find(|mapping| mapping.source == queue.arn) else {
            return Verdict::found(name(facts), format!("gets nothing from queue `{}`", queue.arn));
        };
        // `Creating`, `Enabling` and `Updating` end by themselves.
        let off = ["Disabled", "Disabling", "Deleting"].contains(&mapping.state.as_str());
        Verdict::well_if(!off, || {
            let text =
                format!("its connection to the queue is {}: {}", mapping.state, mapping.reason);
            Finding::new(name(facts), text)
        })
    })
}

pub(super) fn single_failures(facts: &Facts) -> Verdict {
    seen(&facts.mappings, FUNCTION, |mappings| {
        let found = mappings.iter().filter(|mapping| !mapping.reports_single_failures);
        let findings = found.map(|mapping| {
            let text = format!(
                "its connection to `{}` does not report single failures: one bad message brings its whole batch back",
                mapping.source
            );
            Finding::new(name(facts), text)
        });
        Verdict::of(findings.collect())
    })
}

/// Judges the last hour of the function.
fn hour(
    facts: &Facts,
    judge: impl FnOnce(&crate::operate::view::FunctionHour) -> Option<String>,
) -> Verdict {
    seen(&facts.hour, FUNCTION, |numbers| {
        seen(&numbers.function_hour(), FUNCTION, |hour| match judge(hour) {
            None => Verdict::Well,
            Some(reason) => Verdict::found(name(facts), reason),
        })
    })
}

pub(super) fn errors(facts: &Facts) -> Verdict {
    hour(facts, |hour| {
        (hour.errors > 0.0).then(|| {
            format!("{:.0} of {:.0} runs failed in the last hour", hour.errors, hour.invocations)
        })
    })
}

pub(super) fn throttles(facts: &Facts) -> Verdict {
    hour(facts, |hour| {
        (hour.throttles > 0.0)
            .then(|| format!("was throttled {:.0} times in the last hour", hour.throttles))
    })
}

pub(super) fn timeout(facts: &Facts) -> Verdict {
    existing(facts, |function| {
        let limit = f64::from(function.timeout_seconds);
        hour(facts, |hour| {
            let longest = hour.longest_seconds.filter(|longest| *longest > limit * NEAR_TIMEOUT)?;
            Some(format!("ran for {longest:.0} s, and its timeout is {limit:.0} s"))
        })
    })
}

pub(super) fn roles_refused(facts: &Facts) -> Verdict {
    seen(&facts.hour, FUNCTION, |numbers| {
        seen(&numbers.delivered(), FUNCTION, |delivered| {
            Verdict::well_if(delivered.roles_refused <= 0.0, || {
                let text = format!(
                    "was refused by roles {:.0} times in the last hour",
                    delivered.roles_refused
                );
                Finding::new(name(facts), text)
            })
        })
    })
}
