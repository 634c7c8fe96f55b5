//! Checks of the stacks, the settings and what they trust.

use jiff::SignedDuration;

use super::{
    Check, Finding, Look,
    Severity::{Problem, Warning},
    Texts, Verdict, check,
    facts::Facts,
    seen,
};
use crate::{
    deploy::{outputs, status::Standing},
    operate::alarm::AlarmState,
};

/// AWS refuses requests that are signed more than five minutes off.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html>
const MOST_SKEW: SignedDuration = SignedDuration::from_secs(120);

/// Codes MT101 to MT109.
pub(super) const CHECKS: &[Check] = &[
    check(
        Problem,
        &[Look::Clock],
        clock,
        Texts {
            code: "MT101",
            well: "the clock is right",
            title: "the clock is wrong",
            why: "AWS refuses requests that are signed more than five minutes before or after its own time.",
            fix: "Set this machine's clock by NTP: `timedatectl set-ntp true`.",
        },
    ),
    check(
        Problem,
        &[],
        deployed,
        Texts {
            code: "MT102",
            well: "the environment is deployed",
            title: "the environment is not deployed here",
            why: "There is no regional stack for this project, environment and region, so nothing takes logs in.",
            fix: "Compare --project, --environment and --region with `mtlog status`, or deploy with `mtlog deploy regional`.",
        },
    ),
    check(
        Problem,
        &[],
        standing,
        Texts {
            code: "MT103",
            well: "every stack is in order",
            title: "a stack's last operation failed",
            why: "The stack was rolled back or is stuck. What was asked for is not there, and a stuck stack takes no update.",
            fix: "`mtlog diagnose STACK` names the first cause and what mends it; `mtlog rollback STACK` frees a stuck stack.",
        },
    ),
    check(
        Warning,
        &[],
        settings,
        Texts {
            code: "MT104",
            well: "the settings agree with the stacks",
            title: "a setting is stale",
            why: "A variable or `.env` names a part that the stack does not have, most likely one of an earlier deployment. \
              What runs with it reads or writes somewhere else.",
            fix: "Write the settings anew with `mtlog env dotenv > .env`, and look with `mtlog config show`.",
        },
    ),
    check(
        Warning,
        &[],
        version,
        Texts {
            code: "MT105",
            well: "the templates are of this version",
            title: "the stack was deployed by another version",
            why: "This program expects parts and outputs that another version's templates may not have.",
            fix: "`mtlog plan regional` shows what an update would change.",
        },
    ),
    check(
        Problem,
        &[Look::CentralRole],
        central_role,
        Texts {
            code: "MT106",
            well: "the central role is there",
            title: "the central role is missing or another one",
            why: "The processors assume this role first. Without it no log reaches any customer.",
            fix: "Compare with `mtlog outputs global`; deploy the regional stack again with the right --central-role-arn.",
        },
    ),
];

/// Codes from MT150: who comes in, and who is told.
pub(super) const WATCHED: &[Check] = &[
    check(
        Problem,
        &[Look::Providers],
        providers,
        Texts {
            code: "MT150",
            well: "the clusters' identity providers are known",
            title: "a cluster's identity provider is missing or wrong",
            why: "The collector's pods cannot take their role, so that this cluster's logs never leave it.",
            fix: "`aws iam create-open-id-connect-provider --url https://ISSUER --client-id-list AUDIENCE`.",
        },
    ),
    check(
        Problem,
        &[Look::Alarms],
        alarms_raised,
        Texts {
            code: "MT160",
            well: "no alarm is raised",
            title: "an alarm is raised",
            why: "CloudWatch watches this environment, and a threshold is crossed.",
            fix: "The alarm's description says what it means: `mtlog status` shows the figures behind it.",
        },
    ),
    check(
        Warning,
        &[Look::Alarms],
        alarms_deployed,
        Texts {
            code: "MT161",
            well: "alarms are deployed",
            title: "there are no alarms",
            why: "Nobody is told when delivery stops.",
            fix: "`mtlog deploy regional --include-alarms --param AlarmEmail=ADDRESS`.",
        },
    ),
];

pub(super) fn clock(facts: &Facts) -> Verdict {
    seen(&facts.ahead, "a clock", |ahead| {
        let direction = if ahead.is_positive() { "ahead of" } else { "behind" };
        Verdict::well_if(ahead.abs() <= MOST_SKEW, || {
            Finding::new(
                "this machine",
                format!("{} seconds {direction} AWS", ahead.abs().as_secs()),
            )
        })
    })
}

pub(super) fn deployed(facts: &Facts) -> Verdict {
    seen(&facts.stacks, "a stack", |_| {
        Verdict::well_if(facts.regional.is_some(), || {
            Finding::new("the regional stack", "does not exist in this region")
        })
    })
}

pub(super) fn standing(facts: &Facts) -> Verdict {
    seen(&facts.stacks, "a stack", |stacks| {
        let found = stacks.iter().filter_map(|stack| {
            let reason = stack.reason.as_deref().unwrap_or("CloudFormation gives no reason");
            match stack.status.standing() {
                Standing::RolledBack | Standing::Stuck => {
                    Some(Finding::new(&stack.name, format!("{}: {reason}", stack.status)))
                }
                Standing::Running | Standing::Done | Standing::Gone | Standing::Reviewing => None,
            }
        });
        Verdict::of(found.collect())
    })
}

