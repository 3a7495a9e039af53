//! Patience with a node that is lost.
//!
//! Source: `DefaultTolerationSeconds` of `k8s.io/kubernetes/plugin/pkg/admission` (1.36).

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{AdmissionPlugin, AdmissionRequest, Operation};
use crate::api::Status;
use crate::server::tree::{map_mut, text};

/// Gives a pod that says nothing of it tolerations for the taints of a node that is not ready or not
/// reachable, so that it is evicted only after a while.
#[derive(Clone, Copy, Debug)]
pub struct DefaultTolerationSeconds {
    not_ready: i64,
    unreachable: i64,
}

impl DefaultTolerationSeconds {
    /// Its place in the chain.
    pub const NAME: &str = "DefaultTolerationSeconds";

    /// So many seconds on a node that is not ready, and on one that is not reachable, as
    /// `--default-not-ready-toleration-seconds` and `--default-unreachable-toleration-seconds` of
    /// kube-apiserver.
    #[must_use]
    pub fn new(not_ready: i64, unreachable: i64) -> Self {
        Self { not_ready, unreachable }
    }
}

/// Five minutes each.
impl Default for DefaultTolerationSeconds {
    fn default() -> Self {
        Self::new(300, 300)
    }
}

#[async_trait]
impl AdmissionPlugin for DefaultTolerationSeconds {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn handles(&self, request: &AdmissionRequest<'_>) -> bool {
        matches!(request.operation, Operation::Create | Operation::Update) && request.concerns("", "pods", "")
    }

    async fn mutate(&self, request: &mut AdmissionRequest<'_>) -> Result<(), Status> {
        if let Some(pod) = request.object_mut() {
            self.tolerate(pod);
        }
        Ok(())
    }
}

impl DefaultTolerationSeconds {
    fn tolerate(&self, pod: &mut Value) {
        let list = map_mut(pod, "spec").entry("tolerations").or_insert_with(|| json!([]));
        if list.is_null() {
            *list = json!([]);
        }
        let Some(list) = list.as_array_mut() else { return };
        let given = list.clone();
        let keys = [
            ("node.kubernetes.io/not-ready", self.not_ready),
            ("node.kubernetes.io/unreachable", self.unreachable),
        ];
        for (key, seconds) in keys {
            let covered = given.iter().any(|toleration| {
                (text(toleration, &["key"]) == key || text(toleration, &["key"]).is_empty())
                    && matches!(text(toleration, &["effect"]), "" | "NoExecute")
            });
            if !covered {
                list.push(json!({
                    "key": key,
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": seconds,
                }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tolerated(tolerations: Value) -> Value {
        let mut pod = json!({"spec": {"tolerations": tolerations}});
        DefaultTolerationSeconds::new(300, 60).tolerate(&mut pod);
        pod["spec"]["tolerations"].clone()
    }

    #[test]
    fn a_pod_that_says_nothing_is_patient_and_one_that_says_something_is_left_alone() {
        let added = tolerated(Value::Null);
        assert_eq!(
            (&added[0]["tolerationSeconds"], &added[1]["tolerationSeconds"]),
            (&json!(300), &json!(60))
        );
        let cases = [
            (
                json!([{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}]),
                2,
            ),
            (json!([{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]), 3),
            (json!([{"operator": "Exists", "effect": "NoSchedule"}]), 3),
            (json!([{"operator": "Exists"}]), 1),
            (json!([{"operator": "Exists", "effect": "NoExecute"}]), 1),
        ];
        for (given, count) in cases {
            let list = tolerated(given.clone());
            assert_eq!(list.as_array().unwrap().len(), count, "{given}");
            assert_eq!(tolerated(list.clone()), list, "a second look changes nothing");
        }
    }
}
