//! ConversionReview: objects of one version become objects of another by a webhook.
//!
//! Source: `pkg/apiserver/conversion/webhook_converter.go` of `k8s.io/apiextensions-apiserver`, with
//! `pkg/util/webhook` of `k8s.io/apiserver` (1.36).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::ApiServer;
use super::tree::{at, text, texts};
use crate::api::{ObjectKey, Resource, field, validation};
use crate::client::WebhookTarget;

/// How long a webhook may take.
///
/// Source: `setGlobalDefaults` of `k8s.io/apiserver/pkg/util/webhook` (1.36).
const TIMEOUT: Duration = Duration::from_secs(30);

/// Objects of `from`'s version as objects of `to`'s, in the same order. All in one request.
pub(super) async fn convert(
    server: &ApiServer,
    from: &Resource,
    to: &Resource,
    objects: Vec<Value>,
) -> Result<Vec<Value>, String> {
    let failed = |why: String| {
        let (group, version, kind) = (&from.group, &from.version, &from.kind);
        format!("conversion webhook for {group}/{version}, Kind={kind} failed: {why}")
    };
    let webhook = server.conversion_webhook(to).ok_or_else(|| failed("there is none".to_owned()))?;
    let reviews = texts(&webhook, &["conversionReviewVersions"]);
    let review = reviews.into_iter().find(|version| matches!(*version, "v1" | "v1beta1"));
    let review = review.ok_or("no supported conversion review versions")?;
    let uid = server.new_uid();
    let api_version = format!("apiextensions.k8s.io/{review}");
    let request = json!({
        "kind": "ConversionReview",
        "apiVersion": api_version,
        "request": {"uid": uid, "desiredAPIVersion": to.api_version(), "objects": objects},
    });
    let answer = call(server, &webhook, request.to_string().into()).await.map_err(failed)?;
    let answer: Value = serde_json::from_slice(&answer)
        .map_err(|error| failed(format!("couldn't get version/kind; json parse error: {error}")))?;
    let converted = converted(&answer, &api_version, &uid).map_err(failed)?;
    let returned = |why: String| {
        let (group, version, kind) = (&from.group, &from.version, &from.kind);
        format!("conversion webhook for {group}/{version}, Kind={kind} returned {why}")
    };
    if converted.len() != objects.len() {
        return Err(returned(format!("{} objects, expected {}", converted.len(), objects.len())));
    }
    objects
        .iter()
        .zip(converted)
        .enumerate()
        .map(|(index, (original, converted))| {
            accept(original, converted, to).map_err(|wrong| returned(wrong.sentence(index, objects.len())))
        })
        .collect()
}

/// Asks a webhook.
async fn call(server: &ApiServer, webhook: &Value, body: Bytes) -> Result<Bytes, String> {
    let target = target(server, webhook).await?;
    let client = server.0.webhooks.clone();
    let client = client.ok_or(
        "this server has no way to ask webhooks: give it one, or build it with the feature `remote`",
    )?;
    let posted = format!("Post \"{}?timeout={}s\"", target.url, TIMEOUT.as_secs());
    let answer = server.env().clock.timeout(TIMEOUT, client.post(&target, body)).await;
    let answer = answer.map_err(|_| {
        format!("{posted}: context deadline exceeded (Client.Timeout exceeded while awaiting headers)")
    })?;
    let (code, body) = answer.map_err(|why| format!("{posted}: {why}"))?;
    if (200..300).contains(&code) {
        return Ok(body);
    }
    Err(refusal(code, &body))
}

/// What client-go makes of an answer that is no success.
fn refusal(code: u16, body: &[u8]) -> String {
    if let Ok(status) = serde_json::from_slice::<Value>(body)
        && status["kind"] == "Status"
        && let Some(message) = status["message"].as_str().filter(|message| !message.is_empty())
    {
        return message.to_owned();
    }
    let said = String::from_utf8_lossy(body);
    match code {
        404 => "the server could not find the requested resource".to_owned(),
        401 => "the server has asked for the client to provide credentials".to_owned(),
        500.. => {
            let said = said.trim();
            format!("an error on the server ({said:?}) has prevented the request from succeeding")
        }
        _ => "the server rejected our request for an unknown reason".to_owned(),
    }
}

/// Where the webhook is: at a URL, or behind a service of this cluster.
async fn target(server: &ApiServer, webhook: &Value) -> Result<WebhookTarget, String> {
    let client = &webhook["clientConfig"];
    let mut target = match at(client, &["service"]) {
        None => WebhookTarget::new(text(client, &["url"])),
        Some(service) => {
            let (namespace, name) = (text(service, &["namespace"]), text(service, &["name"]));
            let port = at(service, &["port"]).and_then(Value::as_i64).unwrap_or(443);
            let path = text(service, &["path"]);
            let slash = if path.is_empty() || path.starts_with('/') { "" } else { "/" };
            let address = resolve(server, namespace, name, port).await?;
            WebhookTarget::new(format!("https://{name}.{namespace}.svc:{port}{slash}{path}")).address(address)
        }
    };
    let bundle = text(client, &["caBundle"]).trim();
    if !bundle.is_empty() {
        let pem = STANDARD.decode(bundle).map_err(|error| format!("caBundle: {error}"))?;
        if !pem.iter().all(u8::is_ascii_whitespace) {
            target = target.ca_bundle(pem);
        }
    }
    Ok(target)
}

