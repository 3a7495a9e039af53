//! NodeName: a pod that names its node goes there.
//!
//! Source: `pkg/scheduler/framework/plugins/nodename/node_name.go` (1.36).

use k8s_openapi::api::core::v1::{Node, Pod};

use super::verdict::Verdict;
use super::world::{Named, node_name};

pub(super) fn filter(pod: &Pod, node: &Node) -> Verdict {
    let wanted = node_name(pod);
    if wanted.is_empty() || wanted == node.name() {
        Verdict::Fit
    } else {
        Verdict::for_good("node(s) didn't match the requested node name")
    }
}
