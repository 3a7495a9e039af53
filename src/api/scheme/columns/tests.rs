use serde_json::{Value, json};

use super::*;
use crate::api::Scheme;

/// The cells that the functions of a kind's columns make, joined by `|`; paths are left out.
fn row(api_version: &str, kind: &str, tree: &Value) -> String {
    cells(&Scheme::builtin(), api_version, kind, tree)
}

fn cells(scheme: &Scheme, api_version: &str, kind: &str, tree: &Value) -> String {
    let now = "2020-01-01T01:00:00Z".parse().unwrap();
    let cells =
        scheme.api_kind(api_version, kind).unwrap().columns.iter().filter_map(|column| match column.value {
            ColumnValue::Function(cell) => Some(cell(tree, now)),
            ColumnValue::Path(_) => None,
        });
    cells
        .map(|cell| cell.as_str().map_or_else(|| cell.to_string(), str::to_owned))
        .collect::<Vec<_>>()
        .join("|")
}

fn pod(spec: Value, status: Value) -> String {
    let metadata = json!({"creationTimestamp": "2020-01-01T00:57:00Z"});
    let row = row("v1", "Pod", &json!({"metadata": metadata, "spec": spec, "status": status}));
    row.split('|').take(4).collect::<Vec<_>>().join("|")
}

fn one() -> Value {
    json!({"containers": [{"name": "a"}]})
}

fn state(state: Value) -> Value {
    json!({"phase": "Running", "containerStatuses": [{"name": "a", "state": state, "restartCount": 0}]})
}

