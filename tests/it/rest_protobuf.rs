//! Protobuf over HTTP, as client-go's typed clients ask for it, and in the store, as a kube-apiserver
//! leaves it there.

use std::sync::Arc;

use bytes::{Buf, Bytes};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower_service::Service;
use windlass::api::schema::{decode_protobuf, encode_protobuf};
use windlass::client::Identity;
use windlass::server::ApiServer;
use windlass::store::{MemoryStore, ObjectStore, ObjectStoreExt};

use crate::support::{get, server, write};

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
/// What client-go sends by default for built-in types.
const EITHER: &str = "application/vnd.kubernetes.protobuf,application/json";
const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

struct Reply {
    code: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Reply {
    /// The object, of an answer in protobuf.
    fn object(&self) -> Value {
        assert_eq!(self.headers["content-type"], PROTOBUF);
        decode_protobuf(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    /// Code and message of a failure in protobuf.
    fn failure(&self) -> (u16, String) {
        let status = self.object();
        assert_eq!((&status["kind"], &status["status"]), (&json!("Status"), &json!("Failure")), "{status}");
        assert_eq!(status["code"], self.code.as_u16());
        (self.code.as_u16(), status["message"].as_str().unwrap().to_owned())
    }
}

async fn answer(
    server: &ApiServer,
    who: Identity,
    method: Method,
    uri: &str,
    accept: &str,
    body: Vec<u8>,
) -> http::Response<windlass::server::rest::ResponseBody> {
    let request = Request::builder().method(method).uri(uri).header("accept", accept);
    let request = request.header("content-type", PROTOBUF).body(Full::new(Bytes::from(body))).unwrap();
    server.service(who).call(request).await.unwrap()
}

/// Sends protobuf and reads the answer whole.
async fn ask(server: &ApiServer, method: Method, uri: &str, accept: &str, body: Vec<u8>) -> Reply {
    let (parts, body) = answer(server, Identity::admin(), method, uri, accept, body).await.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Reply { code: parts.status, headers: parts.headers, body }
}

/// The next event of a watch in protobuf: its type and object.
async fn event(body: &mut windlass::server::rest::ResponseBody) -> (String, Value) {
    let mut frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(frame.get_u32() as usize, frame.len(), "one frame at a time");
    // The event's type comes first, and then its object as it would stand alone.
    let start = frame.windows(4).position(|bytes| bytes == b"k8s\0").unwrap();
    let kind = std::str::from_utf8(&frame[2..2 + usize::from(frame[1])]).unwrap().to_owned();
    (kind, decode_protobuf(&frame[start..]).unwrap())
}

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": "v"},
        "metadata": {"name": name, "namespace": "default", "labels": {"app": "a"}}})
}

fn encoded(tree: &Value) -> Vec<u8> {
    encode_protobuf(tree).unwrap()
}

