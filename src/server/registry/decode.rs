//! From what came in to a tree of the row's kind.

use bytes::Bytes;
use serde_json::Value;

use super::Call;
use crate::api::schema::{self, DecodeError, Decoded, Media};
use crate::api::{Resource, Status, status};
use crate::client::{FieldValidation, Payload};
use crate::server::convert;
use crate::server::tree::text;

/// The tree of a payload, in the version that is stored: pruned to the schema, of the kind and
/// version that was asked for. What strict decoding finds becomes a warning or the request's end,
/// as `validation` says.
pub(crate) fn decode(
    call: &mut Call<'_>,
    payload: Payload,
    validation: Option<FieldValidation>,
) -> Result<Value, Status> {
    let row = call.asked.clone();
    let tree = decode_as(call, &row, payload, validation)?;
    Ok(convert::tree(&row, &call.row, tree))
}

/// The tree of a payload of `row`'s kind, such as a subresource takes.
pub(crate) fn decode_as(
    call: &mut Call<'_>,
    row: &Resource,
    payload: Payload,
    validation: Option<FieldValidation>,
) -> Result<Value, Status> {
    let body = match &payload {
        Payload::Bytes { bytes, .. } => bytes.clone(),
        Payload::Object(_) | Payload::Tree(_) => Bytes::new(),
    };
    let decoded = match payload {
        Payload::Object(object) => {
            let tree = object.tree();
            check_kind(call, row, &tree)?;
            schema::prune(row, (*tree).clone())
        }
        Payload::Tree(tree) => {
            check_kind(call, row, &tree)?;
            schema::prune(row, tree)
        }
        Payload::Bytes { media_type, bytes } => schema::decode(row, &bytes, media(&media_type)?),
    };
    let Decoded { tree, problems, .. } = decoded.map_err(|error| match error {
        DecodeError::Syntax(why) => unrecognized(row, &why, &body),
        error => refusal(row, &error.to_string()),
    })?;
    check_kind(call, row, &tree)?;
    report(call, row, problems, validation)?;
    Ok(tree)
}

/// Prunes a tree that a patch has made, with the same consequences.
pub(crate) fn prune(
    call: &mut Call<'_>,
    tree: Value,
    validation: Option<FieldValidation>,
) -> Result<Value, Status> {
    let row = call.asked.clone();
    let tree = decode_as(call, &row, Payload::Tree(tree), validation)?;
    Ok(convert::tree(&row, &call.row, tree))
}

fn report(
    call: &mut Call<'_>,
    row: &Resource,
    problems: Vec<String>,
    validation: Option<FieldValidation>,
) -> Result<(), Status> {
    match validation.unwrap_or(FieldValidation::Warn) {
        FieldValidation::Ignore => {}
        FieldValidation::Strict if !problems.is_empty() => {
            return Err(refusal(row, &format!("strict decoding error: {}", problems.join(", "))));
        }
        // A retried write decodes again, and says it once.
        _ => call.warn(problems),
    }
    Ok(())
}

/// A media type with which objects come in.
pub(crate) fn media(media_type: &str) -> Result<Media, Status> {
    match media_type.split(';').next().unwrap_or_default().trim() {
        "" | "application/json" => Ok(Media::Json),
        "application/yaml" => Ok(Media::Yaml),
        _ => Err(status::unsupported_media_type(
            "the body of the request was in an unknown format - accepted media types include: \
             application/json, application/yaml",
        )),
    }
}

fn refusal(row: &Resource, why: &str) -> Status {
    status::bad_request(format!(
        "{} in version {:?} cannot be handled as a {}: {why}",
        row.kind, row.version, row.kind
    ))
}

/// That a body is nothing of which anybody could tell a kind, with its beginning.
///
/// Source: `transformDecodeError` and `summarizeData` of `k8s.io/apiserver/pkg/endpoints/handlers` (1.36).
pub(crate) fn unrecognized(row: &Resource, why: &str, body: &[u8]) -> Status {
    const SHOWN: usize = 30;
    let start = &body[..body.len().min(SHOWN)];
    let more = if body.len() > SHOWN { " ..." } else { "" };
    let summary = match start {
        [] => "<empty>".to_owned(),
        [b'{', ..] => String::from_utf8_lossy(start).into_owned(),
        _ => start.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    status::bad_request(format!(
        "the object provided is unrecognized (must be of type {}): {why} ({summary}{more})",
        row.kind
    ))
}

/// What is left out counts as the row's; what is said must be it.
fn check_kind(call: &Call<'_>, row: &Resource, tree: &Value) -> Result<(), Status> {
    let (api_version, kind) = (text(tree, &["apiVersion"]), text(tree, &["kind"]));
    let expected = row.api_version();
    if !kind.is_empty() && kind != row.kind {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let gvk = kube_core::GroupVersionKind::gvk(group, version, kind);
        let why = if call.server.scheme().kind(&gvk).is_some() {
            let of = |group: &str| {
                group.split('.').next().filter(|first| !first.is_empty()).unwrap_or("core").to_owned()
            };
            format!("converting ({version}.{kind}) to ({}.{}): unknown conversion", of(&row.group), row.kind)
        } else {
            format!("no kind {kind:?} is registered for version {api_version:?}")
        };
        return Err(status::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a {}: {why}",
            row.kind
        )));
    }
    if !api_version.is_empty() && api_version != expected {
        return Err(status::bad_request(format!(
            "the API version in the data ({api_version}) does not match the expected API version ({expected})"
        )));
    }
    Ok(())
}
