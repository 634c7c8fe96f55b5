//! `mtlog dlq show`: one letter with everything that is known.

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::{
    counted,
    list::short,
    queues,
    reading::{self, Extent},
};
use crate::{
    commands::{Context, target::StackArgs},
    error::{CliError, ExitStatus, Message as Text},
    letters::{Letter, Sender, advice, message::Message, span},
    ui::{
        Report,
        style::{Palette, printable},
        table::Table,
    },
};

/// A queue with more messages than this is not searched to its end.
const SEARCHED: usize = 100_000;

/// Show one dead letter in full
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The message's id, or enough of its beginning
    #[arg(value_name = "ID")]
    id: String,
    /// Print the message's body too. It is an S3 event and holds no log line, but a message from a topic holds the
    /// address that cancels the subscription
    #[arg(long)]
    body: bool,
    #[command(flatten)]
    stack: StackArgs,
}

#[derive(Debug, Serialize)]
struct Shown {
    queue: String,
    queue_url: String,
    age_seconds: u64,
    #[serde(flatten)]
    letter: Letter,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<&'static str>,
    /// The queue that gave the message up.
    #[serde(skip_serializing_if = "Option::is_none")]
    source_queue: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

impl Report for Shown {
    fn tables(&self) -> Vec<Table> {
        let letter = &self.letter;
        let sender = match letter.sender {
            Sender::Engine => match &letter.version {
                Some(version) => format!("the engine, version {version}"),
                None => "the engine".to_owned(),
            },
            Sender::Queue => "the queue, after too many receives".to_owned(),
            Sender::Topic => "the topic, because the queue refused it".to_owned(),
            Sender::Unknown => "nobody says".to_owned(),
        };
        let mut rows = vec![("id", letter.id.clone()), ("reason", letter.reason.clone())];
        rows.extend(self.remedy.map(|remedy| ("what mends it", remedy.to_owned())));
        let optional = [
            ("detail", &letter.detail),
            ("stage", &letter.stage),
            ("tenant", &letter.tenant),
            ("destination", &letter.destination),
        ];
        rows.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
        rows.extend(letter.objects.iter().map(|object| ("object", object.clone())));
        if letter.settled_records > 0 {
            let text = format!("{} records; a redrive goes on behind them", letter.settled_records);
            rows.push(("settled", text));
        }
        if let Some(bytes) = letter.cut_from_bytes {
            rows.push(("body", format!("cut, it had {bytes} bytes: it cannot be delivered")));
        }
        let age = span(std::time::Duration::from_secs(self.age_seconds));
        rows.push(("sent", format!("{age} ago, {:.0}", letter.sent)));
        rows.push((
            "received",
            format!("{} before, looks included", counted(u64::from(letter.receives), "time")),
        ));
        rows.push(("sent by", sender));
        rows.extend(self.source_queue.clone().map(|queue| ("given up by", queue)));
        rows.push(("queue", self.queue.clone()));
        let mut table = Table::new([]);
        for (name, value) in rows {
            table.row([name.to_owned(), value]);
        }
        vec![table]
    }

    fn text(&self, palette: Palette) -> String {
        let mut text: String = self.tables().iter().map(|table| table.render(palette)).collect();
        if let Some(body) = &self.body {
            let pretty = serde_json::from_str::<serde_json::Value>(body)
                .map_or_else(|_| body.clone(), |value| format!("{value:#}"));
            text.push_str(&format!("\n{}\n", printable(&pretty)));
        }
        text
    }
}

/// Runs `mtlog dlq show`.
pub(super) async fn run(context: &Context<'_>, args: &ShowArgs) -> Result<ExitStatus, CliError> {
    let queues = queues::find(context, &args.stack).await?;
    let mut found: Vec<(Message, Letter)> = Vec::new();
    let extent = reading::look(context, &queues, SEARCHED, |message, letter| {
        // Two are enough to know that the beginning is too short.
        if message.id.starts_with(&args.id) && found.len() < 2 {
            found.push((message.clone(), letter));
        }
    })
    .await?;
    let flags = queues.opened.typed_flags();
    let list = format!("mtlog dlq list{flags}");
    if found.len() > 1 {
        let text = format!("several dead letters have an id that begins with `{}`", args.id);
        return Err(CliError::new(ExitStatus::Usage, Text(text)).next(list));
    }
    let Some((message, letter)) = found.pop() else {
        let text = format!("no dead letter has an id that begins with `{}`", args.id);
        let error = CliError::new(ExitStatus::Preflight, Text(text)).next(list);
        return Err(match (extent, queues.dead.in_flight) {
            (Extent::Limited, _) => error.hint(format!("only {SEARCHED} messages were searched")),
            (Extent::Whole, 0) => error,
            (Extent::Whole, held) => error.hint(format!(
                "about {held} messages are held by somebody else; try again in two minutes"
            )),
        });
    };
    let remedy = advice::find(&letter.reason).map(|advice| advice.remedy);
    let shown = Shown {
        queue: queues.dead.name().to_owned(),
        queue_url: queues.dead.url.clone(),
        age_seconds: letter.age(Timestamp::now()).as_secs(),
        remedy,
        source_queue: message.source.clone(),
        body: args.body.then(|| message.body.clone()),
        letter,
    };
    context.ui.emit(&shown)?;
    context.ui.detail(&format!("The short id is {}.", short(&shown.letter.id)));
    Ok(ExitStatus::Success)
}