#[tokio::test]
async fn every_verb_answers_in_protobuf() {
    let server = server().await;
    let uri = format!("{CONFIG_MAPS}/a");
    let made = ask(&server, Method::POST, CONFIG_MAPS, EITHER, encoded(&config_map("a"))).await;
    assert_eq!(made.code, 201);
    let made = made.object();
    assert_eq!((&made["data"], &made["metadata"]["labels"]), (&json!({"k": "v"}), &json!({"app": "a"})));
    let got = ask(&server, Method::GET, &uri, EITHER, vec![]).await;
    assert_eq!((got.code.as_u16(), got.object()), (200, made.clone()));
    assert_eq!(get(&server, &uri, &[]).await.json(), made, "as JSON it is the same");
    assert_eq!(got.body, encoded(&made));

    let mut changed = made.clone();
    changed["data"]["k"] = "w".into();
    let updated = ask(&server, Method::PUT, &uri, EITHER, encoded(&changed)).await.object();
    assert_eq!(updated["data"]["k"], "w");
    assert_ne!(updated["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"]);

    let list = ask(&server, Method::GET, CONFIG_MAPS, EITHER, vec![]).await.object();
    assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("ConfigMapList"), &json!("v1")));
    let mut own = updated.clone();
    for name in ["kind", "apiVersion"] {
        own.as_object_mut().unwrap().remove(name);
    }
    assert_eq!(list["items"], json!([own]));
    let page = ask(&server, Method::GET, &format!("{CONFIG_MAPS}?limit=1"), EITHER, vec![]).await.object();
    assert!(page["metadata"]["resourceVersion"].is_string(), "{page}");

    let patch = Request::builder().method(Method::PATCH).uri(&uri).header("accept", EITHER);
    let patch = patch.header("content-type", "application/merge-patch+json");
    let patch = patch.body(Full::new(Bytes::from(r#"{"data":{"k":"x"}}"#))).unwrap();
    let patched = server.service(Identity::admin()).call(patch).await.unwrap();
    let patched = patched.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(decode_protobuf(&patched).unwrap()["data"]["k"], "x");

    // Options come as protobuf, too.
    let options = |uid: &Value| {
        encoded(&json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}))
    };
    let refused = ask(&server, Method::DELETE, &uri, EITHER, options(&"wrong".into())).await;
    assert_eq!(refused.failure().0, 409);
    let gone = ask(&server, Method::DELETE, &uri, EITHER, options(&made["metadata"]["uid"])).await.object();
    assert_eq!((&gone["kind"], &gone["status"]), (&json!("Status"), &json!("Success")));
    assert_eq!(
        ask(&server, Method::GET, &uri, EITHER, vec![]).await.failure(),
        (404, r#"configmaps "a" not found"#.into())
    );
}

#[tokio::test]
async fn what_accepts_no_protobuf_gets_none() {
    let server = server().await;
    let made = ask(&server, Method::POST, CONFIG_MAPS, "application/json", encoded(&config_map("a"))).await;
    assert_eq!(
        (made.code.as_u16(), &made.headers["content-type"]),
        (201, &"application/json".parse().unwrap())
    );
    let kind = |reply: Reply| reply.headers["content-type"].to_str().unwrap().to_owned();
    for (accept, answered) in [
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("application/vnd.kubernetes.protobuf;q=0.1, application/yaml;q=0.2", "application/yaml"),
        ("application/vnd.kubernetes.protobuf; charset=utf-8", PROTOBUF),
        (
            "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json",
            "application/json",
        ),
        ("text/html,application/vnd.kubernetes.protobuf", PROTOBUF),
    ] {
        assert_eq!(kind(ask(&server, Method::GET, CONFIG_MAPS, accept, vec![]).await), answered, "{accept}");
    }
    // Failures are written as the answer would have been, but never in another shape.
    let missing = format!("{CONFIG_MAPS}/b");
    let as_table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    for (accept, answered) in [
        (PROTOBUF, PROTOBUF),
        ("application/yaml", "application/yaml"),
        ("text/html", "application/json"),
        (as_table, "application/json"),
    ] {
        let reply = ask(&server, Method::GET, &missing, accept, vec![]).await;
        let code = if accept == "text/html" { 406 } else { 404 };
        assert_eq!((reply.code.as_u16(), kind(reply).as_str()), (code, answered), "{accept}");
    }
    let refused = answer(&server, Identity::anonymous(), Method::GET, CONFIG_MAPS, EITHER, vec![]).await;
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["content-type"]),
        (403, &PROTOBUF.parse().unwrap())
    );
}

#[tokio::test]
async fn a_watch_is_frames_of_protobuf() {
    let server = server().await;
    ask(&server, Method::POST, CONFIG_MAPS, EITHER, encoded(&config_map("a"))).await;
    let uri = format!(
        "{CONFIG_MAPS}?watch=true&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
    );
    let accept = "application/vnd.kubernetes.protobuf;stream=watch,application/json";
    let watch = answer(&server, Identity::admin(), Method::GET, &uri, accept, vec![]).await;
    assert_eq!(watch.headers()["content-type"], "application/vnd.kubernetes.protobuf;stream=watch");
    let mut watch = watch.into_body();
    let (kind, object) = event(&mut watch).await;
    assert_eq!(
        (kind.as_str(), &object["kind"], &object["data"]),
        ("ADDED", &json!("ConfigMap"), &json!({"k": "v"}))
    );
    let (kind, object) = event(&mut watch).await;
    let ended = &object["metadata"]["annotations"]["k8s.io/initial-events-end"];
    assert_eq!((kind.as_str(), &object["kind"], ended), ("BOOKMARK", &json!("ConfigMap"), &json!("true")));
    ask(&server, Method::DELETE, &format!("{CONFIG_MAPS}/a"), EITHER, vec![]).await;
    let (kind, object) = event(&mut watch).await;
    assert_eq!((kind.as_str(), &object["metadata"]["name"]), ("DELETED", &json!("a")));

    // Metadata alone are watched in the same way.
    let metadata = format!("{PROTOBUF};stream=watch;as=PartialObjectMetadata;v=v1;g=meta.k8s.io");
    ask(&server, Method::POST, CONFIG_MAPS, EITHER, encoded(&config_map("b"))).await;
    let watch = answer(&server, Identity::admin(), Method::GET, &uri, &metadata, vec![]).await;
    let (kind, object) = event(&mut watch.into_body()).await;
    assert_eq!((kind.as_str(), &object["kind"]), ("ADDED", &json!("PartialObjectMetadata")));
    assert_eq!((&object["metadata"]["name"], object.get("data")), (&json!("b"), None));
}

