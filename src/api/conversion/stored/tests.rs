//! What is stored in one version and read in another.

use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::api::{Object, Revision, RuntimeConfig, Scheme, schema};

/// What a body is as an object of this version.
fn read(to: &str, body: &Value) -> Result<Value, String> {
    let scheme = Scheme::builtin_with(&"api/all".parse::<RuntimeConfig>().unwrap());
    let kind = body["kind"].as_str().unwrap();
    let row = scheme.api_kind(to, kind).unwrap().clone();
    let bytes = Bytes::from(body.to_string());
    let object = Object::from_body(row, Revision(1), &bytes).map_err(|error| error.to_string())?;
    Ok((*object.tree()).clone())
}

fn spec(to: &str, version: &str, kind: &str, spec: &Value) -> Value {
    let body = json!({"apiVersion": version, "kind": kind, "metadata": {"name": "a"}, "spec": spec});
    let read = read(to, &body).unwrap();
    assert_eq!((&read["apiVersion"], &read["kind"]), (&json!(to), &json!(kind)));
    read["spec"].clone()
}

#[test]
fn an_autoscaler_that_knows_cpu_alone_has_a_metric() {
    let old = json!({"scaleTargetRef": {"kind": "Deployment", "name": "d"}, "maxReplicas": 3,
        "targetCPUUtilizationPercentage": 70});
    let new = spec("autoscaling/v2", "autoscaling/v1", "HorizontalPodAutoscaler", &old);
    let metric = json!([{"type": "Resource", "resource": {"name": "cpu",
        "target": {"type": "Utilization", "averageUtilization": 70}}}]);
    assert_eq!((&new["metrics"], &new["maxReplicas"]), (&metric, &json!(3)));
    assert_eq!(new.get("targetCPUUtilizationPercentage"), None);
}

#[test]
fn an_event_of_the_other_group_is_an_event() {
    for version in ["events.k8s.io/v1", "events.k8s.io/v1beta1"] {
        let old = json!({"apiVersion": version, "kind": "Event", "metadata": {"name": "a", "namespace": "n"},
            "note": "m", "regarding": {"kind": "Pod", "name": "p"}, "deprecatedCount": 2});
        let new = read("v1", &old).unwrap();
        assert_eq!((&new["message"], &new["count"]), (&json!("m"), &json!(2)), "{version}");
        assert_eq!(new["involvedObject"], json!({"kind": "Pod", "name": "p"}));
        assert_eq!((new.get("note"), new.get("regarding")), (None, None));
    }
}

#[test]
fn a_budget_selects_the_pods_that_it_selected() {
    const EMPTY: &str = "pdb.kubernetes.io/deprecated-v1beta1-empty-selector-match";
    let term = |operator: &str| json!({"matchExpressions": [{"key": EMPTY, "operator": operator}]});
    let labels = json!({"matchLabels": {"a": "b"}});
    for (old, new) in
        [(json!({}), term("Exists")), (term("DoesNotExist"), json!({})), (labels.clone(), labels)]
    {
        let old = json!({"minAvailable": 1, "selector": old});
        let read = spec("policy/v1", "policy/v1beta1", "PodDisruptionBudget", &old);
        assert_eq!(read, json!({"minAvailable": 1, "selector": new}));
    }
    let none = spec("policy/v1", "policy/v1beta1", "PodDisruptionBudget", &json!({"minAvailable": 1}));
    assert_eq!(none, json!({"minAvailable": 1}));
}

#[test]
fn backends_of_an_ingress_are_services() {
    for version in ["networking.k8s.io/v1beta1", "extensions/v1beta1"] {
        let old = json!({"backend": {"serviceName": "d", "servicePort": "http"}, "rules": [{"http": {"paths": [
            {"path": "/", "backend": {"serviceName": "s", "servicePort": 80}},
            {"pathType": "Exact", "backend": {"resource": {"kind": "K", "name": "r"}}}]}}]});
        let new = spec("networking.k8s.io/v1", version, "Ingress", &old);
        let expected = json!({"defaultBackend": {"service": {"name": "d", "port": {"name": "http"}}},
            "rules": [{"http": {"paths": [
                {"path": "/", "pathType": "ImplementationSpecific",
                 "backend": {"service": {"name": "s", "port": {"number": 80}}}},
                {"pathType": "Exact", "backend": {"resource": {"kind": "K", "name": "r"}}}]}}]});
        assert_eq!(new, expected, "{version}");
    }
}

