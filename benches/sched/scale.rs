//! Many nodes, many pods: each with pods of one class, of a thousand by turns, and all different.

use std::time::Duration;

use crate::process::two_cores;
use crate::run::run;
use crate::table::{Cell, remark, row, section};
use crate::workload::{Form, Pods, Workload};

/// How long a row may take.
const LIMIT: Duration = Duration::from_secs(120);

/// A row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    nodes: usize,
    pods: usize,
    classes: usize,
    /// What is aimed at, in pods a second.
    goal: f64,
}

pub(crate) const ALL: [Scale; 6] = [
    Scale { nodes: 100_000, pods: 1_000_000, classes: 1, goal: 20_000.0 },
    Scale { nodes: 100_000, pods: 1_000_000, classes: 1_000, goal: 20_000.0 },
    Scale { nodes: 100_000, pods: 1_000_000, classes: 1_000_000, goal: 20_000.0 },
    Scale { nodes: 1_000_000, pods: 100_000, classes: 1, goal: 10_000.0 },
    Scale { nodes: 1_000_000, pods: 100_000, classes: 1_000, goal: 10_000.0 },
    Scale { nodes: 1_000_000, pods: 100_000, classes: 100_000, goal: 10_000.0 },
];

pub(crate) fn head() {
    section("many nodes and pods", &["bound", "p50", "goal", "times goal", "resident", "cpu a pod"]);
}

pub(crate) fn print(scale: &Scale) {
    let Scale { nodes, pods, classes, goal } = *scale;
    let form = Form::Classes(classes);
    let workload = Workload {
        name: "scale",
        nodes,
        zones: &[],
        before: &[],
        measured: Pods { count: pods, namespace: "measured", form },
        room: pods,
        churn: None,
        peer: goal,
    };
    let outcome = two_cores(run(workload, pods, LIMIT));
    let mut seconds = outcome.samples.clone();
    seconds.sort_unstable();
    row(
        &format!("{nodes} nodes, {pods} pods of {classes} classes"),
        &[
            Cell::Rate(outcome.rate()),
            seconds.get(seconds.len() / 2).map_or(Cell::None, |count| Cell::Rate(*count as f64)),
            Cell::Rate(goal),
            Cell::Times(outcome.rate() / goal),
            Cell::Bytes(outcome.resident),
            Cell::Took(outcome.cpu / outcome.bound.max(1) as u32),
        ],
    );
    if outcome.bound < pods {
        remark(&format!("bound {} of {pods} in {:.0} s", outcome.bound, outcome.took.as_secs_f64()));
    }
}