#[tokio::test]
async fn custom_resources_have_none_but_of_their_metadata() {
    let server = server().await;
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties":
                    {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}},
                "subresources": {"scale": {
                    "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}}}]},
    });
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let made = ask(&server, Method::POST, definitions, EITHER, encoded(&definition)).await;
    assert_eq!(made.code, 201, "{:?}", made.body);
    assert_eq!(made.object()["spec"]["versions"][0]["schema"], definition["spec"]["versions"][0]["schema"]);

    let widgets = "/apis/example.com/v1/namespaces/default/widgets";
    let widget = json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "a"},
        "spec": {"replicas": 2}});
    assert_eq!(write(&server, Method::POST, widgets, &widget).await.code, 201);
    let uri = format!("{widgets}/a");
    for uri in [widgets, &uri] {
        let json = ask(&server, Method::GET, uri, EITHER, vec![]).await;
        assert_eq!(
            (json.code.as_u16(), &json.headers["content-type"]),
            (200, &"application/json".parse().unwrap())
        );
        assert_eq!(
            ask(&server, Method::GET, uri, PROTOBUF, vec![]).await.failure(),
            (
                406,
                "only the following media types are accepted: \
                 application/json, application/yaml, application/vnd.kubernetes.protobuf"
                    .into()
            )
        );
    }
    for (version, uri, kind) in [
        ("v1", uri.as_str(), "PartialObjectMetadata"),
        ("v1", widgets, "PartialObjectMetadataList"),
        ("v1beta1", widgets, "PartialObjectMetadataList"),
    ] {
        let accept = format!("{PROTOBUF};as={kind};v={version};g=meta.k8s.io");
        let metadata = ask(&server, Method::GET, uri, &accept, vec![]).await;
        assert_eq!(
            (metadata.code.as_u16(), &metadata.headers["content-type"]),
            (200, &PROTOBUF.parse().unwrap())
        );
        let told = metadata.body.escape_ascii().to_string();
        assert!(told.contains(&format!("meta.k8s.io/{version}")) && told.contains(kind), "{told}");
        assert!(
            told.contains(r"\n\x01a\x12\x00\x1a\x07default")
                && !told.replace("f:replicas", "").contains("replicas"),
            "{told}"
        );
    }
    // A scale is a built-in object, whatever it is one of.
    let scale = ask(&server, Method::GET, &format!("{uri}/scale"), PROTOBUF, vec![]).await.object();
    assert_eq!((&scale["kind"], &scale["spec"]["replicas"]), (&json!("Scale"), &json!(2)));

    // A body that says to be one: what its message would be nobody knows.
    let body = b"k8s\0\n\x18\n\x0eexample.com/v1\x12\x06Widget\x12\x00\x1a\x00\"\x00".to_vec();
    let no_protobuf = "Widget in version \"v1\" cannot be handled as a Widget: object *unstructured.Unstructured does \
        not implement the protobuf marshalling interface and cannot be encoded to a protobuf message";
    let refused = ask(&server, Method::POST, widgets, EITHER, body).await;
    assert_eq!(refused.failure(), (400, no_protobuf.into()));
    assert_eq!(ask(&server, Method::DELETE, &uri, EITHER, vec![]).await.code, 200);
}

#[tokio::test]
async fn a_body_that_cannot_be_read_says_why() {
    let server = server().await;
    let post = async |body: Vec<u8>| ask(&server, Method::POST, CONFIG_MAPS, EITHER, body).await.failure();
    let unrecognized = "the object provided is unrecognized (must be of type ConfigMap): ";
    assert_eq!(
        post(b"{}".to_vec()).await,
        (
            400,
            format!(
                "{unrecognized}provided data does not appear to be a protobuf message, \
                 expected prefix [107, 56, 115, 0] ({{}})"
            )
        )
    );
    assert_eq!(post(b"k8s\0".to_vec()).await, (400, format!("{unrecognized}empty body (6b387300)")));
    let whole = encoded(&config_map("a"));
    let cut = whole[..whole.len() - 8].to_vec();
    assert_eq!(
        post(cut).await,
        (400, r#"ConfigMap in version "v1" cannot be handled as a ConfigMap: unexpected EOF"#.into())
    );
    let other = encoded(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}));
    assert_eq!(post(other).await.0, 400);
    assert_eq!(get(&server, CONFIG_MAPS, &[]).await.json()["items"], json!([]));
}

