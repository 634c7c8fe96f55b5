//! A simulation of workers, tenants and throttles, and what volumes of logs take.
//!
//! Beyond what fits on one machine nothing can be measured here. The simulation follows the engine's rules, is the same
//! for the same seed, and is set against real runs where both are possible.

mod capacity;
mod check;
mod model;
mod run;

use anyhow::Result;

use self::{
    capacity::{Capacity, Costs},
    model::{Outcome, Scenario, percentile},
};
use crate::repository::Repository;

/// What to simulate.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Simulation {
    /// Workers of all numbers, a tenant that is throttled, and the volumes of `docs/scaling.md`.
    Overview { seed: u64 },
    /// Small runs, simulated and for real.
    Check,
}

/// The volumes of the capacity table, in TB a day before compression.
const VOLUMES: [f64; 3] = [1.0, 100.0, 10_000.0];

/// Simulates and prints what comes out.
pub(crate) fn run(repository: &Repository, simulation: &Simulation) -> Result<()> {
    match simulation {
        Simulation::Overview { seed } => {
            overview(*seed);
            Ok(())
        }
        Simulation::Check => check::run_all(repository),
    }
}

fn overview(seed: u64) {
    println!(
        "400 objects of 0.5 MB a second from 200 tenants, the busiest writes 17 %; times from arrival to delivery\n"
    );
    println!(
        "| Processes | busy | median, s | 99 %, s | others than the busiest, 99 %, s | SQS in flight | throttled |"
    );
    println!("|---|---|---|---|---|---|---|");
    let base = Scenario { seed, ..Scenario::default() };
    for workers in [5, 6, 8, 12, 20] {
        row(&workers.to_string(), &run::run(&Scenario { workers, ..base.clone() }));
    }
    let throttled = Scenario { workers: 12, busiest_puts_per_second: Some(20.0), ..base.clone() };
    row("12, the busiest tenant's account takes 20 calls a second", &run::run(&throttled));
    println!();
    for volume in VOLUMES {
        print_capacity(&Capacity::of(volume, &Costs::default()));
    }
}

fn row(name: &str, outcome: &Outcome) {
    let seconds = |waits: &[f64], percent| percentile(waits, percent) / 1000.0;
    println!(
        "| {name} | {:.0} % | {:.2} | {:.2} | {:.2} | {} | {} |",
        outcome.utilisation * 100.0,
        seconds(&outcome.waits, 50),
        seconds(&outcome.waits, 99),
        seconds(&outcome.quiet_waits, 99),
        outcome.most_in_flight,
        outcome.calls.throttled,
    );
}

fn print_capacity(capacity: &Capacity) {
    println!(
        "{} TB a day: {:.0} objects a second, {:.0} PutLogEvents a second, {:.2} processors at 60 %, {} processes\n",
        capacity.terabytes,
        capacity.objects_per_second,
        capacity.puts_per_second,
        capacity.cores,
        capacity.processes,
    );
    println!("| Quota | needed | quota | part |\n|---|---|---|---|");
    for need in &capacity.needs {
        let part = 100.0 * need.used / need.quota;
        println!("| {} | {:.1} | {:.0} | {part:.2} % |", need.what, need.used, need.quota);
    }
    if let Some(first) = capacity.first() {
        println!("\nFirst to be used up: {}.", first.what);
    }
    println!("\n| What is paid for | dollars a day |\n|---|---|");
    for (what, dollars) in &capacity.money {
        println!("| {what} | {dollars:.2} |");
    }
    println!();
}
