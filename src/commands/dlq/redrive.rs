//! `mtlog dlq redrive`: sends dead letters back to the queue.
//!
//! The whole queue is moved by SQS itself, and goes on when this program ends. Chosen letters are sent and then
//! deleted one batch after the other by this program.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::{
    FilterArgs, counted,
    list::{Depth, Group, groups, groups_table, survey},
    queues::{self, Queues},
    reading::Extent,
    selected::{self, Order},
};
use crate::{
    aws::moves::{MAX_RATE, Move, MoveState},
    cli::ConsentArgs,
    commands::{Context, stopping::StopRequest, target::StackArgs},
    error::{CliError, ExitStatus, Message},
    letters::span,
    ui::{Report, counter::Counter, table::Table},
};

/// How many letters a survey before a redrive or a purge reads at most. SQS lets 120,000 messages of a queue be hidden.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>.
pub(super) const SURVEYED: usize = 100_000;
/// The shortest and the longest time between two looks at a task.
const LOOKS: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// A task that was started may take so many looks to be listed.
const UNLISTED_LOOKS: u32 = 12;

/// Send dead letters back to the queue
///
/// Without a selection, SQS moves everything, and goes on if you stop watching: the same command again follows it, and
/// --cancel stops it. With a selection, each letter is sent first and deleted then. A kill in between leaves a letter
/// in both queues, so it may be delivered twice; none is ever lost.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mtlog dlq redrive --dry-run -e production -r us-east-2
  mtlog dlq redrive --reason role_denied --tenant acme --rate 10 -e production -r us-east-2
  mtlog dlq redrive --cancel -e production -r us-east-2")]
pub(super) struct RedriveArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// The most letters a second
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_RATE)))]
    rate: u32,
    /// Show what would be sent; no call that writes is made
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Stop the move of the whole queue that is under way
    #[arg(long, conflicts_with_all = ["tenant", "reason", "older_than", "newer_than", "dry_run"])]
    cancel: bool,
    #[command(flatten)]
    stack: StackArgs,
    #[command(flatten)]
    consent: ConsentArgs,
}

/// How letters go back.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Way {
    /// SQS moves everything.
    WholeQueue,
    /// Each chosen letter is sent and deleted.
    Selected,
}

/// Where it stands at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Nothing,
    Planned,
    Done,
    Cancelled,
}

#[derive(Debug, Serialize)]
struct Redrive {
    from: String,
    to: String,
    way: Way,
    state: State,
    rate: u32,
    /// Letters that are meant.
    letters: u64,
    /// Letters that were sent to the queue.
    sent: u64,
    /// Letters that were sent, and are in the dead-letter queue as well.
    twice: u64,
    /// Letters that could not be sent.
    failed: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<Group>,
    /// In the dead-letter queue at the end.
    left: Depth,
}

impl Report for Redrive {
    fn tables(&self) -> Vec<Table> {
        let time = span(Duration::from_secs(self.letters / u64::from(self.rate.max(1))));
        let letters = counted(self.letters, "letter");
        let title = match self.state {
            State::Nothing => format!("{}: nothing to send", self.from),
            State::Planned => {
                format!("{letters} would go back, {} a second, in about {time}", self.rate)
            }
            State::Done => format!("{} sent back", counted(self.sent, "letter")),
            State::Cancelled => format!("cancelled after {}", counted(self.sent, "letter")),
        };
        let mut table = Table::new([]).titled(title);
        table.row(["from".to_owned(), self.from.clone()]);
        table.row(["to".to_owned(), self.to.clone()]);
        if self.twice > 0 {
            table.row(["in both queues".to_owned(), self.twice.to_string()]);
        }
        if self.failed > 0 {
            table.row(["not sent".to_owned(), self.failed.to_string()]);
        }
        let mut tables = vec![table];
        // At the end what would mend them is no news any more.
        if self.state == State::Planned && !self.reasons.is_empty() {
            tables.push(groups_table(&self.reasons));
        }
        tables
    }
}

/// Runs `mtlog dlq redrive`.
pub(super) async fn run(context: &Context<'_>, args: &RedriveArgs) -> Result<ExitStatus, CliError> {
    let queues = queues::find(context, &args.stack).await?;
    let filter = args.filter.filter();
    if args.cancel {
        return cancel(context, &queues, args).await;
    }
    if filter.is_everything() {
        whole_queue(context, &queues, args).await
    } else {
        chosen(context, &queues, args).await
    }
}

fn report(queues: &Queues, args: &RedriveArgs, way: Way, state: State, letters: u64) -> Redrive {
    Redrive {
        from: queues.dead.name().to_owned(),
        to: queues.queue.as_ref().map(|queue| queue.name().to_owned()).unwrap_or_default(),
        way,
        state,
        rate: args.rate,
        letters,
        sent: 0,
        twice: 0,
        failed: 0,
        reasons: Vec::new(),
        left: Depth::of(&queues.dead),
    }
}