#[test]
fn the_topology_of_an_endpoint_is_its_zone_and_its_node() {
    let topology = |host: &str| json!({"topology.kubernetes.io/zone": "z", "kubernetes.io/hostname": host});
    let old = json!({"apiVersion": "discovery.k8s.io/v1beta1", "kind": "EndpointSlice", "metadata": {"name": "a"},
        "addressType": "IPv4", "endpoints": [
        {"addresses": ["10.0.0.1"], "nodeName": "n", "topology": topology("n")},
        {"addresses": ["10.0.0.2"], "nodeName": "n", "topology": topology("other")}]});
    let new = read("discovery.k8s.io/v1", &old).unwrap();
    assert_eq!(new["endpoints"][0], json!({"addresses": ["10.0.0.1"], "nodeName": "n", "zone": "z"}));
    assert_eq!(new["endpoints"][1]["deprecatedTopology"], json!({"kubernetes.io/hostname": "other"}));
}

#[test]
fn shares_are_nominal_and_zero_where_somebody_wanted_that() {
    let to = "flowcontrol.apiserver.k8s.io/v1";
    let level = |version: &str, annotations: Value, limited: Value| {
        let body = json!({"apiVersion": format!("flowcontrol.apiserver.k8s.io/{version}"),
            "kind": "PriorityLevelConfiguration", "metadata": {"name": "a", "annotations": annotations},
            "spec": {"type": "Limited", "limited": limited}});
        let read = read(to, &body).unwrap();
        (
            read["spec"]["limited"]["nominalConcurrencyShares"].clone(),
            read["metadata"].get("annotations").cloned(),
        )
    };
    let old = json!({"assuredConcurrencyShares": 5});
    assert_eq!(level("v1beta1", Value::Null, old.clone()).0, 5);
    assert_eq!(level("v1beta2", Value::Null, old).0, 5);
    assert_eq!(level("v1beta3", Value::Null, json!({"nominalConcurrencyShares": 7})).0, 7);
    assert_eq!(level("v1beta3", Value::Null, json!({})).0, 30);
    let zero = json!({"flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares": "", "own": "x"});
    assert_eq!(level("v1beta3", zero, json!({})), (json!(0), Some(json!({"own": "x"}))));
}

#[test]
fn what_the_alphas_of_roles_and_runtimes_said() {
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1alpha1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "a"}, "roleRef": {"kind": "ClusterRole", "name": "r"}, "subjects": [
        {"kind": "User", "name": "*"}, {"kind": "User", "name": "u", "apiVersion": "rbac.authorization.k8s.io/v1alpha1"},
        {"kind": "ServiceAccount", "name": "s", "namespace": "n", "apiVersion": "v1"}]});
    let own = "rbac.authorization.k8s.io";
    let new = read("rbac.authorization.k8s.io/v1", &binding).unwrap();
    assert_eq!(
        new["subjects"],
        json!([{"apiGroup": own, "kind": "Group", "name": "system:authenticated"},
            {"apiGroup": own, "kind": "User", "name": "u"},
            {"kind": "ServiceAccount", "name": "s", "namespace": "n"}])
    );
    let class = json!({"apiVersion": "node.k8s.io/v1alpha1", "kind": "RuntimeClass", "metadata": {"name": "a"},
        "spec": {"runtimeHandler": "h", "scheduling": {"nodeSelector": {"a": "b"}}}});
    let new = read("node.k8s.io/v1", &class).unwrap();
    assert_eq!((&new["handler"], &new["scheduling"]), (&json!("h"), &json!({"nodeSelector": {"a": "b"}})));
    assert_eq!(new.get("spec"), None);
}

