//! NodeUnschedulable: a cordoned node takes those alone that tolerate the taint that cordoning is.
//!
//! Source: `pkg/scheduler/framework/plugins/nodeunschedulable/node_unschedulable.go` (1.36).

use k8s_openapi::api::core::v1::{Node, Pod, Taint};

use super::taint_toleration::tolerated;
use super::verdict::Verdict;

pub(super) fn filter(pod: &Pod, node: &Node) -> Verdict {
    let cordoned = node.spec.as_ref().is_some_and(|spec| spec.unschedulable == Some(true));
    let taint = Taint {
        key: "node.kubernetes.io/unschedulable".into(),
        effect: "NoSchedule".into(),
        ..Taint::default()
    };
    if cordoned && !tolerated(pod, &taint) {
        return Verdict::for_good("node(s) were unschedulable");
    }
    Verdict::Fit
}
