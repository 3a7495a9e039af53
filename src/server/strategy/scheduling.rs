//! Priorities, and groups of pods that are scheduled together.

use serde_json::{Map, Value};

use super::{DEFAULT, Strategy};
use crate::server::tree::{at, metadata_mut};

/// Nothing that counts can change, so the first generation stays the only one.
pub(super) const PRIORITY_CLASS: Strategy = Strategy {
    create: |_, tree| {
        metadata_mut(tree).insert("generation".into(), 1.into());
    },
    ..DEFAULT
};

/// Source: `k8s.io/kubernetes/pkg/registry/scheduling/podgroup` (1.36).
pub(super) const POD_GROUP: Strategy = Strategy {
    status_metadata: false,
    create: |_, tree| drop_group(tree, &Value::Null),
    update: |_, new, old| drop_group(new, old),
    update_status: |_, new, old| {
        let status = new.get_mut("status").and_then(Value::as_object_mut);
        if let Some(status) = status
            && !is_used(&old["spec"], "resourceClaims")
        {
            status.remove("resourceClaimStatuses");
        }
    },
    ..DEFAULT
};

/// Source: `k8s.io/kubernetes/pkg/registry/scheduling/workload` (1.36).
pub(super) const WORKLOAD: Strategy = Strategy {
    create: |_, tree| drop_templates(tree, &Value::Null),
    update: |_, new, old| drop_templates(new, old),
    ..DEFAULT
};

fn drop_group(new: &mut Value, old: &Value) {
    if let Some(spec) = new.get_mut("spec").and_then(Value::as_object_mut) {
        drop_unserved(spec, &old["spec"]);
    }
}

fn drop_templates(new: &mut Value, old: &Value) {
    let before = at(old, &["spec", "podGroupTemplates"]).and_then(Value::as_array);
    let list = new.pointer_mut("/spec/podGroupTemplates").and_then(Value::as_array_mut);
    for (index, template) in list.into_iter().flatten().enumerate() {
        if let Some(template) = template.as_object_mut() {
            let was = before.and_then(|list| list.get(index)).unwrap_or(&Value::Null);
            drop_unserved(template, was);
        }
    }
}

/// Takes away what only features use that are off, unless the object uses them already.
fn drop_unserved(new: &mut Map<String, Value>, old: &Value) {
    for field in
        ["schedulingConstraints", "resourceClaims", "disruptionMode", "priorityClassName", "priority"]
    {
        if !is_used(old, field) {
            new.remove(field);
        }
    }
}

fn is_used(old: &Value, field: &str) -> bool {
    match old.get(field) {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(list)) => !list.is_empty(),
        Some(_) => true,
    }
}
