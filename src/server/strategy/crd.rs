//! CustomResourceDefinitions: their names are accepted at once, or when they are free.

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
        settle(context, tree);
    },
    update: |context, new, _| {
        if let Some(stored) = stored_version(new) {
            let list = map_mut(new, "status").entry("storedVersions").or_insert_with(|| json!([]));
            if let Some(list) = list.as_array_mut()
                && !list.contains(&stored)
            {
                list.push(stored);
            }
        }
        settle(context, new);
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

fn settle(context: &Context<'_>, tree: &mut Value) {
    let (group, name) = (text(tree, &["spec", "group"]), text(tree, &["metadata", "name"]));
    let taken = context.server.taken_names(group, name);
    definitions::settle(tree, &taken, &context.now.to_string());
}
