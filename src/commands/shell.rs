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
    let script = String::from_utf8_lossy(&script);
    context.ui.data(&with_tenants(args.shell, &script));
    ExitStatus::Success
}

/// The tenant commands whose first word is a tenant that exists.
const TENANT_COMMANDS: [&str; 8] =
    ["show", "set", "enable", "disable", "remove", "link", "wait", "verify"];
/// Prints the tenants of the table that the environment names; nothing when there is none.
const TENANTS: &str = "mtlog tenant list --ids --quiet 2>/dev/null";

/// Adds to a script that tenants are looked up in the table when the key is pressed. Nothing is kept, so that nothing is
/// out of date. Shells that this program does not know about keep the script as it is.
fn with_tenants(shell: Shell, script: &str) -> String {
    let commands = TENANT_COMMANDS.join("|");
    match shell {
        Shell::Bash => format!(
            "{script}
_mtlog_with_tenants() {{
    _mtlog \"$@\"
    local cur=\"${{COMP_WORDS[COMP_CWORD]}}\"
    if [[ ${{COMP_WORDS[1]}} == tenant && $COMP_CWORD -eq 3 && $cur != -* ]]; then
        case ${{COMP_WORDS[2]}} in
            {commands}) COMPREPLY=( $(compgen -W \"$({TENANTS})\" -- \"$cur\") ) ;;
        esac
    fi
}}
complete -F _mtlog_with_tenants -o bashdefault -o default mtlog
"
        ),
        Shell::Fish => format!(
            "{script}complete -c mtlog -n '__fish_seen_subcommand_from tenant; and __fish_seen_subcommand_from {}' -f -a '({TENANTS})'\n",
            TENANT_COMMANDS.join(" ")
        ),
        Shell::Zsh => {
            let function =
                format!("_mtlog_tenants() {{\n    compadd -- ${{(f)\"$({TENANTS})\"}}\n}}\n");
            let asking = script
                .replace("tenant -- The tenant:_default", "tenant -- The tenant:_mtlog_tenants");
            // The script ends with the call of its main function, which must know this one.
            match asking.find("_mtlog() {") {
                Some(place) => {
                    let (before, after) = asking.split_at(place);
                    format!("{before}{function}{after}")
                }
                None => asking,
            }
        }
        _ => script.to_owned(),
    }
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
