//! Volumes: of pods, and those that outlive them.

use k8s_openapi::api::core::v1::{LimitRange, PersistentVolume, PersistentVolumeClaim, Pod, ResourceQuota};
use serde_json::json;

use super::*;

fn volume() -> Value {
    json!({"metadata": {"name": "v"}, "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
        "hostPath": {"path": "/data"}}})
}

fn claim() -> Value {
    json!({"metadata": {"name": "c", "namespace": "default"}, "spec": {"accessModes": ["ReadWriteOnce"],
        "storageClassName": "fast", "resources": {"requests": {"storage": "1Gi"}}}})
}

#[test]
fn persistent_volumes() {
    each::<PersistentVolume>(
        volume,
        &[
            ("/spec/hostPath", json!(null), "spec: Required value: must specify a volume type"),
            ("/spec/accessModes", json!([]), "spec.accessModes: Required value"),
            (
                "/spec/capacity",
                json!({"storage": "0"}),
                "spec.capacity[storage]: Invalid value: \"0\": must be greater than zero",
            ),
            (
                "/spec/hostPath/path",
                json!("/a/../b"),
                "spec.hostPath.path: Invalid value: \"/a/../b\": must not contain '..'",
            ),
            (
                "/spec/nfs",
                json!({"server": "s", "path": "/p"}),
                "spec.nfs: Forbidden: may not specify more than 1 volume type",
            ),
            (
                "/spec/persistentVolumeReclaimPolicy",
                json!("Keep"),
                "spec.persistentVolumeReclaimPolicy: Unsupported value: \"Keep\": supported values: \"Delete\", \
                 \"Recycle\", \"Retain\"",
            ),
        ],
    );
    let source = with(volume(), "/spec/hostPath/path", json!("/other"));
    let errors = changed::<PersistentVolume>(volume(), source);
    assert_eq!(errors.len(), 1);
    assert!(errors[0].starts_with("spec.persistentvolumesource: Forbidden: "), "{errors:?}");
}

#[test]
fn claims_grow_and_change_in_nothing_else() {
    each::<PersistentVolumeClaim>(
        claim,
        &[
            (
                "/spec/accessModes",
                json!([]),
                "spec.accessModes: Required value: at least 1 access mode is required",
            ),
            ("/spec/resources/requests", json!({}), "spec.resources[storage]: Required value"),
            (
                "/spec/resources/requests",
                json!({"storage": "0"}),
                "spec.resources[storage]: Invalid value: \"0\": must be greater than zero",
            ),
            (
                "/spec/accessModes",
                json!(["ReadWriteOncePod", "ReadWriteOnce"]),
                "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes",
            ),
        ],
    );
    let bound = |storage: &str| {
        let mut tree = with(claim(), "/spec/volumeName", json!("v"));
        tree["spec"]["resources"]["requests"]["storage"] = storage.into();
        tree["status"] = json!({"phase": "Bound", "capacity": {"storage": "1Gi"}});
        tree
    };
    assert_eq!(changed::<PersistentVolumeClaim>(bound("1Gi"), bound("2Gi")), Vec::<String>::new());
    let smaller = changed::<PersistentVolumeClaim>(bound("2Gi"), bound("512Mi"));
    assert_eq!(smaller.len(), 1, "{smaller:?}");
    assert!(smaller[0].starts_with("spec.resources.requests.storage: Forbidden: field can not be less than"));
    let renamed = with(bound("1Gi"), "/spec/storageClassName", json!("slow"));
    let errors = changed::<PersistentVolumeClaim>(bound("1Gi"), renamed);
    assert!(errors[0].starts_with("spec: Forbidden: spec is immutable after creation except"), "{errors:?}");
}

