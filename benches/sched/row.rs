//! A row of the table: a workload, scaled until it lasts, or a median of many runs.

use std::time::Duration;

use crate::process::two_cores;
use crate::run::{Outcome, run};
use crate::table::{Cell, remark, row, section};
use crate::workload::{Churn, Workload};

/// How long a run should last.
const LASTS: Duration = Duration::from_secs(5);
/// How many runs there are where the nodes have no room for one that lasts.
const RUNS: usize = 10;
/// How long a run may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(300);

/// What a row says: how many pods, in how many runs, bound in a second, in the middle one of its seconds, beside
/// what kube-scheduler was measured at.
const COLUMNS: [&str; 8] = ["pods", "runs", "bound", "p50", "peer", "times peer", "resident", "cpu a pod"];

pub(crate) fn head() {
    section("kube-scheduler's workloads, through the API server in process", &COLUMNS);
}

pub(crate) fn print(workload: &Workload) {
    let outcomes = measure(workload);
    let middle = &outcomes[outcomes.len() / 2];
    let mut seconds = middle.samples.clone();
    seconds.sort_unstable();
    let p50 = match seconds.len() {
        0..3 => Cell::None,
        many => Cell::Rate(seconds[many / 2] as f64),
    };
    row(
        &format!("{}, {} pods", workload.name, workload.measured.count),
        &[
            Cell::Count(middle.wanted as f64),
            Cell::Count(outcomes.len() as f64),
            Cell::Rate(middle.rate()),
            p50,
            Cell::Rate(workload.peer),
            Cell::Times(middle.rate() / workload.peer),
            Cell::Bytes(middle.resident),
            Cell::Took(middle.cpu / middle.bound.max(1) as u32),
        ],
    );
    say(workload, middle);
    if outcomes.len() > 1 {
        let (least, most) = (outcomes[0].rate(), outcomes[outcomes.len() - 1].rate());
        remark(&format!("from {least:.0} to {most:.0} pods/s"));
    }
}

/// What the figures leave out.
fn say(workload: &Workload, outcome: &Outcome) {
    let Outcome { wanted, bound, came, came_bound, written, dropped, .. } = outcome;
    if bound < wanted {
        remark(&format!("bound {bound} of {wanted} in {:.0} s", outcome.took.as_secs_f64()));
    }
    match workload.churn {
        Some(Churn::Preemptor { .. }) => remark(&format!("preemptors bound {came_bound} of {came}")),
        Some(Churn::NeverFits { .. }) => remark(&format!("{came} pods came that never fit")),
        Some(Churn::Mixed { .. }) => remark(&format!("a node, a pod and a service came {came} times")),
        None => {}
    }
    remark(&format!("events of bindings: {written} written, {dropped} dropped"));
}

/// One run that lasts, or many that do not, by their rates.
fn measure(workload: &Workload) -> Vec<Outcome> {
    let at = |count: usize| two_cores(run(*workload, count, LIMIT));
    let mut outcome = at(workload.measured.count);
    loop {
        let (count, took) = (outcome.wanted, outcome.took);
        if took >= LASTS || outcome.bound < count {
            return vec![outcome];
        }
        let longer = (count as f64 * 1.2 * LASTS.as_secs_f64() / took.as_secs_f64()) as usize;
        // The smallest multiple that should do, if there is room for it.
        let times = longer.div_ceil(workload.measured.count).min(workload.room / workload.measured.count);
        let scaled = times * workload.measured.count;
        if scaled <= count {
            break;
        }
        outcome = at(scaled);
    }
    let count = outcome.wanted;
    let mut outcomes = vec![outcome];
    outcomes.extend((1..RUNS).map(|_| at(count)));
    outcomes.sort_by(|one, other| one.rate().total_cmp(&other.rate()));
    outcomes
}
