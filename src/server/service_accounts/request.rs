//! Tokens that are asked for.
//!
//! Source: `TokenREST` of `pkg/registry/core/serviceaccount/storage` (1.36).

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::claims::{Claims, Kubernetes, Reference};
use crate::api::field::{self, Path};
use crate::api::{Object, ObjectKey, Resource, Revision, Status, status};
use crate::client::{Payload, Response};
use crate::server::Answer;
use crate::server::registry::{Call, decode_as, store_error};
use crate::server::tree::{at, map_mut, metadata_mut, text, texts};

const GROUP: &str = "authentication.k8s.io";

/// What every pod's own token asks for: by that it is known, and good for longer than it says.
///
/// Source: `WarnOnlyBoundTokenExpirationSeconds` and `ExpirationExtensionSeconds` of `pkg/serviceaccount`
/// (1.36).
const BY_ITSELF_SECONDS: i64 = 60 * 60 + 7;
const EXTENDED_SECONDS: i64 = 365 * 24 * 60 * 60;

/// What a token is bound to, beside its account.
#[derive(Default)]
struct Bonds {
    pod: Option<Reference>,
    secret: Option<Reference>,
    node: Option<Reference>,
}

/// Gives out a token for a service account.
pub(crate) async fn token(call: &mut Call<'_>, payload: Payload, row: Resource) -> Result<Answer, Status> {
    let mut request = decode_as(call, &row, payload, None)?;
    check_names(call, &request)?;
    let account = call.current().await?.ok_or_else(|| call.not_found())?;
    let uid = text(&request, &["metadata", "uid"]);
    if !uid.is_empty() && uid != account.uid() {
        let why = format!(
            "the UID in the token request ({uid}) does not match the UID of the service account ({})",
            account.uid()
        );
        return Err(status::conflict(GROUP, "TokenRequest", account.name(), &why));
    }
    let issuer = call.server.service_accounts();
    if texts(&request, &["spec", "audiences"]).is_empty() {
        map_mut(&mut request, "spec").insert("audiences".into(), json!(issuer.audiences()));
    }
    let mut seconds = check_seconds(&request)?;
    let bonds = bonds(call, &request).await?;
    if let Some(longest) = issuer.longest_seconds.filter(|longest| *longest > 0 && seconds > *longest) {
        call.warnings
            .push(format!("requested expiration of {seconds} seconds shortened to {longest} seconds"));
        seconds = longest;
    }
    map_mut(&mut request, "spec").insert("expirationSeconds".into(), seconds.into());
    let audiences: Vec<String> =
        texts(&request, &["spec", "audiences"]).into_iter().map(str::to_owned).collect();
    let ours = audiences.iter().all(|audience| issuer.audiences().contains(audience));
    let extended = issuer.extends && bonds.pod.is_some() && seconds == BY_ITSELF_SECONDS && ours;
    let now = call.server.env().clock.now_seconds();
    let good_for = match (extended, issuer.longest_seconds) {
        (true, Some(longest)) if longest > 0 => EXTENDED_SECONDS.min(longest),
        (true, _) => EXTENDED_SECONDS,
        (false, _) => seconds,
    };
    let from = now.as_second();
    let namespace = call.namespace().to_owned();
    let claims = Claims {
        iss: issuer.issuer.clone(),
        sub: format!("system:serviceaccount:{namespace}:{}", account.name()),
        aud: audiences,
        exp: Some(from + good_for),
        nbf: Some(from),
        iat: Some(from),
        jti: call.server.new_uid(),
        kubernetes: Kubernetes {
            namespace: namespace.clone(),
            serviceaccount: of(&account),
            pod: bonds.pod,
            secret: bonds.secret,
            node: bonds.node,
            warnafter: extended.then_some(from + seconds),
        },
    };
    call.annotations
        .insert("authentication.kubernetes.io/issued-credential-id".into(), format!("JTI={}", claims.jti));
    let token = issuer.sign(&claims);
    let expires = now + SignedDuration::from_secs(seconds);
    let metadata = metadata_mut(&mut request);
    metadata.insert("name".into(), account.name().into());
    metadata.insert("namespace".into(), namespace.into());
    metadata.insert("uid".into(), account.uid().into());
    metadata.insert("creationTimestamp".into(), now.to_string().into());
    request["status"] = json!({"token": token, "expirationTimestamp": expires.to_string()});
    let object = Object::from_tree(row.into(), Revision::NONE, request)
        .map_err(|error| status::bad_request(error.to_string()))?;
    Ok(Answer { created: true, ..Response::Object(object).into() })
}

