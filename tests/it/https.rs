//! The server on a port: who is who over TLS, and what is left when it ends.

use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use windlass::client::Identity;

use crate::support::wire::dial;
use crate::support::{TOKEN, serve, server};

async fn get(stream: TlsStream<TcpStream>, path: &str, token: Option<&str>) -> (u16, String) {
    send(stream, http::Method::GET, path, token, "").await
}

async fn send(
    stream: TlsStream<TcpStream>,
    method: http::Method,
    path: &str,
    token: Option<&str>,
    body: &str,
) -> (u16, String) {
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let mut request = http::Request::builder().method(method).uri(format!("https://localhost{path}"));
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request.body(Full::new(bytes::Bytes::from(body.to_owned()))).unwrap();
    let io = TokioIo::new(stream);
    if http2 {
        let executor = hyper_util::rt::TokioExecutor::new();
        let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
        windlass::select! {
            response = sender.send_request(request) => whole(response.unwrap()).await,
            ended = connection => panic!("the connection ended: {ended:?}"),
        }
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        let exchange = async { whole(sender.send_request(request).await.unwrap()).await };
        windlass::select! {
            response = exchange => response,
            ended = connection => panic!("the connection ended: {ended:?}"),
        }
    }
}

async fn whole(response: http::Response<hyper::body::Incoming>) -> (u16, String) {
    let code = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (code, String::from_utf8(bytes.to_vec()).unwrap())
}

#[tokio::test]
async fn certificates_and_tokens_say_who_is_who() {
    let served = serve(server().await).await;
    let admin = served.certificates.client("kubernetes-admin", Some("system:masters")).unwrap();
    let nobody = served.certificates.client("nobody", None).unwrap();
    for http2 in [false, true] {
        let nodes = "/api/v1/nodes";
        let by = async |pair, token, path| get(dial(&served, pair, http2).await.unwrap(), path, token).await;
        assert_eq!(by(Some(&admin), None, nodes).await.0, 200);
        let (code, text) = by(Some(&nobody), None, nodes).await;
        assert_eq!(code, 403);
        assert!(text.contains(r#"User \"nobody\" cannot list resource \"nodes\""#), "{text}");
        assert_eq!(by(None, Some(TOKEN), nodes).await.0, 200);
        let (code, text) = by(None, Some("wrong"), nodes).await;
        assert_eq!(code, 401);
        assert!(text.contains(r#""reason":"Unauthorized""#), "{text}");
        let (code, text) = by(None, None, nodes).await;
        assert_eq!(code, 403);
        assert!(text.contains("system:anonymous"), "{text}");
        assert_eq!(by(None, None, "/healthz").await, (200, "ok".into()));
    }
    served.shutdown().await;
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let served = serve(server().await).await;
    let other = windlass::server::https::Certificates::generate(&["x"], &served.server.env().clock).unwrap();
    let stranger = other.client("kubernetes-admin", Some("system:masters")).unwrap();
    // With TLS 1.3 the client is done before the server has looked at its certificate; the refusal
    // comes with the first read.
    let refused = match dial(&served, Some(&stranger), false).await {
        Err(_) => true,
        Ok(mut stream) => {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
            stream.read(&mut [0; 64]).await.is_err()
        }
    };
    assert!(refused);
    served.shutdown().await;
}

#[tokio::test]
async fn a_listener_that_ends_leaves_no_port_and_ends_watches_in_order() {
    let served = serve(server().await).await;
    let address = served.https.address();
    let stream = dial(&served, None, false).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let request = http::Request::get("/api/v1/namespaces?watch=true")
        .header("authorization", format!("Bearer {TOKEN}"))
        .body(Full::new(bytes::Bytes::new()))
        .unwrap();
    let driver = windlass::env::Tasks::new().spawn("connection", connection);
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    served.https.shutdown().await;
    // The stream ends as a stream ends, not as one that was cut off.
    response.into_body().collect().await.expect("a whole body");
    let _ = driver.join().await;
    assert!(TcpStream::connect(address).await.is_err());
    // The server itself is still there for those in its process.
    let reply = crate::support::get(&served.server, "/healthz", &[]).await;
    assert_eq!(reply.text, "ok");
}

#[tokio::test]
async fn what_is_written_in_process_reads_as_what_is_written_over_https() {
    let served = serve(server().await).await;
    let object = |name: &str| {
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": {"a": "b"}},
            "spec": {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}],
                "resources": {"requests": {"cpu": "0.5", "memory": "1024Mi"}}}]},
        })
    };
    let pods = "/api/v1/namespaces/default/pods";
    let stream = dial(&served, None, false).await.unwrap();
    let (code, text) = send(stream, http::Method::POST, pods, Some(TOKEN), &object("wire").to_string()).await;
    assert_eq!(code, 201, "{text}");
    let typed: Pod = serde_json::from_value(object("here")).unwrap();
    let api = windlass::client::Api::<Pod>::namespaced(served.server.client(Identity::admin()), "default");
    api.create(&typed).await.unwrap();
    let read = async |name: &str| {
        let mut tree = crate::support::get(&served.server, &format!("{pods}/{name}"), &[]).await.json();
        for own in ["name", "uid", "resourceVersion", "creationTimestamp", "managedFields"] {
            tree["metadata"].as_object_mut().unwrap().remove(own);
        }
        tree
    };
    assert_eq!(read("wire").await, read("here").await);
    served.shutdown().await;
}
