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

fn web(spec: Value) -> Value {
    json!({"metadata": {"name": "web"}, "spec": spec})
}

fn of_pod(spec: Value) -> Vec<String> {
    said("v1", "Pod", web(spec))
}

#[test]
fn pods() {
    let container = |own: Value| {
        let mut container = json!({"name": "c"});
        container.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        json!({"containers": [container]})
    };
    assert_eq!(of_pod(container(json!({}))), Vec::<String>::new());
    for (spec, warning) in [
        (
            json!({"nodeSelector": {"beta.kubernetes.io/os": "linux"}}),
            "spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use \"kubernetes.io/os\" instead",
        ),
        (
            json!({"volumes": [{"name": "v", "gitRepo": {}}]}),
            "spec.volumes[0].gitRepo: deprecated in v1.11, and disabled by default in v1.33+",
        ),
        (
            json!({"volumes": [{"name": "v", "secret": {"secretName": "s", "items": [{"path": "a/b"}, {"path": "a"}]}}]}),
            "volume \"v\" (Secret \"s\"): overlapping paths: \"a\" with \"a/b\"",
        ),
        (
            json!({"volumes": [{"name": "v", "projected": {"sources": [
                {"configMap": {"name": "m", "items": [{"path": "t"}]}}, {"serviceAccountToken": {"path": "t"}}]}}]}),
            "volume \"v\" (Projected): overlapping paths: \"t\" (ServiceAccountToken) with \"t\" (ConfigMap \"m\")",
        ),
        (
            json!({"imagePullSecrets": [{"name": "a"}, {"name": "a"}]}),
            "spec.imagePullSecrets[1].name: duplicate name \"a\"",
        ),
        (
            json!({"terminationGracePeriodSeconds": -1}),
            "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1",
        ),
        (
            json!({"topologySpreadConstraints": [{"topologyKey": "zone"}]}),
            "spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod",
        ),
        (
            container(json!({"resources": {"limits": {"memory": "100m"}}})),
            "spec.containers[0].resources.limits[memory]: fractional byte value \"100m\" is invalid, must be an integer",
        ),
        (
            container(json!({"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]})),
            "spec.containers[0].env[1]: hides previous definition of \"A\", which may be dropped when using apply",
        ),
        (
            container(
                json!({"ports": [{"containerPort": 80, "protocol": "TCP"}, {"containerPort": 80, "protocol": "TCP"}]}),
            ),
            "spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]",
        ),
        (
            container(json!({"ports": [{"containerPort": 80, "hostIP": "127.0.0.1", "protocol": "TCP"}]})),
            "spec.containers[0].ports[0]: hostIP set without hostPort: {Name: HostPort:0 ContainerPort:80 Protocol:TCP \
             HostIP:127.0.0.1}",
        ),
        (
            container(
                json!({"ports": [{"containerPort": 80, "name": "a"}, {"containerPort": 81, "name": "a"}]}),
            ),
            "spec.containers[0].ports[1]: duplicate port name \"a\" with spec.containers[0].ports[0], services and \
             probes that select ports by name will use spec.containers[0].ports[0]",
        ),
    ] {
        assert_eq!(of_pod(spec.clone()), [warning], "{spec}");
    }
    let builds_on = container(json!({"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "$(A)2"}]}));
    assert_eq!(of_pod(builds_on), Vec::<String>::new());
    let named = json!({"metadata": {"name": "a.b"}, "spec": {}});
    assert!(
        said("v1", "Pod", named.clone())[0]
            .starts_with("metadata.name: this is used in the Pod's hostname, which")
    );
    assert_eq!(update(&row("v1", "Pod"), &named, &named), Vec::<String>::new());
    let status = json!({"status": {"podIPs": [{"ip": "010.0.0.1"}]}});
    assert_eq!(
        update_status(&row("v1", "Pod"), &status),
        ["status.podIPs[0].ip: non-standard IP address \"010.0.0.1\" is invalid: use \"10.0.0.1\""]
    );
}

#[test]
fn templates_are_looked_at_when_they_change() {
    let with = |generation: i64| {
        json!({"metadata": {"name": "web", "generation": generation},
            "spec": {"template": {"spec": {"volumes": [{"name": "v", "rbd": {}}]}}}})
    };
    let warning = "spec.template.spec.volumes[0].rbd: deprecated in v1.28, non-functional in v1.31+";
    for (version, kind) in [("apps/v1", "Deployment"), ("apps/v1", "StatefulSet"), ("batch/v1", "Job")] {
        assert_eq!(said(version, kind, with(1)), [warning], "{kind}");
        assert_eq!(update(&row(version, kind), &with(2), &with(1)), [warning], "{kind}");
        assert_eq!(update(&row(version, kind), &with(2), &with(2)), Vec::<String>::new(), "{kind}");
    }
    let armored = |annotation: &str| {
        json!({"metadata": {"name": "web"}, "spec": {"template": {
            "metadata": {"annotations": {"container.apparmor.security.beta.kubernetes.io/c": annotation}},
            "spec": {"securityContext": {"appArmorProfile": {"type": "RuntimeDefault"}}, "containers": [{"name": "c"}]}}}})
    };
    assert_eq!(said("apps/v1", "ReplicaSet", armored("runtime/default")), Vec::<String>::new());
    assert_eq!(
        said("apps/v1", "ReplicaSet", armored("unconfined")),
        [
            "spec.template.metadata.annotations[container.apparmor.security.beta.kubernetes.io/c]: deprecated since \
          v1.30; use the \"appArmorProfile\" field instead"
        ]
    );
    let cron = json!({"metadata": {"name": "c"}, "spec": {"schedule": "TZ=UTC * * * * *", "jobTemplate": {"spec": {
        "completionMode": "Indexed", "completions": 200_000, "parallelism": 20_000, "template": {}}}}});
    assert!(
        said("batch/v1", "CronJob", cron.clone())[0].starts_with("spec.jobTemplate.spec: In Indexed Jobs")
    );
    assert!(update(&row("batch/v1", "CronJob"), &cron, &cron)[0].starts_with("cannot use TZ or CRON_TZ in"));
    assert_eq!(delete(&row("batch/v1", "Job")).len(), 1);
    assert_eq!(delete(&row("v1", "Pod")), Vec::<String>::new());
}

#[test]
fn services_volumes_and_the_rest() {
    let headless = web(
        json!({"type": "ClusterIP", "clusterIP": "None", "sessionAffinity": "ClientIP", "externalIPs": ["1.2.3.4"]}),
    );
    assert_eq!(
        said("v1", "Service", headless),
        [
            "spec.externalIPs is ignored for headless services",
            "spec.SessionAffinity is ignored for headless services"
        ]
    );
    let named = web(json!({"type": "ClusterIP", "externalName": "x", "trafficDistribution": "PreferClose"}));
    assert_eq!(
        said("v1", "Service", named),
        [
            "spec.externalName is ignored when spec.type is not \"ExternalName\"",
            "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"",
        ]
    );
    let volume = web(json!({"persistentVolumeReclaimPolicy": "Recycle", "cephfs": {}}));
    assert_eq!(said("v1", "PersistentVolume", volume).len(), 2);
    let claim = web(json!({"resources": {"requests": {"storage": "1500m"}}}));
    assert_eq!(
        said("v1", "PersistentVolumeClaim", claim),
        ["spec.resources.requests[storage]: fractional byte value \"1500m\" is invalid, must be an integer"]
    );
    let quota = web(
        json!({"hard": {"cpu": "2", "limits.cpu": "1", "requests.memory": "1Gi", "limits.memory": "2Gi"}}),
    );
    assert_eq!(
        said("v1", "ResourceQuota", quota),
        ["ResourceQuota cpu (2) should be less than limits.cpu (1)"]
    );
    let pair = |certificate: &str, key: &str| {
        use base64::Engine as _;
        let pem = |label: &str| {
            let text = format!("-----BEGIN {label}-----\nAA==\n-----END {label}-----\n");
            base64::engine::general_purpose::STANDARD.encode(text)
        };
        json!({"type": "kubernetes.io/tls", "data": {"tls.crt": pem(certificate), "tls.key": pem(key)}})
    };
    // What the blocks hold is read with the feature `tls` only.
    let unread =
        if cfg!(feature = "tls") { vec!["x509: malformed certificate".to_owned()] } else { Vec::new() };
    assert_eq!(said("v1", "Secret", pair("CERTIFICATE", "EC PRIVATE KEY")), unread);
    assert_eq!(
        said("v1", "Secret", pair("PRIVATE KEY", "PRIVATE KEY")),
        [
            "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may \
          have been switched"
        ]
    );
    assert_eq!(
        said("v1", "Secret", pair("CERTIFICATE", "CERTIFICATE")),
        ["tls: found a certificate rather than a key in the PEM for the private key"]
    );
    let account = json!({"metadata": {"annotations": {"kubernetes.io/enforce-mountable-secrets": "true"}}});
    assert_eq!(said("v1", "ServiceAccount", account.clone()).len(), 1);
    assert_eq!(update(&row("v1", "ServiceAccount"), &account, &account), Vec::<String>::new());
    assert_eq!(said("v1", "Node", web(json!({"externalID": "a"}))).len(), 1);
}
