//! Watch.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _, stream};

use super::read::{check_fields, happened, invalid_options, named_fields};
use super::{Call, store_error};
use crate::api::selector::FieldSelector;
use crate::api::{ObjectKey, Revision, Status, field, status};
use crate::client::{self, ResourceVersionMatch, Response, WatchEvent, WatchOptions};
use crate::env::{Clock, Tasks};
use crate::server::{Answer, convert};
use crate::store;
use crate::store::cached::{At, ListQuery, ObjectEvent, ObjectWatch, WatchQuery};

/// Follows many objects.
pub(super) async fn watch(call: &Call<'_>, options: WatchOptions) -> Result<Answer, Status> {
    check(&options)?;
    check_fields(call, &options.fields)?;
    let from = options.resource_version.filter(|revision| *revision != Revision::NONE);
    // Without sendInitialEvents, a watch from nothing or from 0 still begins with all that exists.
    let initial = options.send_initial_events.unwrap_or(from.is_none());
    let fields = named_fields(call, &options.fields)?;
    let (fields, converted) = convert::split(call.server, &call.row, &fields);
    let query = WatchQuery {
        namespace: call.target.namespace.clone(),
        labels: options.labels.clone(),
        fields,
        from,
        initial,
        bookmarks: options.bookmarks,
    };
    if let Some(from) = from.filter(|_| initial)
        && let Err(why) = happened(call, from).await
    {
        return Ok(failed(why));
    }
    let stored = call.server.stored_row(&call.row);
    let watch = match call.server.cached().watch(&stored, &query).await {
        Ok(watch) => watch,
        Err(store::Error::Compacted { oldest }) => {
            return Ok(failed(expired(from.unwrap_or_default(), oldest)));
        }
        Err(error) => return Err(store_error(&error)),
    };
    let env = call.server.env();
    let length =
        options.timeout.unwrap_or_else(|| call.server.watch_jitter(call.server.limits().min_request_timeout));
    let (server, row) = (call.server.clone(), call.row.clone());
    let events = convert::events(server, row, events(watch, options.bookmarks)).boxed();
    let events = match converted {
        None => events,
        Some(fields) => {
            let known = match from.filter(|_| !initial) {
                Some(from) => matching(call, &query, from, &fields).await?,
                None => BTreeSet::new(),
            };
            convert::select(events, fields, known).boxed()
        }
    };
    Ok(Response::Watch(Box::pin(limit(events, length, env.clock.clone(), env.tasks.clone()))).into())
}

/// The objects that a watch would have told of that began earlier than from this revision.
async fn matching(
    call: &Call<'_>,
    query: &WatchQuery,
    from: Revision,
    fields: &FieldSelector,
) -> Result<BTreeSet<ObjectKey>, Status> {
    let list = ListQuery {
        namespace: query.namespace.clone(),
        labels: query.labels.clone(),
        fields: query.fields.clone(),
        at: At::Exact(from),
        ..ListQuery::default()
    };
    let stored = call.server.stored_row(&call.row);
    let page = match call.server.cached().list(&stored, &list).await {
        Ok(page) => page,
        Err(store::Error::Compacted { oldest }) => return Err(expired(from, oldest)),
        Err(error) => return Err(store_error(&error)),
    };
    let items = convert::from_store(call.server, &call.row, page.items).await?;
    let matching = items.iter().filter(|item| fields.matches(item) == Some(true));
    Ok(matching.map(|item| item.key().clone()).collect())
}

/// A watch that tells why it cannot begin, and ends: once its options are found to be right, Kubernetes
/// answers so, and not with a failure of the request.
fn failed(why: Status) -> Answer {
    Response::Watch(Box::pin(stream::iter([Err(why.into())]))).into()
}

/// The events of a watch as a client sees them.
fn events(
    watch: ObjectWatch,
    bookmarks: bool,
) -> impl Stream<Item = Result<WatchEvent, client::Error>> + Send {
    watch.filter_map(move |event| {
        let event = match event {
            Ok(ObjectEvent::Added(object)) => Some(Ok(WatchEvent::Added(object))),
            Ok(ObjectEvent::Modified(object)) => Some(Ok(WatchEvent::Modified(object))),
            Ok(ObjectEvent::Deleted(object)) => Some(Ok(WatchEvent::Deleted(object))),
            Ok(ObjectEvent::Bookmark { revision, initial_end }) => {
                bookmarks.then_some(Ok(WatchEvent::Bookmark { revision, initial_events_end: initial_end }))
            }
            Err(store::Error::Compacted { .. }) => {
                Some(Err(status::expired("The resourceVersion for the provided watch is too old.").into()))
            }
            Err(error) => Some(Err(store_error(&error).into())),
        };
        std::future::ready(event)
    })
}

/// Ends a stream after a time, or when the server ends.
fn limit<S>(events: S, length: Duration, clock: Clock, tasks: Tasks) -> impl Stream<Item = S::Item> + Send
where
    S: Stream + Send + 'static,
    S::Item: Send,
{
    let end = Box::pin(async move {
        crate::select! {
            () = tasks.cancelled() => {}
            () = clock.sleep(length) => {}
        }
    });
    let state = (Box::pin(events), end);
    stream::unfold(state, |(mut events, mut end)| async move {
        crate::select! {
            () = &mut end => None,
            event = events.next() => Some((event?, (events, end))),
        }
    })
}

/// 410, which names the newest revision that would still be too old.
fn expired(from: Revision, oldest: Revision) -> Status {
    let floor = oldest.0.saturating_sub(1);
    status::expired(format!("too old resource version: {from} ({floor})"))
}

/// 422 where options contradict each other.
///
/// Source: `validateWatchOptions` of `k8s.io/apimachinery/pkg/apis/meta/internalversion` (1.36).
fn check(options: &WatchOptions) -> Result<(), Status> {
    let path = field::Path::new("resourceVersionMatch");
    let mut errors = Vec::new();
    let matching = options.resource_version_match;
    if options.send_initial_events.is_some() && matching != Some(ResourceVersionMatch::NotOlderThan) {
        errors.push(field::Error::forbidden(
            &path,
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ));
    }
    if let Some(matching) = matching {
        if options.send_initial_events.is_none() {
            errors.push(field::Error::forbidden(
                &path,
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            ));
        }
        if matching != ResourceVersionMatch::NotOlderThan {
            errors.push(field::Error::not_supported(&path, "Exact", &["NotOlderThan"]));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(invalid_options(&errors)) }
}
