//! NodeDeclaredFeatures: a pod that needs a feature goes where a node declares it.
//!
//! Source: `pkg/scheduler/framework/plugins/nodedeclaredfeatures/nodedeclaredfeatures.go`, and
//! `k8s.io/component-helpers/nodedeclaredfeatures/features`, of whose features those that only the change of a
//! running pod needs say nothing here (1.36).

use k8s_openapi::api::core::v1::PodSpec;

use crate::sched::{
    ClassKey, Classed, ClusterEvent, Cycle, EventKinds, Filter, NodeIndex, Plugin, PodInfo, PreFilter,
    PreFiltered, Snapshot, Verdict,
};

/// Filters by the features that nodes declare.
#[derive(Clone, Copy, Debug, Default)]
pub struct NodeDeclaredFeatures;

/// A feature that a pod may need of its node.
struct Feature {
    name: &'static str,
    is_needed: fn(&PodSpec) -> bool,
}

const FEATURES: [Feature; 2] = [
    Feature { name: "RestartAllContainersOnContainerExits", is_needed: restarts_all_containers },
    Feature { name: "UserNamespacesHostNetworkSupport", is_needed: maps_users_on_the_hosts_network },
];

fn restarts_all_containers(spec: &PodSpec) -> bool {
    let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let mut rules = containers.flat_map(|container| container.restart_policy_rules.iter().flatten());
    rules.any(|rule| rule.action == "RestartAllContainers")
}

fn maps_users_on_the_hosts_network(spec: &PodSpec) -> bool {
    spec.host_network == Some(true) && spec.host_users == Some(false)
}

/// The features that a pod needs, by name.
fn needed(pod: &PodInfo) -> impl Iterator<Item = &'static str> {
    let needs = |spec: &PodSpec, feature: &Feature| (feature.is_needed)(spec);
    FEATURES
        .iter()
        .filter(move |feature| pod.spec().is_some_and(|spec| needs(spec, feature)))
        .map(|feature| feature.name)
}

impl Plugin for NodeDeclaredFeatures {
    fn name(&self) -> &'static str {
        "NodeDeclaredFeatures"
    }

    fn wakes_on(&self) -> EventKinds {
        EventKinds::NODE_ADDED
            | EventKinds::NODE_DECLARED_FEATURES
            | EventKinds::POD_SCALED_DOWN
            | EventKinds::POD_OTHERWISE
    }

    fn helps(&self, event: &ClusterEvent<'_>, _: &PodInfo, _: &Snapshot) -> bool {
        match event {
            ClusterEvent::NodeAdded(_) => true,
            ClusterEvent::NodeUpdated { what, .. } => what.declared_features,
            ClusterEvent::Changed { old, new } => !needed(old).eq(needed(new)),
            _ => false,
        }
    }

    fn as_classed(&self) -> Option<&dyn Classed> {
        Some(self)
    }

    fn as_pre_filter(&self) -> Option<&dyn PreFilter> {
        Some(self)
    }

    fn as_filter(&self) -> Option<&dyn Filter> {
        Some(self)
    }
}

impl PreFilter for NodeDeclaredFeatures {
    fn pre_filter(&self, cycle: &mut Cycle<'_>) -> PreFiltered {
        if needed(cycle.pod).next().is_none() { PreFiltered::Skip } else { PreFiltered::Run }
    }
}

impl Filter for NodeDeclaredFeatures {
    fn filter(&self, cycle: &Cycle<'_>, node: NodeIndex) -> Verdict {
        let status = cycle.snapshot.node(node).status.as_ref();
        let declared = status.and_then(|status| status.declared_features.as_deref()).unwrap_or_default();
        let fits = needed(cycle.pod).all(|feature| declared.iter().any(|own| own == feature));
        Verdict::fits_or(fits, || Verdict::unresolvable("node(s) didn't match Pod's required features"))
    }
}

