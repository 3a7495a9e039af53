//! Requests that mean no good: what they cost is bounded, and what they say is refused in words.

use std::time::Duration;

use http::Method;
use serde_json::json;
use windlass::client::Identity;
use windlass::server::ApiServer;

use crate::support::{Reply, get, send, server, write};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// So long, even in a build that is not optimized and on a machine that has other things to do.
const SOON: Duration = Duration::from_secs(20);

async fn post(server: &ApiServer, media_type: &str, body: impl Into<String>) -> Reply {
    let headers = [("content-type", media_type)];
    send(server, Identity::admin(), Method::POST, MAPS, &headers, body).await
}

async fn patch(server: &ApiServer, media_type: &str, body: impl Into<String>) -> Reply {
    let headers = [("content-type", media_type)];
    send(server, Identity::admin(), Method::PATCH, &format!("{MAPS}/a"), &headers, body).await
}

fn map(name: &str) -> serde_json::Value {
    json!({"metadata": {"name": name}, "data": {"k": "v"}})
}

/// Sees that somebody is refused soon, and that the server goes on.
async fn refused(server: &ApiServer, codes: &[u16], asked: impl Future<Output = Reply>) {
    let start = server.env().clock.instant();
    let (code, reason, message) = asked.await.failure();
    assert!(codes.contains(&code), "{code} {reason}: {message}");
    assert!(message.len() < 4096, "{} bytes of words", message.len());
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert_eq!(get(server, "/livez", &[]).await.text, "ok");
}

/// CVE-2019-11253: aliases that stand for each other nine times over, nine deep.
#[tokio::test]
async fn a_bomb_of_yaml_aliases_does_not_go_off() {
    let server = server().await;
    let mut bomb =
        String::from("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\na: &a [\"lol\",\"lol\"]\n");
    for (own, other) in "bcdefghij".chars().zip("abcdefghi".chars()) {
        let all = vec![format!("*{other}"); 9].join(",");
        bomb += &format!("{own}: &{own} [{all}]\n");
    }
    refused(&server, &[400, 413], post(&server, "application/yaml", bomb.clone())).await;
    let apply = format!("{MAPS}/a?fieldManager=m");
    let yaml = [("content-type", "application/apply-patch+yaml")];
    refused(&server, &[400, 413, 415], send(&server, Identity::admin(), Method::PATCH, &apply, &yaml, bomb))
        .await;
}

#[tokio::test]
async fn documents_as_deep_as_a_well_are_refused() {
    let server = server().await;
    write(&server, Method::POST, MAPS, &map("a")).await;
    for depth in [1_000, 100_000, 1_000_000] {
        let json = format!("{{\"metadata\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        refused(&server, &[400], post(&server, "application/json", json.clone())).await;
        for kind in ["application/merge-patch+json", "application/strategic-merge-patch+json"] {
            refused(&server, &[400], patch(&server, kind, json.clone())).await;
        }
        let flow = format!("metadata: {}{}", "[".repeat(depth), "]".repeat(depth));
        refused(&server, &[400], post(&server, "application/yaml", flow)).await;
    }
    let block: String = (0..2_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    refused(&server, &[400, 413], post(&server, "application/yaml", block)).await;
}

/// CVE-2019-1002100: patches that are short to send and long to do.
#[tokio::test]
async fn patches_that_cost_much_are_refused() {
    let server = server().await;
    write(&server, Method::POST, MAPS, &map("a")).await;
    let json = "application/json-patch+json";
    let many = vec![json!({"op": "add", "path": "/data/k", "value": "v"}); 10_001];
    let why = "The allowed maximum operations in a JSON patch is 10000, got 10001";
    let told = patch(&server, json, json!(many).to_string()).await;
    assert_eq!(told.failure(), (413, "RequestEntityTooLarge".into(), why.into()));
    let doubling: Vec<_> =
        std::iter::once(json!({"op": "add", "path": "/metadata/annotations", "value": {"a": "b"}}))
            .chain((0..40).map(
                |n| json!({"op": "copy", "from": "/metadata", "path": format!("/metadata/annotations/a{n}")}),
            ))
            .collect();
    refused(&server, &[413, 422, 400], patch(&server, json, json!(doubling).to_string())).await;
    // As many operations as may be, each of which looks at a long list from its start.
    let tests = vec![json!({"op": "test", "path": "/data/k", "value": "v"}); 10_000];
    let start = server.env().clock.instant();
    assert_eq!(patch(&server, json, json!(tests).to_string()).await.code, 200);
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert_eq!(get(&server, &format!("{MAPS}/a"), &[]).await.json()["data"], json!({"k": "v"}));
}

#[tokio::test]
async fn paths_that_are_none_name_nothing() {
    let server = server().await;
    write(&server, Method::POST, MAPS, &map("a")).await;
    for path in ["/api/v1/namespaces/default/configmaps/a%", "/api/v1/%zz", "/%", "/api/v1/pods/%2"] {
        let reply = get(&server, path, &[]).await;
        assert_eq!((reply.code.as_u16(), reply.text.as_str()), (400, "400 Bad Request"), "{path}");
    }
    for path in [
        "/api/v1//namespaces/default/configmaps/a",
        "//api/v1/namespaces/default/configmaps/a",
        "/api//v1/namespaces/default/configmaps/a",
        "/api/v1/namespaces//configmaps/a",
        "/healthz//ping",
        "/api/v1/namespaces/default/configmaps/a/b/c",
    ] {
        assert_eq!(get(&server, path, &[]).await.failure().0, 404, "{path}");
    }
    for path in [format!("{MAPS}/.."), format!("{MAPS}/."), format!("{MAPS}/%2e%2e"), format!("{MAPS}/a%00b")]
    {
        let code = get(&server, &path, &[]).await.failure().0;
        assert!(matches!(code, 400 | 404), "{path}: {code}");
    }
    let long = format!("{MAPS}?labelSelector=a%20in%20({})", vec!["b"; 20_000].join(","));
    assert_eq!(get(&server, &long, &[]).await.code, 200);
    let name = "a".repeat(30_000);
    assert_eq!(get(&server, &format!("{MAPS}/{name}"), &[]).await.failure().0, 404);
    assert_eq!(get(&server, &format!("{MAPS}/a/"), &[]).await.code, 200, "a slash at the end is none");
}

#[tokio::test]
async fn no_header_makes_one_method_another() {
    let server = server().await;
    write(&server, Method::POST, MAPS, &map("a")).await;
    for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
        let reply = get(&server, &format!("{MAPS}/a"), &[(name, "DELETE")]).await;
        assert_eq!((reply.code.as_u16(), reply.json()["kind"].as_str()), (200, Some("ConfigMap")), "{name}");
    }
    let reply = get(&server, &format!("{MAPS}/a?_method=DELETE"), &[]).await;
    assert_eq!(reply.code, 200);
    for method in [Method::OPTIONS, Method::TRACE, Method::CONNECT, Method::from_bytes(b"BREW").unwrap()] {
        let reply = send(&server, Identity::admin(), method.clone(), &format!("{MAPS}/a"), &[], "").await;
        assert_eq!(reply.failure().0, 405, "{method}");
    }
    assert_eq!(get(&server, &format!("{MAPS}/a"), &[]).await.code, 200, "it is still there");
}
