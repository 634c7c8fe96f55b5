//! `mtlog completions` and `mtlog man`: the command line's grammar in other forms.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::Context;
use crate::{
    cli::Cli,
    error::{CliError, ExitStatus},
};

/// Print the completions of a shell
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  mtlog completions bash > ~/.local/share/bash-completion/completions/mtlog"
)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Print the manual page, or write one for each command
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mtlog man --install ~/.local/share/man/man1")]
pub struct ManArgs {
    /// Write the pages of all commands into this directory
    #[arg(long, value_name = "DIR")]
    install: Option<PathBuf>,
}

/// Runs `mtlog completions`.
pub fn completions(context: &Context<'_>, args: &CompletionsArgs) -> ExitStatus {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "mtlog", &mut script);
    context.ui.data(&String::from_utf8_lossy(&script));
    ExitStatus::Success
}

/// Runs `mtlog man`.
pub fn man(context: &Context<'_>, args: &ManArgs) -> Result<ExitStatus, CliError> {
    let mut command = Cli::command();
    command.build();
    match &args.install {
        None => context.ui.data(&String::from_utf8_lossy(&page(&command)?)),
        Some(directory) => {
            fs::create_dir_all(directory).map_err(|error| unwritten(directory, error))?;
            let pages = install(&command, "mtlog", directory)?;
            context.ui.status(&format!("Wrote {pages} pages into {}.", directory.display()));
        }
    }
    Ok(ExitStatus::Success)
}

/// Writes the page of a command and those of the commands below it. Returns how many.
fn install(command: &clap::Command, name: &str, directory: &Path) -> Result<usize, CliError> {
    let file = directory.join(format!("{name}.1"));
    let named = command.clone().name(name.to_owned());
    fs::write(&file, page(&named)?).map_err(|error| unwritten(&file, error))?;
    let mut pages = 1;
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        pages += install(below, &format!("{name}-{}", below.get_name()), directory)?;
    }
    Ok(pages)
}

fn page(command: &clap::Command) -> Result<Vec<u8>, CliError> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone())
        .render(&mut page)
        .map_err(|error| CliError::new(ExitStatus::Unexpected, error))?;
    Ok(page)
}

fn unwritten(path: &Path, error: std::io::Error) -> CliError {
    let what = format!("failed to write `{}`", path.display());
    CliError::because(ExitStatus::Unexpected, what, error)
}
