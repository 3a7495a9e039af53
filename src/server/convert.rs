//! Between the versions in which a resource is served and the one in which it is stored.
//!
//! Built-in rows that share storage show the same objects. What differs between them is `apiVersion`, and
//! for the two groups of events the names of some fields.
//!
//! The versions of a custom resource are the same but for `apiVersion`, too, or are made of one another by a
//! webhook. Objects are judged in the version in which they are written, stored in the one that the
//! definition marks, and read in any; what stands between is here.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::{Stream, StreamExt as _};
use serde_json::Value;

use crate::api::resource::version_rank;
use crate::api::selector::FieldSelector;
use crate::api::{Object, ObjectKey, Resource, Scheme, Status, conversion, status};
use crate::client::{self, ObjectList, Response, WatchEvent};
use crate::server::{ApiServer, webhook};
use crate::store::cached::Change;

/// The row in whose version a write of `asked` is judged: of built-in resources that in which they are
/// stored, the most mature of those that share their storage, and the first of two that are as mature; of
/// custom ones the one that was asked for.
pub(crate) fn judged(scheme: &Scheme, asked: &Arc<Resource>) -> Arc<Resource> {
    if asked.custom.is_some() {
        return asked.clone();
    }
    let shares = scheme.iter().filter(|row| row.storage == asked.storage && row.kind == asked.kind);
    shares.min_by_key(|row| Reverse(version_rank(&row.version))).unwrap_or(asked).clone()
}

/// A tree of `from`'s version as one of `to`'s.
pub(crate) fn tree(from: &Resource, to: &Resource, mut tree: Value) -> Value {
    if same(from, to) {
        return tree;
    }
    if let Some(root) = tree.as_object_mut() {
        root.insert("apiVersion".into(), to.api_version().into());
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

/// Objects as the store has them, in the version of `row`.
///
/// Of built-in resources they are in it already. Of custom ones some may have been stored in another
/// version; these are converted, and then have the fields and defaults of this one.
pub(crate) async fn from_store(
    server: &ApiServer,
    row: &Arc<Resource>,
    mut objects: Vec<Object>,
) -> Result<Vec<Object>, Status> {
    let Some(version) = row.custom.clone() else { return Ok(objects) };
    let mut others: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, object) in objects.iter().enumerate() {
        if !is_in(row, object) {
            others.entry(object.resource().version.to_string()).or_default().push(index);
        }
    }
    for (_, places) in others {
        let trees = places.iter().map(|index| (*objects[*index].tree()).clone()).collect();
        let from = objects[places[0]].resource().clone();
        let converted = custom_trees(server, &from, row, trees).await?;
        for (index, mut tree) in places.into_iter().zip(converted) {
            version.read(&mut tree);
            objects[index] = Object::from_tree(row.clone(), objects[index].revision(), tree)
                .map_err(|error| status::internal(error.to_string()))?;
        }
    }
    Ok(objects)
}

/// Whether an object that was read is in the version of `row`, and as its definition has it.
fn is_in(row: &Resource, object: &Object) -> bool {
    let read = object.resource();
    row.custom.is_none() || (read.version == row.version && read.custom.is_some())
}

/// One object as the store has it, in the version of `row`.
pub(crate) async fn one_from_store(
    server: &ApiServer,
    row: &Arc<Resource>,
    object: Object,
) -> Result<Object, Status> {
    if is_in(row, &object) {
        return Ok(object);
    }
    let converted = from_store(server, row, vec![object]).await?;
    converted.into_iter().next().ok_or_else(|| status::internal("an object was lost in conversion"))
}

/// An object in the version in which it is stored.
pub(crate) async fn to_store(server: &ApiServer, object: Object) -> Result<Object, Status> {
    let from = object.resource().clone();
    if from.custom.is_none() {
        return Ok(object);
    }
    let to = server.stored_row(&from);
    if Arc::ptr_eq(&from, &to) {
        return Ok(object);
    }
    let mut tree = (*object.tree()).clone();
    if from.version != to.version {
        let converted = custom_trees(server, &from, &to, vec![tree]).await?;
        tree = converted.into_iter().next().unwrap_or_default();
        if let Some(version) = &to.custom {
            version.fit(&mut tree);
        }
    }
    Object::from_tree(to, object.revision(), tree).map_err(|error| status::internal(error.to_string()))
}

/// The events of a watch with their objects in the version of `row`. It ends with the first that cannot be
/// converted.
pub(crate) fn events<S>(
    server: ApiServer,
    row: Arc<Resource>,
    events: S,
) -> impl Stream<Item = Result<WatchEvent, client::Error>> + Send
where
    S: Stream<Item = Result<WatchEvent, client::Error>> + Send,
{
    let server = server.downgrade();
    let convert = move |object: Object| {
        let (server, row) = (server.upgrade(), row.clone());
        async move {
            if is_in(&row, &object) {
                return Ok(object);
            }
            let server = server.ok_or_else(|| status::unavailable("the server ends"))?;
            one_from_store(&server, &row, object).await
        }
    };
    let converted = events.then(move |event| {
        let convert = convert.clone();
        async move {
            Ok(match event? {
                WatchEvent::Added(object) => WatchEvent::Added(convert(object).await?),
                WatchEvent::Modified(object) => WatchEvent::Modified(convert(object).await?),
                WatchEvent::Deleted(object) => WatchEvent::Deleted(convert(object).await?),
                bookmark => bookmark,
            })
        }
    });
    converted.scan(false, |failed, event: Result<_, client::Error>| {
        let next = (!*failed).then_some(event);
        *failed |= next.as_ref().is_some_and(Result::is_err);
        std::future::ready(next)
    })
}

/// What a selector asks of objects as they are stored, and what it asks of them once they are in the version
/// of `row`: fields that only a definition knows may have other names, or other values, in another version.
pub(crate) fn split(
    server: &ApiServer,
    row: &Arc<Resource>,
    fields: &FieldSelector,
) -> (FieldSelector, Option<FieldSelector>) {
    let Some(version) = &row.custom else { return (fields.clone(), None) };
    if !version.converts_by_webhook() && server.stored_row(row).version == row.version {
        return (fields.clone(), None);
    }
    let (stored, shown): (Vec<_>, Vec<_>) =
        fields.terms.iter().cloned().partition(|term| term.field.starts_with("metadata."));
    (FieldSelector { terms: stored }, Some(FieldSelector { terms: shown }).filter(|left| !left.is_empty()))
}

/// The events of a watch whose objects are selected once they are converted: what ceases to match is
/// deleted, and what comes to match is new. `matching` are those that matched when the watch began.
pub(crate) fn select<S>(
    events: S,
    fields: FieldSelector,
    matching: BTreeSet<ObjectKey>,
) -> impl Stream<Item = Result<WatchEvent, client::Error>> + Send
where
    S: Stream<Item = Result<WatchEvent, client::Error>> + Send,
{
    let selected = events.scan(matching, move |matching, event| {
        let event = match event {
            Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)) => {
                let key = object.key().clone();
                if fields.matches(&object) == Some(true) {
                    let is_new = matching.insert(key);
                    Some(Ok(if is_new { WatchEvent::Added(object) } else { WatchEvent::Modified(object) }))
                } else {
                    matching.remove(&key).then(|| Ok(WatchEvent::Deleted(object)))
                }
            }
            Ok(WatchEvent::Deleted(object)) => {
                matching.remove(object.key()).then_some(Ok(WatchEvent::Deleted(object)))
            }
            other => Some(other),
        };
        std::future::ready(Some(event))
    });
    selected.filter_map(std::future::ready)
}

