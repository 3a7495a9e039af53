//! Watches over WebSocket, as browsers follow them.

use futures_util::{SinkExt, StreamExt};
use http::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::support::wire::Http1;
use crate::support::{Served, TOKEN, serve, server, write};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn request(path: &str) -> http::request::Builder {
    Request::get(path)
        .header("host", "localhost")
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("connection", "keep-alive, Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
}

type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

async fn open(served: &Served, request: http::request::Builder) -> (http::HeaderMap, Socket) {
    let mut connection = Http1::open(served).await;
    let response = connection.begin(request.body(String::new()).unwrap()).await.unwrap();
    assert_eq!(response.status(), 101);
    let headers = response.headers().clone();
    let upgraded = hyper::upgrade::on(response).await.unwrap();
    (headers, WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await)
}

#[tokio::test]
async fn an_event_is_a_message() {
    let served = serve(server().await).await;
    write(&served.server, Method::POST, MAPS, &json!({"metadata": {"name": "a"}})).await;
    let path = format!("{MAPS}?watch=true&resourceVersion=0");
    let (headers, mut socket) =
        open(&served, request(&path).header("sec-websocket-protocol", "base64.binary.k8s.io")).await;
    assert_eq!(headers["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_eq!(headers["sec-websocket-protocol"], "base64.binary.k8s.io");
    assert!(headers.contains_key("audit-id"));
    let told = async |socket: &mut Socket| -> Value {
        let message = socket.next().await.unwrap().unwrap();
        assert!(message.is_text(), "{message:?}");
        serde_json::from_str(message.to_text().unwrap()).unwrap()
    };
    let added = told(&mut socket).await;
    assert_eq!((&added["type"], &added["object"]["metadata"]["name"]), (&json!("ADDED"), &json!("a")));
    // What the caller says is not listened to, and disturbs nothing.
    socket.send(Message::text("hello")).await.unwrap();
    write(&served.server, Method::DELETE, &format!("{MAPS}/a"), &json!({})).await;
    assert_eq!(told(&mut socket).await["type"], "DELETED");
    socket.close(None).await.unwrap();
    while let Some(Ok(message)) = socket.next().await {
        assert!(message.is_close(), "{message:?}");
    }

    let protobuf = request(&path).header("accept", "application/vnd.kubernetes.protobuf;stream=watch");
    let (headers, mut socket) = open(&served, protobuf).await;
    assert_eq!(headers["content-type"], "application/vnd.kubernetes.protobuf;stream=watch");
    write(&served.server, Method::POST, MAPS, &json!({"metadata": {"name": "b"}})).await;
    assert!(socket.next().await.unwrap().unwrap().is_binary());
    drop(socket);
    served.shutdown().await;
}

#[tokio::test]
async fn what_is_no_watch_stays_what_it_is_and_a_watch_has_its_end() {
    let served = serve(server().await).await;
    let mut connection = Http1::open(&served).await;
    let list = connection.send(request(MAPS).body(String::new()).unwrap()).await;
    assert_eq!(list.status(), 200);
    assert!(list.body().contains("ConfigMapList"));
    let nameless = request(&format!("{MAPS}?watch=true&resourceVersionMatch=Exact"));
    let refused = connection.send(nameless.body(String::new()).unwrap()).await;
    assert_eq!(refused.status(), 422);
    let (_, mut socket) = open(&served, request(&format!("{MAPS}?watch=true&timeoutSeconds=1"))).await;
    let last = socket.next().await.unwrap().unwrap();
    assert!(last.is_close(), "{last:?}");
    drop((socket, connection));
    served.shutdown().await;
}

#[tokio::test]
async fn a_listener_that_ends_ends_its_watches_too_and_no_others() {
    let first = serve(server().await).await;
    let again = serve(first.server.clone()).await;
    let path = format!("{MAPS}?watch=true&resourceVersion=0");
    let (_, mut ending) = open(&first, request(&path)).await;
    let (_, mut staying) = open(&again, request(&path)).await;
    // The server itself goes on, and what has come by another listener with it.
    first.https.shutdown().await;
    let last = ending.next().await.unwrap().unwrap();
    assert!(last.is_close(), "{last:?}");
    write(&again.server, Method::POST, MAPS, &json!({"metadata": {"name": "a"}})).await;
    assert!(staying.next().await.unwrap().unwrap().is_text());
    again.shutdown().await;
}
