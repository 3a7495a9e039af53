//! The kinds beyond pods.

use k8s_openapi::api::{
    apps::v1::Deployment, apps::v1::ReplicaSet, coordination::v1::Lease, core::v1::ConfigMap,
    core::v1::Event, core::v1::Node, core::v1::Secret, core::v1::Service, discovery::v1::EndpointSlice,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::json;

use super::*;

fn deployment() -> Value {
    json!({"metadata": {"name": "web", "namespace": "default"}, "spec": {
        "selector": {"matchLabels": {"app": "web"}}, "strategy": {},
        "template": {"metadata": {"labels": {"app": "web"}},
                     "spec": {"containers": [{"name": "c", "image": "nginx"}]}}}})
}

fn service() -> Value {
    json!({"metadata": {"name": "web", "namespace": "default"},
           "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}})
}

#[test]
fn deployments_and_replica_sets() {
    each::<Deployment>(
        deployment,
        &[
            (
                "/spec/replicas",
                json!(-1),
                "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                "/spec/selector",
                json!({}),
                "spec.selector: Invalid value: {}: empty selector is invalid for deployment",
            ),
            (
                "/spec/selector",
                json!({"matchLabels": {"app": "db"}}),
                "spec.template.metadata.labels: Invalid value: {\"app\":\"web\"}: `selector` does not match \
                 template `labels`",
            ),
            (
                "/spec/template/spec/restartPolicy",
                json!("Never"),
                "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
            ),
            (
                "/spec/template/spec/containers/0/image",
                json!(null),
                "spec.template.spec.containers[0].image: Required value",
            ),
            (
                "/spec/strategy",
                json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}),
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0",
            ),
            (
                "/spec/strategy",
                json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "101%"}}),
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%",
            ),
            (
                "/spec/strategy",
                json!({"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}),
                "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
            ),
            (
                "/spec/minReadySeconds",
                json!(600),
                "spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds",
            ),
        ],
    );
    assert_eq!(
        created::<Deployment>(with(deployment(), "/spec/selector", json!(null)))[0],
        "spec.selector: Required value"
    );
    let mut other = with(deployment(), "/spec/selector/matchLabels", json!({"app": "db"}));
    other["spec"]["template"]["metadata"]["labels"] = json!({"app": "db"});
    assert_eq!(
        changed::<Deployment>(deployment(), other),
        ["spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"db\"}}: field is immutable"]
    );
    let set = with(deployment(), "/spec/strategy", json!(null));
    assert_eq!(created::<ReplicaSet>(set.clone()), Vec::<String>::new());
    let mut status = ready(&row::<ReplicaSet>(), set.clone());
    status["status"] = json!({"replicas": 1, "readyReplicas": 2});
    assert_eq!(
        said(Options::default().update_status_tree(&row::<ReplicaSet>(), &status, &set)),
        ["status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas"]
    );
}

#[test]
fn services() {
    each::<Service>(
        service,
        &[
            ("/spec/ports", json!([]), "spec.ports: Required value"),
            (
                "/spec/ports",
                json!([{"port": 80, "name": "a"}, {"port": 81}]),
                "spec.ports[1].name: Required value",
            ),
            (
                "/spec/ports",
                json!([{"port": 80, "name": "a"}, {"port": 80, "name": "b"}]),
                "spec.ports[1]: Duplicate value: {\"port\":80,\"protocol\":\"TCP\",\"targetPort\":0}",
            ),
            (
                "/spec/type",
                json!("Cloud"),
                "spec.type: Unsupported value: \"Cloud\": supported values: \"ClusterIP\", \"ExternalName\", \
                 \"LoadBalancer\", \"NodePort\"",
            ),
            (
                "/spec/ports/0/nodePort",
                json!(30000),
                "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
            ),
            ("/metadata/name", json!("a.b"), "metadata.name: Invalid value: \"a.b\": must not contain dots"),
        ],
    );
    let with_port = |port: Value| with(service(), "/spec/ports/0", json!({"port": port, "targetPort": 80}));
    assert_eq!(
        created::<Service>(with_port(json!(70000))),
        ["spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive"]
    );
    let at = |address: &str| {
        let mut tree = with(service(), "/spec/clusterIP", json!(address));
        tree["spec"]["clusterIPs"] = json!([address]);
        tree
    };
    assert_eq!(
        changed::<Service>(at("10.0.0.1"), at("10.0.0.2")),
        ["spec.clusterIPs[0]: Invalid value: [\"10.0.0.2\"]: may not change once set"]
    );
    assert_eq!(
        created::<Service>(at("10.0.0.256")),
        ["spec.clusterIPs[0]: Invalid value: \"10.0.0.256\": must be a valid IP address, (e.g. 10.9.8.7 or \
          2001:db8::ffff)"]
    );
    assert_eq!(created::<Service>(at("None")), Vec::<String>::new());
}

