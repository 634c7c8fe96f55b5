//! `mtlog template`: the CloudFormation templates inside the program.

use std::{fs, path::PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::Context;
use crate::{
    error::{CliError, ExitStatus, Message},
    template::{
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
pub fn run(context: &Context<'_>, args: &TemplateArgs) -> Result<ExitStatus, CliError> {
    match &args.command {
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
