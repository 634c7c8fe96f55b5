//! `GetMetricData`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{MetricKey, invalid};
use crate::cbor;
use crate::clock::{Millis, SECOND};
use crate::error::ApiError;
use crate::input;
use crate::shared::Context;

/// The most queries of one call.
const MAX_QUERIES: usize = 500;
/// The most values of one answer.
const MAX_DATAPOINTS: i64 = 100_800;
const MINUTE: Millis = 60 * SECOND;
const DAY: Millis = 24 * 60 * MINUTE;

/// One query, checked.
struct Query {
    id: String,
    label: String,
    key: MetricKey,
    period: Millis,
    statistic: Statistic,
}

#[derive(Clone, Copy)]
enum Statistic {
    Count,
    Sum,
    Average,
    Minimum,
    Maximum,
    /// From 0 to 100.
    Percentile(f64),
}

pub(super) fn get(context: &Context<'_>, input: &Value) -> Result<Value, ApiError> {
    context.authorize("cloudwatch:GetMetricData", "*")?;
    let start = time(input, "StartTime")?;
    let end = time(input, "EndTime")?;
    if start >= end {
        return Err(invalid("The parameter StartTime must be less than the parameter EndTime"));
    }
    let Some(queries) = input::list(input, "MetricDataQueries")? else {
        return Err(missing("MetricDataQueries"));
    };
    if queries.is_empty() || queries.len() > MAX_QUERIES {
        return Err(invalid(format!(
            "The collection MetricDataQueries must not have a size greater than {MAX_QUERIES}"
        )));
    }
    let limit = input::integer(input, "MaxDatapoints")?.unwrap_or(MAX_DATAPOINTS);
    if !(1..=MAX_DATAPOINTS).contains(&limit) {
        return Err(invalid(format!("MaxDatapoints must be from 1 to {MAX_DATAPOINTS}")));
    }
    let ascending = match input::text(input, "ScanBy")? {
        None | Some("TimestampDescending") => false,
        Some("TimestampAscending") => true,
        Some(other) => return Err(invalid(format!("ScanBy cannot be {other}"))),
    };
    let first = match input::text(input, "NextToken")? {
        None => 0,
        Some(token) => token
            .parse()
            .map_err(|_| ApiError::bad("InvalidNextToken", "The token is not one of ours"))?,
    };
    let mut seen = BTreeSet::new();
    let mut checked = Vec::new();
    for query in queries {
        let query = read(context, query, start)?;
        if !seen.insert(query.id.clone()) {
            return Err(invalid(format!("The id {} is not unique", query.id)));
        }
        checked.push(query);
    }
    let mut room = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut results = Vec::new();
    let mut next = None;
    for (index, query) in checked.iter().enumerate().skip(first) {
        let mut points = series(context, query, start, end);
        // A page ends before a metric that does not fit, unless it is the first one.
        if points.len() > room && index > first {
            next = Some(index);
            break;
        }
        room = room.saturating_sub(points.len());
        if !ascending {
            points.reverse();
        }
        results.push(json!({
            "Id": query.id,
            "Label": query.label,
            "Timestamps": points.iter().map(|(at, _)| cbor::time(*at)).collect::<Vec<_>>(),
            "Values": points.iter().map(|(_, value)| value).collect::<Vec<_>>(),
            "StatusCode": "Complete",
        }));
    }
    let next = next.map(|next| next.to_string());
    Ok(json!({"MetricDataResults": results, "Messages": [], "NextToken": next}))
}

fn time(input: &Value, name: &str) -> Result<Millis, ApiError> {
    let seconds = input.get(name).and_then(Value::as_f64).ok_or_else(|| missing(name))?;
    #[expect(clippy::cast_possible_truncation, reason = "times of our age fit")]
    Ok((seconds * 1000.0).round() as Millis)
}

fn missing(name: &str) -> ApiError {
    ApiError::bad("MissingParameter", format!("The parameter {name} is required"))
}

