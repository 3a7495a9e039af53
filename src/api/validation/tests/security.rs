//! What a pod may do, where it may be, and what becomes of it while it runs.

use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use super::*;

fn pod() -> Value {
    json!({"metadata": {"name": "web", "namespace": "default"}, "spec": {"nodeName": "n", "securityContext": {},
        "containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}}, "securityContext": {}}]}})
}

#[test]
fn contexts() {
    for (pointer, value, error) in [
        (
            "/spec/securityContext/runAsUser",
            json!(-1),
            "spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
        ),
        (
            "/spec/securityContext/seccompProfile",
            json!({"type": "Localhost"}),
            "spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost",
        ),
        (
            "/spec/securityContext/appArmorProfile",
            json!({"type": "Custom"}),
            "spec.securityContext.appArmorProfile.type: Unsupported value: \"Custom\": supported values: \"Localhost\", \
             \"RuntimeDefault\", \"Unconfined\"",
        ),
        (
            "/spec/securityContext/sysctls",
            json!([{"name": "Kernel.x", "value": "1"}]),
            "spec.securityContext.sysctls[0].name: Invalid value: \"Kernel.x\": must have at most 253 characters and match \
             regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$",
        ),
        (
            "/spec/topologySpreadConstraints",
            json!([{"maxSkew": 0, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]),
            "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
        ),
        (
            "/spec/readinessGates",
            json!([{"conditionType": "a b"}]),
            "spec.readinessGates[0].conditionType: Invalid value: \"a b\": name part must consist of alphanumeric \
             characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or \
             'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
        ),
        (
            "/spec/dnsPolicy",
            json!("Sometimes"),
            "spec.dnsPolicy: Unsupported value: \"Sometimes\": supported values: \"ClusterFirstWithHostNet\", \
             \"ClusterFirst\", \"Default\", \"None\"",
        ),
    ] {
        let errors = created::<Pod>(with(pod(), pointer, value));
        assert_eq!(errors, [error], "{pointer}");
    }
    let ephemeral = json!([{"name": "d", "image": "i"}]);
    assert_eq!(
        created::<Pod>(with(pod(), "/spec/ephemeralContainers", ephemeral)),
        ["spec.ephemeralContainers: Forbidden: cannot be set on create"]
    );
    let windows = with(pod(), "/spec/os", json!({"name": "windows"}));
    let errors = created::<Pod>(with(windows, "/spec/securityContext/runAsUser", json!(1)));
    assert_eq!(errors.len(), 1);
    assert!(
        errors[0].starts_with("spec.securityContext.runAsUser: Forbidden: cannot be set for a windows pod")
    );
}

#[test]
fn containers_are_added_for_a_while_and_stay() {
    let (row, options) = (row::<Pod>(), Options::default());
    let with_containers =
        |containers: Value| ready(&row, with(pod(), "/spec/ephemeralContainers", containers));
    let debug = json!({"name": "d", "image": "i", "targetContainerName": "c"});
    let check = |new: &Value, old: &Value| said(options.update_ephemeral_containers_tree(&row, new, old));
    let (none, one) = (with_containers(json!([])), with_containers(json!([debug])));
    assert_eq!(check(&one, &none), Vec::<String>::new());
    assert!(check(&none, &one)[0].contains("existing ephemeral containers \"d\" may not be removed"));
    let mut changed = debug.clone();
    changed["image"] = "other".into();
    assert!(
        check(&with_containers(json!([changed])), &one)[0]
            .contains("existing ephemeral containers \"d\" may not be changed")
    );
    let mut ported = debug;
    ported["ports"] = json!([{"containerPort": 1}]);
    assert!(
        check(&with_containers(json!([ported])), &none)[0]
            .contains("cannot be set for an Ephemeral Container")
    );
}

#[test]
fn a_running_pod_is_resized_in_its_class() {
    let (row, options) = (row::<Pod>(), Options::default());
    let with_resources = |resources: Value| {
        let mut tree = ready(&row, with(pod(), "/spec/containers/0/resources", resources));
        tree["status"] = json!({"qosClass": "Burstable", "phase": "Running"});
        tree
    };
    let old = with_resources(json!({"requests": {"cpu": "1"}}));
    let check = |new: Value| said(options.update_resize_tree(&row, &with_resources(new), &old));
    assert_eq!(check(json!({"requests": {"cpu": "2"}})), Vec::<String>::new());
    let both = json!({"cpu": "1", "memory": "1Gi"});
    let errors = check(json!({"requests": both, "limits": both}));
    assert!(errors.iter().any(|error| error.contains("Pod QOS Class may not change")), "{errors:?}");
    let errors = check(json!({"requests": {"cpu": "1", "ephemeral-storage": "1Gi"}}));
    assert!(
        errors.iter().any(|error| error.contains("only cpu and memory resources are mutable")),
        "{errors:?}"
    );
}
