//! What a server takes on at once, how long a request may take, and what it says of its own health.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::json;
use tower_service::Service;
use windlass::client::Identity;
use windlass::env::Env;
use windlass::server::{ApiServer, HealthCheck, Limits, RoleTable, Rule};
use windlass::store::{Faults, Faulty, MemoryStore};

use crate::support::{get, send, server, write};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// A server whose store answers each call after ten minutes once it is told to.
async fn slow(limits: Limits) -> (ApiServer, Arc<Faulty>, Env) {
    let env = Env::simulated(3);
    let store = Arc::new(Faulty::new(Arc::new(MemoryStore::new()), &env, "slow", Faults::default()));
    let roles = RoleTable::default().user("user-a", [Rule::on(&["*"], "", &["configmaps"])]);
    let server = ApiServer::builder()
        .store(store.clone())
        .env(env.clone())
        .authorizer(Arc::new(roles))
        .limits(limits)
        .build()
        .await
        .unwrap();
    (server, store, env)
}

fn stuck() -> Faults {
    Faults::default().delayed(1.0, Duration::from_secs(86_400))
}

#[tokio::test(start_paused = true)]
async fn a_request_that_takes_too_long_is_told_so() {
    let (server, store, env) = slow(Limits::default()).await;
    store.set(stuck());
    for (query, seconds) in [("", 60), ("?timeout=5s", 5), ("?timeout=2m", 60), ("?timeout=0s", 60)] {
        let start = env.clock.instant();
        let reply = get(&server, &format!("{MAPS}/a{query}"), &[]).await;
        let why = "Timeout: request did not complete within the allotted timeout";
        assert_eq!(reply.failure(), (504, "Timeout".into(), why.into()), "{query}");
        assert_eq!((env.clock.instant() - start).as_secs(), seconds, "{query}");
    }
    let why = "invalid timeout specified in the request URL - time: invalid duration \"soon\"";
    let refused = get(&server, &format!("{MAPS}?timeout=soon"), &[]).await;
    assert_eq!(refused.failure(), (400, "BadRequest".into(), why.into()));
}

#[tokio::test(start_paused = true)]
async fn where_there_is_no_room_callers_wait_but_not_masters() {
    let (server, store, env) = slow(Limits::default().in_flight(2, 1)).await;
    store.set(stuck());
    let ask = |who: Identity, method: Method, path: &str| {
        let (server, path) = (server.clone(), path.to_owned());
        let body = json!({"metadata": {"name": "a"}}).to_string();
        let json = [("content-type", "application/json")];
        async move { send(&server, who, method, &path, &json, body).await }
    };
    let user = || Identity::user("user-a");
    let one = env.tasks.spawn("a read", ask(user(), Method::GET, &format!("{MAPS}/a")));
    let two = env.tasks.spawn("a read", ask(user(), Method::GET, &format!("{MAPS}/a")));
    let write = env.tasks.spawn("a write", ask(user(), Method::POST, MAPS));
    env.clock.sleep(Duration::from_secs(1)).await;
    let more = [(Method::GET, format!("{MAPS}/b")), (Method::POST, MAPS.to_owned())];
    for (method, path) in more.clone() {
        let refused = ask(user(), method, &path).await;
        assert_eq!((refused.code.as_u16(), &refused.headers["retry-after"]), (429, &"1".parse().unwrap()));
        assert_eq!(refused.text, "Too many requests, please try again later.\n");
        assert_eq!(refused.headers["content-type"], "text/plain; charset=utf-8");
        assert_eq!(refused.headers["x-content-type-options"], "nosniff");
    }
    // A watch takes up no room, and so needs none.
    store.set(Faults::default());
    let mut service = server.service(user());
    let watch = Request::get(format!("{MAPS}?watch=true")).body(Full::<bytes::Bytes>::default());
    assert_eq!(service.call(watch.unwrap()).await.unwrap().status(), 200);
    // The administrator is served all the same, as slow as it may be.
    store.set(stuck());
    for (method, path) in more {
        assert_eq!(ask(Identity::admin(), method, &path).await.code, 504);
    }
    store.set(Faults::default());
    for ended in [one, two, write] {
        assert_eq!(ended.join().await.unwrap().code, 504);
    }
    assert_eq!(get(&server, MAPS, &[]).await.code, 200, "there is room again");
}

