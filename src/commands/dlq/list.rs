//! `mtlog dlq list`: what is in the dead-letter queue, and what mends it.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::{
    FilterArgs, counted,
    queues::{self, Queues},
    reading::{self, Extent},
};
use crate::{
    aws::messages::QueueFacts,
    commands::{Context, target::StackArgs},
    error::{CliError, ExitStatus},
    letters::{Letter, advice, filter::Filter, span},
    ui::{Report, table::Table},
};

/// List dead letters with their reasons
///
/// Reading hides a message from others for a moment; all are given back at once, also after Ctrl-C. Nothing is deleted.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// Read at most so many messages
    #[arg(long, value_name = "NUMBER", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000), help_heading = "Selection")]
    limit: u32,
    #[command(flatten)]
    stack: StackArgs,
}

/// About how many messages the queue holds.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Depth {
    visible: u64,
    in_flight: u64,
    delayed: u64,
}

impl Depth {
    pub(super) const fn of(queue: &QueueFacts) -> Self {
        Self { visible: queue.visible, in_flight: queue.in_flight, delayed: queue.delayed }
    }
}

/// A letter with its age.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    age_seconds: u64,
    #[serde(flatten)]
    letter: Letter,
}

/// All letters with one reason.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Group {
    reason: String,
    letters: u64,
    tenants: BTreeSet<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct Listing {
    queue: String,
    queue_url: String,
    /// Before the look.
    messages: Depth,
    /// Whether every message was seen that nobody else holds.
    complete: bool,
    /// How many were read; those that the filter does not admit included.
    read: u64,
    reasons: Vec<Group>,
    letters: Vec<Row>,
}

impl Report for Listing {
    fn tables(&self) -> Vec<Table> {
        let nothing =
            if self.read == 0 { "  No dead letters." } else { "  No dead letter is like that." };
        let mut table =
            Table::new(["ID", "AGE", "REASON", "STAGE", "TENANT", "RECEIVED", "OBJECT"])
                .titled(format!("{}: {}", self.queue, counted(self.letters.len() as u64, "letter")))
                .or_say(nothing);
        for Row { age_seconds, letter } in &self.letters {
            let more = match letter.objects.len() {
                0 | 1 => String::new(),
                count => format!(" (+{})", count - 1),
            };
            table.row([
                short(&letter.id).to_owned(),
                span(std::time::Duration::from_secs(*age_seconds)),
                letter.reason.clone(),
                letter.stage.clone().unwrap_or_else(|| "-".to_owned()),
                letter.tenant.clone().unwrap_or_else(|| "-".to_owned()),
                letter.receives.to_string(),
                format!("{}{more}", letter.key().unwrap_or("-")),
            ]);
        }
        let mut tables = vec![table];
        if !self.reasons.is_empty() {
            tables.push(groups_table(&self.reasons));
        }
        tables
    }
}

/// Returns a table with a line a reason.
pub(super) fn groups_table(groups: &[Group]) -> Table {
    let mut table = Table::new(["REASON", "LETTERS", "TENANTS", "WHAT MENDS IT"]);
    for group in groups {
        table.row([
            group.reason.clone(),
            group.letters.to_string(),
            few(&group.tenants),
            group
                .remedy
                .unwrap_or("a newer engine wrote this: look at it (mtlog dlq show)")
                .to_owned(),
        ]);
    }
    table
}

/// Names the first tenants and counts the rest.
fn few(tenants: &BTreeSet<String>) -> String {
    const SHOWN: usize = 3;
    let names: Vec<&str> = tenants.iter().take(SHOWN).map(String::as_str).collect();
    match (names.is_empty(), tenants.len().saturating_sub(SHOWN)) {
        (true, _) => "-".to_owned(),
        (false, 0) => names.join(", "),
        (false, more) => format!("{} +{more}", names.join(", ")),
    }
}

/// Enough of an id to tell it from others on a screen.
pub(super) fn short(id: &str) -> &str {
    id.split('-').next().unwrap_or(id)
}

/// What a look at the queue found.
#[derive(Debug)]
pub(super) struct Survey {
    /// Those that the filter admits, the oldest first; the ids never repeat.
    pub(super) letters: Vec<Letter>,
    pub(super) read: u64,
    pub(super) extent: Extent,
    pub(super) now: Timestamp,
}

/// Looks at the queue.
pub(super) async fn survey(
    context: &Context<'_>,
    queues: &Queues,
    filter: &Filter,
    limit: usize,
) -> Result<Survey, CliError> {
    let now = Timestamp::now();
    let (mut letters, mut read) = (Vec::new(), 0);
    let extent = reading::look(context, queues, limit, |_, letter| {
        read += 1;
        if filter.admits(&letter, now) {
            letters.push(letter);
        }
    })
    .await?;
    letters.sort_by(|a, b| (a.sent, &a.id).cmp(&(b.sent, &b.id)));
    Ok(Survey { letters, read, extent, now })
}

/// Counts letters by reason, the most frequent first.
pub(super) fn groups(letters: &[Letter]) -> Vec<Group> {
    let mut groups: BTreeMap<&str, (u64, BTreeSet<String>)> = BTreeMap::new();
    for letter in letters {
        let (count, tenants) = groups.entry(&letter.reason).or_default();
        *count += 1;
        tenants.extend(letter.tenant.clone());
    }
    let mut groups: Vec<Group> = groups
        .into_iter()
        .map(|(reason, (letters, tenants))| Group {
            reason: reason.to_owned(),
            letters,
            tenants,
            remedy: advice::find(reason).map(|advice| advice.remedy),
        })
        .collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.letters));
    groups
}

/// Runs `mtlog dlq list`.
pub(super) async fn run(context: &Context<'_>, args: &ListArgs) -> Result<ExitStatus, CliError> {
    let queues = queues::find(context, &args.stack).await?;
    let filter = args.filter.filter();
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let Survey { letters, read, extent, now } = survey(context, &queues, &filter, limit).await?;
    let listing = Listing {
        queue: queues.dead.name().to_owned(),
        queue_url: queues.dead.url.clone(),
        messages: Depth::of(&queues.dead),
        complete: extent == Extent::Whole,
        read,
        reasons: groups(&letters),
        letters: letters
            .into_iter()
            .map(|letter| Row { age_seconds: letter.age(now).as_secs(), letter })
            .collect(),
    };
    context.ui.emit(&listing)?;
    if extent == Extent::Limited {
        context.ui.warning(&format!(
            "Only the first {} of about {} were read; --limit reads more.",
            counted(read, "message"),
            queues.dead.total()
        ));
    }
    if queues.dead.in_flight > 0 {
        context.ui.warning(&format!(
            "{} held by somebody else, and not shown while that lasts.",
            if queues.dead.in_flight == 1 {
                "1 message is".to_owned()
            } else {
                format!("{} messages are", queues.dead.in_flight)
            }
        ));
    }
    Ok(ExitStatus::Success)
}
