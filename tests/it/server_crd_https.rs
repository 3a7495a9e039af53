//! A conversion webhook over HTTPS, as the feature `remote` asks it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use windlass::env::Env;
use windlass::server::ApiServer;
use windlass::server::https::Certificates;
use windlass::store::MemoryStore;

use super::server_crd::{definition, widget};
use super::server_kit::*;

/// Takes one connection and answers one review on it: each object as it is, in the wanted version.
async fn answer_one(listener: &TcpListener, acceptor: &TlsAcceptor) -> String {
    let (socket, _) = listener.accept().await.unwrap();
    let mut stream = acceptor.accept(socket).await.unwrap();
    let mut read = Vec::new();
    let (head, body) = loop {
        let mut piece = [0; 4096];
        let length = stream.read(&mut piece).await.unwrap();
        assert!(length > 0, "it ends early");
        read.extend_from_slice(&piece[..length]);
        let text = String::from_utf8(read.clone()).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.to_lowercase();
        let length =
            length.split_once("content-length: ").unwrap().1.split("\r\n").next().unwrap().to_owned();
        if body.len() >= length.parse::<usize>().unwrap() {
            break (head.to_owned(), body.to_owned());
        }
    };
    let review: Value = serde_json::from_str(&body).unwrap();
    let mut objects = review["request"]["objects"].clone();
    for object in objects.as_array_mut().unwrap() {
        object["apiVersion"] = review["request"]["desiredAPIVersion"].clone();
    }
    let answer = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "response": {
        "uid": review["request"]["uid"], "result": {"status": "Success"}, "convertedObjects": objects}});
    let answer = answer.to_string();
    let head_out = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        answer.len()
    );
    stream.write_all(head_out.as_bytes()).await.unwrap();
    stream.write_all(answer.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    head
}

async fn served(bundle: &str, port: u16) -> Kit {
    let server =
        ApiServer::builder().store(Arc::new(MemoryStore::new())).env(Env::system()).build().await.unwrap();
    let client = server.client(windlass::client::Identity::admin());
    let kit = Kit { server, client };
    let mut tree = definition("widgets", "Widget", json!({"n": {"type": "integer"}}));
    let mut other = tree["spec"]["versions"][0].clone();
    (other["name"], other["storage"]) = (json!("v0"), json!(false));
    tree["spec"]["versions"].as_array_mut().unwrap().push(other);
    tree["spec"]["conversion"] = json!({"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"],
        "clientConfig": {"url": format!("https://localhost:{port}/convert"), "caBundle": STANDARD.encode(bundle)}}});
    kit.create("", "customresourcedefinitions", tree).await.unwrap();
    kit
}

#[tokio::test]
async fn a_webhook_is_asked_over_https_by_those_who_vouch_for_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let clock = windlass::env::Clock::system();
    let certificates = Certificates::generate(&["localhost"], &clock).unwrap();
    let acceptor = TlsAcceptor::from(certificates.server_config().unwrap());
    let kit = served(&certificates.authority(), port).await;
    // The first row by name is v0, which is stored as v1.
    let mut tree = widget("a", json!({"n": 1}));
    tree["apiVersion"] = "example.com/v0".into();
    let (head, made) =
        join(answer_one(&listener, &acceptor), kit.create("default", "widgets", tree.clone())).await;
    assert_eq!(made.unwrap()["apiVersion"], "example.com/v0");
    assert!(head.starts_with("POST /convert HTTP/1.1\r\n"), "{head}");
    let lower = head.to_lowercase();
    assert!(
        lower.contains(&format!("host: localhost:{port}"))
            && lower.contains("content-type: application/json"),
        "{head}"
    );
    kit.server.shutdown().await;

    // Somebody else's word does not count.
    let others = Certificates::generate(&["localhost"], &clock).unwrap();
    let kit = served(&others.authority(), port).await;
    tree["metadata"]["name"] = "b".into();
    let refuse = async {
        let (socket, _) = listener.accept().await.unwrap();
        assert!(acceptor.accept(socket).await.is_err());
    };
    let ((), refused) = join(refuse, kit.create("default", "widgets", tree.clone())).await;
    let said = status_of(refused).message;
    assert!(said.starts_with("conversion webhook for example.com/v0, Kind=Widget failed: Post "), "{said}");
    assert!(said.contains("certificate"), "{said}");
    kit.server.shutdown().await;

    // Nobody is there.
    drop(listener);
    let kit = served(&certificates.authority(), port).await;
    tree["metadata"]["name"] = "c".into();
    let said = status_of(kit.create("default", "widgets", tree).await).message;
    assert!(said.contains("refused"), "{said}");
    kit.server.shutdown().await;
}
