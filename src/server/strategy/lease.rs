//! Leases.

use serde_json::Value;

use super::{Context, DEFAULT, Strategy};
use crate::server::tree::{at, map_mut};

/// Source: `leaseStrategy` of `k8s.io/kubernetes/pkg/registry/coordination/lease` (1.36).
pub(super) const LEASE: Strategy = Strategy {
    create_on_update: true,
    unconditional_update: false,
    create: |context, tree| drop_coordinated(context, tree, &Value::Null),
    update: drop_coordinated,
    ..DEFAULT
};

/// Nobody elects by candidates where there are none, so nothing of it is kept but what was there.
fn drop_coordinated(context: &Context<'_>, new: &mut Value, old: &Value) {
    if context
        .server
        .scheme()
        .iter()
        .any(|row| row.group == "coordination.k8s.io" && row.kind == "LeaseCandidate")
    {
        return;
    }
    for field in ["strategy", "preferredHolder"] {
        if at(old, &["spec", field]).is_none() && at(new, &["spec", field]).is_some() {
            map_mut(new, "spec").remove(field);
        }
    }
}
