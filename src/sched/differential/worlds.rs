//! Worlds and pods, drawn from a seed.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::env::{Random, Stream};
use crate::sched::reference::World;

const HOSTNAME: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";
const APPS: [&str; 3] = ["a", "b", "c"];
const KEYS: [&str; 4] = [ZONE, HOSTNAME, "disk", "absent"];

/// Draws all that a world is made of.
pub(super) struct Worlds {
    draw: Stream,
}

pub(super) fn read<T: DeserializeOwned>(tree: &Value) -> T {
    serde_json::from_value(tree.clone()).unwrap_or_else(|error| panic!("{error}: {tree}"))
}

impl Worlds {
    pub(super) fn seeded(seed: u64) -> Self {
        Self { draw: Random::seeded(seed).stream("worlds") }
    }

    pub(super) fn below(&self, bound: u64) -> u64 {
        self.draw.below(bound)
    }

    pub(super) fn one_in(&self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    fn one<'a>(&self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len() as u64) as usize]
    }

    fn some<T>(&self, most: u64, draw: impl Fn() -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| draw()).collect()
    }

    pub(super) fn world(&self) -> World {
        let nodes = 1 + self.below(9) as usize;
        let namespace =
            |name: &str| json!({"metadata": {"name": name, "labels": {"team": self.one(&["x", "y"])}}});
        World {
            nodes: (0..nodes).map(|number| self.node(number)).collect(),
            pods: (0..self.below(24)).map(|number| Arc::new(read(&self.placed(number, nodes)))).collect(),
            namespaces: ["ns", "other"].iter().map(|name| Arc::new(read(&namespace(name)))).collect(),
            services: self.some(1, || {
                let selector = json!({"app": self.one(&APPS)});
                let meta = json!({"name": "web", "namespace": self.namespace()});
                Arc::new(read(&json!({"metadata": meta, "spec": {"selector": selector}})))
            }),
            replica_sets: self.some(1, || {
                let meta = json!({"name": "set", "namespace": "ns"});
                let spec = json!({"selector": self.selector(), "template": {}});
                Arc::new(read(&json!({"metadata": meta, "spec": spec})))
            }),
            ..World::default()
        }
    }

    fn namespace(&self) -> &'static str {
        if self.one_in(5) { "other" } else { "ns" }
    }

    pub(super) fn node(&self, number: usize) -> Arc<Node> {
        let mut labels = json!({});
        if !self.one_in(6) {
            // Two nodes may call themselves the same.
            labels[HOSTNAME] = format!("host-{}", if self.one_in(12) { 0 } else { number }).into();
        }
        if !self.one_in(6) {
            labels[ZONE] = format!("z{}", self.below(3)).into();
        }
        if self.one_in(2) {
            labels["disk"] = self.one(&["ssd", "hdd", "7"]).into();
        }
        let taint = || {
            let effect = self.one(&["NoSchedule", "PreferNoSchedule", "PreferNoSchedule", "NoExecute"]);
            json!({"key": self.one(&["t", "u"]), "value": self.one(&["1", "2"]), "effect": effect})
        };
        let taints = if self.one_in(3) { self.some(2, taint) } else { Vec::new() };
        let mut gives = json!({"pods": self.one(&["1", "4", "110", "110"])});
        if !self.one_in(12) {
            gives["cpu"] = self.one(&["1", "2", "4", "7500m"]).into();
        }
        if !self.one_in(12) {
            gives["memory"] = self.one(&["1Gi", "4Gi", "5000M", "32Gi"]).into();
        }
        if self.one_in(3) {
            gives["example.com/gpu"] = self.one(&["0", "1", "4"]).into();
        }
        if self.one_in(4) {
            gives["ephemeral-storage"] = "10Gi".into();
        }
        let spec = json!({"taints": taints, "unschedulable": self.one_in(10)});
        let meta = json!({"name": format!("n{number}"), "uid": format!("n{number}"), "labels": labels});
        Arc::new(read(&json!({"metadata": meta, "spec": spec, "status": {"allocatable": gives}})))
    }

    /// A pod on some node.
    fn placed(&self, number: u64, nodes: usize) -> Value {
        let mut pod = self.pod();
        pod["metadata"]["name"] = format!("placed-{number}").into();
        pod["metadata"]["uid"] = format!("placed-{number}").into();
        pod["spec"]["nodeName"] = format!("n{}", self.below(nodes as u64 + 1)).into();
        if self.one_in(10) {
            pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        }
        if self.one_in(12) {
            pod["status"]["phase"] = self.one(&["Succeeded", "Failed", "Running"]).into();
        }
        pod
    }

    /// A pod that has no node.
    pub(super) fn incoming(&self) -> Value {
        let mut pod = self.pod();
        if self.one_in(4) {
            pod["spec"]["nodeSelector"] = json!({"disk": self.one(&["ssd", "hdd"])});
        }
        if self.one_in(2) {
            pod["spec"]["tolerations"] = self.some(2, || self.toleration()).into();
        }
        if self.one_in(3) {
            pod["spec"]["affinity"]["nodeAffinity"] = self.node_affinity();
        }
        if self.one_in(3) {
            pod["spec"]["topologySpreadConstraints"] = self.some(2, || self.constraint()).into();
        }
        if self.one_in(10) {
            pod["spec"]["nodeName"] = Value::Null;
            pod["metadata"]["ownerReferences"] = json!([
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "set", "uid": "set", "controller": true}]);
        }
        pod
    }

    fn toleration(&self) -> Value {
        let mut toleration = json!({});
        if !self.one_in(5) {
            toleration["key"] = self.one(&["t", "u"]).into();
        }
        if self.one_in(2) || toleration["key"].is_null() {
            toleration["operator"] = "Exists".into();
        } else {
            toleration["value"] = self.one(&["1", "2"]).into();
        }
        if self.one_in(2) {
            toleration["effect"] = self.one(&["NoSchedule", "PreferNoSchedule", "NoExecute"]).into();
        }
        toleration
    }

    fn pod(&self) -> Value {
        let mut pod = json!({"metadata": {"namespace": self.namespace()}, "spec": {}, "status": {}});
        if !self.one_in(5) {
            pod["metadata"]["labels"] = json!({"app": self.one(&APPS), "tier": self.one(&["1", "2"])});
        }
        let container = |name: String| {
            let mut container = json!({"name": name, "resources": {"requests": self.requests()}});
            if self.one_in(8) {
                let port = self.one(&["80", "443"]).parse::<u16>().expect("a port");
                let mut port = json!({"containerPort": port, "hostPort": port});
                if self.one_in(3) {
                    port["hostIP"] = self.one(&["10.0.0.1", "0.0.0.0"]).into();
                }
                if self.one_in(3) {
                    port["protocol"] = "UDP".into();
                }
                container["ports"] = json!([port]);
            }
            container
        };
        let count = 1 + self.below(2);
        pod["spec"]["containers"] = (0..count).map(|number| container(format!("c{number}"))).collect();
        if self.one_in(6) {
            let mut init = container("i".into());
            if self.one_in(2) {
                init["restartPolicy"] = "Always".into();
            }
            pod["spec"]["initContainers"] = json!([init]);
        }
        if self.one_in(8) {
            pod["spec"]["overhead"] = json!({"cpu": "50m", "memory": "64Mi"});
        }
        if self.one_in(3) {
            pod["spec"]["affinity"] = self.pod_affinity();
        }
        pod
    }

    fn requests(&self) -> Value {
        let mut requests = json!({});
        if !self.one_in(4) {
            requests["cpu"] = self.one(&["100m", "250m", "1", "1500m", "0"]).into();
        }
        if !self.one_in(4) {
            requests["memory"] = self.one(&["128Mi", "500M", "1Gi", "0"]).into();
        }
        if self.one_in(8) {
            requests["example.com/gpu"] = self.one(&["1", "2", "0"]).into();
        }
        if self.one_in(8) {
            requests["ephemeral-storage"] = "1Gi".into();
        }
        requests
    }

    fn node_affinity(&self) -> Value {
        let mut affinity = json!({});
        if self.one_in(2) {
            let mut term = json!({"matchExpressions": self.some(2, || self.requirement())});
            if self.one_in(4) {
                let operator = self.one(&["In", "In", "NotIn"]);
                let name = format!("n{}", self.below(4));
                let named =
                    |name: String| json!({"key": "metadata.name", "operator": operator, "values": [name]});
                term["matchFields"] = json!([named(name)]);
                if self.one_in(4) {
                    term["matchFields"] = json!([named("n0".into()), named("n1".into())]);
                }
            }
            let terms = if self.one_in(3) {
                json!([term, {"matchExpressions": [self.requirement()]}])
            } else {
                json!([term])
            };
            affinity["requiredDuringSchedulingIgnoredDuringExecution"] = json!({"nodeSelectorTerms": terms});
        }
        let preferred = || {
            let weight = 1 + self.below(100);
            json!({"weight": weight, "preference": {"matchExpressions": self.some(2, || self.requirement())}})
        };
        affinity["preferredDuringSchedulingIgnoredDuringExecution"] = self.some(2, preferred).into();
        affinity
    }

    fn requirement(&self) -> Value {
        let key = self.one(&["disk", ZONE, "absent"]);
        match self.below(5) {
            0 => json!({"key": key, "operator": "Exists"}),
            1 => json!({"key": key, "operator": "DoesNotExist"}),
            2 => json!({"key": "disk", "operator": self.one(&["Gt", "Lt"]), "values": ["6"]}),
            3 => json!({"key": key, "operator": "NotIn", "values": ["ssd", "z0"]}),
            _ => json!({"key": key, "operator": "In", "values": ["ssd", "z0", "z1"]}),
        }
    }

    fn selector(&self) -> Value {
        match self.below(6) {
            0 => json!({}),
            1 => {
                json!({"matchExpressions": [{"key": "tier", "operator": self.one(&["In", "NotIn"]), "values": ["1"]}]})
            }
            2 => {
                json!({"matchExpressions": [{"key": "app", "operator": self.one(&["Exists", "DoesNotExist"])}]})
            }
            _ => json!({"matchLabels": {"app": self.one(&APPS)}}),
        }
    }

    fn term(&self) -> Value {
        let mut term = json!({"topologyKey": self.one(&KEYS)});
        if !self.one_in(10) {
            term["labelSelector"] = self.selector();
        }
        if self.one_in(4) {
            term["namespaces"] = json!([self.one(&["ns", "other"])]);
        }
        if self.one_in(4) {
            term["namespaceSelector"] = match self.below(3) {
                0 => json!({}),
                1 => json!({"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}),
                _ => json!({"matchLabels": {"team": self.one(&["x", "y"])}}),
            };
        }
        term
    }

    fn pod_affinity(&self) -> Value {
        let weighted = || json!({"weight": 1 + self.below(100), "podAffinityTerm": self.term()});
        let side = || {
            let mut side = json!({});
            if self.one_in(3) {
                side["requiredDuringSchedulingIgnoredDuringExecution"] = self.some(2, || self.term()).into();
            }
            if self.one_in(2) {
                side["preferredDuringSchedulingIgnoredDuringExecution"] = self.some(2, weighted).into();
            }
            side
        };
        let mut affinity = json!({});
        if self.one_in(2) {
            affinity["podAffinity"] = side();
        }
        if self.one_in(2) {
            affinity["podAntiAffinity"] = side();
        }
        affinity
    }

    fn constraint(&self) -> Value {
        let mut constraint = json!({
            "maxSkew": 1 + self.below(3),
            "topologyKey": self.one(&KEYS),
            "whenUnsatisfiable": self.one(&["DoNotSchedule", "ScheduleAnyway"]),
        });
        if !self.one_in(8) {
            constraint["labelSelector"] = self.selector();
        }
        if self.one_in(4) && constraint["whenUnsatisfiable"] == "DoNotSchedule" {
            constraint["minDomains"] = (1 + self.below(4)).into();
        }
        if self.one_in(4) {
            constraint["nodeAffinityPolicy"] = self.one(&["Honor", "Ignore"]).into();
        }
        if self.one_in(4) {
            constraint["nodeTaintsPolicy"] = self.one(&["Honor", "Ignore"]).into();
        }
        if self.one_in(4) {
            constraint["matchLabelKeys"] = json!([self.one(&["tier", "absent"])]);
        }
        constraint
    }
}
