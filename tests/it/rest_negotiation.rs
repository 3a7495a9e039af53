//! Which form an answer has: media types, gzip, discovery with its tags.

use std::io::Read;

use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower_service::Service;
use windlass::api::schema::decode_protobuf;
use windlass::client::Identity;
use windlass::server::ApiServer;

use crate::support::{get, server, write};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// An answer's headers and bytes.
async fn fetch(server: &ApiServer, uri: &str, headers: &[(&str, &str)]) -> (http::HeaderMap, Vec<u8>) {
    let mut request = Request::get(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(bytes::Bytes::new())).unwrap();
    let (parts, body) = server.service(Identity::admin()).call(request).await.unwrap().into_parts();
    assert_eq!(parts.status, 200, "{uri}");
    (parts.headers, body.collect().await.unwrap().to_bytes().to_vec())
}

async fn fill(server: &ApiServer, count: usize, size: usize) {
    for number in 0..count {
        let map = json!({"metadata": {"name": format!("a{number}")}, "data": {"k": "v".repeat(size)}});
        assert_eq!(write(server, Method::POST, MAPS, &map).await.code, 201);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_large_is_compressed_for_those_who_take_it_so() {
    let server = server().await;
    fill(&server, 40, 5_000).await;
    let zips = ("accept-encoding", "br, gzip");
    let (plain_headers, plain) = fetch(&server, MAPS, &[]).await;
    assert!(plain.len() > 128 * 1024 && !plain_headers.contains_key("content-encoding"));
    for accept in ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"] {
        let (headers, zipped) = fetch(&server, MAPS, &[zips, ("accept", accept)]).await;
        assert_eq!(
            (&headers["content-encoding"], &headers["vary"]),
            (&"gzip".parse().unwrap(), &"Accept-Encoding".parse().unwrap())
        );
        assert_eq!(headers["content-type"], accept);
        assert!(!headers.contains_key("content-length"));
        let mut read = Vec::new();
        flate2::read::GzDecoder::new(&*zipped).read_to_end(&mut read).unwrap();
        assert!(zipped.len() < read.len() / 10, "{} of {}", zipped.len(), read.len());
        assert_eq!(read, fetch(&server, MAPS, &[("accept", accept)]).await.1, "{accept}");
    }
    let one = format!("{MAPS}/a0");
    assert!(!fetch(&server, &one, &[zips]).await.0.contains_key("content-encoding"), "it is small");
    // A watch is never compressed, however much it says at first.
    let watch = format!("{MAPS}?watch=true&timeoutSeconds=1&resourceVersion=0");
    let (headers, events) = fetch(&server, &watch, &[zips]).await;
    assert!(!headers.contains_key("content-encoding"));
    assert_eq!(events.iter().filter(|byte| **byte == b'\n').count(), 40);
}

#[tokio::test]
async fn a_form_that_there_is_not_is_refused_in_words() {
    let server = server().await;
    fill(&server, 1, 1).await;
    let refused = async |uri: &str, accept: &str| {
        let (code, reason, message) = get(&server, uri, &[("accept", accept)]).await.failure();
        assert_eq!((code, reason.as_str()), (406, "NotAcceptable"), "{accept}");
        message
    };
    let served = "only the following media types are accepted: application/json, application/yaml, \
                  application/vnd.kubernetes.protobuf";
    assert_eq!(refused(MAPS, "text/html").await, served);
    let table = "application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io;v=v1";
    assert_eq!(refused(MAPS, table).await, served);
    assert_eq!(refused("/api", "text/html").await, served);
    let streamed = "only the following media types are accepted: application/json;stream=watch, \
                    application/vnd.kubernetes.protobuf;stream=watch";
    // The refusal itself is written as was asked.
    let watch = get(&server, &format!("{MAPS}?watch=true"), &[("accept", "application/yaml")]).await;
    assert_eq!(
        (watch.code.as_u16(), &watch.headers["content-type"]),
        (406, &"application/yaml".parse().unwrap())
    );
    assert!(watch.text.contains(&format!("\nmessage: \"{streamed}\"\n")), "{}", watch.text);
    let shape = |kind: &str| format!("application/json;as={kind};g=meta.k8s.io;v=v1");
    assert_eq!(
        refused(MAPS, &shape("PartialObjectMetadata")).await,
        "you requested PartialObjectMetadata, but the requested object is a list (*core.ConfigMapList)"
    );
    assert_eq!(
        refused(&format!("{MAPS}/a0"), &shape("PartialObjectMetadataList")).await,
        "you requested PartialObjectMetadataList, but the requested object is not a list (*core.ConfigMap)"
    );
    for version in ["v1", "v1beta1"] {
        for (uri, kind) in
            [(MAPS.to_owned(), "PartialObjectMetadataList"), (format!("{MAPS}/a0"), "PartialObjectMetadata")]
        {
            let accept = format!("application/json;as={kind};g=meta.k8s.io;v={version}");
            let told = get(&server, &uri, &[("accept", &accept)]).await.json();
            assert_eq!(
                (&told["kind"], &told["apiVersion"]),
                (&json!(kind), &json!(format!("meta.k8s.io/{version}")))
            );
            let accept = accept.replace("json", "vnd.kubernetes.protobuf");
            let (headers, bytes) = fetch(&server, &uri, &[("accept", &accept)]).await;
            assert_eq!(headers["content-type"], "application/vnd.kubernetes.protobuf");
            assert!(bytes.starts_with(b"k8s\0"));
        }
    }
}

#[tokio::test]
async fn discovery_is_the_same_in_every_form() {
    let server = server().await;
    let form = |media: &str| format!("{media};g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
    for path in ["/api", "/apis"] {
        let json = get(&server, path, &[("accept", &form("application/json"))]).await;
        let tag = json.headers["etag"].to_str().unwrap().to_owned();
        assert_eq!(
            (&json.headers["vary"], &json.headers["cache-control"]),
            (&"Accept".parse().unwrap(), &"public".parse().unwrap())
        );
        let json = json.json();
        let rows: Vec<&Value> = json["items"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|group| group["versions"].as_array().unwrap())
            .inspect(|version| assert_eq!(version["freshness"], "Current"))
            .flat_map(|version| version["resources"].as_array().unwrap())
            .collect();
        for row in rows {
            let named = |name: &str| row[name].as_str().is_some_and(|text| !text.is_empty());
            assert!(named("singularResource") && named("scope"), "{row}");
            let kind = &row["responseKind"]["kind"];
            assert!(kind.as_str().is_some_and(|kind| !kind.is_empty()), "{row}");
        }
        let media = form("application/vnd.kubernetes.protobuf");
        let (headers, bytes) = fetch(&server, path, &[("accept", &media)]).await;
        assert_eq!(
            (headers["content-type"].to_str().unwrap(), headers["etag"].to_str().unwrap()),
            (media.as_str(), tag.as_str())
        );
        let mut read = decode_protobuf(&bytes).unwrap();
        let mut told = json.clone();
        for tree in [&mut read, &mut told] {
            // Empty times and empty metadata are told by one form and left out by the other.
            tree.as_object_mut().unwrap().remove("metadata");
            for group in tree["items"].as_array_mut().unwrap() {
                let metadata = group.as_object_mut().unwrap().remove("metadata").unwrap_or_default();
                group["metadata"] = json!({ "name": metadata["name"] });
            }
        }
        assert_eq!(read, told);
        let known = [("accept", media.as_str()), ("if-none-match", tag.as_str())];
        let again = get(&server, path, &known).await;
        assert_eq!((again.code.as_u16(), again.text.as_str()), (304, ""));
        // What was the beta form is the plain one by now.
        let old = form("application/json").replace("v=v2", "v=v2beta1") + ",application/json";
        let plain = get(&server, path, &[("accept", &old)]).await;
        assert_eq!(plain.headers["content-type"], "application/json");
        let kind = if path == "/api" { "APIVersions" } else { "APIGroupList" };
        assert_eq!(plain.json()["kind"], kind);
    }
    for (path, kind) in [
        ("/api", "APIVersions"),
        ("/apis", "APIGroupList"),
        ("/apis/apps", "APIGroup"),
        ("/apis/apps/v1", "APIResourceList"),
    ] {
        let (_, bytes) = fetch(&server, path, &[("accept", "application/vnd.kubernetes.protobuf")]).await;
        let read = decode_protobuf(&bytes).unwrap();
        let told = get(&server, path, &[]).await.json();
        assert_eq!(read["kind"], kind);
        let names = |tree: &Value| {
            let list = ["versions", "groups", "resources"].iter().find_map(|name| tree[*name].as_array());
            list.map(|list| list.iter().map(|one| one["name"].clone()).collect::<Vec<_>>())
        };
        assert_eq!(names(&read), names(&told), "{path}");
    }
}

#[tokio::test]
async fn what_has_its_hash_in_its_address_is_good_for_a_year() {
    let server = server().await;
    let index = get(&server, "/openapi/v3", &[]).await.json();
    let url = index["paths"]["api/v1"]["serverRelativeURL"].as_str().unwrap();
    let document = get(&server, url, &[]).await;
    let expires = document.headers["expires"].to_str().unwrap();
    assert!(expires.ends_with(" GMT") && expires.len() == 29, "{expires}");
    assert_eq!(document.headers["vary"], "Accept");
    let tag = document.headers["etag"].to_str().unwrap();
    assert!(url.ends_with(&format!("hash={}", tag.trim_matches('"'))), "{url} {tag}");
    assert_eq!(get(&server, url, &[("if-none-match", tag)]).await.code, 304);
}
