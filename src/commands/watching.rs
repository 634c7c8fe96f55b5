//! Watches operations on stacks with a progress display, until they end, the time is over, or Ctrl-C.

use std::{collections::BTreeMap, convert::Infallible, future::Future, time::Duration};

use crate::{
    aws::cloudformation::CloudFormation,
    deploy::{
        event::DeployEvent,
        execute::ExecuteError,
        explain::explain,
        watch::{self, Ended, History, Patience, Watched},
    },
    error::{CliError, ExitStatus, Message},
    template::{catalogue::TemplateId, document::Document},
    ui::progress::{Progress, Subject},
};

/// What is watched, and how long.
pub(super) struct Watch {
    /// What the display says of it.
    pub(super) subject: Subject,
    /// When to stop.
    pub(super) limit: Duration,
    /// The flags that another command about the stack needs.
    pub(super) flags: String,
}

/// How often the display is given the time.
const TICK: Duration = Duration::from_secs(1);

/// Starts an operation and watches it. The errors say that the operation goes on, and how to look again.
///
/// The operation counts as under way before `start` is called: an interrupt in between must not hide it.
pub(super) async fn watch(
    progress: &Progress<'_>,
    client: &CloudFormation,
    watch: Watch,
    start: impl Future<Output = Result<History, ExecuteError>>,
) -> Result<Ended, CliError> {
    let name = watch.subject.stack.clone();
    let shown = progress.show(watch.subject);
    let history = start.await.map_err(super::deploy::step_failed)?;
    let patience = Patience { limit: watch.limit, ..Patience::default() };
    let mut show = |event: DeployEvent| shown.event(&event);
    // Boxed: it is large, and all that waits for it would be as large.
    let watching = Box::pin(watch::watch(client, history, patience, &mut show));
    let watched = tokio::select! {
        watched = watching => watched,
        never = ticking(progress) => match never {},
    };
    drop(shown);
    let flags = &watch.flags;
    match watched {
        Watched::Ended(ended) => Ok(*ended),
        Watched::TimedOut => {
            let minutes = watch.limit.as_secs() / 60;
            let text = format!(
                "stopped watching stack `{name}` after {minutes} minutes; the operation goes on in AWS"
            );
            Err(CliError::new(ExitStatus::TimedOut, Message(text))
                .hint(AGAIN)
                .next(format!("mtlog attach {name}{flags}")))
        }
        Watched::LostAccess(fault) => {
            let what =
                format!("lost access while watching stack `{name}`; the operation goes on in AWS");
            Err(CliError::because(ExitStatus::TimedOut, what, fault)
                .hint("renew the credentials")
                .hint(AGAIN)
                .next(format!("mtlog attach {name}{flags}")))
        }
    }
}

async fn ticking(progress: &Progress<'_>) -> Infallible {
    loop {
        tokio::time::sleep(TICK).await;
        progress.tick();
    }
}

/// Does the work until it ends, or until Ctrl-C or SIGTERM: what runs in AWS then goes on, and the error says so.
pub(super) async fn until_stopped<T>(
    progress: &Progress<'_>,
    flags: &str,
    work: impl Future<Output = Result<T, CliError>> + Unpin,
) -> Result<T, CliError> {
    let mut work = work;
    tokio::select! {
        ended = &mut work => ended,
        // The work is still there, and with it what it has under way.
        () = asked_to_stop() => Err(detached(&progress.under_way(), flags)),
    }
}

fn detached(under_way: &[Subject], flags: &str) -> CliError {
    let Some(first) = under_way.first() else {
        let text = "interrupted before an operation began; no stack is being changed".to_owned();
        return CliError::new(ExitStatus::Detached, Message(text));
    };
    let names: Vec<String> = under_way
        .iter()
        .map(|subject| match under_way.len() {
            1 => format!("`{}`", subject.stack),
            _ => format!("`{}` in {}", subject.stack, subject.region),
        })
        .collect();
    let (stacks, operations) = if under_way.len() == 1 {
        ("stack", "the operation goes on")
    } else {
        ("stacks", "the operations go on")
    };
    let text = format!("detached from {stacks} {}; {operations} in AWS", names.join(", "));
    CliError::new(ExitStatus::Detached, Message(text))
        .hint(AGAIN)
        .next(format!("mtlog attach {}{flags}", first.stack))
}

/// Waits for Ctrl-C or SIGTERM.
pub(super) async fn asked_to_stop() {
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

/// Tells when the terminal has another size.
#[derive(Debug)]
pub(super) struct Resizes {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl Resizes {
    /// Listens from now on. What cannot be listened for never comes.
    pub(super) fn listen() -> Self {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            Self { signal: signal(SignalKind::window_change()).ok() }
        }
        #[cfg(not(unix))]
        Self {}
    }

    /// Waits for the next change of size.
    pub(super) async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
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
        error = error.explained(explanation);
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