#[test]
fn workloads_keep_in_annotations_what_they_have_no_field_for() {
    let workload = |version: &str, kind: &str, own: Value| {
        let mut spec = json!({"selector": {"matchLabels": {"a": "b"}}, "template": {
            "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}});
        spec.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        let body = json!({"apiVersion": version, "kind": kind, "metadata": {"name": "a"}, "spec": spec});
        read("apps/v1", &body).unwrap()["metadata"].get("annotations").cloned()
    };
    let generation = json!({"templateGeneration": 4});
    let kept = Some(json!({"deprecated.daemonset.template.generation": "4"}));
    assert_eq!(workload("extensions/v1beta1", "DaemonSet", generation), kept);
    let rollback = json!({"rollbackTo": {"revision": 2}});
    let kept = Some(json!({"deprecated.deployment.rollback.to": "2"}));
    assert_eq!(workload("apps/v1beta1", "Deployment", rollback), kept);
    assert_eq!(workload("apps/v1beta2", "Deployment", json!({})), None);
}

#[test]
fn the_same_protobuf_is_read_and_another_is_named() {
    let new = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "a"},
        "spec": {"minAvailable": 1, "selector": {}}});
    let of = |tree: &Value, from: &str, to: &str| {
        // The version stands in the envelope; both are as long as each other but for what is said here.
        let bytes = schema::encode_protobuf(tree).unwrap();
        let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        let mut old = bytes.clone();
        old.splice(at..at + from.len(), to.bytes());
        let longer = u8::try_from(to.len() - from.len()).unwrap();
        // The lengths of the text, and of the envelope's head.
        (old[at - 1], old[at - 3]) = (old[at - 1] + longer, old[at - 3] + longer);
        Bytes::from(old)
    };
    let scheme = Scheme::builtin();
    let row = |kind: &str, group: &str| Arc::clone(scheme.api_kind(group, kind).unwrap());
    let old = of(&new, "policy/v1", "policy/v1beta1");
    let read = Object::from_body(row("PodDisruptionBudget", "policy/v1"), Revision(1), &old).unwrap();
    assert_eq!(read.tree()["apiVersion"], "policy/v1");
    assert_eq!(read.tree()["spec"]["selector"]["matchExpressions"][0]["operator"], "Exists");

    let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "a"}});
    let old = of(&ingress, "networking.k8s.io/v1", "networking.k8s.io/v1beta1");
    let refused = Object::from_body(row("Ingress", "networking.k8s.io/v1"), Revision(1), &old).unwrap_err();
    let why = "no kind \"Ingress\" is registered for version \"networking.k8s.io/v1beta1\"";
    assert!(refused.to_string().ends_with(why), "{refused}");
}

#[test]
fn what_no_version_is_is_named() {
    for (to, version, kind) in [
        ("v1", "v1beta3", "Pod"),
        ("apps/v1", "apps/v2", "Deployment"),
        ("policy/v1", "apps/v1", "PodDisruptionBudget"),
    ] {
        let body = json!({"apiVersion": version, "kind": kind, "metadata": {"name": "a"}});
        let why = format!("no kind {kind:?} is registered for version {version:?}");
        assert!(read(to, &body).unwrap_err().ends_with(&why));
    }
}

#[test]
fn every_version_that_is_known_is_of_a_row() {
    let scheme = Scheme::builtin_with(&"api/all".parse::<RuntimeConfig>().unwrap());
    for (group, kinds, versions) in KNOWN {
        for kind in *kinds {
            let row = scheme.iter().find(|row| row.group == *group && row.kind == *kind);
            let row = row.unwrap_or_else(|| panic!("{group} {kind}"));
            for api_version in *versions {
                assert!(version(row, api_version, kind).is_some(), "{api_version} {kind}");
            }
        }
    }
}
