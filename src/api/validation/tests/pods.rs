//! Pods.

use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use super::*;

fn pod() -> Value {
    json!({"metadata": {"name": "web", "namespace": "default", "labels": {}}, "spec": {
        "volumes": [{"name": "v", "emptyDir": {}}],
        "containers": [{"name": "c", "image": "nginx", "imagePullPolicy": "Always", "resources": {}, "ports": [{"containerPort": 80}],
                        "env": [{"name": "A", "value": "b"}],
                        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
                        "readinessProbe": {"httpGet": {"port": 80}}}]}})
}

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
    start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

#[test]
fn containers() {
    each::<Pod>(
        pod,
        &[
            ("/spec/containers", json!([]), "spec.containers: Required value"),
            ("/spec/containers/0/name", json!(null), "spec.containers[0].name: Required value"),
            (
                "/spec/containers/0/name",
                json!("A"),
                &format!("spec.containers[0].name: Invalid value: \"A\": {LABEL}"),
            ),
            ("/spec/containers/0/image", json!(null), "spec.containers[0].image: Required value"),
            (
                "/spec/containers/0/image",
                json!(" nginx"),
                "spec.containers[0].image: Invalid value: \" nginx\": must not have leading or trailing whitespace",
            ),
            (
                "/spec/containers/0/imagePullPolicy",
                json!("Sometimes"),
                "spec.containers[0].imagePullPolicy: Unsupported value: \"Sometimes\": supported values: \
                 \"Always\", \"IfNotPresent\", \"Never\"",
            ),
            (
                "/spec/containers/0/ports/0/containerPort",
                json!(70000),
                "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
            ),
            (
                "/spec/containers/0/ports/0/containerPort",
                json!(0),
                "spec.containers[0].ports[0].containerPort: Required value",
            ),
            (
                "/spec/containers/0/ports/0/protocol",
                json!("ICMP"),
                "spec.containers[0].ports[0].protocol: Unsupported value: \"ICMP\": supported values: \"SCTP\", \
                 \"TCP\", \"UDP\"",
            ),
            (
                "/spec/containers/0/env/0/name",
                json!("A=B"),
                "spec.containers[0].env[0].name: Invalid value: \"A=B\": a valid environment variable name must \
                 consist only of printable ASCII characters other than '='",
            ),
            (
                "/spec/containers/0/env/0/valueFrom",
                json!({"fieldRef": {"fieldPath": "metadata.name"}}),
                "spec.containers[0].env[0].valueFrom: Invalid value: \"\": may not be specified when `value` is \
                 not empty",
            ),
            (
                "/spec/containers/0/volumeMounts/0/name",
                json!("w"),
                "spec.containers[0].volumeMounts[0].name: Not found: \"w\"",
            ),
            (
                "/spec/containers/0/readinessProbe",
                json!({}),
                "spec.containers[0].readinessProbe: Required value: must specify a handler type",
            ),
            (
                "/spec/containers/0/livenessProbe",
                json!({"tcpSocket": {"port": "http"}, "successThreshold": 2}),
                "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
            ),
            (
                "/spec/containers/0/readinessProbe/httpGet/port",
                json!(0),
                "spec.containers[0].readinessProbe.httpGet.port: Invalid value: 0: must be between 1 and 65535, \
                 inclusive",
            ),
            (
                "/spec/containers/0/resources",
                json!({"requests": {"cpu": "2"}, "limits": {"cpu": "500m"}}),
                "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu \
                 limit of 500m",
            ),
            (
                "/spec/containers/0/resources",
                json!({"requests": {"memory": "-1"}}),
                "spec.containers[0].resources.requests[memory]: Invalid value: \"-1\": must be greater than or equal \
                 to 0",
            ),
            (
                "/spec/containers/0/resources",
                json!({"limits": {"example.com/gpu": "1"}, "requests": {"example.com/gpu": "2"}}),
                "spec.containers[0].resources.requests: Invalid value: \"2\": must be equal to example.com/gpu limit of 1",
            ),
            (
                "/spec/initContainers",
                json!([{"name": "c", "image": "i"}]),
                "spec.initContainers[0].name: Duplicate value: \"c\"",
            ),
            (
                "/spec/initContainers",
                json!([{"name": "i", "image": "i", "livenessProbe": {"exec": {"command": ["a"]}}}]),
                "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without \
                 restartPolicy=Always",
            ),
        ],
    );
    let two = json!([{"name": "a", "image": "i", "ports": [{"containerPort": 1, "hostPort": 80}]},
                     {"name": "a", "image": "i", "ports": [{"containerPort": 2, "hostPort": 80}]}]);
    assert_eq!(
        created::<Pod>(with(pod(), "/spec/containers", two)),
        [
            "spec.containers[1].name: Duplicate value: \"a\"",
            "spec.containers[1].ports[0].hostPort: Duplicate value: \"TCP//80\""
        ]
    );
}