#[test]
fn config_maps_and_secrets() {
    let map = || json!({"metadata": {"name": "a", "namespace": "default"}, "data": {"a": "b"}});
    each::<ConfigMap>(
        map,
        &[
            (
                "/data",
                json!({"a/b": ""}),
                "data[a/b]: Invalid value: \"a/b\": a valid config key must consist of alphanumeric characters, \
                 '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is \
                 '[-._a-zA-Z0-9]+')",
            ),
            (
                "/binaryData",
                json!({"a": "aGk="}),
                "data[a]: Invalid value: \"a\": duplicate of key present in binaryData",
            ),
            (
                "/data",
                json!({"a": "x".repeat((1 << 20) + 1)}),
                "[]: Too long: may not be more than 1048576 bytes",
            ),
        ],
    );
    let frozen = || with(map(), "/immutable", json!(true));
    assert_eq!(
        changed::<ConfigMap>(frozen(), with(frozen(), "/data", json!({"a": "c"}))),
        ["data: Forbidden: field is immutable when `immutable` is set"]
    );
    assert_eq!(
        changed::<ConfigMap>(frozen(), map()),
        ["immutable: Forbidden: field is immutable when `immutable` is set"]
    );
    let secret = |kind: &str| json!({"metadata": {"name": "a", "namespace": "default"}, "type": kind, "data": {"tls.crt": "aGk="}});
    assert_eq!(created::<Secret>(secret("kubernetes.io/tls")), ["data[tls.key]: Required value"]);
    assert_eq!(
        changed::<Secret>(secret("Opaque"), secret("x.io/y")),
        ["type: Invalid value: \"x.io/y\": field is immutable"]
    );
}

#[test]
fn endpoints_refuse_loopback_unless_told_otherwise() {
    let slice = |address: &str| {
        json!({"metadata": {"name": "a", "namespace": "default"}, "addressType": "IPv4",
               "ports": [{"name": "", "port": 80, "protocol": "TCP"}], "endpoints": [{"addresses": [address]}]})
    };
    let refused = "endpoints[0].addresses[0]: Invalid value: \"127.1.2.3\": may not be in the loopback range \
        (127.0.0.0/8, ::1/128)";
    assert_eq!(created::<EndpointSlice>(slice("127.1.2.3")), [refused]);
    let row = row::<EndpointSlice>();
    let open = Options { loopback_endpoints: true };
    assert_eq!(said(open.create_tree(&row, &slice("127.1.2.3"))), Vec::<String>::new());
    // Every other rule stands.
    assert_eq!(
        said(open.create_tree(&row, &slice("169.254.0.1"))),
        ["endpoints[0].addresses[0]: Invalid value: \"169.254.0.1\": may not be in the link-local range \
          (169.254.0.0/16, fe80::/10)"]
    );
    assert_eq!(
        created::<EndpointSlice>(slice("::2")),
        ["endpoints[0].addresses: Invalid value: \"::2\": must be an IPv4 address"]
    );
}