async fn chosen(
    context: &Context<'_>,
    queues: &Queues,
    args: &RedriveArgs,
) -> Result<ExitStatus, CliError> {
    let ui = context.ui;
    let filter = args.filter.filter();
    let destination = queues.destination()?;
    let survey = survey(context, queues, &filter, SURVEYED).await?;
    let letters = survey.letters.len() as u64;
    let mut redrive = report(queues, args, Way::Selected, State::Planned, letters);
    redrive.reasons = groups(&survey.letters);
    if survey.extent == Extent::Limited {
        ui.warning(&format!("Only the first {SURVEYED} messages were looked at."));
    }
    if letters == 0 || args.dry_run {
        redrive.state = if letters == 0 { State::Nothing } else { State::Planned };
        ui.emit(&redrive)?;
        return Ok(ExitStatus::Success);
    }
    let answers = args.consent.answers();
    ui.could_agree(None, &answers)?;
    ui.status(groups_table(&redrive.reasons).render(ui.palette()).trim_end());
    let question = format!(
        "Send {} {filter} from {} back to {}, {} a second?",
        counted(letters, "letter"),
        queues.dead.name(),
        destination.name(),
        args.rate
    );
    let consent = ui.agree(&question, &answers)?;
    let order = Order { filter: &filter, before: survey.now, rate: args.rate, letters };
    let sent = selected::send_back(context, queues, destination, order, consent).await?;
    redrive.state = State::Done;
    (redrive.sent, redrive.twice, redrive.failed) = (sent.sent, sent.twice, sent.failed);
    redrive.left = Depth::of(&queues.refreshed().await?);
    ui.emit(&redrive)?;
    sent.verdict(&queues.opened.typed_flags())
}

async fn whole_queue(
    context: &Context<'_>,
    queues: &Queues,
    args: &RedriveArgs,
) -> Result<ExitStatus, CliError> {
    let ui = context.ui;
    let destination = queues.destination()?;
    let letters = queues.dead.visible + queues.dead.delayed;
    let before = moves(queues).await?;
    let running = before.iter().find(|task| task.is_active());
    let since = before.iter().map(|task| task.started).max();
    if let Some(running) = running {
        let elsewhere = running.destination.as_ref().filter(|arn| **arn != destination.arn);
        ui.status(&format!(
            "A move of {} started at {:.0} is under way{}.",
            queues.dead.name(),
            running.started,
            elsewhere.map(|arn| format!(" to {arn}")).unwrap_or_default()
        ));
        if args.dry_run {
            let meant = running.to_move.unwrap_or(letters);
            ui.emit(&report(queues, args, Way::WholeQueue, State::Planned, meant))?;
            return Ok(ExitStatus::Success);
        }
        return follow(context, queues, args, Some(running.started)).await;
    }
    if letters == 0 || args.dry_run {
        let state = if letters == 0 { State::Nothing } else { State::Planned };
        ui.emit(&report(queues, args, Way::WholeQueue, state, letters))?;
        if queues.dead.in_flight > 0 {
            ui.warning(&format!(
                "{} held by somebody else at the moment.",
                counted(queues.dead.in_flight, "message")
            ));
        }
        return Ok(ExitStatus::Success);
    }
    let question = format!(
        "Move about {} from {} back to {}, {} a second (about {})?",
        counted(letters, "letter"),
        queues.dead.name(),
        destination.name(),
        args.rate,
        span(Duration::from_secs(letters / u64::from(args.rate)))
    );
    let _consent = ui.agree(&question, &args.consent.answers())?;
    queues.sqs.start_move(&queues.dead.arn, &destination.arn, args.rate).await.map_err(|fault| {
        CliError::aws(format!("failed to start to move the letters of `{}`", queues.dead.name()), fault)
            .hint(
                "a move also needs sqs:ReceiveMessage, sqs:DeleteMessage and sqs:GetQueueAttributes on the \
                 dead-letter queue and sqs:SendMessage on the queue",
            )
    })?;
    let not_ours = since.map(|since| since + jiff::SignedDuration::from_millis(1));
    follow(context, queues, args, not_ours).await
}

async fn moves(queues: &Queues) -> Result<Vec<Move>, CliError> {
    queues.sqs.moves(&queues.dead.arn).await.map_err(|fault| {
        let what = format!("failed to look at the moves of `{}`", queues.dead.name());
        // Emulators know no moves.
        let unknown = fault.code() == Some("InvalidAction");
        let error = CliError::aws(what, fault);
        if unknown {
            error.hint("a selection does without moves: --newer-than 14d means every letter")
        } else {
            error
        }
    })
}