#[test]
fn pods() {
    let ended = "2020-01-01T00:55:00Z";
    for (spec, status, cells) in [
        (one(), json!({"phase": "Pending"}), "0/1|Pending|0|3m"),
        (one(), state(json!({"waiting": {"reason": "ContainerCreating"}})), "0/1|ContainerCreating|0|3m"),
        (
            one(),
            json!({"phase": "Running", "containerStatuses": [
                {"ready": true, "restartCount": 0, "state": {"running": {}}}]}),
            "1/1|Running|0|3m",
        ),
        (
            one(),
            json!({"phase": "Running", "containerStatuses": [{"restartCount": 3,
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"finishedAt": ended}}}]}),
            "0/1|CrashLoopBackOff|3 (5m ago)|3m",
        ),
        (one(), state(json!({"terminated": {"exitCode": 3}})), "0/1|ExitCode:3|0|3m"),
        (one(), state(json!({"terminated": {"exitCode": 1, "reason": "Error"}})), "0/1|Error|0|3m"),
        (one(), state(json!({"terminated": {"exitCode": 137, "signal": 9}})), "0/1|Signal:9|0|3m"),
        (one(), json!({"phase": "Failed", "reason": "Evicted"}), "0/1|Evicted|0|3m"),
        (
            json!({"containers": [{}, {}]}),
            json!({"conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": [
                {"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}},
                {"ready": true, "state": {"running": {}}}]}),
            "1/2|Running|0|3m",
        ),
        (
            json!({"containers": [{}], "initContainers": [{"name": "i"}, {"name": "j"}]}),
            json!({"phase": "Pending", "initContainerStatuses": [
                {"name": "i", "restartCount": 2, "state": {"terminated": {"exitCode": 0}}},
                {"name": "j", "state": {"running": {}}}]}),
            "0/1|Init:1/2|2|3m",
        ),
        (
            json!({"containers": [{}], "initContainers": [{"name": "i"}]}),
            json!({"initContainerStatuses": [{"state": {"terminated": {"exitCode": 1, "reason": "Error"}}}]}),
            "0/1|Init:Error|0|3m",
        ),
        (
            json!({"containers": [{}], "initContainers": [{"name": "s", "restartPolicy": "Always"}]}),
            json!({"phase": "Running", "initContainerStatuses": [
                    {"name": "s", "ready": true, "started": true, "restartCount": 1, "state": {"running": {}}}],
                "containerStatuses": [{"ready": true, "restartCount": 1, "state": {"running": {}}}]}),
            "2/2|Running|2|3m",
        ),
        (
            one(),
            json!({"phase": "Pending",
                   "conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]}),
            "0/1|SchedulingGated|0|3m",
        ),
    ] {
        assert_eq!(pod(spec, status.clone()), cells, "{status}");
    }
    let dying =
        json!({"metadata": {"deletionTimestamp": ended}, "spec": one(), "status": {"phase": "Running"}});
    assert!(row("v1", "Pod", &dying).starts_with("0/1|Terminating|0|<unknown>|<none>"));
}

#[test]
fn workloads() {
    let deployment = json!({
        "metadata": {"creationTimestamp": "2020-01-01T00:00:00Z"},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}},
                 "template": {"spec": {"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "y"}]}}},
        "status": {"readyReplicas": 1, "updatedReplicas": 2},
    });
    assert_eq!(row("apps/v1", "Deployment", &deployment), "1/3|2|0|60m|a,b|x,y|app=web");
    assert_eq!(row("apps/v1", "ReplicaSet", &deployment), "3|0|1|60m|a,b|x,y|app=web");
    let job = json!({"spec": {"completions": 2}, "status": {
        "succeeded": 1, "startTime": "2020-01-01T00:00:00Z", "completionTime": "2020-01-01T00:02:05Z",
        "conditions": [{"type": "Complete", "status": "True"}]}});
    assert!(row("batch/v1", "Job", &job).starts_with("Complete|1/2|2m5s|<unknown>"));
}

#[test]
fn nodes() {
    let node = json!({
        "metadata": {"labels": {"node-role.kubernetes.io/worker": "", "kubernetes.io/role": "b"}},
        "spec": {"unschedulable": true},
        "status": {"conditions": [{"type": "Ready", "status": "True"}],
                   "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
                   "nodeInfo": {"kernelVersion": "6.1", "architecture": "amd64"}},
    });
    assert_eq!(
        row("v1", "Node", &node),
        "Ready,SchedulingDisabled|b,worker|<unknown>|10.0.0.1|<none>|<unknown>|6.1 (amd64)|<unknown>"
    );
}

#[test]
fn services_and_endpoints() {
    let service = json!({"spec": {"type": "LoadBalancer", "clusterIPs": ["10.0.0.1"], "selector": {"a": "b"},
        "ports": [{"port": 80, "nodePort": 30000, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]}});
    assert_eq!(row("v1", "Service", &service), "10.0.0.1|<pending>|80:30000/TCP,53/UDP|<unknown>|a=b");
    let slice = json!({"ports": [{"port": 80}], "endpoints": [
        {"addresses": ["1"]}, {"addresses": ["2"]}, {"addresses": ["3"]}, {"addresses": ["4"]}]});
    assert_eq!(row("discovery.k8s.io/v1", "EndpointSlice", &slice), "80|1,2,3 + 1 more...|<unknown>");
    assert_eq!(row("v1", "Endpoints", &json!({})), "<none>|<unknown>");
}

#[test]
fn events() {
    let event = json!({"metadata": {"name": "e"}, "type": "Normal", "reason": "R", "message": " hi ",
        "involvedObject": {"kind": "Pod", "name": "p"}, "eventTime": "2020-01-01T00:59:50.000000Z",
        "reportingComponent": "default-scheduler"});
    assert_eq!(row("v1", "Event", &event), "10s|pod/p||default-scheduler|hi|10s|1|e");
}

#[test]
fn volumes_and_claims() {
    let volume = json!({"metadata": {"annotations": {"volume.beta.kubernetes.io/storage-class": "old"}},
        "spec": {"capacity": {"storage": "5Gi"}, "accessModes": ["ReadWriteOncePod", "ReadWriteOnce"],
                 "claimRef": {"namespace": "n", "name": "c"}, "storageClassName": "new", "volumeMode": "Block"},
        "status": {"phase": "Bound"}});
    assert_eq!(row("v1", "PersistentVolume", &volume), "5Gi|RWO,RWOP|Bound|n/c|old|<unset>|<unknown>|Block");
    let mut claim = json!({"spec": {"accessModes": ["ReadWriteMany"], "storageClassName": "a",
            "volumeAttributesClassName": "fast"}, "status": {"phase": "Pending"}});
    assert_eq!(row("v1", "PersistentVolumeClaim", &claim), "Pending|||a|fast|<unknown>|<unset>");
    claim["spec"]["volumeName"] = "v".into();
    claim["status"] =
        json!({"phase": "Bound", "accessModes": ["ReadWriteMany"], "capacity": {"storage": "1Gi"}});
    assert_eq!(row("v1", "PersistentVolumeClaim", &claim), "Bound|1Gi|RWX|a|fast|<unknown>|<unset>");
    claim["metadata"] = json!({"deletionTimestamp": "2020-01-01T00:00:00Z"});
    assert!(row("v1", "PersistentVolumeClaim", &claim).starts_with("Terminating|"));
}

#[test]
fn autoscalers() {
    let resource = |target: Value| json!({"type": "Resource", "resource": {"name": "cpu", "target": target}});
    let autoscaler = |metrics: Value, current: Value| {
        let tree = json!({"spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "minReplicas": 1,
            "maxReplicas": 9, "metrics": metrics}, "status": {"currentReplicas": 2, "currentMetrics": current}});
        row("autoscaling/v2", "HorizontalPodAutoscaler", &tree)
    };
    let utilization = resource(json!({"averageUtilization": 80}));
    assert_eq!(
        autoscaler(json!([utilization]), json!([])),
        "Deployment/web|cpu: <unknown>/80%|1|9|2|<unknown>"
    );
    let used = json!([{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 12, "averageValue": "50m"}}}]);
    assert!(autoscaler(json!([utilization]), used.clone()).contains("|cpu: 12%/80%|"));
    assert!(autoscaler(json!([resource(json!({"averageValue": "1"}))]), used).contains("|cpu: 50m/1|"));
    let pods = json!({"type": "Pods", "pods": {"target": {"averageValue": "10"}}});
    let external = json!({"type": "External", "external": {"target": {"averageValue": "5"}}});
    let object = json!({"type": "Object", "object": {"target": {"value": "7"}}});
    assert!(
        autoscaler(json!([pods, external, object]), json!([]))
            .contains("|<unknown>/10, <unknown>/5 (avg) + 1 more...|")
    );
    let now = json!([{"type": "Object", "object": {"current": {"value": "3"}}}]);
    assert!(autoscaler(json!([object]), now).contains("|3/7|"));
    assert!(autoscaler(json!([]), json!([])).contains("|<none>|"));
}

