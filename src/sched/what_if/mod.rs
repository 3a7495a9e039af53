//! What if: changes tried on a fork of a snapshot.
//!
//! A [`WhatIf`] is a cluster that nobody has. Nodes come and go in it, pods are placed as the scheduler would place
//! them, and two of them can be [compared](WhatIf::compare). Nothing here touches a cluster, and a
//! [fork](WhatIf::fork) costs next to nothing.
//!
//! Pods are placed by the profile's decisions, one after the other in the order of its queue, and equal ones share
//! the work ([`Boards`]). What a plugin does beyond deciding (reserve, permit, bind) is not done, and nobody is
//! evicted in favour of another.

mod compare;
mod fits;
mod shapes;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod};

use super::{Boards, ClassKey, Decision, PodInfo, Profile, QueuedPod, Scene, Snapshot, Verdict};
use crate::api::ObjectKey;
use crate::api::owner::controller_of;
use crate::env::{HashMap, Random, Stream};

pub use compare::{Comparison, Moved, ResourceUse, Spread, Use};
pub use fits::Fits;
pub use shapes::{Quality, Shapes};

/// The annotation of pods that a node made by itself: they go with it.
const MIRROR: &str = "kubernetes.io/config.mirror";
const HOSTNAME: &str = "kubernetes.io/hostname";

/// A cluster as it could be.
#[derive(Debug)]
pub struct WhatIf {
    profile: Arc<Profile>,
    snapshot: Snapshot,
    pending: Vec<Arc<PodInfo>>,
    boards: Boards,
    seed: u64,
    draw: Stream,
}

/// A pod that still has no node, and why.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Left {
    /// `namespace/name`.
    pub pod: String,
    /// Why, in kube-scheduler's words.
    pub message: String,
}

/// What placing came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Placed {
    /// How many pods have a node now that had none.
    pub placed: usize,
    /// The pods that have none.
    pub left: Vec<Left>,
}

impl WhatIf {
    /// A scene as it is. What is left to chance follows from the seed.
    #[must_use]
    pub fn of(scene: &Scene, profile: Profile, seed: u64) -> Self {
        Self::with(Arc::new(profile), scene.snapshot.clone(), scene.pending.clone(), seed)
    }

    fn with(profile: Arc<Profile>, snapshot: Snapshot, pending: Vec<Arc<PodInfo>>, seed: u64) -> Self {
        let draw = Random::seeded(seed).stream("what-if");
        Self { profile, snapshot, pending, boards: Boards::default(), seed, draw }
    }

