//! Devices, claims to them, and groups of pods.

use serde_json::json;

use super::*;

const CLAIM: (&str, &str) = ("resource.k8s.io/v1", "ResourceClaim");
const SLICE: (&str, &str) = ("resource.k8s.io/v1", "ResourceSlice");

fn claim() -> Value {
    json!({"metadata": {"name": "c", "namespace": "default"}, "spec": {"devices": {
        "requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu.example.com"}}]}}})
}

fn slice() -> Value {
    json!({"metadata": {"name": "s"}, "spec": {"driver": "gpu.example.com", "nodeName": "n",
        "pool": {"name": "p", "resourceSliceCount": 1},
        "devices": [{"name": "d0", "attributes": {"model": {"string": "a"}}, "capacity": {"memory": {"value": "1Gi"}}}]}})
}

#[test]
fn claims() {
    each_of(
        CLAIM,
        &claim(),
        &[
            (
                "/spec/devices/requests/0/exactly/deviceClassName",
                json!(""),
                "spec.devices.requests[0].exactly.deviceClassName: Required value",
            ),
            (
                "/spec/devices/requests/0",
                json!({"name": "gpu"}),
                "spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required",
            ),
            (
                "/spec/devices/requests/0/exactly/count",
                json!(-1),
                "spec.devices.requests[0].exactly.count: Invalid value: -1: must be greater than zero",
            ),
            (
                "/spec/devices/config",
                json!([{"requests": ["cpu"], "opaque": {"driver": "gpu.example.com", "parameters": {}}}]),
                "spec.devices.config[0].requests[0]: Invalid value: \"cpu\": must be the name of a request in the claim \
                 or the name of a request and a subrequest separated by '/'",
            ),
        ],
    );
    let mut twice = claim();
    let request = twice["spec"]["devices"]["requests"][0].clone();
    twice["spec"]["devices"]["requests"] = json!([request, request]);
    assert_eq!(judged(CLAIM, twice), ["spec.devices.requests[1]: Duplicate value: \"gpu\""]);
    let other = with(claim(), "/spec/devices/requests/0/name", json!("b"));
    assert!(rejudged(CLAIM, claim(), other)[0].ends_with("field is immutable"));
}

#[test]
fn allocations() {
    let result = json!({"request": "gpu", "driver": "gpu.example.com", "pool": "p", "device": "d0"});
    let mut allocated = claim();
    allocated["status"] = json!({"allocation": {"devices": {"results": [result]}}});
    assert_eq!(restated(CLAIM, claim(), allocated.clone()), Vec::<String>::new());
    let consumer = json!({"resource": "pods", "name": "p", "uid": "1"});
    let mut reserved = allocated.clone();
    reserved["status"]["reservedFor"] = json!([consumer]);
    assert_eq!(restated(CLAIM, allocated.clone(), reserved.clone()), Vec::<String>::new());
    let unallocated = with(reserved.clone(), "/status/allocation", json!(null));
    assert_eq!(
        restated(CLAIM, reserved, unallocated),
        ["status.reservedFor: Forbidden: may not be specified when `allocated` is not set"]
    );
    let unknown = with(allocated.clone(), "/status/allocation/devices/results/0/request", json!("x"));
    assert_eq!(restated(CLAIM, claim(), unknown).len(), 1);
    let reported = json!([{"driver": "gpu.example.com", "pool": "p", "device": "d1"}]);
    let reported = with(allocated.clone(), "/status/devices", reported);
    assert_eq!(
        restated(CLAIM, allocated, reported),
        [
            "status.devices[0]: Invalid value: \"gpu.example.com/p/d1\": must be an allocated device in the claim"
        ]
    );
}

#[test]
fn slices() {
    each_of(
        SLICE,
        &slice(),
        &[
            (
                "/spec/nodeName",
                json!(null),
                "spec: Required value: exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` \
                 is required",
            ),
            (
                "/spec/pool/resourceSliceCount",
                json!(0),
                "spec.pool.resourceSliceCount: Invalid value: 0: must be greater than zero",
            ),
            (
                "/spec/devices/0/attributes/model",
                json!({}),
                "spec.devices[0].attributes[model]: Invalid value: \"\": exactly one value must be specified",
            ),
        ],
    );
    let elsewhere = with(slice(), "/spec/driver", json!("b.example.com"));
    assert_eq!(
        rejudged(SLICE, slice(), elsewhere),
        ["spec.driver: Invalid value: \"b.example.com\": field is immutable"]
    );
    let mut repeated = slice();
    let device = repeated["spec"]["devices"][0].clone();
    repeated["spec"]["devices"] = json!([device, device]);
    assert_eq!(judged(SLICE, repeated), ["spec.devices[1]: Duplicate value: \"d0\""]);
    let many = (0..129).map(|number| json!({"name": format!("d{number}")})).collect::<Vec<_>>();
    let errors = judged(SLICE, with(slice(), "/spec/devices", many.into()));
    assert_eq!(errors, ["spec.devices: Too many: 129: must have at most 128 items"]);
}

#[test]
fn taints() {
    let rule = json!({"metadata": {"name": "t"}, "spec": {"deviceSelector": {"driver": "gpu.example.com"},
        "taint": {"key": "example.com/broken", "effect": "NoSchedule"}}});
    each_of(
        ("resource.k8s.io/v1beta2", "DeviceTaintRule"),
        &rule,
        &[(
            "/spec/taint/effect",
            json!("Burn"),
            "spec.taint.effect: Unsupported value: \"Burn\": supported values: \"NoExecute\", \"NoSchedule\", \
                 \"None\"",
        )],
    );
}

#[test]
fn a_taint_needs_a_key() {
    let rule = json!({"metadata": {"name": "t"}, "spec": {"deviceSelector": {"driver": "gpu.example.com"},
        "taint": {"key": "", "effect": "NoSchedule"}}});
    let errors = judged(("resource.k8s.io/v1beta2", "DeviceTaintRule"), rule);
    assert_eq!(errors[0], "spec.taint.key: Invalid value: \"\": name part must be non-empty");
    assert_eq!(errors.len(), 2, "{errors:?}");
}

#[test]
fn groups_of_pods() {
    let group = json!({"metadata": {"name": "g", "namespace": "default"},
        "spec": {"schedulingPolicy": {"gang": {"minCount": 2}}}});
    let kind = ("scheduling.k8s.io/v1alpha2", "PodGroup");
    each_of(
        kind,
        &group,
        &[
            (
                "/spec/schedulingPolicy/gang/minCount",
                json!(0),
                "spec.schedulingPolicy.gang.minCount: Required value",
            ),
            (
                "/spec/schedulingPolicy",
                json!({}),
                "spec.schedulingPolicy: Invalid value: \"\": must specify one of: `basic`, `gang`",
            ),
        ],
    );
    let workload = json!({"metadata": {"name": "w", "namespace": "default"},
        "spec": {"podGroupTemplates": [{"name": "a", "schedulingPolicy": {"basic": {}}}]}});
    let kind = ("scheduling.k8s.io/v1alpha2", "Workload");
    each_of(
        kind,
        &workload,
        &[
            ("/spec/podGroupTemplates", json!([]), "spec.podGroupTemplates: Required value"),
            ("/spec/podGroupTemplates/0/name", json!(""), "spec.podGroupTemplates[0].name: Required value"),
        ],
    );
    let other = with(workload.clone(), "/spec/podGroupTemplates/0/name", json!("b"));
    assert!(rejudged(kind, workload, other)[0].ends_with("field is immutable"));
}
