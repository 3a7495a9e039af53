//! TaintToleration: hard taints that a pod does not tolerate keep it away, soft ones make a node worse.
//!
//! Source: `pkg/scheduler/framework/plugins/tainttoleration/taint_toleration.go` and `ToleratesTaint`
//! of `k8s.io/api/core/v1/toleration.go` (1.36). Tolerations that compare numbers match nothing: their
//! feature is off.

use k8s_openapi::api::core::v1::{Node, Pod, Taint, Toleration};

use super::verdict::{Scores, Verdict};

/// Whether a pod tolerates a taint.
pub(super) fn tolerated(pod: &Pod, taint: &Taint) -> bool {
    tolerations(pod).iter().any(|toleration| matches(toleration, taint))
}

/// Whether a pod tolerates all taints of a node that would keep it away.
pub(super) fn admits(pod: &Pod, node: &Node) -> bool {
    let hard = |taint: &&Taint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute");
    taints(node).iter().filter(hard).all(|taint| tolerated(pod, taint))
}

pub(super) fn filter(pod: &Pod, node: &Node) -> Verdict {
    if admits(pod, node) { Verdict::Fit } else { Verdict::for_good("node(s) had untolerated taint(s)") }
}

/// How many soft taints of each node the pod does not tolerate; the fewest are the best.
pub(super) fn score(pod: &Pod, nodes: &[&Node]) -> Scores {
    let disliked = |node: &&Node| {
        let soft = taints(node).iter().filter(|taint| taint.effect == "PreferNoSchedule");
        soft.filter(|taint| !tolerated(pod, taint)).count() as i64
    };
    Scores::proportional(nodes.iter().map(disliked).collect(), true)
}

fn tolerations(pod: &Pod) -> &[Toleration] {
    pod.spec.as_ref().and_then(|spec| spec.tolerations.as_deref()).unwrap_or_default()
}

fn taints(node: &Node) -> &[Taint] {
    node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default()
}

fn matches(toleration: &Toleration, taint: &Taint) -> bool {
    let key = toleration.key.as_deref().unwrap_or_default();
    let effect = toleration.effect.as_deref().unwrap_or_default();
    if !(effect.is_empty() || effect == taint.effect) || !(key.is_empty() || key == taint.key) {
        return false;
    }
    match toleration.operator.as_deref().unwrap_or_default() {
        "" | "Equal" => {
            toleration.value.as_deref().unwrap_or_default() == taint.value.as_deref().unwrap_or_default()
        }
        operator => operator == "Exists",
    }
}
