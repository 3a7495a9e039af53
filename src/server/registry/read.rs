//! Get and list.

use super::{Call, corrupt, store_error, too_large};
use crate::api::{Object, Revision, Status, field, status};
use crate::client::{GetOptions, ListOptions, ObjectList, ResourceVersionMatch, Response};
use crate::server::{Answer, continue_token};
use crate::store;
use crate::store::cached::{At, ListQuery, ObjectPage};

/// Reads an object as it is now.
///
/// A revision that has not happened is refused; any other is satisfied by the newest.
pub(super) async fn get(call: &Call<'_>, options: &GetOptions) -> Result<Object, Status> {
    if let Some(asked) = options.resource_version.filter(|asked| *asked != Revision::NONE) {
        not_ahead(call, asked).await?;
    }
    call.current().await?.ok_or_else(|| call.not_found())
}

/// 504 where a revision has not happened.
pub(super) async fn not_ahead(call: &Call<'_>, asked: Revision) -> Result<(), Status> {
    let newest = call.server.cached().store().revision().await.map_err(|error| store_error(&error))?;
    if asked > newest { Err(too_large(asked, newest)) } else { Ok(()) }
}

/// Reads many objects at one revision.
pub(super) async fn list(call: &Call<'_>, options: &ListOptions) -> Result<Answer, Status> {
    Ok(Response::List(page(call, options).await?).into())
}

/// One page of a list.
pub(super) async fn page(call: &Call<'_>, options: &ListOptions) -> Result<ObjectList, Status> {
    check(options)?;
    check_fields(call, &options.fields)?;
    let (at, after) = start(options)?;
    let query = ListQuery {
        namespace: call.target.namespace.clone(),
        labels: options.labels.clone(),
        fields: options.fields.clone(),
        at,
        limit: options
            .limit
            .filter(|limit| *limit > 0)
            .map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
        after,
    };
    let page = match call.server.cached().list(&call.row, &query).await {
        Ok(page) => page,
        Err(store::Error::Compacted { .. }) if options.continue_token.is_some() => {
            return Err(continue_expired(&query));
        }
        Err(store::Error::FutureRevision { newest }) => {
            return Err(too_large(options.resource_version.unwrap_or_default(), newest));
        }
        Err(store::Error::Unreadable { values, more }) => {
            return Err(corrupt::list_error(call, &values, more));
        }
        Err(error) => return Err(store_error(&error)),
    };
    Ok(answer(call, options, page))
}

fn answer(call: &Call<'_>, options: &ListOptions, page: ObjectPage) -> ObjectList {
    let continue_token = match page.items.last() {
        Some(last) if page.more => Some(continue_token::encode(page.revision, last.key())),
        _ => None,
    };
    // With a selector nobody knows how many of the rest match.
    let unselected = options.labels.requirements.is_empty() && options.fields.terms.is_empty();
    ObjectList {
        resource: call.row.clone(),
        revision: page.revision,
        items: page.items,
        remaining: page.remaining.filter(|_| continue_token.is_some() && unselected).map(|more| more as u64),
        continue_token,
    }
}

/// Where a list starts: at which revision, and behind which object.
fn start(options: &ListOptions) -> Result<(At, Option<crate::api::ObjectKey>), Status> {
    if let Some(token) = options.continue_token.as_deref().filter(|token| !token.is_empty()) {
        if options.resource_version.is_some_and(|revision| revision != Revision::NONE) {
            return Err(status::bad_request(
                "specifying resource version is not allowed when using continue",
            ));
        }
        let (revision, after) = continue_token::decode(token)
            .map_err(|error| status::bad_request(format!("invalid continue token: {error}")))?;
        return Ok((revision.map_or(At::Newest, At::Exact), Some(after)));
    }
    Ok(match (options.resource_version, options.resource_version_match) {
        (Some(revision), Some(ResourceVersionMatch::Exact)) => (At::Exact(revision), None),
        // Reads are always fresh here, which satisfies "any" and "not older than" alike; a limit
        // without a match means the exact revision, as Kubernetes has it since chunks exist.
        (Some(revision), None)
            if options.limit.is_some_and(|limit| limit > 0) && revision != Revision::NONE =>
        {
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
fn continue_expired(query: &ListQuery) -> Status {
    let mut answer = status::expired(
        "The provided continue parameter is too old to display a consistent list result. You can start \
         a new list without the continue parameter, or use the continue token in this response to \
         retrieve the remainder of the results. Continuing with the provided token results in an \
         inconsistent list - objects that were created, modified, or deleted between the time the \
         first chunk was returned and now may show up in the list.",
    );
    if let Some(after) = &query.after {
        answer.metadata = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta {
            continue_: Some(continue_token::encode_newest(after)),
            ..Default::default()
        });
    }
    answer
}
