//! Namespaces: they live until what is in them is gone.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{DEFAULT, Strategy};
use crate::server::registry::Verdict;
use crate::server::tree::{at, copy_field, finalizers, map_mut, metadata_mut};

pub(super) const NAMESPACE: Strategy = Strategy {
    answers_deleted: true,
    create: |_, tree| {
        map_mut(tree, "status").insert("phase".into(), "Active".into());
        let spec = map_mut(tree, "spec");
        let list = spec.entry("finalizers").or_insert(Value::Null);
        if !list.is_array() {
            *list = json!([]);
        }
        if let Some(list) = list.as_array_mut()
            && !list.iter().any(|name| name == "kubernetes")
        {
            list.push("kubernetes".into());
        }
        let name = at(tree, &["metadata", "name"]).cloned();
        if let Some(name) = name {
            label(tree, name);
        }
    },
    update: |_, new, old| {
        copy_field(map_mut(new, "spec"), old["spec"].as_object(), "finalizers");
        label(new, old["metadata"]["name"].clone());
    },
    update_status: |_, new, old| {
        // Only a deletion makes a namespace terminate.
        if at(old, &["metadata", "deletionTimestamp"]).is_some() {
            map_mut(new, "status").insert("phase".into(), "Terminating".into());
        }
    },
    delete: Some(delete),
    ..DEFAULT
};

/// Every namespace carries its name as a label.
pub(crate) fn label(tree: &mut Value, name: Value) {
    let labels = metadata_mut(tree).entry("labels").or_insert_with(|| json!({}));
    if let Some(labels) = labels.as_object_mut() {
        labels.insert("kubernetes.io/metadata.name".into(), name);
    }
}

/// Source: `Delete` of `k8s.io/kubernetes/pkg/registry/core/namespace/storage` (1.36).
fn delete(old: &Value, now: Timestamp) -> Verdict {
    let held = !finalizers(old).is_empty()
        || at(old, &["spec", "finalizers"]).and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    if at(old, &["metadata", "deletionTimestamp"]).is_some() {
        return if held { Verdict::Waits } else { Verdict::Gone };
    }
    if !held {
        return Verdict::Gone;
    }
    let mut new = old.clone();
    metadata_mut(&mut new).insert("deletionTimestamp".into(), now.to_string().into());
    map_mut(&mut new, "status").insert("phase".into(), "Terminating".into());
    Verdict::Marked(new)
}
