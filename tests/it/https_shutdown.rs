//! How a listener ends: readiness first, then requests, then watches; and the next one on its address.

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http_body_util::BodyExt;
use tokio::net::{TcpListener, TcpStream};
use windlass::client::Identity;
use windlass::env::Env;
use windlass::server::ApiServer;
use windlass::server::https::{HttpsOptions, HttpsServer, Tokens};
use windlass::store::{Faults, Faulty, MemoryStore};

use crate::support::wire::Http1;
use crate::support::{TOKEN, serve, serve_with, server};

fn request(path: &str) -> Request<String> {
    Request::get(path)
        .header("host", "localhost")
        .header("authorization", format!("Bearer {TOKEN}"))
        .body(String::new())
        .unwrap()
}

#[tokio::test]
async fn readiness_fails_first_then_requests_end_then_watches() {
    let env = Env::system();
    let store = Arc::new(Faulty::new(Arc::new(MemoryStore::new()), &env, "slow", Faults::default()));
    let server = ApiServer::builder().store(store.clone()).env(env.clone()).build().await.unwrap();
    let delay = Duration::from_secs(2);
    let served = serve_with(server, |options| options.shutdown_delay(delay)).await;
    let address = served.https.address();
    let (mut probe, mut asker, mut watcher) =
        (Http1::open(&served).await, Http1::open(&served).await, Http1::open(&served).await);
    assert_eq!(probe.send(request("/readyz")).await.body(), "ok");
    let watch = watcher.begin(request("/api/v1/namespaces?watch=true")).await.unwrap();
    assert_eq!(watch.status(), 200);

    let start = env.clock.instant();
    let ended = |what: &'static str| {
        let clock = env.clock.clone();
        move || (what, clock.instant() - start)
    };
    let (request_ended, watch_ended) = (ended("request"), ended("watch"));
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
        store.set(Faults::default().delayed(1.0, Duration::from_secs(6)));
        asker.begin(request("/api/v1/namespaces/default")).await.unwrap()
    };
    let asked = async {
        let answer = story.await;
        store.set(Faults::default());
        let request_ended = request_ended();
        assert_eq!(answer.status(), 200);
        answer.into_body().collect().await.expect("a whole answer");
        request_ended
    };
    let watched = async {
        watch.into_body().collect().await.expect("an end as streams end");
        watch_ended()
    };
    let ((), (_, asked), (_, watched)) = tokio::join!(served.https.shutdown(), asked, watched);
    assert!(watched >= delay, "the watch ended after {watched:?}");
    assert!(watched >= asked, "the watch ended after {watched:?}, the request after {asked:?}");
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
