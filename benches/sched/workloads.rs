//! The workloads, with what kube-scheduler was measured at.
//!
//! Source: `test/integration/scheduler_perf/*/performance-config.yaml` (1.36). There churn goes by the clock: here
//! it goes by progress, as much for as many pods as there.

use crate::templates;
use crate::workload::{Churn, Form, Pods, Workload};

pub(crate) const BASIC: &str = "SchedulingBasic";

const NODES: usize = 5_000;
/// Pods of 100 milli-CPUs, of which a node of 4 takes 40.
const SMALL: usize = NODES * 40;
const ZONE: &[&str] = &["zone1"];
const MOONS: &[&str] = &["moon-1", "moon-2", "moon-3"];

const fn pods(count: usize, namespace: &'static str, template: fn() -> serde_json::Value) -> Pods {
    Pods { count, namespace, form: Form::Alike(template) }
}

const fn basic(before: &'static [Pods], measured: usize, peer: f64) -> Workload {
    Workload {
        name: BASIC,
        nodes: NODES,
        zones: &[],
        before,
        measured: pods(measured, "measured", templates::pod),
        room: SMALL - before[0].count,
        churn: None,
        peer,
    }
}

pub(crate) const ALL: [Workload; 12] = [
    basic(&[pods(1_000, "before", templates::pod)], 10_000, 285.0),
    basic(&[pods(5_000, "before", templates::pod)], 50_000, 226.0),
    Workload {
        name: "SchedulingNodeAffinity",
        zones: ZONE,
        before: &[pods(5_000, "before", templates::node_affinity)],
        measured: pods(10_000, "measured", templates::node_affinity),
        room: SMALL - 5_000,
        ..basic(&[pods(0, "before", templates::pod)], 0, 235.0)
    },
    Workload {
        name: "SchedulingPodAntiAffinity",
        before: &[pods(1_000, "sched-0", templates::pod_anti_affinity)],
        measured: pods(2_000, "sched-1", templates::pod_anti_affinity),
        // Nodes have no host name there, so that pods do not shun each other after all.
        room: SMALL - 1_000,
        ..basic(&[pods(0, "before", templates::pod)], 0, 123.0)
    },
    Workload {
        name: "SchedulingPodAffinity",
        zones: ZONE,
        before: &[pods(5_000, "sched-0", templates::pod_affinity)],
        measured: pods(5_000, "sched-1", templates::pod_affinity),
        room: SMALL - 5_000,
        ..basic(&[pods(0, "before", templates::pod)], 0, 59.0)
    },
    Workload {
        name: "TopologySpreading",
        zones: MOONS,
        before: &[pods(5_000, "before", templates::pod)],
        measured: pods(5_000, "measured", templates::spreading),
        room: SMALL - 5_000,
        ..basic(&[pods(0, "before", templates::pod)], 0, 148.0)
    },
    Workload {
        name: "PreferredTopologySpreading",
        zones: MOONS,
        before: &[pods(5_000, "before", templates::pod)],
        measured: pods(5_000, "measured", templates::preferred_spreading),
        room: SMALL - 5_000,
        ..basic(&[pods(0, "before", templates::pod)], 0, 159.0)
    },
    Workload {
        name: "MixedSchedulingBasePod",
        zones: ZONE,
        before: &[
            pods(2_000, "sched-0", templates::pod),
            pods(2_000, "sched-0", templates::pod_affinity),
            pods(2_000, "sched-0", templates::pod_anti_affinity),
            pods(2_000, "sched-0", templates::preferred_pod_affinity),
            pods(2_000, "sched-0", templates::preferred_pod_anti_affinity),
        ],
        measured: pods(5_000, "measured", templates::pod),
        room: SMALL - 10_000,
        ..basic(&[pods(0, "before", templates::pod)], 0, 175.0)
    },
    Workload {
        name: "PreemptionAsync",
        before: &[pods(4 * NODES, "before", templates::low_priority)],
        measured: pods(5_000, "measured", templates::pod),
        // Four beside four of those that were there before; a quarter stays free.
        room: NODES * 3,
        churn: Some(Churn::Preemptor { every: 40 }),
        ..basic(&[pods(0, "before", templates::pod)], 0, 203.0)
    },
    Workload {
        name: "Unschedulable",
        before: &[pods(100, "before", templates::pod)],
        measured: pods(10_000, "measured", templates::pod),
        room: SMALL - 100,
        churn: Some(Churn::NeverFits { every: 48 }),
        ..basic(&[pods(0, "before", templates::pod)], 0, 240.0)
    },
    Workload {
        name: "SchedulingWithMixedChurn",
        before: &[],
        measured: pods(10_000, "measured", templates::pod),
        room: SMALL,
        churn: Some(Churn::Mixed { every: 270 }),
        ..basic(&[pods(0, "before", templates::pod)], 0, 266.0)
    },
    Workload {
        name: "SchedulingCSIPVs",
        before: &[Pods { count: 5_000, namespace: "before", form: Form::WithVolume }],
        measured: Pods { count: 5_000, namespace: "measured", form: Form::WithVolume },
        // 39 volumes a node.
        room: NODES * 39 - 5_000,
        ..basic(&[pods(0, "before", templates::pod)], 0, 67.0)
    },
];
