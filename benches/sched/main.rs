//! What the scheduler does in a second: the workloads of kube-scheduler's own benchmark, through the API server
//! in process, with admission, validation, managed fields and events, and every node scored.
//!
//! `cargo bench --bench sched --features portable` prints the table; words behind `--` choose rows by the names
//! of their workloads, `budget` for what a pod costs step by step, `scale` for many nodes and pods. Every row is
//! a process of its own (this program again), so that its memory is its alone. Two cores serve scheduler, API
//! server and load.
#![allow(missing_docs, reason = "a bench is a program")]
#![allow(clippy::disallowed_methods, reason = "a bench measures the machine's own time")]

mod budget;
mod churn;
mod counted;
mod process;
mod progress;
mod row;
mod run;
mod scale;
mod steps;
#[path = "../store/table.rs"]
#[allow(dead_code, reason = "the store's bench needs more of it")]
mod table;
mod templates;
mod workload;
mod workloads;
mod world;

use std::process::Command;

/// As the example `apiserver` has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What makes this program print one row.
const ROW: &str = "row";

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    // Under `cargo test` a bench is only to be shown to compile and start.
    if words.iter().any(|word| word == "--test") {
        return;
    }
    let words: Vec<&str> = words.iter().map(String::as_str).filter(|word| !word.starts_with('-')).collect();
    if let [ROW, section, place] = words[..] {
        return print_row(section, place.parse().expect("the place of a row"));
    }
    let chosen: Vec<usize> = (0..workloads::ALL.len())
        .filter(|place| words.is_empty() || words.contains(&workloads::ALL[*place].name))
        .collect();
    if !chosen.is_empty() {
        row::head();
        chosen.into_iter().for_each(|place| start("workload", place));
    }
    if words.is_empty() || words.contains(&workloads::BASIC) || words.contains(&"budget") {
        start("budget", 0);
    }
    if words.contains(&"scale") {
        scale::head();
        (0..scale::ALL.len()).for_each(|place| start("scale", place));
    }
}

/// Prints a row in a process of its own.
fn start(section: &str, place: usize) {
    let program = std::env::current_exe().expect("this program");
    let ended = Command::new(program).args([ROW, section, &place.to_string()]).status();
    match ended {
        Ok(status) if status.success() => {}
        other => println!("  {section} {place} did not end well: {other:?}"),
    }
}

fn print_row(section: &str, place: usize) {
    match section {
        "workload" => row::print(&workloads::ALL[place]),
        "scale" => scale::print(&scale::ALL[place]),
        _ => budget::print(),
    }
}
