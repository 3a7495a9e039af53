//! Subresources that are acts: binding a pod to a node, evicting it, asking for a token.

mod binding;
mod conditions;
mod eviction;

use serde_json::{Value, json};

pub(super) use binding::bind;
pub(super) use eviction::evict;

use super::Answer;
use super::registry::{Call, decode_as};
use super::tree::{at, map_mut, metadata_mut, text};
use crate::api::field::{Error, Path};
use crate::api::{Object, Resource, Revision, Scope, Status, schema, status};
use crate::client::{GetOptions, Identity, Payload, Request, Response, Target};

/// Gives out a token for a service account. It is opaque, and good at this server for its time.
///
/// Source: `TokenREST` of `k8s.io/kubernetes/pkg/registry/core/serviceaccount/storage` (1.36).
pub(super) async fn token(call: &mut Call<'_>, payload: Payload) -> Result<Answer, Status> {
    let row = body_row("authentication.k8s.io", "v1", "TokenRequest", "tokenrequests");
    let mut request = decode_as(call, &row, payload, None)?;
    let must_match = [("name", call.name()), ("namespace", call.namespace())];
    for (field, wanted) in must_match {
        let said = text(&request, &["metadata", field]);
        if !said.is_empty() && said != wanted {
            let why = format!("must match the service account {field} if specified");
            let error = Error::invalid(&Path::new("metadata").child(field), said, why);
            return Err(status::invalid("authentication.k8s.io", "TokenRequest", call.name(), &[error]));
        }
    }
    let account = call.current().await?.ok_or_else(|| call.not_found())?;
    let conflict =
        |name: &str, why: String| Err(status::conflict("authentication.k8s.io", "TokenRequest", name, &why));
    let uid = text(&request, &["metadata", "uid"]);
    if !uid.is_empty() && uid != account.uid() {
        let own = account.uid();
        return conflict(
            call.name(),
            format!(
                "the UID in the token request ({uid}) does not match the UID of the service account ({own})"
            ),
        );
    }
    let seconds = at(&request, &["spec", "expirationSeconds"]).and_then(Value::as_i64).unwrap_or(3600);
    let wrong = match seconds {
        ..600 => Some("may not specify a duration less than 10 minutes"),
        600..=0x1_0000_0000 => None,
        _ => Some("may not specify a duration larger than 2^32 seconds"),
    };
    if let Some(why) = wrong {
        let path = Path::new("spec").child("expirationSeconds");
        let error = Error::invalid(&path, seconds, why);
        return Err(status::invalid("authentication.k8s.io", "TokenRequest", "", &[error]));
    }
    if let Some(bound) = at(&request, &["spec", "boundObjectRef"]) {
        let found = bound_object(call, bound).await?;
        let (name, uid) = (text(bound, &["name"]), text(bound, &["uid"]));
        if !uid.is_empty() && uid != found.uid() {
            return conflict(
                name,
                format!(
                    "the UID in the bound object reference ({uid}) does not match the UID in record. \
                     The object might have been deleted and then recreated"
                ),
            );
        }
    }
    let (token, expires) = call.server.issue_token(&account, seconds);
    let now = call.server.env().clock.now_seconds().to_string();
    map_mut(&mut request, "spec").insert("expirationSeconds".into(), seconds.into());
    let metadata = metadata_mut(&mut request);
    metadata.insert("name".into(), account.name().into());
    metadata.insert("namespace".into(), call.namespace().into());
    metadata.insert("uid".into(), account.uid().into());
    metadata.insert("creationTimestamp".into(), now.into());
    request["status"] = json!({"token": token, "expirationTimestamp": expires.to_string()});
    let object = Object::from_tree(row.into(), Revision::NONE, request)
        .map_err(|error| status::bad_request(error.to_string()))?;
    Ok(Answer { created: true, ..Response::Object(object).into() })
}

/// The object with which a token is to go.
async fn bound_object(call: &Call<'_>, bound: &Value) -> Result<Object, Status> {
    let (kind, version, name) =
        (text(bound, &["kind"]), text(bound, &["apiVersion"]), text(bound, &["name"]).to_owned());
    let plural = match (version, kind) {
        ("v1", "Pod") => "pods",
        ("v1", "Secret") => "secrets",
        ("v1", "Node") => "nodes",
        _ => {
            let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
            let gvk = format!("{group}/{version}, Kind={kind}");
            return Err(status::bad_request(format!("cannot bind token to object of type {gvk}")));
        }
    };
    let row = call.server.row("", "v1", plural).ok_or_else(status::no_such_resource)?;
    let target = Target::all(&row).namespace(if row.namespaced() { call.namespace() } else { "" }).name(name);
    // Whoever may ask for tokens need not be allowed to read what they go with.
    let own = Identity::user("system:apiserver").group("system:masters");
    let get = Request::Get { target, options: GetOptions::default() };
    let Response::Object(found) = Box::pin(call.server.handle(&own, get)).await?.response else {
        return Err(status::internal("a get was not answered with an object"));
    };
    let account = call.name();
    if kind == "Pod" && text(&found.tree(), &["spec", "serviceAccountName"]) != account {
        return Err(status::bad_request(format!(
            "cannot bind token for serviceaccount {account:?} to pod running with different serviceaccount name."
        )));
    }
    Ok(found)
}

/// A row for what subresources take and answer, and nobody stores.
pub(super) fn body_row(
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
) -> Resource {
    let mut row = Resource::new(group, version, kind, plural, Scope::Namespaced);
    row.schema = schema::name_of(group, version, kind).map(Into::into);
    row
}

fn success(code: u16) -> Response {
    let mut answer = Status::success();
    answer.code = code;
    Response::Status(Box::new(answer))
}