fn read(context: &Context<'_>, query: &Value, start: Millis) -> Result<Query, ApiError> {
    let id = input::text(query, "Id")?.ok_or_else(|| missing("Id"))?.to_owned();
    let lower = id.chars().next().is_some_and(|first| first.is_ascii_lowercase());
    if !lower || !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') || id.len() > 255 {
        return Err(invalid(format!(
            "The value {id} for parameter Id is not matching the pattern"
        )));
    }
    let Some(stat) = query.get("MetricStat").filter(|stat| stat.is_object()) else {
        // Metric math is a language of its own.
        return Err(ApiError::new(501, "FakeAwsHasNoMetricMath", "only MetricStat is known here"));
    };
    if query.get("Expression").is_some_and(|expression| !expression.is_null()) {
        return Err(invalid("Expression and MetricStat cannot be used together"));
    }
    let metric = stat.get("Metric").ok_or_else(|| missing("Metric"))?;
    let name = input::text(metric, "MetricName")?.ok_or_else(|| missing("MetricName"))?;
    let namespace = input::text(metric, "Namespace")?.ok_or_else(|| missing("Namespace"))?;
    let mut dimensions = Vec::new();
    for dimension in input::list(metric, "Dimensions")?.unwrap_or_default() {
        let member = |name| match input::text(dimension, name)? {
            Some(text) if !text.is_empty() => Ok(text.to_owned()),
            _ => Err(missing(name)),
        };
        dimensions.push((member("Name")?, member("Value")?));
    }
    if dimensions.len() > 30 {
        return Err(invalid("Dimensions must have at most 30 members"));
    }
    dimensions.sort();
    let seconds = input::integer(stat, "Period")?.ok_or_else(|| missing("Period"))?;
    if ![1, 5, 10, 20, 30].contains(&seconds) && (seconds < 60 || seconds % 60 != 0) {
        return Err(invalid("The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60"));
    }
    // Minutes are kept for 15 days, five minutes for 63, hours for 455.
    let age = context.now.saturating_sub(start);
    let finest = if age <= 15 * DAY {
        1
    } else if age <= 63 * DAY {
        300
    } else {
        3_600
    };
    if seconds % finest != 0 {
        return Err(invalid(format!(
            "The parameter Period must be a multiple of {finest} for a start so long ago"
        )));
    }
    let word = input::text(stat, "Stat")?.ok_or_else(|| missing("Stat"))?;
    let statistic = statistic(word)
        .ok_or_else(|| invalid(format!("The value {word} for parameter Stat is not supported")))?;
    let (account, region) = (context.caller.account.clone(), context.region.to_owned());
    Ok(Query {
        label: input::text(query, "Label")?.unwrap_or(name).to_owned(),
        id,
        key: (account, region, namespace.to_owned(), name.to_owned(), dimensions),
        period: seconds * SECOND,
        statistic,
    })
}

fn statistic(word: &str) -> Option<Statistic> {
    Some(match word {
        "SampleCount" => Statistic::Count,
        "Sum" => Statistic::Sum,
        "Average" => Statistic::Average,
        "Minimum" => Statistic::Minimum,
        "Maximum" => Statistic::Maximum,
        other => {
            let share = other.strip_prefix('p')?.parse::<f64>().ok()?;
            Statistic::Percentile(Some(share).filter(|share| (0.0..=100.0).contains(share))?)
        }
    })
}

/// Returns the value of each period that has one, oldest first.
fn series(context: &Context<'_>, query: &Query, start: Millis, end: Millis) -> Vec<(Millis, f64)> {
    let cloudwatch = context.shared.cloudwatch();
    let mut periods: BTreeMap<Millis, Vec<f64>> = BTreeMap::new();
    let start = start - start.rem_euclid(query.period.max(MINUTE));
    for (at, value) in cloudwatch.metrics.get(&query.key).into_iter().flatten() {
        if (start..end).contains(at) {
            periods.entry(at - at.rem_euclid(query.period)).or_default().push(*value);
        }
    }
    periods.into_iter().map(|(at, values)| (at, summary(query.statistic, values))).collect()
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of a test are small"
)]
fn summary(statistic: Statistic, mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let count = values.len() as f64;
    let sum: f64 = values.iter().sum();
    let at = |index: usize| values.get(index.min(values.len() - 1)).copied().unwrap_or_default();
    match statistic {
        Statistic::Count => count,
        Statistic::Sum => sum,
        Statistic::Average => sum / count,
        Statistic::Minimum => at(0),
        Statistic::Maximum => at(values.len() - 1),
        Statistic::Percentile(share) => at((share / 100.0 * count).ceil().max(1.0) as usize - 1),
    }
}
