//! `mtlog cost`: what an environment in one region has cost, what else it could have cost, and what would save.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::{
    Context,
    target::{self, Opened, StackArgs},
};
use crate::{
    cost::{self, Alternative, Bill, Prices, Usage},
    deploy::{stack::Stack, target::Target},
    error::{CliError, ExitStatus, Message},
    operate::{
        metric::{Metric, Period, Series, Statistic, Window},
        pipeline::Pipeline,
    },
    ui::{Report, style::Palette, table::Table},
};

/// Show what the last days have cost, and what would save
///
/// From what CloudWatch counted, and from list prices with their date. Free tiers, discounts and data transfer are left
/// out. The part about deliveries needs the processor in Lambda.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mtlog cost -e production -r us-east-2
  mtlog cost -e production -r us-east-2 --prices prices.json -o json
  mtlog cost --print-prices > prices.json")]
pub struct CostArgs {
    /// How many days to look back
    #[arg(long, value_name = "NUMBER", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=455))]
    days: u16,
    /// Read prices from this file instead of the built-in list
    #[arg(long, value_name = "PATH")]
    prices: Option<PathBuf>,
    /// Print the built-in list of prices, in the form that --prices reads
    #[arg(long, conflicts_with = "prices")]
    print_prices: bool,
    #[command(flatten)]
    stack: StackArgs,
}

#[derive(Debug, Serialize)]
struct CostReport {
    account: String,
    region: String,
    environment: String,
    days: u16,
    currency: String,
    prices_region: String,
    prices_as_of: String,
    usage: Usage,
    bill: Bill,
}

impl Report for CostReport {
    fn tables(&self) -> Vec<Table> {
        let title = format!(
            "{} days of {} in {}, account {}, at list prices of {} from {}, in {}",
            self.days,
            self.environment,
            self.region,
            self.account,
            self.prices_region,
            self.prices_as_of,
            self.currency
        );
        let mut table = Table::new(["WHAT", "COST", "FOR"]).titled(title);
        for line in &self.bill.lines {
            let amount = format!("{} {}", amount(line.amount), line.unit);
            table.row([line.what.to_owned(), money(line.cost), amount]);
        }
        table.row(["together".to_owned(), money(self.bill.total), String::new()]);
        let mut tables = vec![table];
        for (title, alternatives) in [
            ("The same volume in another way", &self.bill.instead),
            ("What would save", &self.bill.savings),
        ] {
            if !alternatives.is_empty() {
                tables.push(alternatives_table(title, alternatives));
            }
        }
        tables
    }

    fn text(&self, palette: Palette) -> String {
        let tables: Vec<String> = self.tables().iter().map(|table| table.render(palette)).collect();
        let customers = format!(
            "Customers pay about {} for taking these logs into their CloudWatch Logs.\n",
            money(self.bill.customers)
        );
        format!("{}\n{customers}", tables.join("\n"))
    }
}

fn alternatives_table(title: &str, alternatives: &[Alternative]) -> Table {
    let mut table = Table::new(["WHAT", "COST", "ASSUMING"]).titled(title);
    for one in alternatives {
        table.row([one.what.clone(), money(one.cost), one.assuming.to_owned()]);
    }
    table
}

fn money(dollars: f64) -> String {
    if dollars > 0.0 && dollars < 0.01 { "< 0.01".to_owned() } else { format!("{dollars:.2}") }
}

fn amount(number: f64) -> String {
    // Requests and alarms are counted: nobody makes 10.00 of them.
    let is_whole = number >= 100.0 || number.fract() <= 0.0;
    if is_whole { format!("{number:.0}") } else { format!("{number:.2}") }
}

/// Runs `mtlog cost`.
pub async fn run(context: &Context<'_>, args: &CostArgs) -> Result<ExitStatus, CliError> {
    if args.print_prices {
        context.ui.data(cost::PRICES);
        return Ok(ExitStatus::Success);
    }
    let prices = prices(args)?;
    let opened = target::open(context, &args.stack.flags(&[])).await?;
    let stack = opened.existing(&opened.session.cloudformation(), Target::Regional).await?;
    let usage = usage(&opened, &stack, args.days).await?;
    if prices.region != opened.place.region.as_str() {
        context.ui.warning(&format!(
            "The prices are those of {}; other regions differ. `mtlog cost --print-prices` writes a list to edit.",
            prices.region
        ));
    }
    let bill = cost::bill(&usage, &prices);
    context.ui.emit(&CostReport {
        account: opened.place.account.to_string(),
        region: opened.place.region.to_string(),
        environment: opened.settings.environment.value.to_string(),
        days: args.days,
        currency: prices.currency,
        prices_region: prices.region,
        prices_as_of: prices.as_of,
        usage,
        bill,
    })?;
    Ok(ExitStatus::Success)
}

fn prices(args: &CostArgs) -> Result<Prices, CliError> {
    let unreadable = |what: String, error: Box<dyn std::error::Error + Send + Sync>| {
        CliError::because(ExitStatus::Usage, what, error)
            .hint("`mtlog cost --print-prices` writes a file that can be read")
    };
    let (name, text) = match &args.prices {
        None => ("the built-in prices".to_owned(), cost::PRICES.to_owned()),
        Some(path) => {
            let name = format!("`{}`", path.display());
            let text = std::fs::read_to_string(path)
                .map_err(|error| unreadable(format!("failed to read {name}"), error.into()))?;
            (name, text)
        }
    };
    let prices: Prices = serde_json::from_str(&text)
        .map_err(|error| unreadable(format!("failed to understand {name}"), error.into()))?;
    if prices.schema != 1 {
        let text = format!("{name} has schema {}, and this program knows 1", prices.schema);
        return Err(CliError::new(ExitStatus::Usage, Message(text)));
    }
    Ok(prices)
}