/// Host and port of a service.
///
/// Source: `ResolveCluster` of `k8s.io/apiserver/pkg/util/proxy` (1.36).
async fn resolve(server: &ApiServer, namespace: &str, name: &str, port: i64) -> Result<String, String> {
    let services = server.row("", "v1", "services").ok_or("services are not served")?;
    let key = ObjectKey::new(namespace, name);
    let found = server.cached().get(&services, &key).await.map_err(|error| error.to_string())?;
    let service = found.ok_or_else(|| format!("service {name:?} not found"))?;
    let tree = service.tree();
    if text(&tree, &["spec", "type"]) == "ExternalName" {
        return Ok(format!("{}:{port}", text(&tree, &["spec", "externalName"])));
    }
    let address = text(&tree, &["spec", "clusterIP"]);
    if matches!(address, "" | "None") {
        return Err(format!("service type {:?} has no cluster IP", text(&tree, &["spec", "type"])));
    }
    let ports = tree["spec"]["ports"].as_array().into_iter().flatten();
    if !ports.into_iter().any(|known| known["port"] == port) {
        return Err(format!("no service port {port} found for service {name:?}"));
    }
    Ok(if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") })
}

/// The objects of an answer, which must be one to this question and say that all went well.
fn converted(answer: &Value, api_version: &str, uid: &str) -> Result<Vec<Value>, String> {
    let is_v1 = api_version.ends_with("/v1");
    if is_v1 && (answer["kind"] != "ConversionReview" || answer["apiVersion"] != api_version) {
        let (group, version) = text(answer, &["apiVersion"]).rsplit_once('/').unwrap_or_default();
        let kind = text(answer, &["kind"]);
        return Err(format!(
            "expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got \
             {group}/{version}, Kind={kind}"
        ));
    }
    let response = at(answer, &["response"]).ok_or("no response provided")?;
    let said = text(response, &["uid"]);
    if is_v1 && said != uid {
        return Err(format!("expected response.uid={uid:?}, got {said:?}"));
    }
    let status = text(response, &["result", "status"]);
    if status != "Success" {
        return Err(match text(response, &["result", "message"]) {
            "" => format!("response.result.status was '{status}', not 'Success'"),
            message => message.to_owned(),
        });
    }
    Ok(at(response, &["convertedObjects"]).and_then(Value::as_array).cloned().unwrap_or_default())
}

/// What is wrong with a converted object.
enum Wrong {
    /// Its version or kind.
    Kind(String),
    /// It is another object.
    Other(String),
    Metadata(String),
}

impl Wrong {
    /// Kubernetes names the place of an object of many, and that of an only one where its kind is wrong.
    fn sentence(self, index: usize, count: usize) -> String {
        match (self, count) {
            (Self::Kind(why), 1) => format!("invalid object at index 0: {why}"),
            (Self::Other(why), 1) => format!("invalid object: {why}"),
            (Self::Metadata(why), 1) => format!("invalid metadata: {why}"),
            (Self::Kind(why) | Self::Other(why), _) => {
                format!("invalid converted object at index {index}: {why}")
            }
            (Self::Metadata(why), _) => format!("invalid metadata in object at index {index}: {why}"),
        }
    }
}

/// A converted object, once it is found to be the original in the wanted version: nothing of its metadata
/// may have changed but labels and annotations.
fn accept(original: &Value, mut converted: Value, to: &Resource) -> Result<Value, Wrong> {
    let wanted = to.api_version();
    let (got, kind) = (text(&converted, &["apiVersion"]), text(&converted, &["kind"]));
    if got != wanted {
        let why = format!("invalid groupVersion (expected {wanted}, received {got})");
        return Err(Wrong::Kind(why));
    }
    let expected = text(original, &["kind"]);
    if kind != expected {
        return Err(Wrong::Kind(format!("invalid kind (expected {expected}, received {kind})")));
    }
    for (field, name) in [("name", "name"), ("namespace", "namespace"), ("uid", "UID")] {
        let (before, after) = (text(original, &["metadata", field]), text(&converted, &["metadata", field]));
        if before != after {
            return Err(Wrong::Other(format!("must have the same {name}: {before} != {after}")));
        }
    }
    let metadata = restored(original, &converted).map_err(Wrong::Metadata)?;
    converted["metadata"] = Value::Object(metadata);
    Ok(converted)
}

/// The original's metadata with the labels and annotations of what was converted.
fn restored(original: &Value, converted: &Value) -> Result<Map<String, Value>, String> {
    let answered = match converted.get("metadata") {
        None => return Err("missing metadata in converted object".to_owned()),
        Some(Value::Object(map)) => map,
        Some(_) => return Err("invalid metadata in converted object".to_owned()),
    };
    let mut metadata = original["metadata"].as_object().cloned().unwrap_or_default();
    for field in ["labels", "annotations"] {
        let Some(fresh) = answered.get(field).filter(|value| !value.is_null()) else {
            metadata.remove(field);
            continue;
        };
        let map = fresh.as_object().ok_or_else(|| format!("invalid metadata.{field} in converted object"))?;
        if let Some((key, _)) = map.iter().find(|(_, value)| !value.is_string()) {
            return Err(format!("metadata.{field}[{key}] must be a string in converted object"));
        }
        if metadata.get(field) != Some(fresh) {
            let tree = json!({ field: fresh });
            let errors = validation::embedded_metadata(&field::Path::new("metadata"), &tree);
            if !errors.is_empty() {
                let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
                return Err(if let [one] = &*texts {
                    one.clone()
                } else {
                    format!("[{}]", texts.join(", "))
                });
            }
        }
        metadata.insert(field.to_owned(), fresh.clone());
    }
    Ok(metadata)
}

/// The way to ask webhooks of a server that was given none.
pub(super) fn default_client(env: &crate::env::Env) -> Option<Arc<dyn crate::client::WebhookClient>> {
    #[cfg(feature = "remote")]
    return Some(Arc::new(crate::client::remote::HttpsWebhooks::new(env)));
    #[cfg(not(feature = "remote"))]
    {
        let _ = env;
        None
    }
}
