//! `mtlog tenant add` step by step: asks for what no flag says. Each answer is checked when it is given.

use mtlog_processor::model::{
    arn::RoleArn,
    ids::{AccountId, BucketName, LogGroupName, Region, TenantId},
    tenant::{DEFAULT_BUCKET_PREFIX, DeliveryKind, RETENTION_DAYS},
};

use crate::{
    config::tenant::{DeliveryFlags, usual_log_group},
    error::CliError,
    ui::Ui,
};

/// Whether the flags leave something open that a delivery cannot do without.
pub(super) fn lacks_something(flags: &DeliveryFlags) -> bool {
    let target = flags.tenant.is_empty() || flags.target_region.is_none();
    target
        || if is_s3(flags) {
            flags.bucket_name.is_none()
        } else {
            flags.role_arn.is_none() && flags.customer_account.is_none()
                || flags.log_group.is_none() && flags.customer_account.is_none()
        }
}

fn is_s3(flags: &DeliveryFlags) -> bool {
    flags.kind.as_deref() == Some(DeliveryKind::S3.as_str())
}

/// Asks for everything that is open. Returns whether the tenant is to have an external id of its own.
pub(super) fn fill(
    ui: &Ui,
    flags: &mut DeliveryFlags,
    here: Option<&Region>,
) -> Result<bool, CliError> {
    if flags.tenant.is_empty() {
        flags.tenant = ui.ask("Tenant (the namespace of its logs)", None, parses::<TenantId>)?;
    }
    if flags.kind.is_none() {
        let kinds = [DeliveryKind::CloudWatch.as_str(), DeliveryKind::S3.as_str()];
        flags.kind = Some(ui.choose("Deliver to", &kinds)?.to_owned());
    }
    if flags.target_region.is_none() {
        let here = here.map(Region::as_str);
        flags.target_region = Some(ui.ask("Region of the destination", here, parses::<Region>)?);
    }
    if is_s3(flags) {
        if flags.bucket_name.is_none() {
            flags.bucket_name =
                Some(ui.ask("The customer's bucket", None, parses::<BucketName>)?);
        }
        if flags.bucket_prefix.is_none() {
            let usual = Some(DEFAULT_BUCKET_PREFIX);
            flags.bucket_prefix = Some(ui.ask("Prefix in the bucket", usual, |_| Ok(()))?);
        }
    } else {
        ask_for_role(ui, flags)?;
    }
    if flags.applications.is_empty() {
        let names =
            ui.ask("Only these applications, separated by commas (empty: all)", Some(""), |_| {
                Ok(())
            })?;
        flags.applications = names
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect();
    }
    if is_s3(flags) {
        return Ok(false);
    }
    let kinds = ["the central account's id", "one of its own, made now and shown once"];
    Ok(ui.choose("ExternalId", &kinds)? == kinds[1])
}

fn ask_for_role(ui: &Ui, flags: &mut DeliveryFlags) -> Result<(), CliError> {
    if flags.role_arn.is_none() && flags.customer_account.is_none() {
        let question = "The customer's account id, or the ARN of its role if that exists";
        let answer = ui.ask(question, None, |text| {
            if text.starts_with("arn:") {
                parses::<RoleArn>(text)
            } else {
                parses::<AccountId>(text)
            }
        })?;
        if answer.starts_with("arn:") {
            flags.role_arn = Some(answer);
        } else {
            flags.customer_account = Some(answer);
        }
    }
    if flags.log_group.is_none() {
        let usual = usual_log_group(&flags.tenant);
        flags.log_group = Some(ui.ask("Log group", Some(&usual), parses::<LogGroupName>)?);
    }
    if flags.retention_days.is_none() {
        let days =
            ui.ask("Days to keep events in a new log group (0: for ever)", Some("0"), |text| {
                let known =
                    text.parse().is_ok_and(|days: u16| days == 0 || RETENTION_DAYS.contains(&days));
                if known {
                    Ok(())
                } else {
                    Err("CloudWatch Logs knows 1, 3, 5, 7, 14, 30, 60, 90, ... days".to_owned())
                }
            })?;
        flags.retention_days = Some(days);
    }
    Ok(())
}

fn parses<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<(), String> {
    text.parse::<T>().map(drop).map_err(|error| error.to_string())
}
