//! Node life cycle: who is not heard of any more is marked, tainted, and its pods leave the
//! rotation.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use serde_json::json;
use tokio::time::Instant;

use super::super::informers::{BY_NODE, Informers};
use super::super::{Action, Controller, Error, Events, Reconciler, map, pods};
use super::health;
use crate::api::ObjectKey;
use crate::client::{self, Api, Client, Informer};
use crate::env::{Clock, Env};

/// Starts the controller.
pub(in super::super) fn start(
    client: Arc<dyn Client>,
    env: &Env,
    informers: &Informers,
    events: &Events,
) -> Controller {
    let (nodes, leases, pods) = (informers.nodes(), informers.leases(), informers.pods());
    let (all, any_ready) = (nodes.clone(), AtomicBool::new(false));
    Controller::builder("node-lifecycle", client, env)
        .watch(&nodes, move |node: &Node| {
            // Whether any node is ready decides whether pods are driven away from the others.
            let ready = any_is_ready(&all);
            if any_ready.swap(ready, Ordering::Relaxed) == ready { map::itself(node) } else { all.keys() }
        })
        .watch(&leases, |lease: &Lease| {
            vec![ObjectKey::new("", lease.metadata.name.clone().unwrap_or_default())]
        })
        .watch(&pods, |_: &Pod| Vec::new())
        .start(|client| NodeReconciler {
            nodes,
            leases,
            pods,
            nodes_api: Api::all(client.clone()),
            pods_api: Api::all(client),
            events: events.component("node-controller"),
            clock: env.clock.clone(),
            heard: Mutex::default(),
        })
}

fn any_is_ready(nodes: &Informer<Node>) -> bool {
    nodes.list().iter().any(|node| health::ready(node) == Some("True"))
}

struct NodeReconciler {
    nodes: Informer<Node>,
    leases: Informer<Lease>,
    pods: Informer<Pod>,
    nodes_api: Api<Node>,
    pods_api: Api<Pod>,
    events: Events,
    clock: Clock,
    heard: Mutex<BTreeMap<String, Heard>>,
}

/// When a node was last heard of, by our own clock: its own may be wrong.
#[derive(Clone)]
struct Heard {
    at: Instant,
    uid: Option<String>,
    heartbeat: Option<Time>,
    renewal: Option<MicroTime>,
    ready: bool,
}

#[async_trait]
impl Reconciler for NodeReconciler {
    async fn reconcile(&self, key: &ObjectKey) -> Result<Action, Error> {
        let Some(node) = self.nodes.get(key) else {
            self.heard.lock().unwrap_or_else(PoisonError::into_inner).remove(&key.name);
            return Ok(Action::Done);
        };
        let (silence, was_ready) = self.listen(&node);
        let grace = health::grace(&node);
        if silence > grace
            && let Some(conditions) = health::silent(&node, self.clock.now_seconds())
        {
            let mut changed = (*node).clone();
            changed.status.get_or_insert_default().conditions = Some(conditions);
            self.nodes_api.update_status(&changed).await?;
            // The rest follows from what has just been written.
            return Ok(Action::RequeueAfter(Duration::ZERO));
        }
        self.follow(&node, was_ready).await?;
        // A moment later than the grace: it must have passed.
        let left = grace.saturating_sub(silence) + Duration::from_millis(1);
        let unknown = health::ready(&node) == Some("Unknown");
        Ok(if unknown { Action::Done } else { Action::RequeueAfter(left) })
    }
}

impl NodeReconciler {
    /// Notes whether the node has said anything new. How long it has been silent, and whether it was
    /// ready when it was last looked at.
    fn listen(&self, node: &Node) -> (Duration, bool) {
        let name = node.metadata.name.clone().unwrap_or_default();
        let lease = self.leases.get(&ObjectKey::new("kube-node-lease", &name));
        let said = Heard {
            at: self.clock.instant(),
            uid: node.metadata.uid.clone(),
            heartbeat: health::condition(node, "Ready").and_then(|ready| ready.last_heartbeat_time.clone()),
            renewal: lease.and_then(|lease| lease.spec.as_ref()?.renew_time.clone()),
            ready: health::ready(node) == Some("True"),
        };
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let last = heard.entry(name).or_insert_with(|| said.clone());
        let was_ready = last.ready;
        let news = last.uid != said.uid || last.heartbeat != said.heartbeat || last.renewal < said.renewal;
        let at = if news { said.at } else { last.at };
        let silence = said.at - at;
        *last = Heard { at, ..said };
        (silence, was_ready)
    }

    /// Taints and pods follow the node's conditions.
    async fn follow(&self, node: &Node, was_ready: bool) -> Result<(), Error> {
        let name = node.metadata.name.as_deref().unwrap_or_default();
        let ready = health::ready(node);
        let evict = any_is_ready(&self.nodes);
        if let Some(taints) = health::taints(node, evict, self.clock.now_seconds()) {
            let patch = json!({
                "metadata": {"resourceVersion": node.metadata.resource_version, "uid": node.metadata.uid},
                "spec": {"taints": taints},
            });
            self.nodes_api.merge_patch(name, &patch).await?;
        }
        let lost = was_ready && ready != Some("True");
        if lost {
            self.events.normal(node, "NodeNotReady", format!("Node {name} status is now: NodeNotReady"));
        }
        // A node that is not ready but alive speaks for its pods itself, but for the first moment.
        if lost || ready == Some("Unknown") {
            self.mark_pods_not_ready(name).await?;
        }
        Ok(())
    }

    async fn mark_pods_not_ready(&self, node: &str) -> Result<(), Error> {
        for pod in self.pods.by_index(BY_NODE, node).iter().filter(|pod| pods::is_ready(pod)) {
            let mut changed = (**pod).clone();
            let conditions = changed.status.get_or_insert_default().conditions.get_or_insert_default();
            for condition in conditions.iter_mut().filter(|condition| condition.type_ == "Ready") {
                condition.status = "False".into();
                condition.last_transition_time = Some(Time(self.clock.now_seconds()));
            }
            let api = self.pods_api.within(pod.metadata.namespace.as_deref().unwrap_or_default());
            match api.update_status(&changed).await {
                Ok(_) => self.events.warning(&**pod, "NodeNotReady", "Node is not ready"),
                Err(client::Error::NotFound(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