    /// The same once more, to be changed by itself.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self::with(self.profile.clone(), self.snapshot.clone(), self.pending.clone(), self.seed)
    }

    /// The nodes and what is on them.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The pods without a node.
    #[must_use]
    pub fn pending(&self) -> &[Arc<PodInfo>] {
        &self.pending
    }

    /// A node more, or another in the place of the one of its name.
    pub fn add_node(&mut self, node: Arc<Node>) {
        self.snapshot.set_node(node);
    }

    /// So many nodes more like this one, each with a name and a host name of its own; returns the names.
    pub fn add_nodes(&mut self, template: &Node, count: usize) -> Vec<String> {
        let base = template.metadata.name.as_deref().unwrap_or("node").to_owned();
        let free = (1..).map(|number: u64| format!("{base}-{number}"));
        let names: Vec<_> = free.filter(|name| self.snapshot.find(name).is_none()).take(count).collect();
        for name in &names {
            let mut node = template.clone();
            node.metadata.name = Some(name.clone());
            node.metadata.uid = Some(format!("what-if-{name}"));
            node.metadata.labels.get_or_insert_default().insert(HOSTNAME.to_owned(), name.clone());
            self.snapshot.set_node(Arc::new(node));
        }
        names
    }

    /// A node goes. Its pods wait for another, but for those that are the node's own (of a DaemonSet, or made by the
    /// node): they go with it. Returns whether it was there.
    pub fn remove_node(&mut self, name: &str) -> bool {
        if self.snapshot.find(name).is_none() {
            return false;
        }
        self.evict(name, true);
        self.snapshot.remove_node(name);
        true
    }

    /// A node takes no more pods, and those on it wait for another, but for its own. Returns whether it was there.
    pub fn drain(&mut self, name: &str) -> bool {
        let Some(index) = self.snapshot.find(name) else { return false };
        let mut node = (**self.snapshot.node(index)).clone();
        node.spec.get_or_insert_default().unschedulable = Some(true);
        self.snapshot.set_node(Arc::new(node));
        self.evict(name, false);
        true
    }

    fn evict(&mut self, name: &str, own_too: bool) {
        let Some(node) = self.snapshot.find(name) else { return };
        let pods: Vec<_> = self.snapshot.pods(node).cloned().collect();
        for pod in pods {
            match (is_of_its_node(&pod.pod), own_too) {
                (true, false) => {}
                (true, true) => drop(self.snapshot.unplace(&pod.uid)),
                (false, _) => {
                    self.snapshot.unplace(&pod.uid);
                    let mut again = (*pod.pod).clone();
                    if let Some(spec) = &mut again.spec {
                        spec.node_name = None;
                    }
                    self.pending.push(Arc::new(self.snapshot.read(Arc::new(again))));
                }
            }
        }
    }

    /// A pod more: it waits, or is where it says that it is.
    pub fn add_pod(&mut self, pod: Arc<Pod>) {
        let mut scene = Scene::default();
        scene.snapshot = std::mem::take(&mut self.snapshot);
        scene.pending = std::mem::take(&mut self.pending);
        super::scene::Hears::pod(&mut scene, pod, true);
        (self.snapshot, self.pending) = (scene.snapshot, scene.pending);
    }

    /// A pod goes. Returns whether it was there.
    pub fn remove_pod(&mut self, namespace: &str, name: &str) -> bool {
        let key = ObjectKey::new(namespace, name);
        let before = self.pending.len();
        self.pending.retain(|pod| pod.key != key);
        match self.placed(&key) {
            Some((uid, _)) => self.snapshot.unplace(&uid).is_some(),
            None => self.pending.len() < before,
        }
    }

    /// A pod is another, say, asks for more; where it has a node, it stays there. Returns whether it was there.
    pub fn change_pod(&mut self, namespace: &str, name: &str, change: impl FnOnce(&mut Pod)) -> bool {
        let key = ObjectKey::new(namespace, name);
        let changed = |snapshot: &mut Snapshot, old: &PodInfo| {
            let mut pod = (*old.pod).clone();
            change(&mut pod);
            // It is the same pod still.
            pod.metadata.clone_from(&old.pod.metadata);
            Arc::new(snapshot.read(Arc::new(pod)))
        };
        if let Some(place) = self.pending.iter().position(|pod| pod.key == key) {
            self.pending[place] = changed(&mut self.snapshot, &self.pending[place]);
            return true;
        }
        let Some((uid, node)) = self.placed(&key) else { return false };
        let Some(old) = self.snapshot.unplace(&uid) else { return false };
        let new = changed(&mut self.snapshot, &old);
        self.snapshot.place(new, &node);
        true
    }

    /// The uid and the node of a pod that has one.
    fn placed(&self, key: &ObjectKey) -> Option<(String, Arc<str>)> {
        let on =
            |node| self.snapshot.pods(node).find(|pod| pod.key == *key).map(|pod| (node, pod.uid.clone()));
        let (node, uid) = self.snapshot.nodes().iter().find_map(|node| on(*node))?;
        Some((uid, self.snapshot.name(node).clone()))
    }

    /// Places the pods that wait, in the order of the profile's queue, until no more of them find a node: one that
    /// found none is asked again after others that it may have waited for.
    pub fn place(&mut self) -> Placed {
        let mut queue: Vec<_> = self.pending.drain(..).enumerate().map(queued).collect();
        queue.sort_by(|a, b| self.profile.compare(a, b));
        let mut result = Placed::default();
        loop {
            let before = queue.len();
            result.left.clear();
            queue = self.pass(queue, &mut result.left);
            result.placed += before - queue.len();
            if queue.is_empty() || queue.len() == before {
                break;
            }
        }
        self.pending = queue.into_iter().map(|queued| queued.pod).collect();
        result
    }

    /// Asks each once; returns those that found none.
    fn pass(&mut self, queue: Vec<QueuedPod>, left: &mut Vec<Left>) -> Vec<QueuedPod> {
        // By class: what was said of it, and when. Where nothing has changed since, it would be said again.
        let mut refused: HashMap<ClassKey, (u64, String)> = HashMap::default();
        let mut waiting = Vec::new();
        for queued in queue {
            let pod = &queued.pod;
            let mut key = ClassKey::new();
            let shares = self.profile.class_key(pod, &self.snapshot, &mut key);
            let now = self.snapshot.changes().end();
            let known = refused.get(&key).filter(|(when, _)| shares && *when == now);
            let message = match (self.may_not(pod), known) {
                (Some(message), _) => message,
                (None, Some((_, message))) => message.clone(),
                (None, None) => match self.boards.decide(&self.profile, &self.snapshot, pod, &self.draw) {
                    Decision::Place(node) => {
                        let node = self.snapshot.name(node).clone();
                        self.snapshot.place(queued.pod, &node);
                        continue;
                    }
                    Decision::Reject(diagnosis) => {
                        let message = diagnosis.message();
                        refused.insert(key, (now, message.clone()));
                        message
                    }
                    Decision::Fail { message, .. } => message,
                },
            };
            left.push(Left { pod: pod.key.to_string(), message });
            waiting.push(queued);
        }
        waiting
    }

    /// Why a pod is not even tried.
    fn may_not(&self, pod: &PodInfo) -> Option<String> {
        if pod.is_deleting() {
            return Some(format!("skip schedule deleting pod: {}", pod.key));
        }
        self.profile.pre_enqueues().find_map(|(_, plugin)| match plugin.pre_enqueue(pod) {
            Verdict::Fits => None,
            Verdict::Unschedulable(reasons) | Verdict::Unresolvable(reasons) => Some(reasons.join(", ")),
            Verdict::Error(message) => Some(message),
        })
    }
}

fn queued((place, pod): (usize, Arc<PodInfo>)) -> QueuedPod {
    QueuedPod { pod, attempts: 0, arrival: place as u64, since: Duration::ZERO, first_active: None }
}

/// Whether a pod belongs to its node, and goes nowhere else.
fn is_of_its_node(pod: &Pod) -> bool {
    let mirrored = pod.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(MIRROR));
    mirrored || controller_of(&pod.metadata).is_some_and(|owner| owner.kind == "DaemonSet")
}