#[test]
fn the_other_kinds() {
    let lease = |seconds: i64| json!({"metadata": {"name": "a", "namespace": "default"}, "spec": {"leaseDurationSeconds": seconds}});
    assert_eq!(created::<Lease>(lease(1)), Vec::<String>::new());
    assert_eq!(
        created::<Lease>(lease(0)),
        ["spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"]
    );
    let taint = |effect: &str| json!({"key": "a", "effect": effect});
    let node = |taints: Value| json!({"metadata": {"name": "n"}, "spec": {"taints": taints}});
    assert_eq!(
        created::<Node>(node(json!([taint("Never")]))),
        ["metadata.taints[0].effect: Unsupported value: \"Never\": supported values: \"NoSchedule\", \
          \"PreferNoSchedule\", \"NoExecute\""]
    );
    assert_eq!(
        created::<Node>(node(json!([taint("NoSchedule"), taint("NoSchedule")])))[0],
        "metadata.taints[1]: Duplicate value: {\"effect\":\"NoSchedule\",\"key\":\"a\"}: taints must be unique by \
         key and effect pair"
    );
    let mut placed = node(json!([]));
    placed["spec"]["podCIDRs"] = json!(["10.0.0.0/24"]);
    let moved = with(placed.clone(), "/spec/podCIDRs", json!(["10.0.1.0/24"]));
    assert_eq!(
        changed::<Node>(placed, moved),
        ["spec.podCIDRs: Forbidden: node updates may not change podCIDR except from \"\" to valid"]
    );
    let event = json!({"metadata": {"name": "e", "namespace": "a"}, "involvedObject": {"namespace": "b"}});
    assert_eq!(
        created::<Event>(event),
        ["involvedObject.namespace: Invalid value: \"b\": does not match event.namespace"]
    );
}

#[test]
fn definitions_of_custom_resources() {
    let definition = || {
        json!({"metadata": {"name": "widgets.example.com"}, "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                          "schema": {"openAPIV3Schema": {"type": "object"}}}]}})
    };
    each::<CustomResourceDefinition>(
        definition,
        &[
            (
                "/metadata/name",
                json!("gadgets.example.com"),
                "metadata.name: Invalid value: \"gadgets.example.com\": must be spec.names.plural+\".\"+spec.group",
            ),
            (
                "/spec/scope",
                json!("World"),
                "spec.scope: Unsupported value: \"World\": supported values: \"Cluster\", \"Namespaced\"",
            ),
            (
                "/spec/versions/0/schema",
                json!(null),
                "spec.versions[0].schema.openAPIV3Schema: Required value",
            ),
            (
                "/spec/names/listKind",
                json!("Widget"),
                "spec.names.listKind: Invalid value: \"Widget\": kind and listKind may not be the same",
            ),
        ],
    );
}

proptest::proptest! {
    /// Whatever decodes can be judged: bad input is an answer, never a panic.
    #[test]
    fn nothing_that_decodes_makes_validation_panic(
        kind in proptest::sample::select(vec!["Pod", "Service", "Node", "ConfigMap", "Secret", "Event"]),
        spec in proptest::sample::select(vec![json!({}), json!({"ports": [{}]}), json!({"containers": [{}]}),
            json!({"taints": [{}], "podCIDRs": [""]}), json!({"clusterIPs": [""], "clusterIP": "x"})]),
        name in "[a-zA-Z.é-]{0,4}",
    ) {
        let gvk = kube_core::GroupVersionKind::gvk("", "v1", kind);
        let scheme = Scheme::builtin();
        let row = scheme.kind(&gvk).unwrap();
        let tree = json!({"metadata": {"generateName": name, "namespace": name}, "spec": spec});
        if let Ok(decoded) = schema::prune(row, tree) {
            let errors = Options::default().create_tree(row, &decoded.tree);
            proptest::prop_assert!(!errors.is_empty());
            drop(Options::default().update_tree(row, &decoded.tree, &json!({})));
        }
    }
}
