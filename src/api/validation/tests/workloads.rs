//! Kinds that keep pods running, let them end, or scale them.

use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::ReplicationController;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde_json::json;

use super::*;

fn template(policy: &str) -> Value {
    json!({"metadata": {"labels": {"app": "web"}},
        "spec": {"restartPolicy": policy, "containers": [{"name": "c", "image": "i"}]}})
}

fn set() -> Value {
    json!({"metadata": {"name": "web", "namespace": "default"}, "spec": {"serviceName": "web",
        "selector": {"matchLabels": {"app": "web"}}, "updateStrategy": {}, "template": template("Always")}})
}

fn job() -> Value {
    let labels = json!({"job-name": "j", "batch.kubernetes.io/job-name": "j", "controller-uid": "u",
        "batch.kubernetes.io/controller-uid": "u"});
    let mut template = template("Never");
    template["metadata"]["labels"] = labels;
    json!({"metadata": {"name": "j", "namespace": "default", "uid": "u"}, "spec": {"completions": 1, "parallelism": 1,
        "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}}, "template": template}})
}

#[test]
fn stateful_sets() {
    each::<StatefulSet>(
        set,
        &[
            (
                "/spec/podManagementPolicy",
                json!("Any"),
                "spec.podManagementPolicy: Invalid value: \"Any\": must be 'OrderedReady' or 'Parallel'",
            ),
            (
                "/spec/updateStrategy",
                json!({"type": "Recreate"}),
                "spec.updateStrategy: Invalid value: {\"type\":\"Recreate\"}: must be 'RollingUpdate' or 'OnDelete'",
            ),
            (
                "/spec/updateStrategy",
                json!({"type": "RollingUpdate", "rollingUpdate": {"partition": -1}}),
                "spec.updateStrategy.rollingUpdate.partition: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                "/spec/replicas",
                json!(-1),
                "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                "/spec/ordinals",
                json!({"start": -1}),
                "spec.ordinals.start: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                "/spec/persistentVolumeClaimRetentionPolicy",
                json!({"whenDeleted": "Keep"}),
                "spec.persistentVolumeClaimRetentionPolicy.whenDeleted: Unsupported value: \"Keep\": supported \
                 values: \"Retain\", \"Delete\"",
            ),
        ],
    );
    let claimed = |name: &str| {
        json!([{"metadata": {"name": name}, "spec": {"accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}}}}])
    };
    let mut mounted = with(set(), "/spec/volumeClaimTemplates", claimed("data"));
    mounted["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] =
        json!([{"name": "data", "mountPath": "/data"}]);
    assert_eq!(created::<StatefulSet>(mounted), Vec::<String>::new());
    assert_eq!(
        changed::<StatefulSet>(set(), with(set(), "/spec/serviceName", json!("other"))),
        [
            "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
          'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are \
          forbidden"
        ]
    );
    assert_eq!(changed::<StatefulSet>(set(), with(set(), "/spec/replicas", json!(7))), Vec::<String>::new());
}

#[test]
fn daemon_sets_and_controllers() {
    let daemons = || with(set(), "/spec/serviceName", json!(null));
    let rolling = |own: Value| {
        with(daemons(), "/spec/updateStrategy", json!({"type": "RollingUpdate", "rollingUpdate": own}))
    };
    assert_eq!(created::<DaemonSet>(daemons()), Vec::<String>::new());
    assert_eq!(
        created::<DaemonSet>(rolling(json!({"maxUnavailable": 0, "maxSurge": 0}))),
        ["spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0"]
    );
    assert_eq!(
        created::<DaemonSet>(rolling(json!({"maxUnavailable": 1, "maxSurge": 1}))),
        [
            "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero"
        ]
    );
    let other = json!({"matchLabels": {"app": "db"}});
    let mut moved = with(daemons(), "/spec/selector", other.clone());
    moved["spec"]["template"]["metadata"]["labels"] = json!({"app": "db"});
    assert_eq!(changed::<DaemonSet>(daemons(), moved).len(), 1);
    let controller = json!({"metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"app": "db"}, "template": template("Always")}});
    assert_eq!(
        created::<ReplicationController>(controller),
        [
            "spec.template.metadata.labels: Invalid value: {\"app\":\"web\"}: `selector` does not match template `labels`"
        ]
    );
    let revision =
        |data: Value| json!({"metadata": {"name": "r", "namespace": "default"}, "revision": 1, "data": data});
    assert_eq!(created::<ControllerRevision>(revision(json!({}))), Vec::<String>::new());
    assert_eq!(
        created::<ControllerRevision>(revision(json!(null))),
        ["data: Required value: data is mandatory"]
    );
    assert_eq!(changed::<ControllerRevision>(revision(json!({"a": 1})), revision(json!({"a": 2}))).len(), 1);
}

#[test]
fn jobs() {
    each::<Job>(
        job,
        &[
            (
                "/spec/parallelism",
                json!(-1),
                "spec.parallelism: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                "/spec/template/spec/restartPolicy",
                json!("Always"),
                "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
            ),
            (
                "/spec/managedBy",
                json!("me"),
                "spec.managedBy: Invalid value: \"me\": must be a domain-prefixed path (such as \"acme.io/foo\")",
            ),
            (
                "/spec/successPolicy",
                json!({"rules": [{"succeededCount": 1}]}),
                "spec.successPolicy: Invalid value: {\"rules\":[{\"succeededCount\":1}]}: requires indexed completion mode",
            ),
            (
                "/spec/podReplacementPolicy",
                json!("Never"),
                "spec: Unsupported value: \"Never\": supported values: \"Failed\", \"TerminatingOrFailed\"",
            ),
        ],
    );
    let changes = |pointer: &str, value: Value| changed::<Job>(job(), with(job(), pointer, value));
    assert_eq!(changes("/spec/parallelism", json!(3)), Vec::<String>::new());
    assert_eq!(
        changes("/spec/completions", json!(3)),
        ["spec.completions: Invalid value: 3: field is immutable"]
    );
    assert_eq!(changes("/spec/template/spec/containers/0/image", json!("other")).len(), 1);
    let suspended = || with(job(), "/spec/suspend", json!(true));
    let placed = with(suspended(), "/spec/template/spec/nodeSelector", json!({"zone": "a"}));
    assert_eq!(changed::<Job>(suspended(), placed), Vec::<String>::new());
}

#[test]
fn the_status_of_a_job_is_consistent() {
    let row = row::<Job>();
    let with_status = |status: Value| {
        let mut tree = ready(&row, job());
        tree["status"] = status;
        tree
    };
    let status = |old: Value, new: Value| {
        said(Options::default().update_status_tree(&row, &with_status(new), &with_status(old)))
    };
    let time = "2020-01-01T00:00:00Z";
    let running = || json!({"startTime": time, "active": 1, "succeeded": 1});
    assert_eq!(status(json!({}), running()), Vec::<String>::new());
    assert!(!status(running(), json!({"startTime": time, "active": 1})).is_empty(), "fewer have succeeded");
    let complete = json!({"startTime": time, "completionTime": time, "succeeded": 1, "conditions": [
        {"type": "SuccessCriteriaMet", "status": "True"}, {"type": "Complete", "status": "True"}]});
    assert_eq!(status(running(), complete.clone()), Vec::<String>::new());
    let active = with(complete, "/active", json!(1));
    assert!(!status(running(), active).is_empty(), "a finished job has pods");
}

#[test]
fn cron_jobs() {
    let cron = || {
        json!({"metadata": {"name": "c", "namespace": "default"},
            "spec": {"schedule": "*/5 * * * *", "jobTemplate": {"spec": {"template": template("Never")}}}})
    };
    let of = |pointer: &str, value: Value| created::<CronJob>(with(cron(), pointer, value));
    assert_eq!(created::<CronJob>(cron()), Vec::<String>::new());
    assert_eq!(
        of("/spec/schedule", json!("* * * *")),
        ["spec.schedule: Invalid value: \"* * * *\": expected exactly 5 fields, found 4: [* * * *]"]
    );
    assert_eq!(
        of("/spec/schedule", json!("TZ=UTC * * * * *")),
        [
            "spec.schedule: Invalid value: \"TZ=UTC * * * * *\": cannot use TZ or CRON_TZ in schedule, use timeZone field \
          instead"
        ]
    );
    assert_eq!(
        of("/spec/timeZone", json!("Nowhere")),
        ["spec.timeZone: Invalid value: \"Nowhere\": unknown time zone Nowhere"]
    );
    assert_eq!(
        of("/spec/concurrencyPolicy", json!("Maybe")),
        [
            "spec.concurrencyPolicy: Unsupported value: \"Maybe\": supported values: \"Allow\", \"Forbid\", \"Replace\""
        ]
    );
    assert_eq!(
        of("/metadata/name", json!("a".repeat(53))),
        [format!("metadata.name: Invalid value: \"{}\": must be no more than 52 characters", "a".repeat(53))]
    );
}

#[test]
fn autoscalers_and_budgets() {
    let cpu = || json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}});
    let autoscaler = move || {
        json!({"metadata": {"name": "a", "namespace": "default"}, "spec": {"maxReplicas": 3, "metrics": [cpu()],
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}})
    };
    let of =
        |pointer: &str, value: Value| created::<HorizontalPodAutoscaler>(with(autoscaler(), pointer, value));
    assert_eq!(created::<HorizontalPodAutoscaler>(autoscaler()), Vec::<String>::new());
    for (pointer, value, error) in [
        (
            "/spec/minReplicas",
            json!(4),
            "spec.maxReplicas: Invalid value: 3: must be greater than or equal to `minReplicas`",
        ),
        (
            "/spec/scaleTargetRef/apiVersion",
            json!("v1"),
            "spec.scaleTargetRef.apiVersion: Invalid value: \"v1\": apiVersion must specify API group",
        ),
        ("/spec/scaleTargetRef/name", json!(""), "spec.scaleTargetRef.name: Required value"),
        (
            "/spec/metrics/0/resource/target/averageUtilization",
            json!(0),
            "spec.metrics[0].resource.target.averageUtilization: Invalid value: 0: must be greater than 0",
        ),
        (
            "/spec/behavior",
            json!({"scaleDown": {"stabilizationWindowSeconds": 3601}}),
            "spec.behavior.scaleDown.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600",
        ),
    ] {
        assert_eq!(of(pointer, value), [error], "{pointer}");
    }
    let budget = |spec: Value| json!({"metadata": {"name": "b", "namespace": "default"}, "spec": spec});
    assert_eq!(created::<PodDisruptionBudget>(budget(json!({"minAvailable": "50%"}))), Vec::<String>::new());
    assert_eq!(
        created::<PodDisruptionBudget>(budget(json!({"minAvailable": "101%"}))),
        ["spec.minAvailable: Invalid value: \"101%\": must not be greater than 100%"]
    );
    assert!(
        created::<PodDisruptionBudget>(budget(json!({"minAvailable": 1, "maxUnavailable": 1})))[0]
            .ends_with("minAvailable and maxUnavailable cannot be both set")
    );
}
