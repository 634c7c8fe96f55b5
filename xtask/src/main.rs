//! The tasks of this repository: the tests, the demo, the checks. Never shipped.
//!
//! `cargo xtask test` is all that CI runs; `cargo xtask demo` is the whole pipeline on one machine.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a task talks to the person who runs it"
)]

mod arguments;
mod bench;
mod command;
mod demo;
mod dist;
mod doctor;
mod emulator;
mod faults;
mod guarded;
mod images;
mod instructions;
mod kubernetes;
mod memory;
mod mtlog;
mod python;
mod record;
mod repository;
mod scratch;
mod simulate;
mod static_binary;
mod steps;
mod tidy;

use std::process::ExitCode;

use crate::arguments::Task;
use crate::repository::Repository;

/// The exit code of a wrong command line, as in the `mtlog` binary.
const EXIT_USAGE: u8 = 64;

fn main() -> ExitCode {
    let task = match arguments::parse(std::env::args().skip(1)) {
        Ok(task) => task,
        Err(error) => {
            eprintln!("error: {error}\n\n{}", arguments::usage());
            return ExitCode::from(EXIT_USAGE);
        }
    };
    match run(&task) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: &Task) -> anyhow::Result<ExitCode> {
    let repository = Repository::find()?;
    match task {
        Task::Help => println!("{}", arguments::usage()),
        Task::Test(chosen) => return steps::run(&repository, chosen),
        Task::Demo(options) => demo::run(&repository, options)?,
        Task::Kubernetes => kubernetes::run(&repository)?,
        Task::Bench(chosen) => bench::run(&repository, chosen)?,
        Task::Record => record::run(&repository)?,
        Task::Faults => faults::run(&repository)?,
        Task::Memory => memory::run(&repository)?,
        Task::Emulator(port) => emulator::run(&repository, *port)?,
        Task::Simulate(simulation) => simulate::run(&repository, simulation)?,
        Task::Tidy => tidy::run(&repository)?,
        Task::Dist(options) => dist::run(&repository, options)?,
    }
    Ok(ExitCode::SUCCESS)
}
