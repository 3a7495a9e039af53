//! Taint eviction: pods leave a node whose `NoExecute` taints they do not tolerate, at once or
//! after their `tolerationSeconds`.
//!
//! Behaviour as Kubernetes 1.36 (`pkg/controller/tainteviction`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{Node, Pod, Taint, Toleration};
use tokio::time::Instant;

use super::super::informers::{BY_NODE, Informers};
use super::super::{Action, Controller, Error, Events, Reconciler, map, pods};
use super::disrupt;
use crate::api::ObjectKey;
use crate::api::predicates::tolerates;
use crate::client::{self, Api, Client, DeleteOptions, Informer};
use crate::env::{Clock, Env};

/// Starts the controller.
pub(in super::super) fn start(
    client: Arc<dyn Client>,
    env: &Env,
    informers: &Informers,
    events: &Events,
) -> Controller {
    let (nodes, pods) = (informers.nodes(), informers.pods());
    let on_node = pods.clone();
    Controller::builder("taint-eviction", client, env)
        .watch(&pods, map::itself)
        .watch(&nodes, move |node: &Node| {
            if no_execute(node).is_empty() {
                return Vec::new();
            }
            let pods = on_node.by_index(BY_NODE, node.metadata.name.as_deref().unwrap_or_default());
            pods.iter().map(|pod| map::key(&**pod)).collect()
        })
        .start(|client| EvictionReconciler {
            nodes,
            pods,
            api: Api::all(client),
            events: events.component("taint-eviction-controller"),
            clock: env.clock.clone(),
            tolerating: Mutex::default(),
        })
}

fn no_execute(node: &Node) -> Vec<Taint> {
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_ref()).into_iter().flatten();
    taints.filter(|taint| taint.effect == "NoExecute").cloned().collect()
}

/// How long a pod may stay beside some taints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stay {
    Forever,
    For(Duration),
    No,
}

fn stay(tolerations: &[Toleration], taints: &[Taint]) -> Stay {
    let mut shortest = None;
    for taint in taints {
        // The first toleration of a taint counts.
        let Some(used) = tolerations.iter().find(|toleration| tolerates(toleration, taint)) else {
            return Stay::No;
        };
        if let Some(seconds) = used.toleration_seconds {
            let seconds = u64::try_from(seconds).unwrap_or(0);
            shortest = Some(shortest.map_or(seconds, |shortest: u64| shortest.min(seconds)));
        }
    }
    match shortest {
        None => Stay::Forever,
        Some(0) => Stay::No,
        Some(seconds) => Stay::For(Duration::from_secs(seconds)),
    }
}

struct EvictionReconciler {
    nodes: Informer<Node>,
    pods: Informer<Pod>,
    api: Api<Pod>,
    events: Events,
    clock: Clock,
    /// Since when a pod, by its key and uid, has tolerated the taints of its node.
    tolerating: Mutex<BTreeMap<ObjectKey, (String, Instant)>>,
}

#[async_trait]
impl Reconciler for EvictionReconciler {
    async fn reconcile(&self, key: &ObjectKey) -> Result<Action, Error> {
        let Some(pod) = self.pods.get(key) else {
            self.tolerating().remove(key);
            return Ok(Action::Done);
        };
        let node = self.nodes.get(&ObjectKey::new("", pods::node(&pod)));
        let taints = node.map(|node| no_execute(&node)).unwrap_or_default();
        if taints.is_empty() || pod.metadata.deletion_timestamp.is_some() {
            if self.tolerating().remove(key).is_some() {
                self.events.normal(
                    &*pod,
                    "TaintManagerEviction",
                    format!("Cancelling deletion of Pod {key}"),
                );
            }
            return Ok(Action::Done);
        }
        let tolerations = pod.spec.as_ref().and_then(|spec| spec.tolerations.clone()).unwrap_or_default();
        match stay(&tolerations, &taints) {
            Stay::Forever => {
                self.tolerating().remove(key);
                Ok(Action::Done)
            }
            Stay::For(limit) => {
                let stayed = self.clock.instant() - self.since(key, pods::uid(&pod));
                if stayed < limit {
                    return Ok(Action::RequeueAfter(limit - stayed));
                }
                self.evict(key, &pod).await
            }
            Stay::No => self.evict(key, &pod).await,
        }
    }
}

impl EvictionReconciler {
    fn tolerating(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, (String, Instant)>> {
        self.tolerating.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn since(&self, key: &ObjectKey, uid: &str) -> Instant {
        let now = self.clock.instant();
        let mut tolerating = self.tolerating();
        let entry = tolerating.entry(key.clone()).or_insert_with(|| (uid.to_owned(), now));
        if entry.0 != uid {
            *entry = (uid.to_owned(), now);
        }
        entry.1
    }

    async fn evict(&self, key: &ObjectKey, pod: &Pod) -> Result<Action, Error> {
        self.tolerating().remove(key);
        self.events.normal(pod, "TaintManagerEviction", format!("Marking for deletion Pod {key}"));
        let api = self.api.within(&key.namespace);
        let message = "Taint manager: deleting due to NoExecute taint";
        let condition = disrupt::condition("DeletionByTaintManager", message, self.clock.now_seconds());
        if let Some(marked) = disrupt::marked(pod, condition) {
            match api.update_status(&marked).await {
                Ok(_) => {}
                Err(client::Error::NotFound(_)) => return Ok(Action::Done),
                Err(error) => return Err(error.into()),
            }
        }
        let mut options = DeleteOptions::default();
        options.preconditions.uid.clone_from(&pod.metadata.uid);
        match api.delete(&key.name, options).await {
            Ok(_) | Err(client::Error::NotFound(_)) => Ok(Action::Done),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_shortest_toleration_counts_and_one_that_lacks_ends_it() {
        let taint =
            |key: &str| serde_json::from_value::<Taint>(json!({"key": key, "effect": "NoExecute"})).unwrap();
        let tolerate = |key: &str, seconds: Option<i64>| json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds});
        let for_seconds = |seconds| Stay::For(Duration::from_secs(seconds));
        for (name, tolerations, taints, expected) in [
            ("none", vec![], vec![taint("a")], Stay::No),
            ("forever", vec![tolerate("a", None)], vec![taint("a")], Stay::Forever),
            ("for a while", vec![tolerate("a", Some(300))], vec![taint("a")], for_seconds(300)),
            (
                "the shortest",
                vec![tolerate("a", Some(300)), tolerate("b", Some(5))],
                vec![taint("a"), taint("b")],
                for_seconds(5),
            ),
            ("one of two", vec![tolerate("a", None)], vec![taint("a"), taint("b")], Stay::No),
            ("for no time", vec![tolerate("a", Some(-1))], vec![taint("a")], Stay::No),
        ] {
            let tolerations: Vec<Toleration> = serde_json::from_value(Value::Array(tolerations)).unwrap();
            assert_eq!(stay(&tolerations, &taints), expected, "{name}");
        }
    }
}
