//! Drivers of storage.

use serde_json::Value;

use super::{DEFAULT, Generation, Strategy};
use crate::server::tree::{at, map_mut, metadata_mut};

/// Generations count changes only: the first one is not numbered.
///
/// Source: `csiDriverStrategy` of `k8s.io/kubernetes/pkg/registry/storage/csidriver` (1.36).
pub(super) const CSI_DRIVER: Strategy = Strategy {
    unconditional_update: false,
    generation: Generation::Spec,
    create: |_, tree| {
        metadata_mut(tree).remove("generation");
        drop_unserved(tree, &Value::Null);
    },
    update: |_, new, old| drop_unserved(new, old),
    ..DEFAULT
};

fn drop_unserved(new: &mut Value, old: &Value) {
    const FIELD: &str = "preventPodSchedulingIfMissing";
    if at(old, &["spec", FIELD]).is_none() && at(new, &["spec", FIELD]).is_some() {
        map_mut(new, "spec").remove(FIELD);
    }
}
