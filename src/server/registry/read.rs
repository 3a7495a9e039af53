//! Get and list.

use std::time::Duration;

use super::{Call, corrupt, store_error, too_large};
use crate::api::selector::FieldSelector;
use crate::api::{Object, Revision, Status, field, names, status};
use crate::client::{GetOptions, ListOptions, ObjectList, ResourceVersionMatch, Response};
use crate::server::{Answer, continue_token, convert};
use crate::store;
use crate::store::cached::{At, ListQuery, ObjectPage};

/// How long a read waits for a revision that has not happened.
///
/// Source: `blockTimeout` of `k8s.io/apiserver/pkg/storage/cacher` (1.36).
const PATIENCE: Duration = Duration::from_secs(3);

/// Reads an object as it is now.
///
/// A revision that does not happen is refused; any other is satisfied by the newest.
pub(super) async fn get(call: &Call<'_>, options: &GetOptions) -> Result<Object, Status> {
    if let Some(asked) = options.resource_version.filter(|asked| *asked != Revision::NONE) {
        happened(call, asked).await?;
    }
    call.current().await?.ok_or_else(|| call.not_found())
}

/// Waits a moment for a revision that has not happened; 504 where it does not.
pub(super) async fn happened(call: &Call<'_>, asked: Revision) -> Result<(), Status> {
    let cached = call.server.cached();
    let newest = async || cached.store().revision().await.map_err(|error| store_error(&error));
    if newest().await? < asked {
        crate::select! {
            reached = cached.wait(&call.row, asked) => reached.map_err(|error| store_error(&error))?,
            () = call.server.env().clock.sleep(PATIENCE) => {}
        }
        let newest = newest().await?;
        if newest < asked {
            return Err(too_large(asked, newest));
        }
    }
    Ok(())
}

/// Reads many objects at one revision.
pub(super) async fn list(call: &Call<'_>, options: &ListOptions) -> Result<Answer, Status> {
    Ok(Response::List(page(call, options).await?).into())
}

/// One page of a list.
pub(super) async fn page(call: &Call<'_>, options: &ListOptions) -> Result<ObjectList, Status> {
    check(options)?;
    check_fields(call, &options.fields)?;
    let fields = named_fields(call, &options.fields)?;
    let (at, start) = start(call, options)?;
    let (fields, converted) = convert::split(call.server, &call.row, &fields);
    let query = ListQuery {
        namespace: call.target.namespace.clone(),
        labels: options.labels.clone(),
        fields,
        at,
        limit: limit(options).map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
        start,
    };
    let stored = call.server.stored_row(&call.row);
    let list = async || call.server.cached().list(&stored, &query).await;
    let page = match (list().await, at) {
        (Err(store::Error::FutureRevision { .. }), At::AtLeast(asked) | At::Exact(asked)) => {
            happened(call, asked).await?;
            list().await
        }
        (page, _) => page,
    };
    match page {
        Ok(mut page) => {
            page.items = convert::from_store(call.server, &call.row, page.items).await?;
            if let Some(fields) = converted {
                page.items.retain(|item| fields.matches(item) == Some(true));
                page.remaining = None;
            }
            Ok(answer(call, page))
        }
        Err(store::Error::Compacted { .. }) if query.start.is_some() => Err(continue_expired(call, &query)),
        Err(store::Error::Unreadable { values, more }) => Err(corrupt::list_error(call, &values, more)),
        Err(error) => Err(store_error(&error)),
    }
}

/// The field selector of a list or watch; one whose target has a name is of that one object.
pub(super) fn named_fields(call: &Call<'_>, fields: &FieldSelector) -> Result<FieldSelector, Status> {
    let Some(name) = &call.target.name else { return Ok(fields.clone()) };
    if !fields.is_empty() && fields.required("metadata.name") != Some(name) {
        return Err(status::bad_request("fieldSelector metadata.name doesn't match requested name"));
    }
    Ok(fields.clone().and("metadata.name", name))
}

fn answer(call: &Call<'_>, page: ObjectPage) -> ObjectList {
    let ObjectPage { revision, items, next, remaining } = page;
    let continue_token = next.map(|next| continue_token::encode(Some(revision), below(call, &next)));
    // Kubernetes counts what is left only where something is.
    let remaining = remaining.filter(|left| *left > 0).map(|left| left as u64);
    ObjectList { resource: call.row.clone(), revision, items, continue_token, remaining }
}

/// What the key of an object (`namespace/name`) is below the prefix of the list that is asked for.
///
/// A selector of a namespace makes no narrower prefix. Kubernetes has it narrow the first page, whose token
/// its own second page then reads below the wider prefix; ours goes on rightly there, too.
fn below<'a>(call: &Call<'_>, key: &'a str) -> &'a str {
    match call.namespace() {
        "" => key,
        namespace => key.strip_prefix(namespace).and_then(|rest| rest.strip_prefix('/')).unwrap_or(key),
    }
}