#[tokio::test]
async fn discovery_can_be_protobuf() {
    let server = server().await;
    for (uri, kind) in [
        ("/api", "APIVersions"),
        ("/apis", "APIGroupList"),
        ("/apis/apps", "APIGroup"),
        ("/apis/apps/v1", "APIResourceList"),
    ] {
        let found = ask(&server, Method::GET, uri, PROTOBUF, vec![]).await;
        assert_eq!(found.code, 200, "{uri}: {:?}", found.body);
        let found = found.object();
        assert_eq!(found["kind"], kind);
        let json = get(&server, uri, &[]).await.json();
        if kind == "APIResourceList" {
            let verbs = |list: &Value| list["resources"][0]["verbs"].clone();
            assert_eq!(
                (verbs(&found), found["resources"].as_array().unwrap().len()),
                (verbs(&json), json["resources"].as_array().unwrap().len())
            );
        } else {
            assert_eq!(found.get("groups"), json.get("groups"));
            assert_eq!(found.get("versions"), json.get("versions"));
        }
    }
}

#[tokio::test]
async fn what_a_kube_apiserver_stored_is_served() {
    let store = MemoryStore::new();
    let key = "/registry/configmaps/default/a";
    let mut stored = config_map("a");
    stored["metadata"]["uid"] = "u-1".into();
    stored["metadata"]["creationTimestamp"] = "2020-01-01T00:00:00Z".into();
    let put = async |tree: &Value| store.put(key, encoded(tree)).await.unwrap();
    let first = put(&stored).await;
    let server = ApiServer::builder().store(Arc::new(store.clone())).build().await.unwrap();

    let uri = format!("{CONFIG_MAPS}/a");
    let mut expected = stored.clone();
    expected["metadata"]["resourceVersion"] = first.to_string().into();
    let got = get(&server, &uri, &[]).await.json();
    assert_eq!(got, expected);
    let list = get(&server, &format!("{CONFIG_MAPS}?labelSelector=app%3Da"), &[]).await.json();
    assert_eq!(list["items"], json!([expected]));
    assert_eq!(ask(&server, Method::GET, &uri, PROTOBUF, vec![]).await.object(), expected);

    // What ends a watch is told as an event of it: this one would begin before the server did.
    let early = format!("{CONFIG_MAPS}?watch=true&resourceVersion={first}");
    let early = answer(&server, Identity::admin(), Method::GET, &early, PROTOBUF, vec![]).await;
    let (kind, status) = event(&mut early.into_body()).await;
    assert_eq!((kind.as_str(), &status["kind"], &status["code"]), ("ERROR", &json!("Status"), &json!(410)));

    let now = list["metadata"]["resourceVersion"].as_str().unwrap();
    let watch = format!("{CONFIG_MAPS}?watch=true&resourceVersion={now}");
    let mut watch =
        answer(&server, Identity::admin(), Method::GET, &watch, PROTOBUF, vec![]).await.into_body();
    stored["data"]["k"] = "theirs".into();
    put(&stored).await;
    let (kind, object) = event(&mut watch).await;
    assert_eq!((kind.as_str(), &object["data"]["k"]), ("MODIFIED", &json!("theirs")), "{object}");

    // What is written is JSON, which a kube-apiserver reads; and that even where nothing changes.
    let same = get(&server, &uri, &[]).await.json();
    let written = write(&server, Method::PUT, &uri, &same).await;
    assert_eq!(written.code, 200, "{}", written.text);
    let kv = store.get(key.as_bytes()).await.unwrap().unwrap();
    let body: Value = serde_json::from_slice(&kv.value).unwrap();
    assert_eq!(body, stored);
    assert_eq!(written.json()["metadata"]["resourceVersion"], kv.mod_revision.to_string());
    let (kind, object) = event(&mut watch).await;
    assert_eq!((kind.as_str(), &object["data"]["k"]), ("MODIFIED", &json!("theirs")), "{object}");
    let gone = write(&server, Method::DELETE, &uri, &json!({"preconditions": {"uid": "u-1"}})).await;
    assert_eq!(gone.code, 200, "{}", gone.text);
}
