//! Nodes: an agent that registers says its status at once. Where it has its configuration from is no longer
//! said; one that says so already goes on.
//!
//! Source: `dropDisabledFields` of `k8s.io/kubernetes/pkg/registry/core/node` (1.36).

use super::{DEFAULT, Strategy};
use crate::server::tree::{at, map_mut};

pub(super) const NODE: Strategy = Strategy {
    made_with_status: true,
    create: |_, tree| {
        for (part, field) in [("spec", "configSource"), ("status", "config")] {
            map_mut(tree, part).remove(field);
        }
    },
    update: |_, new, old| {
        if at(old, &["spec", "configSource"]).is_none() {
            map_mut(new, "spec").remove("configSource");
        }
    },
    update_status: |_, new, old| {
        if at(old, &["status", "config"]).is_none() {
            map_mut(new, "status").remove("config");
        }
    },
    ..DEFAULT
};