#[test]
fn quotas_and_templates() {
    let quota =
        json!({"status": {"hard": {"limits.cpu": "2", "pods": "10", "cpu": "1"}, "used": {"pods": "3"}}});
    assert_eq!(row("v1", "ResourceQuota", &quota), "cpu: 0/1, pods: 3/10|limits.cpu: 0/2|<unknown>");
    let template = json!({"template": {"metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "x", "image": "i"}, {"name": "y", "image": "j"}]}}});
    assert_eq!(row("v1", "PodTemplate", &template), "x,y|i,j|a=b");
    let cron = json!({"spec": {"jobTemplate": {"spec": template}}, "status": {"active": [{}],
        "lastScheduleTime": "2020-01-01T00:59:00Z"}});
    assert_eq!(row("batch/v1", "CronJob", &cron), "<none>|1|60s|<unknown>|x,y|i,j|<none>");
    let daemons = json!({"spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"spec": {
        "nodeSelector": {"disk": "ssd"}, "containers": [{"name": "x", "image": "i"}]}}},
        "status": {"desiredNumberScheduled": 3, "currentNumberScheduled": 2, "numberReady": 1}});
    assert_eq!(row("apps/v1", "DaemonSet", &daemons), "3|2|1|0|0|disk=ssd|<unknown>|x|i|a=b");
    let set =
        json!({"spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "x", "image": "i"}]}}}});
    assert_eq!(row("apps/v1", "StatefulSet", &set), "0/2|<unknown>|x|i");
    let healthy = json!({"conditions": [{"type": "Healthy", "status": "True", "message": "ok"}]});
    assert_eq!(row("v1", "ComponentStatus", &healthy), "Healthy|ok|");
    let budget = json!({"spec": {"minAvailable": "50%"}});
    assert_eq!(row("policy/v1", "PodDisruptionBudget", &budget), "50%|N/A|<unknown>");
}

/// The same, of a kind that is served where a switch says so.
fn unstable(api_version: &str, kind: &str, tree: &Value) -> String {
    let everything = crate::api::RuntimeConfig::default().with("api/all", true).unwrap();
    cells(&Scheme::builtin_with(&everything), api_version, kind, tree)
}

#[test]
fn ingresses_and_their_classes() {
    let rules = |hosts: &[&str]| -> Value { hosts.iter().map(|host| json!({"host": host})).collect() };
    for (hosts, shown) in [
        (&[][..], "*"),
        (&["", "a"], "a"),
        (&["a", "b", "c"], "a,b,c"),
        (&["a", "", "b", "c", "d"], "a,b,c + 2 more..."),
        (&["a", "b", "c", ""], "a,b,c + 1 more..."),
    ] {
        let ingress = json!({"spec": {"rules": rules(hosts), "tls": [{}]}});
        assert_eq!(
            row("networking.k8s.io/v1", "Ingress", &ingress),
            format!("<none>|{shown}||80, 443|<unknown>")
        );
    }
    let balanced =
        json!({"status": {"loadBalancer": {"ingress": [{"hostname": "b.example.com"}, {"ip": "10.0.0.1"}]}}});
    assert_eq!(
        row("networking.k8s.io/v1", "Ingress", &balanced),
        "<none>|*|10.0.0.1,b.example.com|80|<unknown>"
    );
    let class = json!({"metadata": {"name": "c", "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}},
        "spec": {"parameters": {"apiGroup": "example.com", "kind": "Own", "name": "n"}}});
    assert_eq!(
        row("networking.k8s.io/v1", "IngressClass", &class),
        "c (default)|Own.example.com/n|<unknown>"
    );
}

#[test]
fn storage() {
    let class = json!({"metadata": {"name": "fast", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}});
    assert_eq!(
        row("storage.k8s.io/v1", "StorageClass", &class),
        "fast (default)|Delete|Immediate|false|<unknown>"
    );
    let driver = json!({"spec": {"tokenRequests": [{"audience": "a"}, {"audience": "b"}], "volumeLifecycleModes": ["Persistent"]}});
    assert_eq!(
        row("storage.k8s.io/v1", "CSIDriver", &driver),
        "true|false|false|a,b|false|Persistent|<unknown>"
    );
    assert_eq!(
        row("storage.k8s.io/v1", "CSIDriver", &json!({})),
        "true|false|false|<unset>|false|<none>|<unknown>"
    );
    let attachment = json!({"spec": {"source": {"persistentVolumeName": "v"}}, "status": {"attached": true}});
    assert_eq!(row("storage.k8s.io/v1", "VolumeAttachment", &attachment), "v|true|<unknown>");
}

#[test]
fn certificates() {
    let request = |kinds: &[&str], certificate: &str| {
        let conditions: Value = kinds.iter().map(|kind| json!({"type": kind})).collect();
        let tree = json!({"spec": {"username": "u", "signerName": "s", "expirationSeconds": 86_400},
            "status": {"conditions": conditions, "certificate": certificate}});
        row("certificates.k8s.io/v1", "CertificateSigningRequest", &tree)
    };
    assert_eq!(request(&[], ""), "<unknown>|s|u|24h|Pending");
    assert!(request(&["Approved"], "eA==").ends_with("|Approved,Issued"));
    assert!(request(&["Approved", "Denied", "Failed"], "").ends_with("|Denied,Failed"));
}

#[test]
fn policies_and_flows() {
    let binding = |parameter: Value| {
        let tree = json!({"spec": {"paramRef": parameter}});
        row("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding", &tree)
    };
    assert_eq!(binding(Value::Null), "<unset>|<unknown>");
    assert_eq!(binding(json!({"name": "a"})), "*/a|<unknown>");
    assert_eq!(binding(json!({"name": "a", "namespace": "n"})), "n/a|<unknown>");
    assert_eq!(
        binding(json!({"selector": {"matchLabels": {"a": "b"}}})),
        "&LabelSelector{MatchLabels:map[string]string{a: b,},MatchExpressions:[]LabelSelectorRequirement{},}|<unknown>"
    );
    let policy =
        json!({"spec": {"validations": [{}], "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}}});
    assert_eq!(
        row("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", &policy),
        "1|v1/ConfigMap|<unknown>"
    );
    let schema = json!({"status": {"conditions": [{"type": "Dangling", "status": "False"}]}});
    assert_eq!(row("flowcontrol.apiserver.k8s.io/v1", "FlowSchema", &schema), "<none>|<unknown>|False");
    let level = json!({"spec": {"limited": {"nominalConcurrencyShares": 5, "limitResponse": {"queuing": {"queues": 2}}}}});
    assert_eq!(
        row("flowcontrol.apiserver.k8s.io/v1", "PriorityLevelConfiguration", &level),
        "5|2|<none>|<none>|<unknown>"
    );
    let service = json!({"spec": {"service": {"namespace": "n", "name": "s"}},
        "status": {"conditions": [{"type": "Available", "status": "False", "reason": "Gone"}]}});
    assert_eq!(row("apiregistration.k8s.io/v1", "APIService", &service), "n/s|False (Gone)|<unknown>");
}

#[test]
fn claims_and_pools() {
    let claim = |tree: Value| row("resource.k8s.io/v1", "ResourceClaim", &tree);
    assert_eq!(claim(json!({})), "pending|<unknown>");
    assert_eq!(
        claim(json!({"status": {"allocation": {}, "reservedFor": [{}]}})),
        "allocated,reserved|<unknown>"
    );
    let gone = json!({"metadata": {"deletionTimestamp": "2020-01-01T00:00:00Z"}});
    assert_eq!(claim(gone), "deleted|<unknown>");
    let pools = |status: Value| {
        unstable("resource.k8s.io/v1alpha3", "ResourcePoolStatusRequest", &json!({"status": status}))
    };
    assert_eq!(pools(Value::Null), "-|-|-|-|-|0|Pending|<none>");
    let complete = json!({"poolCount": 2, "pools": [{"totalDevices": 4, "availableDevices": 1, "validationError": "x"}],
        "conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": "2020-01-01T00:57:00Z"}]});
    assert_eq!(pools(complete), "4|1|0|0|1|2|Complete (1/2 pools)|3m");
    let failed = json!({"conditions": [{"type": "Failed", "status": "True"}]});
    assert_eq!(pools(failed), "-|-|-|-|-|0|Failed|<none>");
}

#[test]
fn groups_and_migrations() {
    let group = json!({"spec": {"schedulingPolicy": {"gang": {}}},
        "status": {"conditions": [{"type": "PodGroupScheduled", "status": "False"}]}});
    assert_eq!(
        unstable("scheduling.k8s.io/v1alpha2", "PodGroup", &group),
        "Gang|<none>|Unschedulable|<unknown>"
    );
    let migration = json!({"spec": {"resource": {"group": "apps", "resource": "deployments"}},
        "status": {"conditions": [{"type": "Running", "status": "True"}, {"type": "Failed", "status": "False"}]}});
    assert_eq!(
        unstable("storagemigration.k8s.io/v1beta1", "StorageVersionMigration", &migration),
        "deployments.apps|Running"
    );
}