impl Classed for NodeDeclaredFeatures {
    fn key(&self, pod: &PodInfo, _: &Snapshot, key: &mut ClassKey) -> bool {
        key.number(needed(pod).count() as i64);
        needed(pod).for_each(|feature| key.text(feature));
        true
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::sched::testing::{PodStory, node, pod};

    const RESTARTS: &str = "RestartAllContainersOnContainerExits";
    const USERS: &str = "UserNamespacesHostNetworkSupport";

    fn restarts(story: PodStory, containers: &str, action: &str) -> PodStory {
        let rule = json!({"action": action, "exitCodes": {"operator": "In", "values": [1]}});
        story.set(containers, json!([{"name": "c", "restartPolicyRules": [rule]}]))
    }

    fn shares(story: PodStory, network: bool, users: Value) -> PodStory {
        story.set("hostNetwork", network.into()).set("hostUsers", users)
    }

    #[test]
    fn a_pod_goes_where_its_features_are_declared() {
        let mut snapshot = Snapshot::new();
        snapshot.set_node(node("a").make());
        for (name, features) in
            [("b", vec!["Other", RESTARTS]), ("c", vec![USERS]), ("d", vec![RESTARTS, USERS])]
        {
            snapshot.set_node(node(name).status("declaredFeatures", json!(features)).make());
        }
        for (story, expected) in [
            (pod("p"), None),
            (restarts(pod("p"), "containers", "Restart"), None),
            (restarts(pod("p"), "containers", "RestartAllContainers"), Some("bd")),
            (restarts(pod("p"), "initContainers", "RestartAllContainers"), Some("bd")),
            (shares(pod("p"), true, json!(false)), Some("cd")),
            (shares(pod("p"), true, json!(true)), None),
            (shares(pod("p"), true, json!(null)), None),
            (shares(pod("p"), false, json!(false)), None),
            (shares(restarts(pod("p"), "containers", "RestartAllContainers"), true, json!(false)), Some("d")),
        ] {
            let info = snapshot.read(story.make());
            let mut cycle = Cycle::new(&info, &snapshot);
            let asked = NodeDeclaredFeatures.pre_filter(&mut cycle) == PreFiltered::Run;
            assert_eq!(asked, expected.is_some(), "{:?}", info.pod.spec);
            let fits = |node: &&NodeIndex| NodeDeclaredFeatures.filter(&cycle, **node).fits();
            let fitting: String =
                snapshot.nodes().iter().filter(fits).map(|node| &**snapshot.name(*node)).collect();
            assert_eq!(fitting, expected.unwrap_or("abcd"));
        }
    }

    #[test]
    fn what_a_node_declares_and_what_a_pod_needs_helps() {
        let mut snapshot = Snapshot::new();
        let info = |snapshot: &mut Snapshot, story: PodStory| snapshot.read(story.make());
        let needy = info(&mut snapshot, restarts(pod("p"), "containers", "RestartAllContainers"));
        let plain = info(&mut snapshot, pod("p"));
        let (old, new) = (node("n").make(), node("n").status("declaredFeatures", json!([RESTARTS])).make());
        let labelled = node("n").label("a", "b").make();
        let changed = |old, new| {
            let what = crate::sched::NodeChange::between(old, new);
            NodeDeclaredFeatures.helps(&ClusterEvent::NodeUpdated { old, new, what }, &needy, &snapshot)
        };
        assert!(changed(&old, &new) && !changed(&old, &labelled));
        assert!(NodeDeclaredFeatures.helps(&ClusterEvent::NodeAdded(&new), &needy, &snapshot));
        let event = ClusterEvent::Changed { old: &needy, new: &plain };
        assert!(NodeDeclaredFeatures.helps(&event, &plain, &snapshot));
        let event = ClusterEvent::Changed { old: &needy, new: &needy };
        assert!(!NodeDeclaredFeatures.helps(&event, &needy, &snapshot));
        assert!(!NodeDeclaredFeatures.helps(&ClusterEvent::PodRemoved(&needy), &needy, &snapshot));
    }
}