#[test]
fn the_spec_of_a_pod() {
    let term = |operator: &str, values: Value| {
        json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "zone", "operator": operator, "values": values}]}]}}})
    };
    let requirement = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution\
        .nodeSelectorTerms[0].matchExpressions[0]";
    each::<Pod>(
        pod,
        &[
            (
                "/spec/restartPolicy",
                json!("Maybe"),
                "spec.restartPolicy: Unsupported value: \"Maybe\": supported values: \"Always\", \"OnFailure\", \
                 \"Never\"",
            ),
            (
                "/spec/activeDeadlineSeconds",
                json!(0),
                "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
            ),
            (
                "/spec/volumes",
                json!([{"name": "w", "emptyDir": {}, "hostPath": {"path": "/x"}}, {"name": "v", "emptyDir": {}}]),
                "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type",
            ),
            (
                "/spec/volumes",
                json!([{"name": "w", "secret": {"secretName": "s", "items": [{"key": "k", "path": "../p"}]}}, {"name": "v", "emptyDir": {}}]),
                "spec.volumes[0].secret.items[0].path: Invalid value: \"../p\": must not contain '..'",
            ),
            (
                "/spec/tolerations",
                json!([{"operator": "Equal", "value": "x"}]),
                "spec.tolerations[0].operator: Invalid value: \"Equal\": operator must be Exists when `key` is \
                 empty, which means \"match all values and all keys\"",
            ),
            (
                "/spec/tolerations",
                json!([{"key": "a", "operator": "Exists", "effect": "NoSchedule", "tolerationSeconds": 1}]),
                "spec.tolerations[0].effect: Invalid value: \"NoSchedule\": effect must be 'NoExecute' when \
                 `tolerationSeconds` is set",
            ),
            (
                "/spec/affinity",
                term("In", json!([])),
                &format!(
                    "{requirement}.values: Required value: must be specified when `operator` is 'In' or 'NotIn'"
                ),
            ),
            (
                "/spec/affinity",
                term("Near", json!(["a"])),
                &format!("{requirement}.operator: Invalid value: \"Near\": not a valid selector operator"),
            ),
            (
                "/spec/schedulingGates",
                json!([{"name": "a.io/x"}, {"name": "a.io/x"}]),
                "spec.schedulingGates[1]: Duplicate value: \"a.io/x\"",
            ),
            (
                "/spec/nodeName",
                json!("Node"),
                "spec.nodeName: Invalid value: \"Node\": a lowercase RFC 1123 subdomain must consist of lower case \
                 alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. \
                 'example.com', regex used for validation is \
                 '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
            ),
        ],
    );
}

#[test]
fn almost_nothing_of_a_pod_changes() {
    let bound = || with(pod(), "/spec/nodeName", json!("n1"));
    assert_eq!(
        changed::<Pod>(bound(), with(bound(), "/spec/containers/0/image", json!("nginx:2"))),
        Vec::<String>::new()
    );
    let added = json!([{"key": "a", "operator": "Exists"}]);
    assert_eq!(
        changed::<Pod>(bound(), with(bound(), "/spec/tolerations", added.clone())),
        Vec::<String>::new()
    );
    assert_eq!(
        changed::<Pod>(with(bound(), "/spec/tolerations", added), bound()),
        ["spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"]
    );
    let [error] = &changed::<Pod>(bound(), with(bound(), "/spec/nodeName", json!("n2")))[..] else {
        panic!()
    };
    assert!(
        error.starts_with(
            "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,\
             `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to \
             existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was \
             previously negative)\n"
        ),
        "{error}"
    );
    let two = json!([{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]);
    assert_eq!(
        changed::<Pod>(bound(), with(bound(), "/spec/containers", two))[0],
        "spec.containers: Forbidden: pod updates may not add or remove containers"
    );
    let gated = || with(pod(), "/spec/schedulingGates", json!([{"name": "x.io/a"}]));
    let narrowed = with(pod(), "/spec/nodeSelector", json!({"zone": "a"}));
    assert_eq!(changed::<Pod>(gated(), narrowed.clone()), Vec::<String>::new());
    assert_eq!(changed::<Pod>(pod(), narrowed).len(), 1);
    assert_eq!(
        changed::<Pod>(pod(), gated()),
        [
            "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'x.io/a'"
        ]
    );
}

#[test]
fn a_container_that_ended_for_good_stays_ended() {
    let with_state = |state: Value| {
        let mut pod = with(pod(), "/spec/restartPolicy", json!("Never"));
        pod["status"] = json!({"containerStatuses": [{"name": "c", "state": state}]});
        pod
    };
    let (row, options) = (row::<Pod>(), Options::default());
    let (ended, running) =
        (with_state(json!({"terminated": {"exitCode": 0}})), with_state(json!({"running": {}})));
    assert_eq!(said(options.update_status_tree(&row, &ended, &running)), Vec::<String>::new());
    assert_eq!(
        said(options.update_status_tree(&row, &running, &ended)),
        ["status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"]
    );
}
