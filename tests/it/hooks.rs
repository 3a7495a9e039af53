//! Hooks: what production does to clients, in process and over HTTP.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use http::Method;
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;
use windlass::api::{ObjectKey, status};
use windlass::client::hooks::{Calls, Hooks};
use windlass::client::{Error, Identity, Informer, WatchEvent, WatchOptions};
use windlass::env::Env;

use crate::server_kit::{Kit, config_map, kit_with, status_of};
use crate::support;

async fn hooked() -> (Kit, Hooks, Env) {
    let env = Env::simulated(7);
    let hooks = Hooks::new(&env);
    let kit = kit_with(|builder| builder.env(env.clone()).hooks(hooks.clone())).await;
    (kit, hooks, env)
}

fn unavailable() -> windlass::api::Status {
    status::unavailable("etcdserver: leader changed")
}

#[tokio::test(start_paused = true)]
async fn the_nth_call_fails_and_what_is_lost_has_happened() {
    let (kit, hooks, _) = hooked().await;
    let failing = hooks.on(Calls::to("configmaps").verb("create").nth(2)).fail(unavailable());
    kit.create("default", "configmaps", config_map("a")).await.unwrap();
    let refused = status_of(kit.create("default", "configmaps", config_map("b")).await);
    assert_eq!((refused.code, refused.message.as_str()), (503, "etcdserver: leader changed"));
    assert!(kit.get("default", "configmaps/b").await.is_err());
    kit.create("default", "configmaps", config_map("b")).await.unwrap();
    assert_eq!(failing.count(), 1);

    let lost = hooks.on(Calls::to("configmaps").name("c")).lose(status::timeout("no answer came"));
    assert_eq!(status_of(kit.create("default", "configmaps", config_map("c")).await).code, 504);
    lost.remove();
    assert!(kit.get("default", "configmaps/c").await.is_ok(), "it happened all the same");
}

#[tokio::test(start_paused = true)]
async fn calls_are_held_and_delayed_by_whoever_makes_them() {
    let (kit, hooks, env) = hooked().await;
    let operator = kit.acting_as(Identity::user("operator").group("system:masters"));
    let held = hooks.on(Calls::any().user("operator").verb("create")).hold();
    let mut first = Box::pin(operator.create("default", "configmaps", config_map("a")));
    assert!((&mut first).now_or_never().is_none());
    held.gate().reached(1).await;
    assert!(kit.get("default", "configmaps/a").await.is_err(), "it has not begun");
    kit.create("default", "configmaps", config_map("b")).await.unwrap();
    held.release_one();
    first.await.unwrap();
    held.release();
    operator.create("default", "configmaps", config_map("c")).await.unwrap();

    hooks.on(Calls::to("configmaps").verb("get")).delay(Duration::from_secs(3));
    let start = env.clock.instant();
    kit.get("default", "configmaps/a").await.unwrap();
    assert_eq!(env.clock.instant() - start, Duration::from_secs(3));
    hooks.clear();
    kit.get("default", "configmaps/a").await.unwrap();
    assert_eq!(env.clock.instant() - start, Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn one_resource_overtakes_another() {
    let (kit, hooks, _) = hooked().await;
    let mut maps = kit.watch("default", "configmaps", WatchOptions::default()).await.unwrap();
    let mut secrets = kit.watch("default", "secrets", WatchOptions::default()).await.unwrap();
    let held = hooks.events(Calls::to("configmaps")).hold();
    kit.create("default", "configmaps", config_map("a")).await.unwrap();
    kit.create("default", "secrets", json!({"metadata": {"name": "b"}})).await.unwrap();
    let later = secrets.next().await.unwrap().unwrap().revision();
    assert!((maps.next()).now_or_never().is_none());
    held.release();
    let earlier = maps.next().await.unwrap().unwrap().revision();
    assert!(earlier < later, "what came second was told first");
}

#[tokio::test(start_paused = true)]
async fn watches_expire_and_end_and_informers_bear_it() {
    let (kit, hooks, env) = hooked().await;
    let start = kit.revision().await;
    let watch = async || {
        let options = crate::server_kit::watch_options(|options| options.resource_version = Some(start));
        kit.watch("default", "configmaps", options).await.unwrap()
    };
    let mut expired = watch().await;
    assert_eq!(hooks.events(Calls::to("secrets")).expire(), 0);
    assert_eq!(hooks.events(Calls::to("configmaps")).expire(), 1);
    assert!(matches!(expired.next().await, Some(Err(Error::Expired(_)))));
    assert!(expired.next().await.is_none());
    let mut ended = watch().await;
    assert_eq!(hooks.events(Calls::any()).disconnect(), 1);
    assert!(ended.next().await.is_none());

    let informer = Informer::<ConfigMap>::builder(kit.client.clone()).start(&env.child());
    informer.synced().await;
    // Held news are lost with the watch that would have brought them; the next list has them.
    let held = hooks.events(Calls::to("configmaps")).hold();
    kit.create("default", "configmaps", config_map("a")).await.unwrap();
    held.gate().reached(1).await;
    assert_eq!(hooks.events(Calls::to("configmaps")).expire(), 1);
    held.remove();
    informer.reached(kit.revision().await).await;
    assert!(informer.get(&ObjectKey::new("default", "a")).is_some());
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_delays_alike() {
    let times = async |seed| {
        let env = Env::simulated(seed);
        let hooks = Hooks::new(&env);
        let kit = kit_with(|builder| builder.env(env.clone()).hooks(hooks.clone())).await;
        hooks.on(Calls::any().verb("create")).delay_up_to(Duration::from_secs(10));
        let start = env.clock.instant();
        let mut times = Vec::new();
        for number in 0..5 {
            kit.create("default", "configmaps", config_map(&format!("m{number}"))).await.unwrap();
            times.push(env.clock.instant() - start);
        }
        times
    };
    let first = times(1).await;
    assert_eq!(first, times(1).await);
    assert_ne!(first, times(2).await);
}

#[tokio::test]
async fn over_http_as_in_process() {
    let hooks = Hooks::new(&Env::system());
    let store = Arc::new(windlass::store::MemoryStore::new());
    let server =
        windlass::server::ApiServer::builder().store(store).hooks(hooks.clone()).build().await.unwrap();
    let failing = hooks.on(Calls::to("configmaps").name("a").verb("create").times(1)).fail(unavailable());
    let make = async || {
        support::write(&server, Method::POST, "/api/v1/namespaces/default/configmaps", &config_map("a")).await
    };
    let refused = make().await;
    assert_eq!(refused.failure().0, 503);
    assert_eq!(make().await.code, 201);
    assert_eq!(failing.count(), 1);
    // One client's hooks are nobody else's.
    let own = Hooks::new(&Env::system());
    let client = own.client(server.client(Identity::admin()));
    own.on(Calls::any()).fail(unavailable());
    let kit = Kit { server: server.clone(), client };
    assert_eq!(status_of(kit.get("default", "configmaps/a").await).code, 503);
    assert_eq!(support::get(&server, "/api/v1/namespaces/default/configmaps/a", &[]).await.code, 200);
    let watched = server.client(Identity::admin());
    let mut events = windlass::client::ClientExt::watch(
        &watched,
        kit.at("default", "configmaps"),
        WatchOptions::default(),
    )
    .await
    .unwrap();
    assert!(matches!(events.next().await, Some(Ok(WatchEvent::Added(_)))));
    server.shutdown().await;
}
