//! Kinds with a template of pods: what is off is dropped from it, as from pods.

use serde_json::{Map, Value, json};

use super::pod::disabled;
use super::{DEFAULT, Generation, Strategy};
use crate::server::tree::{at, map_mut, metadata_mut, text};

pub(super) const REPLICATION_CONTROLLER: Strategy = Strategy { orphans: true, ..REPLICA_SET };

pub(super) const REPLICA_SET: Strategy = Strategy {
    generation: Generation::Spec,
    create: |_, tree| {
        map_mut(tree, "status").insert("replicas".into(), 0.into());
        prepare(tree, None, &["spec", "template"]);
    },
    update: |_, new, old| prepare(new, Some(old), &["spec", "template"]),
    ..DEFAULT
};

pub(super) const POD_TEMPLATE: Strategy = Strategy {
    answers_deleted: true,
    generation: Generation::Content,
    create: |_, tree| prepare(tree, None, &["template"]),
    update: |_, new, old| prepare(new, Some(old), &["template"]),
    ..DEFAULT
};

pub(super) const DEPLOYMENT: Strategy = Strategy {
    generation: Generation::SpecAndAnnotations,
    create: |_, tree| prepare(tree, None, &["spec", "template"]),
    update: |_, new, old| prepare(new, Some(old), &["spec", "template"]),
    update_status: |_, new, old| {
        // Its labels are not the controller's to change.
        super::super::tree::copy_field(metadata_mut(new), old["metadata"].as_object(), "labels");
    },
    ..DEFAULT
};

pub(super) const STATEFUL_SET: Strategy = Strategy {
    generation: Generation::Spec,
    create: |_, tree| {
        let status = map_mut(tree, "status");
        ["replicas", "availableReplicas"]
            .into_iter()
            .for_each(|count| drop(status.insert(count.into(), 0.into())));
        drop_max_unavailable(tree, None);
        prepare(tree, None, &["spec", "template"]);
    },
    update: |_, new, old| {
        drop_max_unavailable(new, Some(old));
        prepare(new, Some(old), &["spec", "template"]);
    },
    ..DEFAULT
};

pub(super) const DAEMON_SET: Strategy = Strategy {
    generation: Generation::Spec,
    create: |_, tree| {
        let status = map_mut(tree, "status");
        for count in ["currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady"]
        {
            status.insert(count.into(), 0.into());
        }
        prepare(tree, None, &["spec", "template"]);
        let said = template_generation(tree);
        set_template_generation(tree, said.max(1));
    },
    update: |_, new, old| {
        prepare(new, Some(old), &["spec", "template"]);
        let same = at(new, &["spec", "template"]) == at(old, &["spec", "template"]);
        set_template_generation(new, template_generation(old) + i64::from(!same));
    },
    ..DEFAULT
};

const CRON_TEMPLATE: [&str; 4] = ["spec", "jobTemplate", "spec", "template"];

pub(super) const CRON_JOB: Strategy = Strategy {
    generation: Generation::Spec,
    create: |_, tree| prepare(tree, None, &CRON_TEMPLATE),
    update: |_, new, old| prepare(new, Some(old), &CRON_TEMPLATE),
    ..DEFAULT
};

pub(super) const JOB: Strategy = Strategy {
    orphans: true,
    generation: Generation::Spec,
    create: |_, tree| {
        if at(tree, &["spec", "manualSelector"]) != Some(&Value::Bool(true)) {
            generate_selector(tree);
        }
        prepare(tree, None, &["spec", "template"]);
    },
    update: |_, new, old| prepare(new, Some(old), &["spec", "template"]),
    ..DEFAULT
};

/// Drops what is off from the template at a path.
fn prepare(tree: &mut Value, old: Option<&Value>, path: &[&str]) {
    let spec = path.iter().chain(&["spec"]).try_fold(tree, |value, field| value.get_mut(field));
    let before: Vec<_> = path.iter().copied().chain(["spec"]).collect();
    if let Some(spec) = spec {
        disabled::drop_from_spec(spec, old.and_then(|old| at(old, &before)));
    }
}

/// That several pods of a set may be away at once is off.
fn drop_max_unavailable(tree: &mut Value, old: Option<&Value>) {
    let path = ["spec", "updateStrategy", "rollingUpdate", "maxUnavailable"];
    if old.is_some_and(|old| at(old, &path).is_some()) {
        return;
    }
    let rolling = path[..3].iter().try_fold(tree, |value, field| value.get_mut(field));
    if let Some(rolling) = rolling.and_then(Value::as_object_mut) {
        rolling.remove(path[3]);
    }
}

/// Once a field; controllers from then read it still.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

fn template_generation(tree: &Value) -> i64 {
    text(tree, &["metadata", "annotations", TEMPLATE_GENERATION]).parse().unwrap_or(0)
}

fn set_template_generation(tree: &mut Value, generation: i64) {
    let annotations = metadata_mut(tree).entry("annotations").or_insert_with(|| json!({}));
    if !annotations.is_object() {
        *annotations = Value::Object(Map::new());
    }
    annotations[TEMPLATE_GENERATION] = generation.to_string().into();
}

/// A job finds its pods by its own uid, unless it says how.
///
/// Source: `generateSelector` of `k8s.io/kubernetes/pkg/registry/batch/job` (1.36).
fn generate_selector(job: &mut Value) {
    let (name, uid) =
        (text(job, &["metadata", "name"]).to_owned(), text(job, &["metadata", "uid"]).to_owned());
    let spec = map_mut(job, "spec");
    let template = spec.entry("template").or_insert_with(|| json!({}));
    let labels = map_mut(map_mut_of(template, "metadata"), "labels");
    for (label, value) in [
        ("job-name", &name),
        ("batch.kubernetes.io/job-name", &name),
        ("controller-uid", &uid),
        ("batch.kubernetes.io/controller-uid", &uid),
    ] {
        labels.entry(label).or_insert_with(|| value.as_str().into());
    }
    let selector = spec.entry("selector").or_insert_with(|| json!({}));
    let wanted = map_mut(selector, "matchLabels");
    wanted.entry("batch.kubernetes.io/controller-uid").or_insert_with(|| uid.into());
}

/// The value of a field that holds a map, made where there is none.
fn map_mut_of<'a>(tree: &'a mut Value, field: &str) -> &'a mut Value {
    map_mut(tree, field);
    &mut tree[field]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_found_by_its_uid() {
        let mut job = json!({"metadata": {"name": "j", "uid": "u"}, "spec": {
            "template": {"metadata": {"labels": {"job-name": "mine"}}}}});
        generate_selector(&mut job);
        assert_eq!(
            job["spec"],
            json!({
                "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}},
                "template": {"metadata": {"labels": {"job-name": "mine", "batch.kubernetes.io/job-name": "j",
                    "controller-uid": "u", "batch.kubernetes.io/controller-uid": "u"}}},
            })
        );
        let mut bare = json!({"metadata": {"name": "j", "uid": "u"}, "spec": {}});
        generate_selector(&mut bare);
        assert_eq!(bare["spec"]["template"]["metadata"]["labels"]["job-name"], "j");
    }

    #[test]
    fn several_pods_of_a_set_are_not_away_at_once_unless_they_were() {
        let set =
            json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0, "maxUnavailable": 2}}}});
        let mut new = set.clone();
        drop_max_unavailable(&mut new, None);
        assert_eq!(new["spec"]["updateStrategy"]["rollingUpdate"], json!({"partition": 0}));
        let mut kept = set.clone();
        drop_max_unavailable(&mut kept, Some(&set));
        assert_eq!(kept, set);
    }
}