fn invalid(name: &str, error: field::Error) -> Status {
    status::invalid(GROUP, "TokenRequest", name, &[error])
}

/// What a request says of its account must be the account that it is sent to.
fn check_names(call: &Call<'_>, request: &Value) -> Result<(), Status> {
    let metadata = Path::new("metadata");
    for (field, own) in [("name", call.name()), ("namespace", call.namespace())] {
        let said = text(request, &["metadata", field]);
        if !said.is_empty() && said != own {
            let why = format!("must match the service account {field} if specified");
            return Err(invalid(call.name(), field::Error::invalid(&metadata.child(field), said, why)));
        }
    }
    Ok(())
}

/// Source: `ValidateTokenRequest` of `pkg/apis/authentication/validation` (1.36).
fn check_seconds(request: &Value) -> Result<i64, Status> {
    let seconds = at(request, &["spec", "expirationSeconds"]).and_then(Value::as_i64).unwrap_or(3600);
    let path = Path::new("spec").child("expirationSeconds");
    let why = match seconds {
        ..600 => "may not specify a duration less than 10 minutes",
        600..=0x1_0000_0000 => return Ok(seconds),
        _ => "may not specify a duration larger than 2^32 seconds",
    };
    Err(invalid("", field::Error::invalid(&path, seconds, why)))
}

/// What the request wants its token bound to.
async fn bonds(call: &Call<'_>, request: &Value) -> Result<Bonds, Status> {
    let Some(asked) = at(request, &["spec", "boundObjectRef"]) else { return Ok(Bonds::default()) };
    let field = |name: &str| text(asked, &[name]);
    let (group, version) = field("apiVersion").split_once('/').unwrap_or(("", field("apiVersion")));
    let (kind, name) = (field("kind"), field("name"));
    let (plural, namespace) = match (group, kind) {
        ("", "Pod") => ("pods", call.namespace()),
        ("", "Secret") => ("secrets", call.namespace()),
        ("", "Node") => ("nodes", ""),
        _ => {
            let gvk = format!("{group}/{version}, Kind={kind}");
            return Err(status::bad_request(format!("cannot bind token to object of type {gvk}")));
        }
    };
    let found = find(call, plural, namespace, name).await?;
    let found = found.ok_or_else(|| status::not_found("", plural, name))?;
    let mut bonds = Bonds::default();
    match plural {
        "secrets" => bonds.secret = Some(of(&found)),
        "nodes" => bonds.node = Some(of(&found)),
        _ => {
            let pod = found.tree();
            if text(&pod, &["spec", "serviceAccountName"]) != call.name() {
                return Err(status::bad_request(format!(
                    "cannot bind token for serviceaccount {:?} to pod running with different serviceaccount name.",
                    call.name()
                )));
            }
            bonds.pod = Some(of(&found));
            let node = text(&pod, &["spec", "nodeName"]);
            if !node.is_empty() {
                let known = find(call, "nodes", "", node).await?;
                let by_name = || Reference { name: node.to_owned(), uid: String::new() };
                bonds.node = Some(known.as_ref().map_or_else(by_name, of));
            }
        }
    }
    let uid = field("uid");
    if !uid.is_empty() && uid != found.uid() {
        let why = format!(
            "the UID in the bound object reference ({uid}) does not match the UID in record. The object might \
             have been deleted and then recreated"
        );
        return Err(status::conflict(group, kind, name, &why));
    }
    Ok(bonds)
}

async fn find(call: &Call<'_>, plural: &str, namespace: &str, name: &str) -> Result<Option<Object>, Status> {
    let Some(row) = call.server.row("", "v1", plural) else { return Ok(None) };
    let key = ObjectKey::new(namespace, name);
    call.server.cached().get(&row, &key).await.map_err(|error| store_error(&error))
}

fn of(object: &Object) -> Reference {
    Reference { name: object.name().to_owned(), uid: object.uid().to_owned() }
}
