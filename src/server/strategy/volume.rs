//! Volumes, and claims to them.

use serde_json::{Value, json};

use super::{Context, DEFAULT, Strategy};
use crate::server::tree::{at, map_mut, text};

pub(super) const PERSISTENT_VOLUME: Strategy = Strategy {
    answers_deleted: true,
    create: |context, tree| {
        let status = map_mut(tree, "status");
        status.insert("phase".into(), "Pending".into());
        status.insert("lastPhaseTransitionTime".into(), context.now.to_string().into());
    },
    update_status: transition,
    ..DEFAULT
};

/// When a volume came into its phase is known, whoever moves it there.
///
/// Source: `PrepareForUpdate` of the status strategy of `k8s.io/kubernetes/pkg/registry/core/persistentvolume`
/// (1.36).
fn transition(context: &Context<'_>, new: &mut Value, old: &Value) {
    const TIME: &str = "lastPhaseTransitionTime";
    let same_phase = text(new, &["status", "phase"]) == text(old, &["status", "phase"]);
    let (said, before) = (at(new, &["status", TIME]).cloned(), at(old, &["status", TIME]).cloned());
    let time = match (same_phase, said) {
        (true, None) => before,
        (false, said) if said.is_none() || said == before => Some(context.now.to_string().into()),
        _ => return,
    };
    if let Some(time) = time {
        map_mut(new, "status").insert(TIME.into(), time);
    }
}

pub(super) const PERSISTENT_VOLUME_CLAIM: Strategy = Strategy {
    answers_deleted: true,
    create: |_, tree| {
        map_mut(tree, "status").insert("phase".into(), "Pending".into());
        data_source(tree, None);
    },
    update: |_, new, old| data_source(new, Some(old)),
    ..DEFAULT
};

/// Where a volume's content comes from stands in two fields, an old one that knows claims and snapshots and a
/// new one that knows everything; both say the same. A source in another namespace is off.
///
/// Source: `DropDisabledFields`, `EnforceDataSourceBackwardsCompatibility` and `NormalizeDataSources` of
/// `k8s.io/kubernetes/pkg/api/persistentvolumeclaim` (1.36).
fn data_source(claim: &mut Value, old: Option<&Value>) {
    let used = |field: &str| old.is_some_and(|old| at(old, &["spec", field]).is_some());
    let elsewhere = !text(claim, &["spec", "dataSourceRef", "namespace"]).is_empty();
    let spec = map_mut(claim, "spec");
    if elsewhere && !used("dataSourceRef") {
        spec.remove("dataSourceRef");
    }
    let set = |field: &str, spec: &serde_json::Map<String, Value>| {
        spec.get(field).filter(|own| !own.is_null()).cloned()
    };
    if set("dataSourceRef", spec).is_none() && !used("dataSource") && !used("dataSourceRef") {
        let known = spec.get("dataSource").is_some_and(|source| {
            matches!(
                (text(source, &["apiGroup"]), text(source, &["kind"])),
                ("", "PersistentVolumeClaim") | ("snapshot.storage.k8s.io", "VolumeSnapshot")
            )
        });
        if !known {
            spec.remove("dataSource");
        }
    }
    let local = |source: &Value| {
        let mut own = json!({"kind": source["kind"], "name": source["name"]});
        if !source["apiGroup"].is_null() {
            own["apiGroup"] = source["apiGroup"].clone();
        }
        own
    };
    match (set("dataSource", spec), set("dataSourceRef", spec)) {
        (Some(source), None) => drop(spec.insert("dataSourceRef".into(), local(&source))),
        (None, Some(source)) if text(&source, &["namespace"]).is_empty() => {
            spec.insert("dataSource".into(), local(&source));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimed(spec: Value, old: Option<Value>) -> Value {
        let mut claim = json!({"spec": spec});
        data_source(&mut claim, old.map(|spec| json!({"spec": spec})).as_ref());
        claim["spec"].clone()
    }

    #[test]
    fn both_fields_say_where_data_comes_from() {
        let claim = json!({"kind": "PersistentVolumeClaim", "name": "a"});
        let both = json!({"dataSource": claim, "dataSourceRef": claim});
        assert_eq!(claimed(json!({"dataSource": claim}), None), both);
        assert_eq!(claimed(json!({"dataSourceRef": claim}), None), both);
        let other = json!({"apiGroup": "x.example", "kind": "Backup", "name": "b"});
        assert_eq!(claimed(json!({"dataSource": other}), None), json!({}));
        assert_eq!(
            claimed(json!({"dataSourceRef": other}), None),
            json!({"dataSource": other, "dataSourceRef": other})
        );
    }

    #[test]
    fn a_source_elsewhere_is_dropped_unless_it_was_there() {
        let far = json!({"kind": "PersistentVolumeClaim", "name": "a", "namespace": "n"});
        assert_eq!(claimed(json!({"dataSourceRef": far}), None), json!({}));
        let old = json!({"dataSourceRef": far});
        assert_eq!(claimed(old.clone(), Some(old.clone())), old);
    }
}
