//! Puts the layers together: each setting with its value and its source, or everything that is wrong at once.

use std::{fmt, path::PathBuf, str::FromStr};

use thiserror::Error;

use super::{dotenv::DotEnv, environment::Environment, vars::Variable};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A flag on the command line, by its long name.
    Flag(&'static str),
    /// An argument without a flag, by its name in the help text.
    Argument(&'static str),
    /// An environment variable.
    Environment(&'static str),
    /// A line of the `.env` file.
    DotEnv {
        /// The file.
        path: PathBuf,
        /// The line's number.
        line: usize,
        /// The variable.
        name: &'static str,
    },
    /// The named profile in `~/.aws/config`.
    Profile,
    /// An output of a deployed stack.
    StackOutput {
        /// The stack.
        stack: String,
        /// The output.
        output: &'static str,
    },
    /// A parameter of the stack as it is deployed.
    StackParameter {
        /// The stack.
        stack: String,
        /// The parameter.
        parameter: &'static str,
    },
    /// Nothing said anything.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "--{name}"),
            Self::Argument(name) => f.write_str(name),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::DotEnv { path, line, name } => {
                write!(f, "{} in {}, line {line}", name, path.display())
            }
            Self::Profile => f.write_str("the AWS profile"),
            Self::StackOutput { stack, output } => write!(f, "output {output} of stack {stack}"),
            Self::StackParameter { stack, parameter } => {
                write!(f, "parameter {parameter} of stack {stack}")
            }
            Self::Default => f.write_str("default"),
        }
    }
}

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub source: Source,
}

/// One thing that is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// A value breaks its rule.
    Invalid {
        /// Where the value came from.
        source: Source,
        /// The rule, with the value.
        rule: String,
    },
    /// Nothing gives the value.
    Missing {
        /// What is missing, with its article.
        what: &'static str,
        /// How it can be given.
        remedy: String,
    },
    /// Two values contradict each other, or a flag does not apply.
    Contradiction(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid { source, rule } => write!(f, "{source}: {rule}"),
            Self::Missing { what, remedy } => write!(f, "{what} is missing: {remedy}"),
            Self::Contradiction(text) => f.write_str(text),
        }
    }
}

/// Settings that cannot be used, with everything that is wrong with them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", list(problems))]
pub struct InvalidSettings {
    /// Every problem found.
    pub problems: Vec<Problem>,
}

fn list(problems: &[Problem]) -> String {
    match problems {
        [only] => only.to_string(),
        many => {
            let lines: Vec<String> =
                many.iter().map(|problem| format!("\n  - {problem}")).collect();
            format!("{} settings are wrong or missing:{}", many.len(), lines.concat())
        }
    }
}

/// The layers above stack outputs and defaults. Flags come with each question.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    environment: Environment,
    dotenv: DotEnv,
}

impl Layers {
    /// Puts the environment above a `.env` file.
    pub const fn new(environment: Environment, dotenv: DotEnv) -> Self {
        Self { environment, dotenv }
    }

    /// Returns the text for `variable` from the highest layer that has one.
    pub fn lookup(&self, variable: &Variable, flag: Option<&str>) -> Option<Setting<String>> {
        if let (Some(value), Some(name)) = (flag.filter(|value| !value.is_empty()), variable.flag) {
            return Some(Setting { value: value.to_owned(), source: Source::Flag(name) });
        }
        for name in variable.names() {
            if let Some(value) = self.environment.get(name) {
                return Some(Setting {
                    value: value.to_owned(),
                    source: Source::Environment(name),
                });
            }
        }
        for name in variable.names() {
            if let Some((value, line)) = self.dotenv.get(name) {
                let path = self.dotenv.path().to_path_buf();
                return Some(Setting {
                    value: value.to_owned(),
                    source: Source::DotEnv { path, line, name },
                });
            }
        }
        None
    }

    /// Returns the environment.
    pub const fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Returns the `.env` file.
    pub const fn dotenv(&self) -> &DotEnv {
        &self.dotenv
    }

    /// Starts to resolve settings.
    pub const fn resolver(&self) -> Resolver<'_> {
        Resolver { layers: self, problems: Vec::new() }
    }
}

/// Resolves settings one by one and collects what is wrong.
#[derive(Debug)]
pub struct Resolver<'a> {
    layers: &'a Layers,
    problems: Vec<Problem>,
}