/// Where a sum goes.
type Field = fn(&mut Usage) -> &mut f64;

fn sum(namespace: &'static str, name: &'static str, of: (&'static str, &str)) -> Metric {
    let dimensions = vec![(of.0, of.1.to_owned())];
    Metric { namespace, name, dimensions, statistic: Statistic::Sum }
}

/// The metrics that are added up.
fn counted(pipeline: &Pipeline) -> Vec<(Metric, Field)> {
    let mut counted: Vec<(Metric, Field)> = Vec::new();
    if let Some(queue) = &pipeline.queue {
        let of = ("QueueName", queue.name.as_str());
        counted.push((sum("AWS/SQS", "NumberOfMessagesSent", of), |usage| &mut usage.objects));
        counted.push((sum("AWS/SQS", "NumberOfMessagesReceived", of), |usage| &mut usage.received));
        counted.push((sum("AWS/SQS", "NumberOfMessagesDeleted", of), |usage| &mut usage.deleted));
        counted
            .push((sum("AWS/SQS", "NumberOfEmptyReceives", of), |usage| &mut usage.empty_receives));
    }
    if let Some(function) = &pipeline.function {
        let of = ("FunctionName", function.as_str());
        counted.push((sum("AWS/Lambda", "Invocations", of), |usage| &mut usage.invocations));
        counted.push((sum("AWS/Lambda", "Duration", of), |usage| &mut usage.duration_ms));
        counted.push((sum("mtlog", "bytes_opened", of), |usage| &mut usage.bytes_opened));
        counted.push((sum("mtlog", "bytes_raw", of), |usage| &mut usage.bytes_raw));
        counted.push((sum("mtlog", "bytes_sent", of), |usage| &mut usage.bytes_sent));
        counted.push((sum("mtlog", "records_read", of), |usage| &mut usage.records));
        let group = format!("/aws/lambda/{function}");
        let of = ("LogGroupName", group.as_str());
        counted.push((sum("AWS/Logs", "IncomingBytes", of), |usage| &mut usage.log_bytes));
    }
    if let Some(table) = &pipeline.table {
        let of = ("TableName", table.as_str());
        let metric = sum("AWS/DynamoDB", "ConsumedReadCapacityUnits", of);
        counted.push((metric, |usage| &mut usage.table_reads));
    }
    counted
}

async fn usage(opened: &Opened, stack: &Stack, days: u16) -> Result<Usage, CliError> {
    let pipeline = Pipeline::of_stack(stack);
    let window = Window::until(Timestamp::now(), Period::Day, days);
    let counted = counted(&pipeline);
    let mut metrics: Vec<Metric> = counted.iter().map(|(metric, _)| metric.clone()).collect();
    if let Some(bucket) = &pipeline.bucket {
        metrics.push(Metric {
            namespace: "AWS/S3",
            name: "BucketSizeBytes",
            dimensions: vec![
                ("BucketName", bucket.clone()),
                ("StorageType", "StandardStorage".to_owned()),
            ],
            statistic: Statistic::Average,
        });
    }
    let cloudwatch = opened.session.cloudwatch();
    let points = cloudwatch
        .points(&metrics, window)
        .await
        .map_err(|fault| CliError::aws("failed to read the metrics", fault))?;
    let alarms = cloudwatch
        .alarms(&format!(
            "{}-{}-",
            opened.settings.project.value, opened.settings.environment.value
        ))
        .await
        .map_err(|fault| CliError::aws("failed to list the alarms", fault))?;
    let parameter = |name: &str| stack.parameters.get(name).map(String::as_str);
    let number = |name: &str| parameter(name).and_then(|text| text.parse().ok()).unwrap_or(0.0);
    #[expect(clippy::cast_precision_loss, reason = "there are few alarms and metrics")]
    let count = |number: usize| number as f64;
    let mut usage = Usage {
        days: f64::from(days),
        memory_mb: number("LambdaMemoryMB"),
        arm64: parameter("Architecture") == Some("arm64"),
        kept_days: number("S3DeleteAfterDays"),
        has_key: stack.outputs.contains_key("KMSKeyArn"),
        alarms: count(alarms.len()),
        ..Usage::default()
    };
    for ((_, field), points) in counted.iter().zip(&points) {
        *field(&mut usage) = Series::of(points, window).sum();
    }
    // Each metric with a value in the time counts for all of it.
    let custom = metrics
        .iter()
        .zip(&points)
        .filter(|(metric, points)| metric.namespace == "mtlog" && !points.0.is_empty());
    usage.metrics = count(custom.count());
    if pipeline.bucket.is_some() {
        let stored = points.last().and_then(|points| Series::of(points, window).average());
        usage.stored_bytes = stored.unwrap_or(0.0);
    }
    Ok(usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_a_fraction_only_where_there_is_one() {
        for (number, expected) in
            [(0.0, "0"), (10.0, "10"), (0.25, "0.25"), (290.4, "290"), (99.5, "99.50")]
        {
            assert_eq!(amount(number), expected);
        }
    }
}
