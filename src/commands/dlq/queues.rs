//! Finds the queues.

use mtlog_processor::model::key::KeyPrefix;

use crate::{
    aws::{messages::QueueFacts, sqs::Sqs},
    commands::{
        Context,
        target::{self, Opened, StackArgs},
    },
    config::vars::{self, Variable},
    deploy::target::Target,
    error::{CliError, ExitStatus, Message},
};

const QUEUE_OUTPUT: &str = "LogDeliveryQueueUrl";
const DEAD_LETTER_OUTPUT: &str = "LogDeliveryDLQUrl";
const PREFIX_OUTPUT: &str = "S3KeyPrefix";

/// The dead-letter queue, and what leads back from it.
#[derive(Debug)]
pub(in crate::commands) struct Queues {
    pub(in crate::commands) opened: Opened,
    pub(in crate::commands) sqs: Sqs,
    /// The dead-letter queue.
    pub(in crate::commands) dead: QueueFacts,
    /// The queue that the engine reads, if it is known.
    pub(in crate::commands) queue: Option<QueueFacts>,
    /// Whether a stack was named on the command line: it comes before variables.
    pub(in crate::commands) named: bool,
    /// What object keys start with.
    pub(in crate::commands) prefix: KeyPrefix,
}

/// Finds the queues through variables or else the regional stack. A stack that was named on the command line comes
/// before variables.
pub(in crate::commands) async fn find(
    context: &Context<'_>,
    args: &StackArgs,
) -> Result<Queues, CliError> {
    let flags = args.flags(&["regional".to_owned()]);
    let opened = target::open(context, &flags).await?;
    let sqs = opened.session.sqs();
    let named =
        flags.environment.is_some() || flags.project.is_some() || flags.stack_name.is_some();
    let variable = |variable: &Variable| {
        let setting = context.layers.lookup(variable, None).filter(|_| !named)?;
        context.ui.detail(&format!("{} is given by {}", variable.name, setting.source));
        Some(setting.value)
    };
    let (mut queue_url, mut dead_url) =
        (variable(&vars::QUEUE_URL), variable(&vars::DEAD_LETTER_QUEUE_URL));
    let mut prefix = variable(&vars::KEY_PREFIX);
    if queue_url.is_none() && dead_url.is_none() {
        let client = opened.session.cloudformation();
        let stack = opened.existing(&client, Target::Regional).await?;
        let output = |name: &str| stack.outputs.get(name).filter(|text| !text.is_empty()).cloned();
        queue_url = output(QUEUE_OUTPUT);
        dead_url = output(DEAD_LETTER_OUTPUT);
        prefix = prefix.or_else(|| output(PREFIX_OUTPUT));
        if queue_url.is_none() && dead_url.is_none() {
            let text = format!("stack `{}` has no queue", stack.name);
            return Err(CliError::new(ExitStatus::Preflight, Message(text))
                .next(format!("mtlog deploy regional --include-sqs{}", opened.typed_flags())));
        }
    }
    let queue = match &queue_url {
        Some(url) => Some(facts(&sqs, url).await?),
        None => None,
    };
    // Stacks from before mtlog do not tell the URL of the dead-letter queue; the queue itself does.
    let dead_arn = queue.as_ref().and_then(|queue| queue.dead_letter_arn.clone());
    let dead_url = match (dead_url, dead_arn) {
        (Some(url), _) => url,
        (None, Some(arn)) => sqs
            .url_of(&arn)
            .await
            .map_err(|fault| CliError::aws(format!("failed to find the queue `{arn}`"), fault))?
            .ok_or_else(|| absent(&arn))?,
        (None, None) => {
            let name = queue.as_ref().map(|queue| queue.name().to_owned()).unwrap_or_default();
            let text = format!("queue `{name}` has no dead-letter queue");
            return Err(CliError::new(ExitStatus::Preflight, Message(text))
                .hint("set DEAD_LETTER_QUEUE_URL if the engine has one of its own"));
        }
    };
    let dead = facts(&sqs, &dead_url).await?;
    let prefix: KeyPrefix = prefix
        .unwrap_or_default()
        .parse()
        .map_err(|error| CliError::new(ExitStatus::Preflight, error))?;
    Ok(Queues { opened, sqs, dead, queue, named, prefix })
}

impl Queues {
    /// Returns the queue that letters go back to.
    pub(in crate::commands) fn destination(&self) -> Result<&QueueFacts, CliError> {
        self.queue.as_ref().ok_or_else(|| {
            let text = "the queue that letters go back to is not known".to_owned();
            CliError::new(ExitStatus::Preflight, Message(text))
                .hint("set SQS_QUEUE_URL beside DEAD_LETTER_QUEUE_URL, or name the stack with --environment")
        })
    }

    /// Looks at the dead-letter queue again.
    pub(in crate::commands) async fn refreshed(&self) -> Result<QueueFacts, CliError> {
        facts(&self.sqs, &self.dead.url).await
    }
}

async fn facts(sqs: &Sqs, url: &str) -> Result<QueueFacts, CliError> {
    sqs.facts(url)
        .await
        .map_err(|fault| CliError::aws(format!("failed to look at the queue `{url}`"), fault))?
        .ok_or_else(|| absent(url))
}

fn absent(queue: &str) -> CliError {
    CliError::new(ExitStatus::Preflight, Message(format!("there is no queue `{queue}`")))
        .hint("check the region, and what `mtlog drift regional` says")
}