impl Resolver<'_> {
    /// Returns the value of `variable`, if any layer has one that obeys the rules.
    pub fn optional<T>(&mut self, variable: &Variable, flag: Option<&str>) -> Option<Setting<T>>
    where
        T: FromStr<Err: fmt::Display>,
    {
        let Setting { value, source } = self.layers.lookup(variable, flag)?;
        self.parse(&value, source)
    }

    /// Returns the value of `variable`, or its default.
    pub fn or_default<T>(&mut self, variable: &Variable, flag: Option<&str>) -> Option<Setting<T>>
    where
        T: FromStr<Err: fmt::Display>,
    {
        match self.layers.lookup(variable, flag) {
            Some(Setting { value, source }) => self.parse(&value, source),
            None => self.parse(variable.default?, Source::Default),
        }
    }

    /// Returns the value of `variable`; that nothing gives it is a problem. `what` has its article.
    pub fn required<T>(
        &mut self,
        variable: &Variable,
        flag: Option<&str>,
        what: &'static str,
    ) -> Option<Setting<T>>
    where
        T: FromStr<Err: fmt::Display>,
    {
        if self.layers.lookup(variable, flag).is_none() {
            self.problems.push(Problem::Missing { what, remedy: remedy(variable) });
            return None;
        }
        self.optional(variable, flag)
    }

    /// Parses a value that has no variable, only a flag.
    pub fn flag<T>(&mut self, name: &'static str, text: &str) -> Option<T>
    where
        T: FromStr<Err: fmt::Display>,
    {
        self.parse(text, Source::Flag(name)).map(|setting| setting.value)
    }

    /// Parses an argument that has neither variable nor flag.
    pub fn argument<T>(&mut self, name: &'static str, text: &str) -> Option<T>
    where
        T: FromStr<Err: fmt::Display>,
    {
        self.parse(text, Source::Argument(name)).map(|setting| setting.value)
    }

    /// Notes a problem.
    pub fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Ends with the problems found, if there are any.
    pub fn finish(self) -> Result<(), InvalidSettings> {
        if self.problems.is_empty() {
            Ok(())
        } else {
            Err(InvalidSettings { problems: self.problems })
        }
    }

    fn parse<T>(&mut self, text: &str, source: Source) -> Option<Setting<T>>
    where
        T: FromStr<Err: fmt::Display>,
    {
        match text.trim().parse() {
            Ok(value) => Some(Setting { value, source }),
            Err(error) => {
                self.problems.push(Problem::Invalid { source, rule: error.to_string() });
                None
            }
        }
    }
}

/// Says how a missing value can be given.
pub fn remedy(variable: &Variable) -> String {
    match variable.flag {
        Some(flag) => {
            format!("give --{flag} or set {}, for example {}", variable.name, variable.example)
        }
        None => format!("set {}, for example {}", variable.name, variable.example),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use mtlog_processor::model::ids::{AccountId, Region};

    use super::*;
    use crate::config::vars;

    fn layers(environment: &[(&str, &str)], dotenv: &str) -> Layers {
        let dotenv = DotEnv::parse(Path::new(".env"), dotenv).expect("a readable .env");
        Layers::new(Environment::of(environment.iter().copied()), dotenv)
    }

    #[test]
    fn the_highest_layer_counts_and_is_named() {
        let both = layers(&[("AWS_REGION", "us-east-1")], "AWS_REGION=us-west-1");
        let alias = layers(&[("AWS_DEFAULT_REGION", "eu-west-1")], "AWS_REGION=us-west-1");
        let file = layers(&[("AWS_REGION", "")], "X=1\nAWS_REGION=us-west-1");
        for (layers, flag, value, source) in [
            (&both, Some("us-east-2"), "us-east-2", "--region"),
            (&both, Some(""), "us-east-1", "environment variable AWS_REGION"),
            (&both, None, "us-east-1", "environment variable AWS_REGION"),
            (&alias, None, "eu-west-1", "environment variable AWS_DEFAULT_REGION"),
            (&file, None, "us-west-1", "AWS_REGION in .env, line 2"),
        ] {
            let setting = layers.lookup(&vars::REGION, flag).expect("a value");
            assert_eq!(
                (setting.value.as_str(), setting.source.to_string().as_str()),
                (value, source)
            );
        }
        assert_eq!(layers(&[], "").lookup(&vars::REGION, None), None);
    }

    #[test]
    fn everything_that_is_wrong_is_reported_at_once() {
        let layers = layers(&[("AWS_REGION", "useast2")], "AWS_ACCOUNT_ID=12");
        let mut resolver = layers.resolver();
        assert_eq!(resolver.required::<Region>(&vars::REGION, None, "the region"), None);
        assert_eq!(resolver.optional::<AccountId>(&vars::ACCOUNT, None), None);
        assert_eq!(
            resolver.required::<String>(&vars::CLUSTER_NAME, None, "the cluster's name"),
            None
        );
        let text = resolver.finish().unwrap_err().to_string();
        for part in [
            "3 settings",
            "AWS_REGION: `useast2`",
            "AWS_ACCOUNT_ID in .env, line 1",
            "give --cluster-name",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
