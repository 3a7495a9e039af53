use serde_json::json;

use super::*;
use crate::api::Scheme;

fn row(api_version: &str, kind: &str) -> Resource {
    Resource::clone(Scheme::builtin().api_kind(api_version, kind).unwrap())
}

fn said(api_version: &str, kind: &str, tree: Value) -> Vec<String> {
    create(&row(api_version, kind), &tree)
}

#[test]
fn names_that_files_use() {
    for kind in ["ValidatingWebhookConfiguration", "MutatingAdmissionPolicyBinding"] {
        let named =
            |name: &str| said("admissionregistration.k8s.io/v1", kind, json!({"metadata": {"name": name}}));
        assert_eq!(named("a.k8s.io"), Vec::<String>::new());
        assert_eq!(named("a.static.k8s.io").len(), 1);
    }
}

#[test]
fn addresses_that_are_written_otherwise() {
    let slice = |address: &str, manager: &str| {
        json!({"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1", address]}],
               "metadata": {"labels": {"endpointslice.kubernetes.io/managed-by": manager}}})
    };
    assert_eq!(
        said("discovery.k8s.io/v1", "EndpointSlice", slice("010.0.0.1", "me")),
        ["endpoints[0].addresses[1]: non-standard IP address \"010.0.0.1\" is invalid: use \"10.0.0.1\""]
    );
    let ours = slice("010.0.0.1", "endpointslice-controller.k8s.io");
    assert_eq!(said("discovery.k8s.io/v1", "EndpointSlice", ours), Vec::<String>::new());
    let names = json!({"addressType": "FQDN"});
    let slices = row("discovery.k8s.io/v1", "EndpointSlice");
    assert_eq!(create(&slices, &names), ["spec.addressType: FQDN endpoints are deprecated"]);
    assert_eq!(update(&slices, &names, &names), Vec::<String>::new());

    let policy = json!({"spec": {"egress": [{"to": [{}, {"ipBlock": {"cidr": "10.0.0.1/8", "except": ["10.1.0.0/16"]}}]}]}});
    assert_eq!(
        said("networking.k8s.io/v1", "NetworkPolicy", policy),
        [
            "spec.egress[0].to[1].ipBlock.cidr: CIDR value \"10.0.0.1/8\" is ambiguous in this context (should be \
          \"10.0.0.0/8\" or \"10.0.0.1/32\"?)"
        ]
    );
    let ingress =
        json!({"status": {"loadBalancer": {"ingress": [{"hostname": "a.b"}, {"ip": "2001:DB8::1"}]}}});
    assert_eq!(
        update_status(&row("networking.k8s.io/v1", "Ingress"), &ingress),
        [
            "status.loadBalancer.ingress[1]: IPv6 address \"2001:DB8::1\" should be in RFC 5952 canonical format \
          (\"2001:db8::1\")"
        ]
    );
}

#[test]
fn annotations_and_labels_that_have_other_names() {
    let annotated = json!({"metadata": {"annotations": {"kubernetes.io/ingress.class": "a"}}, "spec": {}});
    assert_eq!(
        said("networking.k8s.io/v1", "Ingress", annotated),
        [
            "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead"
        ]
    );
    let zone = "failure-domain.beta.kubernetes.io/zone";
    let why = "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead";
    let class = json!({"allowedTopologies": [{"matchLabelExpressions": [{"key": "a"}, {"key": zone}]}]});
    assert_eq!(
        said("storage.k8s.io/v1", "StorageClass", class),
        [format!("allowedTopologies[0].matchLabelExpressions[1].key: {why}")]
    );
    let capacity = json!({"nodeTopology": {"matchLabels": {zone: "a"}, "matchExpressions": [{"key": zone}]}});
    assert_eq!(
        said("storage.k8s.io/v1", "CSIStorageCapacity", capacity),
        [
            format!("nodeTopology.matchExpressions[0].key: {zone} is {why}"),
            format!("nodeTopology.matchLabels.{zone}: {why}")
        ]
    );
    let runtime = json!({"scheduling": {"nodeSelector": {"node-role.kubernetes.io/master": ""}}});
    assert_eq!(
        said("node.k8s.io/v1", "RuntimeClass", runtime),
        ["scheduling.nodeSelector: use \"node-role.kubernetes.io/control-plane\" instead"]
    );
}

#[test]
fn drivers() {
    let driver = json!({"spec": {"tokenRequests": [{"audience": "a"}]}});
    assert_eq!(said("storage.k8s.io/v1", "CSIDriver", driver.clone()).len(), 1);
    assert_eq!(update(&row("storage.k8s.io/v1", "CSIDriver"), &driver, &driver), Vec::<String>::new());
    assert_eq!(
        said("resource.k8s.io/v1", "ResourceSlice", json!({"spec": {"driver": "GPU.example.com"}})),
        ["spec.driver: driver names should be lowercase; \"GPU.example.com\" contains uppercase characters"]
    );
}