pub(super) fn version(facts: &Facts) -> Verdict {
    let Some(stack) = &facts.regional else { return not_deployed("the regional stack") };
    let deployed = stack.outputs.get("StackVersion").map_or("none", String::as_str);
    Verdict::well_if(deployed == facts.template_version, || {
        let ours = &facts.template_version;
        Finding::new(
            &stack.name,
            format!("has templates of version {deployed}, this program {ours}"),
        )
    })
}

pub(super) fn settings(facts: &Facts) -> Verdict {
    let Some(stack) = &facts.regional else { return not_deployed("the regional stack") };
    let told = outputs::variables(&stack.outputs);
    let found = facts.settings.iter().filter_map(|(variable, value, source)| {
        let true_value = told.get(variable)?;
        let text = format!("is `{value}` in {source}, but the stack says `{true_value}`");
        (true_value != value).then(|| Finding::new(variable, text))
    });
    Verdict::of(found.collect())
}

pub(super) fn central_role(facts: &Facts) -> Verdict {
    const NAME: &str = "CentralLogDistributionRoleArn";
    let Some(stack) = &facts.regional else { return not_deployed("the regional stack") };
    let Some(used) = stack.outputs.get(NAME) else { return not_deployed("a central role") };
    if let Some(global) = &facts.global
        && let Some(made) = global.outputs.get(NAME)
        && made != used
    {
        let text = format!("is used, but stack `{}` made `{made}`", global.name);
        return Verdict::found(used, text);
    }
    seen(&facts.central_role, "a central role", |found| match found {
        Some(_) => Verdict::Well,
        None => Verdict::found(used, "does not exist"),
    })
}

pub(super) fn providers(facts: &Facts) -> Verdict {
    if facts.providers.is_empty() {
        return not_deployed("a cluster stack");
    }
    let mut findings = Vec::new();
    for provider in &facts.providers {
        let verdict = seen(&provider.known, "a provider", |known| match known {
            None => Verdict::found(
                &provider.stack,
                format!(
                    "trusts the identity provider `{}`, which IAM does not know",
                    provider.issuer
                ),
            ),
            Some(audiences) => Verdict::well_if(audiences.contains(&provider.audience), || {
                let text = format!(
                    "demands the audience `{}`, but IAM's provider has {}",
                    provider.audience,
                    audiences.join(", ")
                );
                Finding::new(&provider.stack, text)
            }),
        });
        match verdict {
            Verdict::Found { findings: more } => findings.extend(more),
            Verdict::Well | Verdict::Skipped { .. } => {}
            unknown @ Verdict::Unknown { .. } => return unknown,
        }
    }
    Verdict::of(findings)
}

pub(super) fn alarms_raised(facts: &Facts) -> Verdict {
    seen(&facts.alarms, "an alarm", |alarms| {
        let raised = alarms.iter().filter(|alarm| alarm.state == AlarmState::Alarm);
        Verdict::of(raised.map(|alarm| Finding::new(&alarm.name, &alarm.reason)).collect())
    })
}

pub(super) fn alarms_deployed(facts: &Facts) -> Verdict {
    if facts.pipeline.queue.is_none() {
        return not_deployed("the queue");
    }
    seen(&facts.alarms, "an alarm", |alarms| {
        Verdict::well_if(!alarms.is_empty(), || {
            Finding::new("this environment", "has no alarm: nobody is told when delivery stops")
        })
    })
}

/// There is nothing to look at.
pub(super) fn not_deployed(what: &str) -> Verdict {
    Verdict::Skipped { reason: format!("{what} is not deployed") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::{stack::Stack, status::StackStatus};

    fn deployed(version: &str) -> Facts {
        let outputs = [("StackVersion".to_owned(), version.to_owned())].into();
        let stack = Stack {
            name: "demo".to_owned(),
            id: String::new(),
            status: StackStatus::CreateComplete,
            reason: None,
            parameters: std::collections::BTreeMap::new(),
            outputs,
            tags: std::collections::BTreeMap::new(),
            created: None,
            updated: None,
            protected: false,
            parent: None,
        };
        Facts { regional: Some(stack), ..Facts::nothing() }
    }

    #[test]
    fn another_version_of_the_templates_is_found() {
        assert_eq!(version(&deployed("1.0.0")), Verdict::Well);
        let expected = Verdict::found("demo", "has templates of version 0.9.0, this program 1.0.0");
        assert_eq!(version(&deployed("0.9.0")), expected);
    }

    #[test]
    fn what_was_not_looked_at_is_not_judged() {
        for check in super::super::catalogue::all() {
            let verdict = (check.judge)(&Facts::nothing());
            let code = check.explanation.code;
            assert!(matches!(verdict, Verdict::Skipped { .. }), "{code}: {verdict:?}");
        }
    }
}