#[test]
fn volumes_of_pods() {
    let pod = |volume: Value| {
        let mut volume = volume;
        volume["name"] = "v".into();
        json!({"metadata": {"name": "p", "namespace": "default"},
            "spec": {"volumes": [volume], "containers": [{"name": "c", "image": "i"}]}})
    };
    for (volume, error) in [
        (
            json!({"emptyDir": {"sizeLimit": "-1"}}),
            "emptyDir.sizeLimit: Forbidden: SizeLimit field must be a valid resource quantity",
        ),
        (json!({"hostPath": {"path": ""}}), "hostPath.path: Required value"),
        (
            json!({"hostPath": {"path": "/a", "type": "Pipe"}}),
            "hostPath.type: Unsupported value: \"Pipe\": supported values: ",
        ),
        (
            json!({"nfs": {"server": "s", "path": "relative"}}),
            "nfs.path: Invalid value: \"relative\": must be an absolute path",
        ),
        (
            json!({"persistentVolumeClaim": {"claimName": ""}}),
            "persistentVolumeClaim.claimName: Required value",
        ),
        (
            json!({"secret": {"secretName": "s", "defaultMode": 512}}),
            "secret.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive",
        ),
        (json!({"configMap": {"name": ""}}), "configMap.name: Required value"),
        (json!({"csi": {"driver": ""}}), "csi.driver: Required value"),
        (
            json!({"iscsi": {"targetPortal": "", "iqn": "iqn.2001-04.com.example:a"}}),
            "iscsi.targetPortal: Required value",
        ),
        (json!({"image": {"reference": ""}}), "image.reference: Required value"),
        (
            json!({"projected": {"sources": [{"secret": {"name": "s"}, "configMap": {"name": "m"}}]}}),
            "projected.sources[0]: Forbidden: may not specify more than 1 volume type per source",
        ),
        (
            json!({"ephemeral": {"volumeClaimTemplate": {"spec": {"resources": {"requests": {"storage": "1Gi"}}}}}}),
            "ephemeral.volumeClaimTemplate.spec.accessModes: Required value",
        ),
    ] {
        let errors = created::<Pod>(pod(volume.clone()));
        let expected = format!("spec.volumes[0].{error}");
        assert!(errors.iter().any(|error| error.starts_with(&expected)), "{volume}: {errors:?}");
    }
}

#[test]
fn quotas_and_limits() {
    let quota = |spec: Value| json!({"metadata": {"name": "q", "namespace": "default"}, "spec": spec});
    assert_eq!(
        created::<ResourceQuota>(quota(json!({"hard": {"pods": "1", "requests.cpu": "1"}}))),
        Vec::<String>::new()
    );
    for (spec, error) in [
        (
            json!({"hard": {"pods": "-1"}}),
            "spec.hard[pods]: Invalid value: \"-1\": must be greater than or equal to 0",
        ),
        (json!({"hard": {"pods": "1500m"}}), "spec.hard[pods]: Invalid value: \"1500m\": must be an integer"),
        (json!({"scopes": ["Sometimes"]}), "spec.scopes: Invalid value: [\"Sometimes\"]: unsupported scope"),
        (
            json!({"scopes": ["Terminating", "NotTerminating"]}),
            "spec.scopes: Invalid value: [\"Terminating\",\"NotTerminating\"]: conflicting scopes",
        ),
        (
            json!({"hard": {"cpu": "1"}, "scopes": ["BestEffort"]}),
            "spec.scopes: Invalid value: [\"BestEffort\"]: unsupported scope applied to resource",
        ),
    ] {
        assert_eq!(created::<ResourceQuota>(quota(spec.clone())), [error], "{spec}");
    }
    let scoped = |scope: &str| quota(json!({"scopes": [scope]}));
    assert_eq!(
        changed::<ResourceQuota>(scoped("Terminating"), scoped("NotTerminating")),
        ["spec.scopes: Invalid value: [\"NotTerminating\"]: field is immutable"]
    );
    let range =
        |item: Value| json!({"metadata": {"name": "l", "namespace": "default"}, "spec": {"limits": [item]}});
    let sound = json!({"type": "Container", "max": {"cpu": "2"}, "min": {"cpu": "1"}, "default": {"cpu": "2"}, "defaultRequest": {"cpu": "1"}});
    assert_eq!(created::<LimitRange>(range(sound)), Vec::<String>::new());
    let errors =
        created::<LimitRange>(range(json!({"type": "Pod", "max": {"cpu": "1"}, "min": {"cpu": "2"}})));
    assert_eq!(
        errors,
        ["spec.limits[0].min[cpu]: Invalid value: \"2\": min value 2 is greater than max value 1"]
    );
    assert_eq!(
        created::<LimitRange>(range(json!({"type": "Pod", "default": {"cpu": "1"}})))[0],
        "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'"
    );
}