#[tokio::test]
async fn a_request_has_an_audit_id_which_is_its_callers_if_it_brings_one() {
    let server = server().await;
    let own = get(&server, MAPS, &[("audit-id", "mine")]).await;
    assert_eq!(own.headers["audit-id"], "mine");
    let ids: Vec<_> = [get(&server, MAPS, &[]).await, get(&server, "/nope", &[]).await]
        .map(|reply| reply.headers["audit-id"].to_str().unwrap().to_owned())
        .into();
    assert!(ids.iter().all(|id| id.len() == 36) && ids[0] != ids[1], "{ids:?}");
}

#[tokio::test]
async fn a_body_may_be_as_large_as_the_limit_says() {
    let builder = ApiServer::builder().store(Arc::new(MemoryStore::new()));
    let server = builder.limits(Limits::default().body_bytes(1000)).build().await.unwrap();
    let map = |size: usize| json!({"metadata": {"name": "a"}, "data": {"k": "v".repeat(size)}});
    let refused = write(&server, Method::POST, MAPS, &map(1000)).await;
    let why = "Request entity too large: limit is 1000";
    assert_eq!(refused.failure(), (413, "RequestEntityTooLarge".into(), why.into()));
    assert_eq!(write(&server, Method::POST, MAPS, &map(900)).await.code, 201);
}

/// A check that fails once it is told to.
struct Lamp(Arc<AtomicBool>);

#[async_trait]
impl HealthCheck for Lamp {
    fn name(&self) -> &str {
        "lamp"
    }

    async fn check(&self) -> Result<(), String> {
        if self.0.load(Ordering::Relaxed) { Ok(()) } else { Err("it is dark".into()) }
    }
}

#[tokio::test(start_paused = true)]
async fn health_is_told_in_kubernetes_words() {
    let lamp = Arc::new(AtomicBool::new(true));
    let env = Env::simulated(4);
    let store = Arc::new(Faulty::new(Arc::new(MemoryStore::new()), &env, "store", Faults::default()));
    let builder = ApiServer::builder().store(store.clone()).env(env);
    let server = builder.health_check(Lamp(lamp.clone())).build().await.unwrap();
    let told = async |path: &str| {
        let reply = send(&server, Identity::anonymous(), Method::GET, path, &[], "").await;
        assert_eq!(reply.headers["content-type"], "text/plain; charset=utf-8", "{path}");
        (reply.code.as_u16(), reply.text)
    };
    let ok = |text: &str| (200, text.to_owned());
    assert_eq!(told("/livez").await, ok("ok"));
    let all = "[+]ping ok\n[+]etcd ok\n[+]lamp ok\n";
    assert_eq!(told("/livez?verbose").await, ok(&format!("{all}livez check passed\n")));
    assert_eq!(told("/healthz?verbose=1").await, ok(&format!("{all}healthz check passed\n")));
    assert_eq!(told("/readyz?verbose").await, ok(&format!("{all}[+]shutdown ok\nreadyz check passed\n")));
    for path in ["/livez/ping", "/readyz/etcd", "/healthz/lamp", "/readyz/shutdown"] {
        assert_eq!(told(path).await, ok("ok"));
    }
    for path in ["/livez/shutdown", "/livez/nope", "/livez/ping/x"] {
        assert_eq!(get(&server, path, &[]).await.failure().0, 404, "{path}");
    }
    lamp.store(false, Ordering::Relaxed);
    let failed = "[+]ping ok\n[+]etcd ok\n[-]lamp failed: reason withheld\nlivez check failed\n";
    assert_eq!(told("/livez").await, (500, failed.into()), "nobody has to ask for words");
    assert_eq!(told("/livez/lamp").await, (500, "internal server error: it is dark\n".into()));
    let excluded = "[+]ping ok\n[+]etcd ok\n[+]lamp excluded: ok\nwarn: some health checks cannot be excluded: \
                    no matches for \"nope\"\nlivez check passed\n";
    assert_eq!(told("/livez?verbose&exclude=lamp&exclude=nope").await, ok(excluded));
    store.set(stuck());
    let (code, text) = told("/readyz?exclude=lamp").await;
    assert_eq!(code, 500);
    assert!(text.contains("[-]etcd failed: reason withheld\n"), "{text}");
}
