//! What a pod of SchedulingBasic costs, step by step, beside what it may cost for 50,000 pods a second on two cores.

use std::time::Duration;

use crate::process::{one_core, two_cores};
use crate::row::LIMIT;
use crate::run::run;
use crate::steps;
use crate::table::{remark, section};
use crate::workloads;

/// How many times each step is measured; the median counts.
const RUNS: usize = 3;

pub(crate) fn print() {
    section("SchedulingBasic: processor time a pod", &["microseconds", "goal"]);
    let (create, bind) = medians(|| pair(one_core(steps::calls(0))));
    let (create_seen, bind_seen) = medians(|| pair(one_core(steps::calls(2))));
    let (deciding, assuming) = medians(|| {
        let own = steps::deciding();
        (micros(own.read) + micros(own.decide), micros(own.assume))
    });
    let (event, _) = medians(|| (micros(one_core(steps::events())), 0.0));
    let (seen, seen_bound) = (create_seen - create, bind_seen - bind);
    line("create", create, Some(12.0));
    line("two watch deliveries, each to two informers", seen + seen_bound, Some(4.0));
    line("  of a new pod", seen, None);
    line("  of a bound pod", seen_bound, None);
    line("decide", deciding + assuming, Some(6.0));
    line("  read the pod, find its node", deciding, None);
    line("  count it there", assuming, None);
    line("bind", bind, Some(8.0));
    line("event", event, Some(6.0));

    let outcome = two_cores(run(workloads::ALL[1], workloads::ALL[1].measured.count, LIMIT));
    let whole = micros(outcome.cpu) / outcome.bound.max(1) as f64;
    let alone = create + seen + seen_bound + deciding + assuming + bind;
    let told = event * outcome.written as f64 / outcome.bound.max(1) as f64;
    line("slack: the rest of the whole run", whole - alone - told, Some(4.0));
    line("the whole run", whole, Some(40.0));
    remark(&format!(
        "{:.0} pods/s; events of bindings: {} written, {} dropped",
        outcome.rate(),
        outcome.written,
        outcome.dropped
    ));
}

fn pair(calls: steps::Calls) -> (f64, f64) {
    (micros(calls.create), micros(calls.bind))
}

fn micros(took: Duration) -> f64 {
    took.as_secs_f64() * 1e6
}

/// The medians of two figures that are measured together.
fn medians(mut measure: impl FnMut() -> (f64, f64)) -> (f64, f64) {
    let (mut one, mut other): (Vec<f64>, Vec<f64>) = (0..RUNS).map(|_| measure()).unzip();
    one.sort_unstable_by(f64::total_cmp);
    other.sort_unstable_by(f64::total_cmp);
    (one[RUNS / 2], other[RUNS / 2])
}

fn line(name: &str, micros: f64, goal: Option<f64>) {
    let goal = goal.map_or(String::new(), |goal| format!("{goal:.0}"));
    println!("{name:<58}{micros:>14.2}{goal:>14}");
}
