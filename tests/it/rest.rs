//! The server as HTTP, in process: no socket anywhere.

use std::sync::Arc;

use futures_util::StreamExt;
use http::{Method, Request};
use http_body_util::{BodyExt, BodyStream, Full};
use serde_json::{Value, json};
use tower_service::Service;
use windlass::client::Identity;
use windlass::server::ApiServer;
use windlass::store::{MemoryStore, ObjectStore};

use crate::support::{get, send, server, write};

const TABLE: (&str, &str) = ("accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json");

fn config_map(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"app": "a"}}, "data": data})
}

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[tokio::test]
async fn discovery_tells_what_is_served() {
    let server = server().await;
    let groups = get(&server, "/apis", &[]).await.json();
    assert_eq!(groups["groups"][0]["name"], "apps");
    assert_eq!(get(&server, "/api", &[]).await.json()["versions"], json!(["v1"]));
    let apps = get(&server, "/apis/apps/v1", &[]).await.json();
    let names: Vec<_> = apps["resources"].as_array().unwrap().iter().map(|row| row["name"].clone()).collect();
    assert!(
        names.contains(&json!("deployments")) && names.contains(&json!("deployments/scale")),
        "{names:?}"
    );

    let accept =
        ("accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json");
    let all = get(&server, "/apis", &[accept]).await;
    assert_eq!(
        all.headers["content-type"],
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    );
    assert_eq!(all.json()["kind"], "APIGroupDiscoveryList");
    let tag = all.headers["etag"].to_str().unwrap();
    let again = get(&server, "/apis", &[accept, ("if-none-match", tag)]).await;
    assert_eq!((again.code.as_u16(), again.text.as_str()), (304, ""));
}

