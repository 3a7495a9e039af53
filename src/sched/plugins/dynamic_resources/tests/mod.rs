//! Stories of claims and devices.

mod allocating;
mod binding;
mod extended;
mod helping;
mod reference;
#[cfg(feature = "cel")]
mod selecting;

use std::sync::Arc;

use k8s_openapi::api::resource::v1::{AllocationResult, DeviceClass, ResourceClaim, ResourceSlice};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::attempt::OnNode;
use super::*;
use crate::sched::Catalogued;
use crate::sched::testing::{PodStory, node, pod};

/// Nodes, devices and claims, and the plugin.
struct Scene {
    snapshot: Snapshot,
    plugin: DynamicResources,
}

fn make<K: DeserializeOwned>(tree: Value) -> Arc<K> {
    match serde_json::from_value(tree.clone()) {
        Ok(object) => Arc::new(object),
        Err(error) => panic!("{error}: {tree}"),
    }
}

impl Scene {
    /// Nodes, and a class `gpu` of all devices.
    fn of(nodes: &[&str]) -> Self {
        let mut own = Self { snapshot: Snapshot::new(), plugin: DynamicResources::default() };
        for name in nodes {
            own.snapshot.set_node(node(name).label("name", name).make());
        }
        own.with::<DeviceClass>(json!({"metadata": {"name": "gpu"}, "spec": {}}))
    }

    fn put<K: Catalogued>(&mut self, tree: Value) {
        self.snapshot.set_object::<K>(make(tree));
    }

    fn with<K: Catalogued>(mut self, tree: Value) -> Self {
        self.put::<K>(tree);
        self
    }

    /// A claim that asks for so much.
    fn claim(self, name: &str, requests: Value) -> Self {
        self.with::<ResourceClaim>(claim(name, requests))
    }

    /// A pool of one slice, on a node.
    fn slice(self, name: &str, on: &str, devices: Value) -> Self {
        self.with::<ResourceSlice>(slice(name, json!({"nodeName": on, "devices": devices})))
    }

    /// What is said of each node, or of the pod as a whole.
    fn said(&mut self, story: PodStory) -> Vec<String> {
        let info = self.snapshot.read(story.make());
        let mut cycle = Cycle::new(&info, &self.snapshot);
        let shown = |verdict: Verdict| match verdict {
            Verdict::Fits => "fits".to_owned(),
            Verdict::Unresolvable(reasons) => reasons.join(", "),
            Verdict::Error(error) => format!("error: {error}"),
            Verdict::Unschedulable(reasons) => panic!("no pod that leaves helps: {reasons:?}"),
        };
        match self.plugin.pre_filter(&mut cycle) {
            PreFiltered::Run => {}
            PreFiltered::Skip => return vec!["skip".into()],
            PreFiltered::Reject(verdict) => return vec![format!("pod: {}", shown(verdict))],
            PreFiltered::Only(nodes) => panic!("{nodes:?}"),
        }
        self.snapshot.nodes().iter().map(|node| shown(self.plugin.filter(&cycle, *node))).collect()
    }

    /// Which nodes fit: `+` or `-`.
    fn fits(&mut self, story: PodStory) -> String {
        self.said(story).iter().map(|said| if said == "fits" { '+' } else { '-' }).collect()
    }

    /// What a pod's claims would get on a node.
    fn found(&mut self, story: PodStory, on: &str) -> OnNode {
        let info = self.snapshot.read(story.make());
        let attempt = Attempt::prepare(&self.plugin, &info, &self.snapshot).unwrap().unwrap();
        let node = self.snapshot.find(on).unwrap();
        attempt.on_node(&self.plugin, &info, &self.snapshot, node).unwrap()
    }

    /// The devices that a pod's claims would get on a node, with the requests for which they are.
    fn devices(&mut self, story: PodStory, on: &str) -> Vec<String> {
        let found = self.found(story, on);
        found.given.iter().flat_map(results).map(|own| format!("{}={}", own.request, own.device)).collect()
    }

    /// Gives a pod a node.
    fn reserve(&mut self, story: PodStory, on: &str) -> Arc<PodInfo> {
        let info = Arc::new(self.snapshot.read(story.make()));
        let node = self.snapshot.find(on).unwrap();
        assert_eq!(self.plugin.reserve(&Cycle::new(&info, &self.snapshot), node), Verdict::Fits);
        self.snapshot.place(info.clone(), on);
        info
    }
}

use super::claims::results;

fn claim(name: &str, requests: Value) -> Value {
    let meta = json!({"name": name, "namespace": "ns", "uid": format!("uid-{name}"), "resourceVersion": "1"});
    json!({"metadata": meta, "spec": {"devices": {"requests": requests}}})
}

/// A slice, which is all of its pool.
fn slice(name: &str, rest: Value) -> Value {
    let pool = json!({"name": name, "generation": 1, "resourceSliceCount": 1});
    let mut tree = json!({"metadata": {"name": name}, "spec": {"driver": "d.com", "pool": pool}});
    for (key, value) in rest.as_object().unwrap() {
        tree["spec"][key] = value.clone();
    }
    tree
}

/// A request for devices of the class `gpu`.
fn exactly(name: &str, rest: Value) -> Value {
    let mut exactly = json!({"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 1});
    for (key, value) in rest.as_object().unwrap() {
        exactly[key] = value.clone();
    }
    json!({"name": name, "exactly": exactly})
}

fn some(count: i64) -> Value {
    json!([exactly("r", json!({"count": count}))])
}

fn named(names: &[&str]) -> Value {
    names.iter().map(|name| json!({"name": name})).collect()
}

/// A pod with these claims.
fn uses(name: &str, claims: &[&str]) -> PodStory {
    let claims: Value = claims.iter().map(|name| json!({"name": name, "resourceClaimName": name})).collect();
    pod(name).set("resourceClaims", claims)
}

/// The claim as it is once it has these devices.
fn allocated(mut tree: Value, result: &AllocationResult) -> Value {
    tree["status"]["allocation"] = serde_json::to_value(result).unwrap();
    tree
}
