//! CustomResourceDefinitions: their names are accepted at once, or never.

use serde_json::{Value, json};

use super::{Context, DEFAULT, Generation, Strategy};
use crate::server::definitions;
use crate::server::registry::Verdict;
use crate::server::tree::{at, map_mut, metadata_mut, text};

pub(super) const DEFINITION: Strategy = Strategy {
    unconditional_update: false,
    generation: Generation::Spec,
    create: |context, tree| {
        let stored = stored_version(tree);
        map_mut(tree, "status")
            .insert("storedVersions".into(), json!(stored.into_iter().collect::<Vec<_>>()));
        accept(context, tree);
    },
    update: |context, new, old| {
        let Some(stored) = stored_version(new) else { return };
        let list = map_mut(new, "status").entry("storedVersions").or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut()
            && !list.contains(&stored)
        {
            list.push(stored);
        }
        if at(new, &["spec"]) != at(old, &["spec"]) {
            accept(context, new);
        }
    },
    delete: Some(|old, now| {
        if at(old, &["metadata", "deletionTimestamp"]).is_some() {
            return Verdict::Waits;
        }
        let mut new = old.clone();
        let metadata = metadata_mut(&mut new);
        metadata.insert("deletionTimestamp".into(), now.to_string().into());
        metadata.insert("deletionGracePeriodSeconds".into(), 0.into());
        definitions::mark_terminating(&mut new, &now.to_string());
        Verdict::Marked(new)
    }),
    ..DEFAULT
};

fn stored_version(tree: &Value) -> Option<Value> {
    at(tree, &["spec", "versions"])?
        .as_array()?
        .iter()
        .find(|version| version["storage"] == true)
        .map(|version| version["name"].clone())
}

/// Sets the accepted names and the conditions that say so.
///
/// Source: `calculateNamesAndConditions` of `k8s.io/apiextensions-apiserver/pkg/controller/status` (1.36).
fn accept(context: &Context<'_>, tree: &mut Value) {
    let mut names = at(tree, &["spec", "names"]).cloned().unwrap_or_else(|| json!({}));
    let (plural, kind) = (text(&names, &["plural"]).to_owned(), text(&names, &["kind"]).to_owned());
    if text(&names, &["singular"]).is_empty() {
        names["singular"] = kind.to_lowercase().into();
    }
    if text(&names, &["listKind"]).is_empty() {
        names["listKind"] = format!("{kind}List").into();
    }
    let group = text(tree, &["spec", "group"]).to_owned();
    let taken = context.scheme.iter().find_map(|row| {
        if row.group != group || (row.schema.is_none() && row.plural == plural) {
            return None;
        }
        if row.plural == plural {
            return Some(("PluralConflict", format!("{plural:?} is already in use")));
        }
        (row.kind == kind).then(|| ("KindConflict", format!("{kind:?} is already in use")))
    });
    let now = context.now.to_string();
    let condition = |kind: &str, status: &str, reason: &str, message: &str| json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": now});
    let (accepted, conditions) = match taken {
        None => (
            names.clone(),
            json!([
                condition("NamesAccepted", "True", "NoConflicts", "no conflicts found"),
                condition(
                    "Established",
                    "True",
                    "InitialNamesAccepted",
                    "the initial names have been accepted"
                ),
            ]),
        ),
        Some((reason, message)) => (
            json!({"plural": "", "kind": ""}),
            json!([
                condition("NamesAccepted", "False", reason, &message),
                condition("Established", "False", "NotAccepted", "not all names are accepted"),
            ]),
        ),
    };
    map_mut(tree, "spec").insert("names".into(), names);
    let status = map_mut(tree, "status");
    status.insert("acceptedNames".into(), accepted);
    let kept = status.get("conditions").and_then(Value::as_array).cloned().unwrap_or_default();
    let merged: Vec<Value> = conditions
        .as_array()
        .into_iter()
        .flatten()
        .map(|fresh| {
            let same =
                kept.iter().find(|old| old["type"] == fresh["type"] && old["status"] == fresh["status"]);
            same.unwrap_or(fresh).clone()
        })
        .chain(kept.iter().filter(|old| old["type"] == "Terminating").cloned())
        .collect();
    status.insert("conditions".into(), merged.into());
}
