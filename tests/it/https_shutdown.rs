//! How a listener ends: readiness first, then requests, then watches; and the next one on its address.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::{Method, Request};
use http_body_util::BodyExt;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use windlass::api::Status;
use windlass::client::Identity;
use windlass::server::ApiServer;
use windlass::server::admission::{AdmissionPlugin, AdmissionRequest};
use windlass::server::https::{HttpsOptions, HttpsServer, Tokens};
use windlass::store::MemoryStore;

use crate::support::wire::Http1;
use crate::support::{Standstill, TOKEN, serve, serve_with, server, write};

fn request(path: &str) -> Request<String> {
    Request::get(path)
        .header("host", "localhost")
        .header("authorization", format!("Bearer {TOKEN}"))
        .body(String::new())
        .unwrap()
}

/// Holds back whoever makes a config map.
#[derive(Clone, Default)]
struct Gate(Arc<(Notify, Notify)>);

#[async_trait]
impl AdmissionPlugin for Gate {
    fn name(&self) -> &str {
        "Gate"
    }

    fn handles(&self, request: &AdmissionRequest<'_>) -> bool {
        request.concerns("", "configmaps", "") && request.name() == "late"
    }

    async fn validate(&self, _: &AdmissionRequest<'_>) -> Result<(), Status> {
        let (reached, open) = &*self.0;
        reached.notify_one();
        open.notified().await;
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn readiness_fails_first_then_requests_end_then_watches() {
    let _still = Standstill::begin();
    let gate = Gate::default();
    let server = ApiServer::builder().store(Arc::new(MemoryStore::new())).admit(gate.clone());
    let server = server.build().await.unwrap();
    let delay = Duration::from_secs(20);
    let served = serve_with(server, |options| options.shutdown_delay(delay)).await;
    let address = served.https.address();
    let (mut probe, mut asker, mut watcher) =
        (Http1::open(&served).await, Http1::open(&served).await, Http1::open(&served).await);
    assert_eq!(probe.send(request("/readyz")).await.body(), "ok");
    let maps = "/api/v1/namespaces/default/configmaps";
    let watch = watcher.begin(request(&format!("{maps}?watch=true"))).await.unwrap();
    assert_eq!(watch.status(), 200);
    let mut watch = watch.into_body();

    let (reached, open) = &*gate.0;
    let map = |name: &str| json!({"metadata": {"name": name}});
    let story = async {
        // Told to end, it says so, and goes on for a while.
        let mut unready = probe.send(request("/readyz")).await;
        while unready.status() == 200 {
            tokio::task::yield_now().await;
            unready = probe.send(request("/readyz")).await;
        }
        assert!(
            unready.body().contains("[-]shutdown failed: reason withheld\nreadyz check failed\n"),
            "{}",
            unready.body()
        );
        assert_eq!(probe.send(request("/livez")).await.status(), 200);
        assert!(TcpStream::connect(address).await.is_ok(), "it still listens");
        // A request that lasts until after it has stopped listening.
        let (mut head, body) = request(maps).into_parts();
        head.method = Method::POST;
        let create = Request::from_parts(head, body + &map("late").to_string());
        let asking = asker.begin(create);
        let rest = async {
            reached.notified().await;
            tokio::time::advance(delay).await;
            while TcpStream::connect(address).await.is_ok() {
                tokio::task::yield_now().await;
            }
            // The watch goes on as long as the request does.
            write(&served.server, Method::POST, maps, &map("soon")).await;
            let event = watch.frame().await.expect("no end yet").unwrap().into_data().unwrap();
            assert!(event.starts_with(b"{\"type\":\"ADDED\""), "{event:?}");
            open.notify_one();
        };
        let (answer, ()) = tokio::join!(asking, rest);
        let answer = answer.unwrap();
        assert_eq!(answer.status(), 201);
        answer.into_body().collect().await.expect("a whole answer");
        watch.collect().await.expect("an end as streams end");
    };
    tokio::join!(served.https.shutdown(), story);
    assert!(TcpStream::connect(address).await.is_err());
    probe.closed().await;

    // The same address serves again at once, and is ready.
    let listener = TcpListener::bind(address).await.expect("the address is free");
    let options = HttpsOptions::new(served.certificates.server_config().unwrap())
        .authenticator(Tokens::new().with(TOKEN, Identity::admin()));
    let again = HttpsServer::start(&served.server, listener, options).unwrap();
    let served = crate::support::Served { https: again, ..served };
    let mut probe = Http1::open(&served).await;
    assert_eq!(probe.send(request("/readyz")).await.body(), "ok");
    served.shutdown().await;
}

#[tokio::test]
async fn an_idle_listener_ends_at_once() {
    let served = serve(server().await).await;
    let mut idle = Http1::open(&served).await;
    assert_eq!(idle.send(request("/livez")).await.status(), 200);
    let start = served.server.env().clock.instant();
    served.https.shutdown().await;
    let took = served.server.env().clock.instant() - start;
    assert!(took < Duration::from_secs(4), "{took:?}");
    idle.closed().await;
}

#[tokio::test]
async fn security_and_farewells_are_options() {
    let served = serve_with(server().await, |options| {
        let directives = http::HeaderValue::from_static("max-age=31536000; includeSubDomains");
        options.strict_transport_security(directives).goaway_chance(1.0)
    })
    .await;
    let mut connection = Http1::open(&served).await;
    let reply = connection.send(request("/livez")).await;
    assert_eq!(reply.headers()["strict-transport-security"], "max-age=31536000; includeSubDomains");
    // HTTP/1.1 knows no such farewell.
    assert_eq!(connection.send(request("/livez")).await.status(), 200);
    let stream = crate::support::wire::dial(&served, None, true).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(
        hyper_util::rt::TokioExecutor::new(),
        hyper_util::rt::TokioIo::new(stream),
    )
    .await
    .unwrap();
    let driver = windlass::env::Tasks::new().spawn("connection", connection);
    let ask = Request::get("https://localhost/livez").body(String::new()).unwrap();
    let answer = sender.send_request(ask).await.unwrap();
    assert_eq!(answer.status(), 200, "what was asked is answered");
    answer.into_body().collect().await.unwrap();
    // And then the connection ends by itself.
    driver.join().await.unwrap().unwrap();
    served.shutdown().await;
}