/// How many objects a page has; all where none is said, and at resource version 0, which is about what is at
/// hand and not about what it costs.
///
/// Source: `computeListLimit` of `k8s.io/apiserver/pkg/storage/cacher` (1.36).
fn limit(options: &ListOptions) -> Option<u64> {
    options.limit.filter(|limit| *limit > 0 && options.resource_version != Some(Revision::NONE))
}

/// Whether a list that begins is of one object, which its selectors name.
///
/// Source: `ListPredicate` of `k8s.io/apiserver/pkg/registry/generic/registry` (1.36).
fn is_of_one(call: &Call<'_>, options: &ListOptions) -> bool {
    let named = options
        .fields
        .required("metadata.name")
        .is_some_and(|name| !name.is_empty() && names::path_segment(name).is_empty());
    let placed = || match call.namespace() {
        "" => options
            .fields
            .required("metadata.namespace")
            .is_some_and(|name| names::dns1123_label(name).is_empty()),
        _ => true,
    };
    named && (!call.row.namespaced() || placed())
}

/// Where a list starts: at which revision, and with which key.
fn start(call: &Call<'_>, options: &ListOptions) -> Result<(At, Option<String>), Status> {
    if let Some(token) = options.continue_token.as_deref().filter(|token| !token.is_empty()) {
        let (revision, start) = continue_token::decode(token)
            .map_err(|error| status::bad_request(format!("invalid continue token: {error}")))?;
        if options.resource_version.is_some_and(|revision| revision != Revision::NONE) {
            return Err(status::bad_request(
                "specifying resource version is not allowed when using continue",
            ));
        }
        let start = match call.namespace() {
            "" => start,
            namespace => format!("{namespace}/{start}"),
        };
        return Ok((revision.map_or(At::Newest, At::Exact), Some(start)));
    }
    Ok(match (options.resource_version, options.resource_version_match) {
        (Some(revision), Some(ResourceVersionMatch::Exact)) => (At::Exact(revision), None),
        // Reads are always fresh here, which satisfies "any" and "not older than" alike; a limit
        // without a match means the exact revision, as Kubernetes has it since chunks exist, unless one
        // object is read by its key.
        (Some(revision), None) if limit(options).is_some() && !is_of_one(call, options) => {
            (At::Exact(revision), None)
        }
        (Some(revision), _) if revision != Revision::NONE => (At::AtLeast(revision), None),
        _ => (At::Newest, None),
    })
}

/// 422 where options contradict each other.
///
/// Source: `ValidateListOptions` of `k8s.io/apimachinery/pkg/apis/meta/internalversion` (1.36).
fn check(options: &ListOptions) -> Result<(), Status> {
    let path = field::Path::new("resourceVersionMatch");
    let mut errors = Vec::new();
    if let Some(kind) = options.resource_version_match {
        if options.resource_version.is_none() {
            errors.push(field::Error::forbidden(
                &path,
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            ));
        }
        if options.continue_token.as_deref().is_some_and(|token| !token.is_empty()) {
            errors.push(field::Error::forbidden(
                &path,
                "resourceVersionMatch is forbidden when continue is provided",
            ));
        }
        if kind == ResourceVersionMatch::Exact && options.resource_version == Some(Revision::NONE) {
            errors.push(field::Error::forbidden(
                &path,
                r#"resourceVersionMatch "exact" is forbidden for resourceVersion "0""#,
            ));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(invalid_options(&errors)) }
}

pub(super) fn invalid_options(errors: &[field::Error]) -> Status {
    status::invalid("meta.k8s.io", "ListOptions", "", errors)
}

/// 400 where a selector names a field that this resource cannot be selected by.
pub(super) fn check_fields(
    call: &Call<'_>,
    fields: &crate::api::selector::FieldSelector,
) -> Result<(), Status> {
    let known = |name: &str| {
        name == "metadata.name"
            || (name == "metadata.namespace" && call.row.namespaced())
            || call.row.selectable.iter().any(|field| field.name == name)
    };
    match fields.terms.iter().find(|term| !known(&term.field)) {
        None => Ok(()),
        Some(term) => Err(status::bad_request(format!("field label not supported: {}", term.field))),
    }
}

/// 410, with a token that goes on where this one stood, at the newest revision.
fn continue_expired(call: &Call<'_>, query: &ListQuery) -> Status {
    let mut answer = status::expired(
        "The provided continue parameter is too old to display a consistent list result. You can start \
         a new list without the continue parameter, or use the continue token in this response to \
         retrieve the remainder of the results. Continuing with the provided token results in an \
         inconsistent list - objects that were created, modified, or deleted between the time the \
         first chunk was returned and now may show up in the list.",
    );
    if let Some(start) = &query.start {
        answer.metadata = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta {
            continue_: Some(continue_token::encode(None, below(call, start))),
            ..Default::default()
        });
    }
    answer
}
