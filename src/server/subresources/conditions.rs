//! Conditions of a pod that the server itself sets.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::server::tree::map_mut;

/// Sets a condition; its transition time stays while its status does.
///
/// Source: `UpdatePodCondition` of `k8s.io/kubernetes/pkg/api/v1/pod` (1.36).
pub(super) fn set(tree: &mut Value, mut condition: Value, now: Timestamp) {
    let list = map_mut(tree, "status").entry("conditions").or_insert_with(|| json!([]));
    let Some(list) = list.as_array_mut() else { return };
    let own = list.iter_mut().find(|own| own["type"] == condition["type"]);
    let since = own.as_ref().filter(|own| own["status"] == condition["status"]);
    let since = since.map_or_else(|| now.to_string().into(), |own| own["lastTransitionTime"].clone());
    condition["lastProbeTime"] = Value::Null;
    condition["lastTransitionTime"] = since;
    match own {
        Some(own) => *own = condition,
        None => list.push(condition),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_that_of_the_last_transition() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut pod = json!({});
        for (status, second, since) in [("False", 1, 1), ("False", 2, 1), ("True", 3, 3), ("True", 4, 3)] {
            set(&mut pod, json!({"type": "A", "status": status}), at(second));
            let conditions = pod["status"]["conditions"].as_array().unwrap();
            assert_eq!(conditions.len(), 1);
            assert_eq!(conditions[0]["lastTransitionTime"], at(since).to_string());
        }
    }
}
