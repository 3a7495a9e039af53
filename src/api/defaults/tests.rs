use serde_json::{Value, json};

use super::*;
use crate::api::Scheme;

fn defaulted(api_version: &str, kind: &str, mut tree: Value) -> Value {
    let scheme = Scheme::builtin();
    let row = scheme.api_kind(api_version, kind).unwrap();
    apply(row, &mut tree).unwrap();
    let once = tree.clone();
    apply(row, &mut tree).unwrap();
    assert_eq!(once, tree, "defaults run twice");
    tree
}

#[test]
fn a_pod() {
    let pod = defaulted(
        "v1",
        "Pod",
        json!({"spec": {"containers": [{
            "name": "a", "image": "nginx", "ports": [{"containerPort": 80}],
            "resources": {"limits": {"cpu": 1, "memory": "1.5Gi"}, "requests": {"cpu": "0.1"}},
            "livenessProbe": {"httpGet": {"port": 80}},
            "env": [{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        }], "volumes": [{"name": "v"}, {"name": "s", "secret": {"secretName": "s"}}]}}),
    );
    assert_eq!(
        pod["spec"],
        json!({
            "containers": [{
                "name": "a", "image": "nginx", "imagePullPolicy": "Always",
                "ports": [{"containerPort": 80, "protocol": "TCP"}],
                "resources": {"limits": {"cpu": "1", "memory": "1536Mi"}, "requests": {"cpu": "100m", "memory": "1536Mi"}},
                "livenessProbe": {
                    "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
                    "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3,
                },
                "env": [{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name", "apiVersion": "v1"}}}],
                "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
            }],
            "volumes": [{"name": "v", "emptyDir": {}}, {"name": "s", "secret": {"secretName": "s", "defaultMode": 420}}],
            "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "securityContext": {},
            "terminationGracePeriodSeconds": 30, "schedulerName": "default-scheduler", "enableServiceLinks": true,
        })
    );
}

#[test]
fn images_are_pulled_always_when_their_tag_is_latest() {
    for (image, policy) in [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("host:5000/nginx", "Always"),
        ("nginx:1", "IfNotPresent"),
        ("host:5000/nginx:1", "IfNotPresent"),
        ("nginx@sha256:00", "IfNotPresent"),
        ("nginx:latest@sha256:00", "Always"),
    ] {
        let pod = defaulted("v1", "Pod", json!({"spec": {"containers": [{"name": "a", "image": image}]}}));
        assert_eq!(pod["spec"]["containers"][0]["imagePullPolicy"], policy, "{image}");
    }
}

#[test]
fn a_pod_that_limits_itself_asks_for_what_its_containers_do() {
    let containers = json!([{"name": "a", "resources": {"requests": {"cpu": "250m"}}}]);
    let own = json!({"limits": {"cpu": "1", "memory": "1Gi"}});
    let pod = defaulted("v1", "Pod", json!({"spec": {"containers": containers, "resources": own}}));
    assert_eq!(pod["spec"]["resources"]["requests"], json!({"cpu": "250m", "memory": "1Gi"}));
}

#[test]
fn a_deployment_and_its_template() {
    let tree = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "a", "image": "x:1", "resources": {"limits": {"cpu": "1"}}}]}}}});
    let spec = &defaulted("apps/v1", "Deployment", tree)["spec"];
    assert_eq!(spec["replicas"], 1);
    assert_eq!(
        spec["strategy"],
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}})
    );
    assert_eq!((&spec["revisionHistoryLimit"], &spec["progressDeadlineSeconds"]), (&json!(10), &json!(600)));
    let template = &spec["template"]["spec"];
    assert_eq!(template["restartPolicy"], "Always");
    // What only a Pod gets.
    assert!(template.get("enableServiceLinks").is_none());
    assert!(template["containers"][0]["resources"].get("requests").is_none());
    let recreate = json!({"spec": {"strategy": {"type": "Recreate"}, "replicas": 0}});
    let spec = &defaulted("apps/v1", "Deployment", recreate)["spec"];
    assert_eq!((&spec["strategy"], &spec["replicas"]), (&json!({"type": "Recreate"}), &json!(0)));
}