/// Follows the move that was started at `from` or later until it has ended.
async fn follow(
    context: &Context<'_>,
    queues: &Queues,
    args: &RedriveArgs,
    from: Option<Timestamp>,
) -> Result<ExitStatus, CliError> {
    let mut stop = StopRequest::listen();
    let watching = watch(context, queues, from);
    let ended = tokio::select! {
        ended = watching => ended?,
        () = stop.wait() => return Err(detached(queues)),
    };
    let letters = ended.to_move.unwrap_or(ended.moved);
    let mut redrive = report(queues, args, Way::WholeQueue, State::Done, letters);
    redrive.rate = ended.rate.unwrap_or(args.rate);
    redrive.sent = ended.moved;
    redrive.left = Depth::of(&queues.refreshed().await?);
    match ended.state {
        MoveState::Completed => {
            context.ui.emit(&redrive)?;
            Ok(ExitStatus::Success)
        }
        MoveState::Cancelled => {
            redrive.state = State::Cancelled;
            context.ui.emit(&redrive)?;
            Ok(ExitStatus::Success)
        }
        MoveState::Failed { reason } => Err(failed(queues, ended.moved, &reason)),
        MoveState::Other(state) => {
            Err(failed(queues, ended.moved, &format!("unknown state {state}")))
        }
        MoveState::Running | MoveState::Cancelling => Err(detached(queues)),
    }
}

/// Looks at the move until it has ended.
async fn watch(
    context: &Context<'_>,
    queues: &Queues,
    from: Option<Timestamp>,
) -> Result<Move, CliError> {
    let mut pause = LOOKS.0;
    let mut unlisted = 0;
    let mut shown: Option<(Counter, u64)> = None;
    loop {
        let newest = moves(queues).await?.into_iter().next();
        match newest.filter(|task| from.is_none_or(|from| task.started >= from)) {
            Some(task) if !task.is_active() => return Ok(task),
            Some(task) => {
                let total = task.to_move.unwrap_or(task.moved);
                let (counter, said) =
                    shown.get_or_insert_with(|| (Counter::messages(context.ui, total), u64::MAX));
                counter.set(task.moved);
                if *said != task.moved && !context.ui.is_animated() {
                    context.ui.status(&format!("{} of about {total} letters moved.", task.moved));
                    *said = task.moved;
                }
                context.ui.record("progress", &Progress { moved: task.moved, total });
            }
            None => {
                unlisted += 1;
                if unlisted == UNLISTED_LOOKS {
                    let text = "the move was started, but SQS does not list it".to_owned();
                    return Err(CliError::new(ExitStatus::TimedOut, Message(text))
                        .next(format!("mtlog dlq redrive{}", queues.opened.typed_flags())));
                }
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LOOKS.1);
    }
}

#[derive(Debug, Serialize)]
struct Progress {
    moved: u64,
    total: u64,
}

fn detached(queues: &Queues) -> CliError {
    let text = format!("detached; the move of `{}` goes on in AWS", queues.dead.name());
    let flags = queues.opened.typed_flags();
    CliError::new(ExitStatus::Detached, Message(text))
        .hint("the same command again follows it")
        .next(format!("mtlog dlq redrive{flags}"))
        .next(format!("mtlog dlq redrive --cancel{flags}"))
}

fn failed(queues: &Queues, moved: u64, reason: &str) -> CliError {
    let what = format!(
        "the move of `{}` failed after {}; the rest is still there",
        queues.dead.name(),
        counted(moved, "letter")
    );
    CliError::because(ExitStatus::NeedsAttention, what, Message(reason.to_owned()))
        .hint(
            "the identity in use needs sqs:ReceiveMessage and sqs:DeleteMessage on the dead-letter queue, \
             sqs:SendMessage on the queue, and kms:Decrypt and kms:GenerateDataKey on their key, for as long as it runs",
        )
        .next(format!("mtlog dlq redrive{}", queues.opened.typed_flags()))
}

async fn cancel(
    context: &Context<'_>,
    queues: &Queues,
    args: &RedriveArgs,
) -> Result<ExitStatus, CliError> {
    let Some(running) = moves(queues).await?.into_iter().find(Move::is_active) else {
        context
            .ui
            .status(&format!("Nothing to do: no move of {} is under way.", queues.dead.name()));
        context.ui.emit(&report(queues, args, Way::WholeQueue, State::Nothing, 0))?;
        return Ok(ExitStatus::Success);
    };
    if let (MoveState::Running, Some(handle)) = (&running.state, &running.handle) {
        let question = format!(
            "Stop the move after {} of about {}? The rest stays in {}",
            running.moved,
            counted(running.to_move.unwrap_or(running.moved), "letter"),
            queues.dead.name()
        );
        let _consent = context.ui.agree(&question, &args.consent.answers())?;
        queues.sqs.cancel_move(handle).await.map_err(|fault| {
            CliError::aws(format!("failed to stop the move of `{}`", queues.dead.name()), fault)
        })?;
    }
    follow(context, queues, args, Some(running.started)).await
}
