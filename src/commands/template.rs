//! `mtlog template`: the CloudFormation templates inside the program.

use std::{fs, path::PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{Context, identity};
use crate::{
    aws::{cloudformation::CloudFormation, fault::FaultClass},
    cli::ConnectionArgs,
    config::{connection, layers, vars},
    deploy::target::{Clusters, Selection, Target, targets},
    error::{CliError, ExitStatus, Message},
    template::{
        self,
        catalogue::{TemplateId, hex_digest},
        document::Document,
    },
    ui::{Report, table::Table},
};

/// Look at the CloudFormation templates inside this program
#[derive(Debug, Args)]
pub struct TemplateArgs {
    #[command(subcommand)]
    command: TemplateCommand,
}

#[derive(Debug, Subcommand)]
enum TemplateCommand {
    /// List the templates
    List,
    /// Print a template
    Show {
        /// Its path, or an unmistakable part of it: global, main, core, sqs, lambda, customer, vector
        #[arg(value_name = "TEMPLATE")]
        name: String,
    },
    /// List the parameters of a template, for --param
    Parameters {
        /// Its path, or an unmistakable part of it
        #[arg(value_name = "TEMPLATE")]
        name: String,
    },
    /// Check templates: references and nested parameters here, the rest by CloudFormation
    Validate {
        /// Their paths, unmistakable parts of them, or targets; all of them if none is named
        #[arg(value_name = "TEMPLATE")]
        names: Vec<String>,
        /// Do not ask CloudFormation
        #[arg(long)]
        offline: bool,
        #[command(flatten)]
        connection: Box<ConnectionArgs>,
    },
    /// Write all templates into a directory, to be used without this program
    Eject {
        /// The directory; it must not exist
        #[arg(value_name = "DIRECTORY")]
        directory: PathBuf,
    },
}

#[derive(Debug, Serialize)]
struct Row {
    path: &'static str,
    resources: usize,
    parameters: usize,
    bytes: usize,
    sha256: String,
}

#[derive(Debug, Serialize)]
struct Listing {
    templates: Vec<Row>,
}

impl Report for Listing {
    fn tables(&self) -> Vec<Table> {
        let mut table = Table::new(["TEMPLATE", "RESOURCES", "PARAMETERS", "BYTES", "SHA-256"]);
        for row in &self.templates {
            table.row([
                row.path.to_owned(),
                row.resources.to_string(),
                row.parameters.to_string(),
                row.bytes.to_string(),
                row.sha256.chars().take(16).collect(),
            ]);
        }
        vec![table]
    }
}

#[derive(Debug, Serialize)]
struct Parameter {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<String>,
    description: String,
    allowed: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Parameters {
    template: &'static str,
    parameters: Vec<Parameter>,
}

impl Report for Parameters {
    fn tables(&self) -> Vec<Table> {
        let mut table = Table::new(["PARAMETER", "DEFAULT", "MEANING"]).titled(self.template);
        for parameter in &self.parameters {
            let default = match parameter.default.as_deref() {
                None => "(required)".to_owned(),
                Some("") => "(empty)".to_owned(),
                Some(text) => text.to_owned(),
            };
            table.row([parameter.name.clone(), default, parameter.description.clone()]);
        }
        vec![table]
    }
}

/// Runs `mtlog template`.
pub async fn run(context: &Context<'_>, args: &TemplateArgs) -> Result<ExitStatus, CliError> {
    match &args.command {
        TemplateCommand::Validate { names, offline, connection } => {
            let client = if *offline { None } else { Some(client(context, connection).await?) };
            validate(context, names, client.as_ref()).await?;
        }
        TemplateCommand::List => list(context)?,
        TemplateCommand::Show { name } => context.ui.data(find(name)?.text()),
        TemplateCommand::Parameters { name } => parameters(context, name)?,
        TemplateCommand::Eject { directory } => eject(context, directory)?,
    }
    Ok(ExitStatus::Success)
}

fn list(context: &Context<'_>) -> Result<(), CliError> {
    let templates = TemplateId::ALL
        .into_iter()
        .map(|template| {
            let document = read(template)?;
            Ok(Row {
                path: template.path(),
                resources: document.resources().len(),
                parameters: document.parameters().len(),
                bytes: template.text().len(),
                sha256: hex_digest(template.text()),
            })
        })
        .collect::<Result<_, CliError>>()?;
    context.ui.emit(&Listing { templates })
}

fn parameters(context: &Context<'_>, name: &str) -> Result<(), CliError> {
    let template = find(name)?;
    let parameters = read(template)?
        .parameters()
        .into_iter()
        .map(|declared| Parameter {
            name: declared.name,
            default: declared.default,
            description: declared.description.unwrap_or_default(),
            allowed: declared.allowed_values,
        })
        .collect();
    context.ui.emit(&Parameters { template: template.path(), parameters })
}

/// Opens CloudFormation in the region that the settings or the profile name.
async fn client(
    context: &Context<'_>,
    connection: &ConnectionArgs,
) -> Result<CloudFormation, CliError> {
    let connection = connection::resolve(&context.layers, &connection.flags())?;
    let session = identity::open(context, &connection).await?;
    if session.region().is_none() {
        let text = format!("the region is missing: {}", layers::remedy(&vars::REGION));
        return Err(CliError::new(ExitStatus::Usage, Message(text))
            .hint("or check without CloudFormation: --offline"));
    }
    identity::checked(&session, &connection).await?;
    Ok(session.cloudformation())
}

#[derive(Debug, Serialize)]
struct Checked {
    template: &'static str,
    problems: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Validation {
    templates: Vec<Checked>,
}

impl Report for Validation {
    fn tables(&self) -> Vec<Table> {
        let mut table = Table::new(["TEMPLATE", "RESULT"]);
        for checked in &self.templates {
            if checked.problems.is_empty() {
                table.row([checked.template.to_owned(), "valid".to_owned()]);
            }
            for problem in &checked.problems {
                table.row([checked.template.to_owned(), problem.clone()]);
            }
        }
        vec![table]
    }
}

/// Checks the named templates and those that they nest.
async fn validate(
    context: &Context<'_>,
    names: &[String],
    client: Option<&CloudFormation>,
) -> Result<(), CliError> {
    let mut templates = Vec::new();
    for name in names {
        let found = named_by_target(name).map_or_else(|| find(name).map(|only| vec![only]), Ok)?;
        for template in found {
            templates.push(template);
            templates.extend(template.children().iter().map(|child| child.template));
        }
    }
    if names.is_empty() {
        templates.extend(TemplateId::ALL);
    }
    templates.sort_unstable();
    templates.dedup();
    let mut report = Validation { templates: Vec::new() };
    for template in templates {
        let mut problems = template::validate::problems(template);
        if let Some(client) = client {
            match client.validate(template.text()).await {
                Ok(()) => {}
                Err(fault) if fault.class() == FaultClass::Invalid => {
                    problems
                        .push(fault.message().unwrap_or("CloudFormation refuses it").to_owned());
                }
                Err(fault) => {
                    let what = format!("failed to have `{}` checked", template.path());
                    return Err(CliError::aws(what, fault)
                        .hint("or check without CloudFormation: --offline"));
                }
            }
        }
        report.templates.push(Checked { template: template.path(), problems });
    }
    context.ui.emit(&report)?;
    let bad = report.templates.iter().filter(|checked| !checked.problems.is_empty()).count();
    if bad == 0 {
        return Ok(());
    }
    let text = format!("{bad} of {} templates are not valid", report.templates.len());
    Err(CliError::new(ExitStatus::Preflight, Message(text)))
}

/// Returns the templates of a target, if `name` is one.
fn named_by_target(name: &str) -> Option<Vec<TemplateId>> {
    let selection: Selection = name.parse().ok()?;
    let targets = targets(&[selection], Clusters::Named);
    Some(targets.into_iter().map(Target::template).collect())
}

fn eject(context: &Context<'_>, directory: &PathBuf) -> Result<(), CliError> {
    let failed = |path: &PathBuf| {
        let what = format!("failed to write `{}`", path.display());
        move |error: std::io::Error| CliError::because(ExitStatus::Unexpected, what, error)
    };
    // An existing directory may hold what somebody has changed.
    fs::create_dir(directory).map_err(failed(directory))?;
    for template in TemplateId::ALL {
        let path = directory.join(template.path());
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed(&path))?;
        }
        fs::write(&path, template.text()).map_err(failed(&path))?;
    }
    context.ui.status(&format!(
        "Wrote {} templates to {}",
        TemplateId::ALL.len(),
        directory.display()
    ));
    Ok(())
}

fn read(template: TemplateId) -> Result<Document, CliError> {
    Document::parse(template.text()).map_err(|error| CliError::new(ExitStatus::Unexpected, error))
}

/// Returns the template whose path is, or contains, `name`.
fn find(name: &str) -> Result<TemplateId, CliError> {
    let found: Vec<TemplateId> =
        TemplateId::ALL.into_iter().filter(|template| template.path().contains(name)).collect();
    if let Some(exact) = TemplateId::ALL.into_iter().find(|template| template.path() == name) {
        return Ok(exact);
    }
    match found.as_slice() {
        [only] => Ok(*only),
        [] => {
            Err(CliError::new(ExitStatus::Usage, Message(format!("there is no template `{name}`")))
                .next("mtlog template list"))
        }
        several => {
            let paths: Vec<&str> = several.iter().map(|template| template.path()).collect();
            let text = format!("`{name}` may be {}", paths.join(" or "));
            Err(CliError::new(ExitStatus::Usage, Message(text)))
        }
    }
}