#[test]
fn a_service() {
    let service = defaulted(
        "v1",
        "Service",
        json!({"spec": {"ports": [{"port": 80}, {"port": 1, "targetPort": "x"}]}}),
    );
    assert_eq!(
        service["spec"],
        json!({
            "ports": [{"port": 80, "targetPort": 80, "protocol": "TCP"}, {"port": 1, "targetPort": "x", "protocol": "TCP"}],
            "sessionAffinity": "None", "type": "ClusterIP", "internalTrafficPolicy": "Cluster",
        })
    );
    let spec = &defaulted(
        "v1",
        "Service",
        json!({"spec": {"type": "NodePort", "sessionAffinity": "ClientIP"}}),
    )["spec"];
    assert_eq!(spec["externalTrafficPolicy"], "Cluster");
    assert_eq!(spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"], 10_800);
    let spec = &defaulted("v1", "Service", json!({"spec": {"type": "ExternalName"}}))["spec"];
    assert!(spec.get("internalTrafficPolicy").is_none());
}

#[test]
fn a_secret_keeps_no_plain_text() {
    let secret =
        defaulted("v1", "Secret", json!({"stringData": {"a": "b"}, "data": {"a": "eA==", "c": "eA=="}}));
    assert_eq!(secret, json!({"type": "Opaque", "data": {"a": "Yg==", "c": "eA=="}}));
}

#[test]
fn a_namespace_gets_its_finalizer_back_only_while_it_lives() {
    let namespace = defaulted("v1", "Namespace", json!({"metadata": {"name": "a"}}));
    assert_eq!(namespace["spec"]["finalizers"], json!(["kubernetes"]));
    assert_eq!(namespace["metadata"]["labels"]["kubernetes.io/metadata.name"], "a");
    assert_eq!(namespace["status"]["phase"], "Active");
    let dying = json!({"metadata": {"name": "a", "deletionTimestamp": "2020-01-01T00:00:00Z"}, "spec": {}});
    assert_eq!(defaulted("v1", "Namespace", dying)["spec"], json!({}));
}

#[test]
fn other_kinds() {
    let node = defaulted("v1", "Node", json!({"status": {"capacity": {"cpu": "4000m"}}}));
    assert_eq!(node["status"]["allocatable"], json!({"cpu": "4"}));
    let slice = defaulted("discovery.k8s.io/v1", "EndpointSlice", json!({"ports": [{"port": 1}]}));
    assert_eq!(slice["ports"], json!([{"port": 1, "name": "", "protocol": "TCP"}]));
    let crd = json!({"spec": {"names": {"kind": "Foo"}, "versions": [{"name": "v1", "storage": true}]}});
    let crd = defaulted("apiextensions.k8s.io/v1", "CustomResourceDefinition", crd);
    assert_eq!(crd["spec"]["names"], json!({"kind": "Foo", "singular": "foo", "listKind": "FooList"}));
    assert_eq!(crd["status"]["storedVersions"], json!(["v1"]));
    assert_eq!(crd["spec"]["conversion"]["strategy"], "None");
    let job = defaulted("batch/v1", "Job", json!({"spec": {"parallelism": 2}}));
    assert!(job["spec"].get("completions").is_none());
    assert_eq!(job["spec"]["backoffLimit"], 6);
}

#[test]
fn what_has_the_wrong_type_is_left_for_validation() {
    let tree = json!({"spec": {"containers": {"a": 1}, "volumes": [1], "resources": "x"}});
    let pod = defaulted("v1", "Pod", tree);
    assert_eq!((&pod["spec"]["containers"], &pod["spec"]["resources"]), (&json!({"a": 1}), &json!("x")));
    assert_eq!(defaulted("v1", "Pod", json!([])), json!([]));
}

#[test]
fn flows_and_levels() {
    let schema = defaulted("flowcontrol.apiserver.k8s.io/v1", "FlowSchema", json!({"spec": {}}));
    assert_eq!(schema["spec"]["matchingPrecedence"], 1000);
    let queuing =
        json!({"spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Queue", "queuing": {}}}}});
    let level = defaulted("flowcontrol.apiserver.k8s.io/v1", "PriorityLevelConfiguration", queuing);
    assert_eq!(
        level["spec"]["limited"],
        json!({"nominalConcurrencyShares": 30, "lendablePercent": 0, "limitResponse": {"type": "Queue",
            "queuing": {"queues": 64, "handSize": 8, "queueLengthLimit": 50}}})
    );
}

#[test]
fn claims_and_policies() {
    let request = json!({"name": "a", "exactly": {"deviceClassName": "c"}});
    let claim = json!({"spec": {"devices": {"requests": [request]}}});
    let claim = defaulted("resource.k8s.io/v1", "ResourceClaim", claim);
    assert_eq!(
        claim["spec"]["devices"]["requests"][0]["exactly"],
        json!({"deviceClassName": "c", "allocationMode": "ExactCount", "count": 1})
    );
    let policy = defaulted(
        "admissionregistration.k8s.io/v1",
        "ValidatingAdmissionPolicy",
        json!({"spec": {"matchConstraints": {"resourceRules": [{}]}}}),
    );
    assert_eq!(policy["spec"]["failurePolicy"], "Fail");
    let constraints = &policy["spec"]["matchConstraints"];
    assert_eq!(
        (
            &constraints["matchPolicy"],
            &constraints["namespaceSelector"],
            &constraints["resourceRules"][0]["scope"]
        ),
        (&json!("Equivalent"), &json!({}), &json!("*"))
    );
    let service = json!({"spec": {"service": {"name": "s", "namespace": "n"}}});
    assert_eq!(defaulted("apiregistration.k8s.io/v1", "APIService", service)["spec"]["service"]["port"], 443);
}
