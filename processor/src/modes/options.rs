//! The options of a run, shared by `log-processor` and `mtlog process`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use thiserror::Error;

use crate::{
    config::Mode,
    model::{ids::TenantId, notification::ObjectRef},
};

/// Where messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SinkKind {
    /// The customers' CloudWatch Logs and buckets.
    Cloudwatch,
    /// Standard output, one message per line. Needs no tenant table and no role.
    Stdout,
}

impl ValueEnum for Mode {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.as_str()))
    }
}

/// How to run the engine.
#[derive(Debug, Clone, Args)]
pub struct ProcessOptions {
    /// Where messages come from; by default what EXECUTION_MODE says, or lambda
    #[arg(long, value_enum)]
    pub mode: Option<Mode>,

    /// Stop when the queue has been empty for two polls and nothing is in work (sqs)
    #[arg(long)]
    pub until_empty: bool,

    /// Process this object instead of a message on standard input (manual)
    #[arg(long, value_name = "s3://BUCKET/KEY", conflicts_with = "file")]
    pub object: Option<ObjectRef>,

    /// Process this local file instead of a message on standard input (manual)
    #[arg(long, value_name = "PATH")]
    pub file: Option<PathBuf>,

    /// Treat the file as if it had this object key; by default the last five segments of its path (manual)
    #[arg(long, value_name = "KEY", requires = "file")]
    pub key: Option<String>,

    /// Where log messages go
    #[arg(long, value_enum, default_value_t = SinkKind::Cloudwatch)]
    pub sink: SinkKind,

    /// Read and decode, but write nothing and leave every message (manual, scan)
    #[arg(long)]
    pub dry_run: bool,

    /// Process only objects whose key starts with this, after S3_KEY_PREFIX (scan)
    #[arg(long, value_name = "PREFIX")]
    pub prefix: Option<String>,

    /// Process only objects of this tenant; may be repeated (scan)
    #[arg(long = "tenant", value_name = "TENANT")]
    pub tenants: Vec<TenantId>,

    /// Process only objects written at or after this time, such as 2026-11-23T00:00:00Z (scan)
    #[arg(long, value_name = "TIME")]
    pub since: Option<jiff::Timestamp>,

    /// Process only objects written before this time (scan)
    #[arg(long, value_name = "TIME")]
    pub before: Option<jiff::Timestamp>,

    /// Keep the place in this file, and go on from it (scan)
    #[arg(long, value_name = "PATH")]
    pub cursor: Option<PathBuf>,

    /// Scan again and again, every SCAN_INTERVAL seconds, for objects that are new (scan)
    #[arg(long)]
    pub watch: bool,
}

/// Options that do not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OptionError {
    /// The option belongs to another mode.
    #[error("`{option}` works only with --mode {mode}")]
    Mode {
        /// The option.
        option: &'static str,
        /// The mode that it belongs to.
        mode: &'static str,
    },
    /// A dry run reads messages without deleting them, which uses up their receives.
    #[error("`--dry-run` works only with --mode manual or scan")]
    DryRun,
    /// Standard output cannot stand for many tenants' log groups.
    #[error("`--sink stdout` works only with --mode manual or scan")]
    Stdout,
}

impl ProcessOptions {
    /// Checks that the options go together in `mode`.
    pub fn check(&self, mode: Mode) -> Result<(), OptionError> {
        let only = |given: bool, option, owner: Mode| {
            if given && mode != owner {
                Err(OptionError::Mode { option, mode: owner.as_str() })
            } else {
                Ok(())
            }
        };
        only(self.until_empty, "--until-empty", Mode::Sqs)?;
        only(self.object.is_some(), "--object", Mode::Manual)?;
        only(self.file.is_some(), "--file", Mode::Manual)?;
        only(self.prefix.is_some(), "--prefix", Mode::Scan)?;
        only(!self.tenants.is_empty(), "--tenant", Mode::Scan)?;
        only(self.since.is_some(), "--since", Mode::Scan)?;
        only(self.before.is_some(), "--before", Mode::Scan)?;
        only(self.cursor.is_some(), "--cursor", Mode::Scan)?;
        only(self.watch, "--watch", Mode::Scan)?;
        let attended = matches!(mode, Mode::Manual | Mode::Scan);
        if self.dry_run && !attended {
            return Err(OptionError::DryRun);
        }
        if self.sink == SinkKind::Stdout && !attended {
            return Err(OptionError::Stdout);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: ProcessOptions,
    }

    fn parse(line: &str) -> Result<ProcessOptions, clap::error::ErrorKind> {
        let words = std::iter::once("x").chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.options).map_err(|error| error.kind())
    }

    #[test]
    fn options_that_do_not_go_together_are_refused() {
        for (line, mode, fits) in [
            ("", Mode::Lambda, true),
            ("--until-empty", Mode::Sqs, true),
            ("--until-empty", Mode::Manual, false),
            ("--file a/b --key c/t/a/p/f", Mode::Manual, true),
            ("--file a/b", Mode::Sqs, false),
            ("--object s3://b-u/k --sink stdout --dry-run", Mode::Manual, true),
            ("--sink stdout", Mode::Sqs, false),
            ("--dry-run", Mode::Lambda, false),
            ("--tenant acme --since 2026-11-23T00:00:00Z --watch", Mode::Scan, true),
            ("--tenant acme", Mode::Sqs, false),
        ] {
            assert_eq!(parse(line).unwrap().check(mode).is_ok(), fits, "{line} in {mode}");
        }
    }

    #[test]
    fn wrong_values_are_usage_errors() {
        for line in [
            "--mode batch",
            "--object b/k",
            "--sink file",
            "--key x",
            "--file a --object s3://b-u/k",
            "--tenant A_B",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
