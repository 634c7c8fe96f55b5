//! The mtlog command.

use std::process::ExitCode;

fn main() -> ExitCode {
    mtlog::run(std::env::args_os())
}