#[tokio::test]
async fn openapi_has_an_index_and_documents_that_do_not_change_under_their_hash() {
    let server = server().await;
    let index = get(&server, "/openapi/v3", &[]).await.json();
    let url = index["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().unwrap().to_owned();
    let document = get(&server, &url, &[]).await;
    assert_eq!(document.headers["cache-control"], "public, immutable");
    let schemas = &document.json()["components"]["schemas"];
    assert!(schemas.get("io.k8s.api.apps.v1.Deployment").is_some());
    let moved = get(&server, "/openapi/v3/apis/apps/v1?hash=OLD", &[]).await;
    assert_eq!((moved.code.as_u16(), moved.headers["location"].to_str().unwrap()), (301, url.as_str()));
    assert_eq!(get(&server, "/openapi/v3/apis/nope/v1", &[]).await.failure().0, 404);

    let protobuf = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
    let asked = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    let old =
        Request::get("/openapi/v2").header("accept", asked).body(Full::<bytes::Bytes>::default()).unwrap();
    let old = server.service(Identity::admin()).call(old).await.unwrap();
    assert_eq!(old.headers()["content-type"], protobuf);
    let tag = old.headers()["etag"].to_str().unwrap().to_owned();
    let old = old.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(&old[..5], b"\n\x032.0");
    assert_eq!(get(&server, "/openapi/v2", &[("if-none-match", &tag)]).await.code, 304);
    assert_eq!(get(&server, "/openapi/v2", &[]).await.json()["swagger"], "2.0");
}

/// Every reference in a document.
fn references(document: &Value, found: &mut Vec<String>) {
    match document {
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[tokio::test]
async fn openapi_of_version_2_says_all_in_one_document() {
    let server = server().await;
    let document = get(&server, "/openapi/v2", &[]).await.json();
    let definitions = document["definitions"].as_object().unwrap();
    let mut referred = Vec::new();
    references(&document, &mut referred);
    assert!(referred.len() > 1_000);
    for reference in referred {
        let name = reference.strip_prefix("#/definitions/").unwrap();
        assert!(definitions.contains_key(name), "{reference}");
    }
    let mut rest = document.clone();
    // What describes schemas has fields of these names.
    rest["definitions"].as_object_mut().unwrap().retain(|name, _| !name.ends_with(".JSONSchemaProps"));
    let text = rest.to_string();
    for word in ["oneOf", "anyOf", "requestBody", "\"content\":", "#/components/"] {
        assert!(!text.contains(word), "{word}");
    }
    let create = &document["paths"]["/api/v1/namespaces/{namespace}/configmaps"]["post"];
    assert_eq!(
        create["parameters"][0],
        json!({"name": "body", "in": "body", "required": true,
            "schema": {"$ref": "#/definitions/io.k8s.api.core.v1.ConfigMap"}})
    );
    assert_eq!(create["responses"]["201"]["schema"]["$ref"], "#/definitions/io.k8s.api.core.v1.ConfigMap");
    assert_eq!(create["parameters"][1]["type"], "string");
    let port = &definitions["io.k8s.api.networking.v1.NetworkPolicyPort"]["properties"]["port"];
    assert_eq!(port["$ref"], "#/definitions/io.k8s.apimachinery.pkg.util.intstr.IntOrString");
    assert!(port["description"].as_str().is_some_and(|text| !text.is_empty()));
    let kind = &definitions["io.k8s.apimachinery.pkg.util.intstr.IntOrString"];
    assert_eq!((&kind["type"], &kind["format"]), (&json!("string"), &json!("int-or-string")));
    let kinds =
        definitions["io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"]["x-kubernetes-group-version-kind"]
            .as_array()
            .unwrap();
    assert!(kinds.len() > 20, "one for each version: {}", kinds.len());

    // What a definition adds is there at once, in what version 2 can say.
    let spec = json!({"port": {"x-kubernetes-int-or-string": true}, "size": {"type": "integer"},
        "maybe": {"type": "string", "nullable": true}});
    let widgets = super::server_crd::definition("widgets", "Widget", spec);
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    assert_eq!(write(&server, Method::POST, path, &widgets).await.code, 201);
    let document = get(&server, "/openapi/v2", &[]).await.json();
    let spec = &document["definitions"]["com.example.v1.Widget"]["properties"]["spec"]["properties"];
    assert_eq!(spec["size"]["type"], "integer");
    assert_eq!((spec["maybe"].get("type"), spec["maybe"].get("nullable")), (None, None));
    let list = &document["paths"]["/apis/example.com/v1/namespaces/{namespace}/widgets"]["get"];
    assert_eq!(list["responses"]["200"]["schema"]["$ref"], "#/definitions/com.example.v1.WidgetList");
}

#[tokio::test]
async fn what_goes_wrong_is_a_status() {
    let server = server().await;
    let code = |reply: crate::support::Reply| reply.failure().0;
    assert_eq!(code(get(&server, "/nope", &[]).await), 404);
    assert_eq!(code(get(&server, "/apis/nope/v1/things", &[]).await), 404);
    assert_eq!(code(get(&server, "/api/v1/nopes", &[]).await), 404);
    assert_eq!(
        get(&server, &format!("{CONFIG_MAPS}/x"), &[]).await.failure(),
        (404, "NotFound".into(), r#"configmaps "x" not found"#.into())
    );
    assert_eq!(code(get(&server, CONFIG_MAPS, &[("accept", "text/html")]).await), 406);
    assert_eq!(code(write(&server, Method::PUT, CONFIG_MAPS, &json!({})).await), 405);
    assert_eq!(code(write(&server, Method::POST, "/version", &json!({})).await), 405);
    let cbor = [("content-type", "application/cbor")];
    let reply = send(&server, Identity::admin(), Method::POST, CONFIG_MAPS, &cbor, "{}").await;
    assert_eq!(
        reply.failure(),
        (
            415,
            "UnsupportedMediaType".into(),
            "the body of the request was in an unknown format - accepted media types include: \
             application/json, application/yaml, application/vnd.kubernetes.protobuf"
                .into()
        )
    );
    let patch = [("content-type", "application/json")];
    let uri = format!("{CONFIG_MAPS}/x");
    assert_eq!(code(send(&server, Identity::admin(), Method::PATCH, &uri, &patch, "{}").await), 415);
    let json = [("content-type", "application/json")];
    let large = " ".repeat(3 * 1024 * 1024 + 1);
    let reply = send(&server, Identity::admin(), Method::POST, CONFIG_MAPS, &json, large).await;
    assert_eq!(
        reply.failure(),
        (413, "RequestEntityTooLarge".into(), "Request entity too large: limit is 3145728".into())
    );
    assert_eq!(code(send(&server, Identity::admin(), Method::POST, CONFIG_MAPS, &json, "{").await), 400);
    assert_eq!(code(get(&server, &format!("{CONFIG_MAPS}?limit=x"), &[]).await), 400);
    assert_eq!(code(get(&server, &format!("{CONFIG_MAPS}?labelSelector=a%20b"), &[]).await), 400);
    assert_eq!(code(get(&server, &format!("{CONFIG_MAPS}?resourceVersionMatch=Exact"), &[]).await), 422);
    assert_eq!(code(get(&server, "/api/v1/namespaces/default/pods/x/exec", &[]).await), 400);
}

#[tokio::test]
async fn an_object_comes_and_goes() {
    let server = server().await;
    let made = write(&server, Method::POST, CONFIG_MAPS, &config_map("a", &json!({"k": "v"}))).await;
    assert_eq!(made.code, 201, "{}", made.text);
    assert_eq!(made.json()["data"], json!({"k": "v"}));
    let uri = format!("{CONFIG_MAPS}/a");
    let yaml = get(&server, &uri, &[("accept", "application/yaml")]).await;
    assert_eq!(yaml.headers["content-type"], "application/yaml");
    assert!(yaml.text.contains("kind: ConfigMap\n"), "{}", yaml.text);
    let pretty = get(&server, &format!("{uri}?pretty=true"), &[]).await;
    assert!(pretty.text.contains("\n  \"kind\": \"ConfigMap\""), "{}", pretty.text);
    let merge = [("content-type", "application/merge-patch+json; charset=utf-8")];
    let patched =
        send(&server, Identity::admin(), Method::PATCH, &uri, &merge, r#"{"data":{"k":"w"}}"#).await;
    assert_eq!(patched.json()["data"]["k"], "w");
    let list = get(&server, &format!("{CONFIG_MAPS}?labelSelector=app%3Da"), &[]).await.json();
    assert_eq!(
        (list["kind"].as_str(), list["items"].as_array().map(Vec::len)),
        (Some("ConfigMapList"), Some(1))
    );
    let none = get(&server, &format!("{CONFIG_MAPS}?labelSelector=app%3Db"), &[]).await.json();
    assert_eq!(none["items"], json!([]));
    let body = json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": "wrong"}});
    assert_eq!(write(&server, Method::DELETE, &uri, &body).await.failure().0, 409);
    let gone = write(&server, Method::DELETE, &uri, &json!({"propagationPolicy": "Background"})).await;
    assert_eq!((gone.code.as_u16(), gone.json()["status"].as_str()), (200, Some("Success")));
    assert_eq!(get(&server, &uri, &[]).await.failure().0, 404);
}

#[tokio::test]
async fn a_body_may_be_yaml_and_says_what_is_unknown_in_it() {
    let server = server().await;
    let yaml = [("content-type", "application/yaml")];
    let body = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: v}\ncolour: blue\n";
    let made = send(&server, Identity::admin(), Method::POST, CONFIG_MAPS, &yaml, body).await;
    assert_eq!(made.code, 201, "{}", made.text);
    assert_eq!(made.headers["warning"], r#"299 - "unknown field \"colour\"""#);
    let strict = format!("{CONFIG_MAPS}?fieldValidation=Strict");
    let refused = send(&server, Identity::admin(), Method::POST, &strict, &yaml, body).await;
    assert_eq!((refused.failure().0, refused.headers.get("warning")), (400, None));
    // What was noticed is told, though the object is refused for something else.
    let body = body.replace("name: a", "name: A_");
    let refused = send(&server, Identity::admin(), Method::POST, CONFIG_MAPS, &yaml, body).await;
    assert_eq!(refused.failure().0, 422);
    assert_eq!(refused.headers["warning"], r#"299 - "unknown field \"colour\"""#);
}

#[tokio::test]
async fn tables_have_rows_and_metadata_alone_has_no_data() {
    let server = server().await;
    for name in ["a", "b"] {
        write(&server, Method::POST, CONFIG_MAPS, &config_map(name, &json!({"k": "v"}))).await;
    }
    let table = get(&server, CONFIG_MAPS, &[TABLE]).await.json();
    let names = |table: &Value| -> Vec<Value> {
        table["columnDefinitions"].as_array().unwrap().iter().map(|column| column["name"].clone()).collect()
    };
    assert_eq!((&table["kind"], &table["apiVersion"]), (&json!("Table"), &json!("meta.k8s.io/v1")));
    assert_eq!(names(&table), ["Name", "Data", "Age"]);
    let data = table["columnDefinitions"][1]["description"].as_str().unwrap();
    assert!(data.starts_with("Data contains the configuration data."), "{data}");
    let row = table["rows"].as_array().unwrap().iter().find(|row| row["cells"][0] == "a").unwrap();
    assert_eq!(row["cells"].as_array().unwrap()[..2], [json!("a"), json!(1)]);
    assert_eq!(row["object"]["kind"], "PartialObjectMetadata");
    let bare = get(&server, &format!("{CONFIG_MAPS}?includeObject=None"), &[TABLE]).await.json();
    assert!(bare["rows"][0].get("object").is_none());
    let one = get(&server, &format!("{CONFIG_MAPS}/a"), &[TABLE]).await.json();
    assert_eq!(one["rows"].as_array().unwrap().len(), 1);

    let partial = ("accept", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1");
    let list = get(&server, CONFIG_MAPS, &[partial]).await.json();
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert!(list["items"][0].get("data").is_none());
    assert_eq!(
        get(&server, &format!("{CONFIG_MAPS}?includeObject=x"), &[TABLE]).await.failure(),
        (
            400,
            "BadRequest".into(),
            "Unable to convert to Table as requested: includeObject: Invalid value: \"x\": must be 'Metadata', \
             'Object', 'None', or empty"
                .into()
        )
    );
}

/// The events of a watch, as they come.
async fn watch(
    server: &ApiServer,
    uri: &str,
    headers: &[(&str, &str)],
) -> impl futures_util::Stream<Item = Value> + Unpin {
    let mut request = Request::get(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(bytes::Bytes::new())).unwrap();
    let response = server.service(Identity::admin()).call(request).await.unwrap();
    assert_eq!(response.status(), 200);
    // One piece is one line: an event is written when it is asked for.
    Box::pin(BodyStream::new(response.into_body()).map(|frame| {
        let bytes = frame.unwrap().into_data().unwrap();
        assert_eq!(bytes.last(), Some(&b'\n'));
        serde_json::from_slice(&bytes).unwrap()
    }))
}

#[tokio::test]
async fn a_watch_is_a_line_an_event() {
    let server = server().await;
    write(&server, Method::POST, CONFIG_MAPS, &config_map("a", &json!({}))).await;
    let uri = format!(
        "{CONFIG_MAPS}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&labelSelector=app%3Da"
    );
    let mut events = watch(&server, &uri, &[]).await;
    let first = events.next().await.unwrap();
    assert_eq!((&first["type"], &first["object"]["metadata"]["name"]), (&json!("ADDED"), &json!("a")));
    let bookmark = events.next().await.unwrap();
    assert_eq!((&bookmark["type"], &bookmark["object"]["kind"]), (&json!("BOOKMARK"), &json!("ConfigMap")));
    assert_eq!(bookmark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");

    let unmatched = json!([{"op": "remove", "path": "/metadata/labels"}]);
    let patch = [("content-type", "application/json-patch+json")];
    let uri = format!("{CONFIG_MAPS}/a");
    send(&server, Identity::admin(), Method::PATCH, &uri, &patch, unmatched.to_string()).await;
    assert_eq!(events.next().await.unwrap()["type"], "DELETED");
}

#[tokio::test]
async fn who_acts_as_somebody_else_has_their_rights_and_needs_leave() {
    let server = server().await;
    let asked = get(&server, CONFIG_MAPS, &[("impersonate-user", "robot")]).await;
    let words = "configmaps is forbidden: User \"robot\" cannot list resource \"configmaps\" in API group \"\" in \
                 the namespace \"default\"";
    assert_eq!(asked.failure(), (403, "Forbidden".to_owned(), words.to_owned()));
    let headers = [("impersonate-user", "kubernetes-admin"), ("impersonate-group", "system:masters")];
    let asked = send(&server, Identity::user("robot"), Method::GET, CONFIG_MAPS, &headers, "").await;
    let words = "configmaps is forbidden: User \"robot\" cannot impersonate-on:user-info:list resource \
                 \"configmaps\" in API group \"\" in the namespace \"default\"";
    assert_eq!(asked.failure(), (403, "Forbidden".to_owned(), words.to_owned()));
}

#[tokio::test]
async fn an_event_shows_its_name_last_and_only_to_those_who_want_all() {
    let server = server().await;
    let event = json!({"metadata": {"name": "a.1"}, "reason": "Tried", "type": "Normal",
        "involvedObject": {"kind": "Pod", "namespace": "default", "name": "a"}});
    let events = "/api/v1/namespaces/default/events";
    assert_eq!(write(&server, Method::POST, events, &event).await.code, 201);
    let table = get(&server, events, &[TABLE]).await.json();
    let columns = table["columnDefinitions"].as_array().unwrap();
    assert_eq!((&columns[0]["name"], &columns[9]["name"]), (&json!("Last Seen"), &json!("Name")));
    assert_eq!((columns.len(), &columns[9]["priority"]), (10, &json!(1)));
    let cells = &table["rows"][0]["cells"];
    assert_eq!((&cells[2], &cells[3], &cells[9]), (&json!("Tried"), &json!("pod/a"), &json!("a.1")));
}

#[tokio::test]
async fn a_watch_may_be_of_tables_and_have_the_old_path() {
    let server = server().await;
    let mut events = watch(&server, "/api/v1/watch/namespaces/default/configmaps/a", &[TABLE]).await;
    for name in ["other", "a"] {
        write(&server, Method::POST, CONFIG_MAPS, &config_map(name, &json!({"k": "v"}))).await;
    }
    let first = events.next().await.unwrap();
    assert_eq!(first["object"]["kind"], "Table");
    assert_eq!(first["object"]["rows"][0]["cells"][0], "a");
    assert_eq!(first["object"]["columnDefinitions"][0]["name"], "Name");
    write(&server, Method::DELETE, &format!("{CONFIG_MAPS}/a"), &json!({})).await;
    let second = events.next().await.unwrap();
    assert_eq!((&second["type"], &second["object"]["columnDefinitions"]), (&json!("DELETED"), &json!([])));
}

#[tokio::test]
async fn a_watch_from_a_revision_that_is_no_longer_kept_says_so_and_ends() {
    let store = Arc::new(MemoryStore::new());
    let server = ApiServer::builder().store(store.clone()).build().await.unwrap();
    let made = write(&server, Method::POST, CONFIG_MAPS, &config_map("a", &json!({}))).await.json();
    let revision: u64 = made["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    let last = write(&server, Method::POST, CONFIG_MAPS, &config_map("b", &json!({}))).await.json();
    let newest: u64 = last["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    store.compact(windlass::api::Revision(newest)).await.unwrap();
    let uri = format!("{CONFIG_MAPS}?watch=true&resourceVersion={}", revision - 1);
    let request = Request::get(uri).body(Full::new(bytes::Bytes::new())).unwrap();
    let response = server.service(Identity::admin()).call(request).await.unwrap();
    let text = response.into_body().collect().await.unwrap().to_bytes();
    let said: Value = serde_json::from_slice(&text).unwrap();
    let status = &said["object"];
    assert_eq!(
        (&said["type"], &status["code"], &status["reason"]),
        (&json!("ERROR"), &json!(410), &json!("Expired"))
    );
}
