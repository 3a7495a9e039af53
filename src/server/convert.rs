//! Between the versions in which a resource is served and the one in which it is stored.
//!
//! Rows that share storage show the same objects. What differs between them is `apiVersion`, and
//! for the two groups of events the names of some fields.

use std::cmp::Reverse;
use std::sync::Arc;

use futures_util::StreamExt as _;
use serde_json::Value;

use crate::api::resource::version_rank;
use crate::api::{Object, Resource, Scheme, Status, conversion, status};
use crate::client::{ObjectList, Response, WatchEvent};

/// Fields of a core event and what `events.k8s.io/v1` calls them.
///
/// Source: `Convert_v1_Event_To_core_Event` of `k8s.io/kubernetes/pkg/apis/events/v1` (1.36).
const EVENT_FIELDS: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// The row in whose version the objects of `asked` are stored: the most mature of those that share
/// their storage, and the first of two that are as mature; except that a custom resource says so itself.
pub(crate) fn stored(scheme: &Scheme, asked: &Arc<Resource>) -> Arc<Resource> {
    let mut shares = scheme.iter().filter(|row| row.storage == asked.storage && row.kind == asked.kind);
    let row = match &asked.schema {
        Some(_) => shares.min_by_key(|row| Reverse(version_rank(&row.version))),
        None => shares.next(),
    };
    row.unwrap_or(asked).clone()
}

/// A tree of `from`'s version as one of `to`'s.
pub(crate) fn tree(from: &Resource, to: &Resource, mut tree: Value) -> Value {
    if same(from, to) {
        return tree;
    }
    if let Some(root) = tree.as_object_mut() {
        root.insert("apiVersion".into(), to.api_version().into());
        if from.kind == "Event" && from.storage == "events" {
            let to_core = to.group.is_empty();
            for (core, other) in EVENT_FIELDS {
                let (old, new) = if to_core { (other, core) } else { (core, other) };
                if let Some(value) = root.remove(old) {
                    root.insert(new.into(), value);
                }
            }
        }
        conversion::fields(from, to, root);
    }
    tree
}

/// An object of `from`'s version as one of `to`'s.
pub(crate) fn object(to: &Arc<Resource>, object: Object) -> Result<Object, Status> {
    let from = object.resource();
    if same(from, to) {
        return Ok(object);
    }
    let converted = tree(from, to, (*object.tree()).clone());
    Object::from_tree(to.clone(), object.revision(), converted)
        .map_err(|error| status::internal(error.to_string()))
}

/// A response of `from`'s version as one of `to`'s. What is of neither stays as it is.
pub(crate) fn response(
    from: &Arc<Resource>,
    to: &Arc<Resource>,
    response: Response,
) -> Result<Response, Status> {
    if same(from, to) {
        return Ok(response);
    }
    let ours = |object: &Object| same(object.resource(), from);
    Ok(match response {
        Response::Object(found) if ours(&found) => Response::Object(object(to, found)?),
        Response::List(list) => Response::List(ObjectList {
            resource: to.clone(),
            items: list.items.into_iter().map(|item| object(to, item)).collect::<Result<_, _>>()?,
            ..list
        }),
        Response::Watch(stream) => {
            let to = to.clone();
            Response::Watch(Box::pin(stream.map(move |event| {
                Ok(match event? {
                    WatchEvent::Added(item) => WatchEvent::Added(object(&to, item)?),
                    WatchEvent::Modified(item) => WatchEvent::Modified(object(&to, item)?),
                    WatchEvent::Deleted(item) => WatchEvent::Deleted(object(&to, item)?),
                    bookmark => bookmark,
                })
            })))
        }
        other => other,
    })
}

fn same(one: &Resource, other: &Resource) -> bool {
    one.version == other.version && one.group == other.group
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::Scope;

    #[test]
    fn an_event_reads_the_same_in_both_groups() {
        let core = Resource::new("", "v1", "Event", "events", Scope::Namespaced);
        let new = Resource::new("events.k8s.io", "v1", "Event", "events", Scope::Namespaced);
        let event =
            json!({"apiVersion": "v1", "message": "m", "involvedObject": {"name": "a"}, "reason": "r"});
        let shown = tree(&core, &new, event.clone());
        assert_eq!(
            shown,
            json!({"apiVersion": "events.k8s.io/v1", "note": "m", "regarding": {"name": "a"}, "reason": "r"})
        );
        assert_eq!(tree(&new, &core, shown), event);
    }
}
