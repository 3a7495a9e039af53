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
fn a_namespace_carries_its_name() {
    let namespace = defaulted("v1", "Namespace", json!({"metadata": {"name": "a"}}));
    assert_eq!(namespace["metadata"]["labels"]["kubernetes.io/metadata.name"], "a");
    assert_eq!(namespace["status"]["phase"], "Active");
    // Its finalizer is not a default, but given to it when it is made.
    assert_eq!(namespace.get("spec"), None);
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
fn a_limit_range_says_what_a_container_gets() {
    let range = |kind: &str| {
        let item = json!({"type": kind, "max": {"cpu": "2000m", "memory": "1Gi"}, "min": {"cpu": "0.1", "x/y": 1},
            "default": {"memory": "512Mi"}});
        defaulted("v1", "LimitRange", json!({"spec": {"limits": [item]}}))["spec"]["limits"][0].clone()
    };
    let container = range("Container");
    assert_eq!(container["default"], json!({"cpu": "2", "memory": "512Mi"}));
    assert_eq!(container["defaultRequest"], json!({"cpu": "2", "memory": "512Mi", "x/y": "1"}));
    let pod = range("Pod");
    assert_eq!((&pod["max"], pod.get("defaultRequest")), (&json!({"cpu": "2", "memory": "1Gi"}), None));
}

#[test]
fn an_autoscaler_scales_up_faster_than_down() {
    let autoscaler =
        |spec: Value| defaulted("autoscaling/v2", "HorizontalPodAutoscaler", json!({"spec": spec}));
    let plain = autoscaler(json!({}));
    assert_eq!(
        plain["spec"],
        json!({"minReplicas": 1, "metrics": [{"type": "Resource", "resource":
            {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]})
    );
    let slow = json!([{"type": "Pods", "value": 1, "periodSeconds": 60}]);
    let own = autoscaler(json!({"behavior": {"scaleDown": {"policies": slow, "selectPolicy": "Min"}}}));
    assert_eq!(own["spec"]["behavior"]["scaleDown"], json!({"policies": slow, "selectPolicy": "Min"}));
    assert_eq!(
        own["spec"]["behavior"]["scaleUp"],
        json!({"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [
            {"type": "Pods", "value": 4, "periodSeconds": 15},
            {"type": "Percent", "value": 100, "periodSeconds": 15}]})
    );
}

#[test]
fn a_stateful_set_and_what_it_claims() {
    let tree = json!({"spec": {"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {}}],
        "updateStrategy": {"rollingUpdate": {}}, "template": {}}});
    let spec = &defaulted("apps/v1", "StatefulSet", tree)["spec"];
    let claim = &spec["volumeClaimTemplates"][0];
    assert_eq!((&claim["apiVersion"], &claim["kind"]), (&json!("v1"), &json!("PersistentVolumeClaim")));
    assert_eq!(
        (&claim["spec"]["volumeMode"], &claim["status"]["phase"]),
        (&json!("Filesystem"), &json!("Pending"))
    );
    assert_eq!(spec["updateStrategy"], json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}));
    assert_eq!(
        spec["persistentVolumeClaimRetentionPolicy"],
        json!({"whenDeleted": "Retain", "whenScaled": "Retain"})
    );
    let old = json!({"spec": {"updateStrategy": {"type": "OnDelete"}}});
    assert_eq!(
        defaulted("apps/v1", "StatefulSet", old)["spec"]["updateStrategy"],
        json!({"type": "OnDelete"})
    );
}

#[test]
fn jobs_and_what_makes_them() {
    let job = |spec: Value| defaulted("batch/v1", "Job", json!({"spec": spec}));
    let plain = job(json!({"template": {"metadata": {"labels": {"a": "b"}}}}));
    assert_eq!(plain["metadata"]["labels"], json!({"a": "b"}));
    let spec = &plain["spec"];
    for (field, value) in [
        ("completions", json!(1)),
        ("parallelism", json!(1)),
        ("backoffLimit", json!(6)),
        ("completionMode", json!("NonIndexed")),
        ("suspend", json!(false)),
        ("podReplacementPolicy", json!("TerminatingOrFailed")),
        ("manualSelector", json!(false)),
    ] {
        assert_eq!(spec[field], value, "{field}");
    }
    let rules = json!({"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]});
    let own = job(json!({"backoffLimitPerIndex": 1, "podFailurePolicy": rules}));
    assert_eq!(own["spec"]["backoffLimit"], i32::MAX);
    assert_eq!(own["spec"]["podReplacementPolicy"], "Failed");
    assert_eq!(own["spec"]["podFailurePolicy"]["rules"][0]["onPodConditions"][0]["status"], "True");
    let cron = defaulted(
        "batch/v1",
        "CronJob",
        json!({"spec": {"jobTemplate": {"spec": {"podFailurePolicy": rules}}}}),
    );
    let spec = &cron["spec"];
    assert_eq!((&spec["concurrencyPolicy"], &spec["suspend"]), (&json!("Allow"), &json!(false)));
    assert_eq!(
        (&spec["successfulJobsHistoryLimit"], &spec["failedJobsHistoryLimit"]),
        (&json!(3), &json!(1))
    );
    let job = &spec["jobTemplate"]["spec"];
    assert_eq!(job["podFailurePolicy"]["rules"][0]["onPodConditions"][0]["status"], "True");
    assert!(job.get("backoffLimit").is_none());
}

#[test]
fn huge_pages_of_containers_are_the_pods() {
    let pages = json!({"hugepages-2Mi": "4Mi", "memory": "1Gi"});
    let containers = json!([{"name": "a", "resources": {"limits": pages}}]);
    let pod = defaulted(
        "v1",
        "Pod",
        json!({"spec": {"containers": containers, "resources": {"requests": {"cpu": "1"}}}}),
    );
    assert_eq!(
        pod["spec"]["resources"],
        json!({"requests": {"cpu": "1", "hugepages-2Mi": "4Mi", "memory": "1Gi"}, "limits": {"hugepages-2Mi": "4Mi"}})
    );
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
