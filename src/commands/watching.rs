//! Watches an operation on a stack with a progress display, until it ends, the time is over, or Ctrl-C.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    aws::cloudformation::CloudFormation,
    deploy::{
        event::DeployEvent,
        explain::explain,
        watch::{self, Ended, History, Patience, Watched},
    },
    error::{CliError, ExitStatus, Message},
    template::{catalogue::TemplateId, document::Document},
    ui::{Ui, progress::Progress},
};

/// What is watched, and how long.
pub(super) struct Watch<'a> {
    /// The line above the display.
    pub(super) title: String,
    /// The stack's name.
    pub(super) stack: &'a str,
    /// What people call the resources, by path.
    pub(super) names: BTreeMap<String, String>,
    /// When to stop.
    pub(super) limit: Duration,
    /// The flags that another command about the stack needs.
    pub(super) flags: String,
}

/// Watches. The errors say that the operation goes on, and how to look again.
pub(super) async fn watch(
    ui: &Ui,
    client: &CloudFormation,
    history: History,
    watch: Watch<'_>,
) -> Result<Ended, CliError> {
    let mut progress = Progress::start(ui, &watch.title, watch.names);
    let patience = Patience { limit: watch.limit, ..Patience::default() };
    let mut show = |event: DeployEvent| progress.show(&event);
    let watched = tokio::select! {
        watched = watch::watch(client, history, patience, &mut show) => Some(watched),
        () = asked_to_stop() => None,
    };
    progress.finish();
    let (name, flags) = (watch.stack, &watch.flags);
    match watched {
        Some(Watched::Ended(ended)) => Ok(*ended),
        Some(Watched::TimedOut) => {
            let minutes = watch.limit.as_secs() / 60;
            let text = format!(
                "stopped watching stack `{name}` after {minutes} minutes; the operation goes on in AWS"
            );
            Err(CliError::new(ExitStatus::TimedOut, Message(text))
                .hint(AGAIN)
                .next(format!("mtlog attach {name}{flags}")))
        }
        Some(Watched::LostAccess(fault)) => {
            let what =
                format!("lost access while watching stack `{name}`; the operation goes on in AWS");
            Err(CliError::because(ExitStatus::TimedOut, what, fault)
                .hint("renew the credentials")
                .hint(AGAIN)
                .next(format!("mtlog attach {name}{flags}")))
        }
        None => {
            let text = format!("detached from stack `{name}`; the operation goes on in AWS");
            Err(CliError::new(ExitStatus::Detached, Message(text))
                .hint(AGAIN)
                .next(format!("mtlog attach {name}{flags}")))
        }
    }
}

/// Waits for Ctrl-C or SIGTERM.
async fn asked_to_stop() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _interrupt = interrupt => {}
                _terminate = terminate.recv() => {}
            }
            return;
        }
    }
    // If no signal can be waited for there is nothing to detach by; stopping is then the same.
    drop(interrupt.await);
}

const AGAIN: &str = "the same command again picks the operation up";

/// The failure of an operation: what became of the stack, the first cause, what is known about it.
pub(super) fn failed(status: ExitStatus, what: String, ended: &Ended) -> CliError {
    let cause = ended.view.root_cause();
    let words = cause.map(|cause| {
        let reason = cause.reason.trim_end_matches('.');
        format!("{} ({}) {}: {reason}", cause.path, cause.resource_type, cause.status.words())
    });
    let reason = || ended.stack.as_ref().and_then(|stack| stack.reason.clone());
    let mut error = match words.or_else(reason) {
        Some(cause) => CliError::because(status, what, Message(cause)),
        None => CliError::new(status, Message(what)),
    };
    if let Some(explanation) = cause.and_then(|cause| explain(&cause.reason)) {
        error = error
            .hint(format!("{} [{}]", explanation.title, explanation.code))
            .hint(explanation.fix);
    }
    let consequences = ended.view.failures().iter().filter(|failure| failure.consequence).count();
    if consequences > 0 {
        let resources = if consequences == 1 { "resource" } else { "resources" };
        error = error.hint(format!("{consequences} more {resources} failed only because of this"));
    }
    error
}

/// Returns what people call the resources of a template and of those nested in it, by path.
pub(super) fn names(template: TemplateId) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    let templates = std::iter::once((String::new(), template)).chain(
        template.children().iter().map(|child| (format!("{}/", child.resource), child.template)),
    );
    for (prefix, template) in templates {
        let Ok(document) = Document::parse(template.text()) else { continue };
        for resource in document.resources().keys() {
            if let Some(name) = document.human_name(resource) {
                names.insert(format!("{prefix}{resource}"), name.to_owned());
            }
        }
    }
    names
}