/// An object as it will be read once it is stored: what the version in which it is stored does not declare
/// is lost, and told to its writer. What a webhook makes of it is not asked for that.
pub(crate) fn as_stored(server: &ApiServer, object: Object) -> Result<Object, Status> {
    let row = object.resource().clone();
    let Some(version) = row.custom.as_ref().filter(|version| !version.converts_by_webhook()) else {
        return Ok(object);
    };
    let stored = server.stored_row(&row);
    let Some(other) = stored.custom.as_ref().filter(|_| stored.version != row.version) else {
        return Ok(object);
    };
    let mut tree = (*object.tree()).clone();
    other.fit(&mut tree);
    version.read(&mut tree);
    Object::from_tree(row, object.revision(), tree).map_err(|error| status::internal(error.to_string()))
}

/// A change as the store gets it.
pub(crate) async fn change(server: &ApiServer, change: Change) -> Result<Change, Status> {
    Ok(match change {
        Change::Create(object) => Change::Create(to_store(server, object).await?),
        Change::Update { object, from } => Change::Update { object: to_store(server, object).await?, from },
        Change::Delete { object, from } if object.resource().custom.is_some() => {
            // The key is all that counts of what goes.
            let row = server.stored_row(object.resource());
            let object = Object::from_tree(row, object.revision(), (*object.tree()).clone())
                .map_err(|error| status::internal(error.to_string()))?;
            Change::Delete { object, from }
        }
        other => other,
    })
}

/// Trees of a custom resource in another of its versions.
async fn custom_trees(
    server: &ApiServer,
    from: &Resource,
    to: &Resource,
    mut trees: Vec<Value>,
) -> Result<Vec<Value>, Status> {
    if from.version == to.version {
        return Ok(trees);
    }
    if to.custom.as_ref().is_some_and(|version| version.converts_by_webhook()) {
        let converted = webhook::convert(server, from, to, trees).await;
        // Kubernetes has no reason for this one, and answers 500.
        return converted.map_err(|why| status::failure(500, "", why));
    }
    for tree in &mut trees {
        tree["apiVersion"] = to.api_version().into();
    }
    Ok(trees)
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
