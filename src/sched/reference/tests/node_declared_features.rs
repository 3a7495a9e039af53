use serde_json::json;

use super::story::{fits, node, pod, said, world};
use crate::sched::reference::Plugin::NodeDeclaredFeatures;

#[test]
fn a_pod_goes_where_its_features_are() {
    const RESTART: &str = "RestartAllContainersOnContainerExits";
    const USERS: &str = "UserNamespacesHostNetworkSupport";
    let restarts = |list: &str| {
        let rule = json!({"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [1]}});
        pod("p").with(list, json!({"name": "c", "restartPolicyRules": [rule]}))
    };
    let only_restarts_itself = json!({"name": "c", "restartPolicyRules": [{"action": "Restart"}]});
    let shares = |network: bool, users: serde_json::Value| {
        pod("p").set("spec.hostNetwork", network).set("spec.hostUsers", users)
    };
    for (incoming, expected) in [
        (pod("p"), "skip"),
        (pod("p").with("containers", only_restarts_itself), "skip"),
        (restarts("containers"), "x+x+"),
        (restarts("initContainers"), "x+x+"),
        (shares(true, json!(false)), "xx++"),
        (shares(true, json!(true)), "skip"),
        (shares(true, json!(null)), "skip"),
        (shares(false, json!(false)), "skip"),
        (restarts("containers").set("spec.hostNetwork", true).set("spec.hostUsers", false), "xxx+"),
    ] {
        let declares = |name: &str, features: &[&str]| node(name).set("status.declaredFeatures", features);
        let world = world(
            [
                node("a"),
                declares("b", &["Other", RESTART]),
                declares("c", &[USERS]),
                declares("d", &[RESTART, USERS]),
            ],
            [],
        );
        assert_eq!(fits(NodeDeclaredFeatures, &world, &incoming), expected, "{}", incoming.0);
    }
    let reason = "never: node(s) didn't match Pod's required features";
    assert_eq!(said(NodeDeclaredFeatures, &world([node("a")], []), &restarts("containers")), [reason]);
}
