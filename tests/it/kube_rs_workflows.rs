//! kube-rs' documented ways of working, each in process and over TLS.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, pin_mut};
use http_body_util::{BodyExt, StreamBody};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::events::v1::Event as ClusterEvent;
use kube::api::{
    Api, DeleteParams, DynamicObject, ListParams, ObjectMeta, Patch, PatchParams, PostParams,
    PropagationPolicy,
};
use kube::core::{PartialObjectMeta, PartialObjectMetaExt};
use kube::discovery::{Discovery, Scope};
use kube::runtime::controller::Action;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::finalizer::{Event as Finalizing, finalizer};
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::{Controller, WatchStreamExt, watcher};
use kube::{Client, Resource, ResourceExt};
use serde_json::json;
use tower_service::Service;
use windlass::client::hooks::{Calls, Hooks};
use windlass::client::remote::RemoteClient;
use windlass::client::{Client as _, Identity, Request, Response};
use windlass::env::Env;
use windlass::server::ApiServer;
use windlass::store::MemoryStore;

use crate::support::serve;

/// Carries kube-rs' requests over TLS.
struct OverTls(Arc<RemoteClient>);

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Answer = http::Response<StreamBody<Pin<Box<dyn futures_util::Stream<Item = Piece> + Send>>>>;
type Piece = std::io::Result<http_body::Frame<Bytes>>;

impl Service<http::Request<kube::client::Body>> for OverTls {
    type Response = Answer;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<kube::client::Body>) -> Self::Future {
        let client = self.0.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let request = Request::Raw(http::Request::from_parts(parts, body));
            let Response::Raw(answer) = client.call(request).await? else {
                return Err("no raw answer".into());
            };
            let framed = |body: windlass::client::Body| {
                let pieces: Pin<Box<dyn futures_util::Stream<Item = Piece> + Send>> =
                    Box::pin(body.map_ok(http_body::Frame::data));
                StreamBody::new(pieces)
            };
            Ok(answer.map(framed))
        })
    }
}

/// Runs a workflow with a client in process, and with one over TLS.
async fn both<F: Future<Output = ()>>(workflow: impl Fn(Client, Hooks) -> F) {
    let hooks = Hooks::new(&Env::system());
    let build = async || {
        let store = Arc::new(MemoryStore::new());
        ApiServer::builder().store(store).hooks(hooks.clone()).build().await.unwrap()
    };
    let server = build().await;
    workflow(Client::new(server.service(Identity::admin()), "default"), hooks.clone()).await;
    server.shutdown().await;
    let served = serve(build().await).await;
    let env = Env::system();
    let remote = RemoteClient::builder(served.kubeconfig()).env(env.clone()).build().unwrap();
    workflow(Client::new(OverTls(Arc::new(remote)), "default"), hooks.clone()).await;
    env.tasks.shutdown().await;
    served.shutdown().await;
}

fn config_map(name: &str, value: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta { name: Some(name.into()), ..ObjectMeta::default() },
        data: Some(BTreeMap::from([("k".to_owned(), value.to_owned())])),
        ..ConfigMap::default()
    }
}

#[tokio::test]
async fn a_reflector_keeps_a_copy_whatever_becomes_of_its_watch() {
    both(|client, hooks| async move {
        let api: Api<ConfigMap> = Api::default_namespaced(client);
        for number in 0..25 {
            api.create(&PostParams::default(), &config_map(&format!("m{number}"), "1")).await.unwrap();
        }
        let ways = [
            watcher::Config::default().page_size(10),
            watcher::Config::default().any_semantic(),
            watcher::Config::default().streaming_lists(),
        ];
        for (round, config) in ways.into_iter().enumerate() {
            let (reader, writer) = reflector::store();
            let events = reflector::reflector(writer, watcher(api.clone(), config)).default_backoff();
            pin_mut!(events);
            while reader.len() < 25 {
                events.next().await.unwrap().unwrap();
            }
            // What happened while it was away is there when it is back.
            let patch = Patch::Merge(json!({"data": {"k": format!("round {round}")}}));
            api.patch("m7", &PatchParams::default(), &patch).await.unwrap();
            while hooks.events(Calls::to("configmaps")).expire() == 0 {
                // It watches only once it is asked for more than its list.
                events.next().await.unwrap().unwrap();
            }
            let m7 = ObjectRef::new("m7").within("default");
            while reader.get(&m7).unwrap().data.as_ref().unwrap()["k"] != format!("round {round}") {
                // The end of its watch is told as an error, and borne.
                let _ = events.next().await.unwrap();
            }
            assert_eq!(reader.len(), 25);
        }
    })
    .await;
}

#[tokio::test]
async fn metadata_alone_is_watched_and_listed() {
    both(|client, _| async move {
        let api: Api<Secret> = Api::default_namespaced(client.clone());
        let metadata: Api<PartialObjectMeta<Secret>> = Api::default_namespaced(client);
        let secret = json!({"metadata": {"name": "s", "labels": {"a": "b"}}, "stringData": {"k": "v"}});
        api.create(&PostParams::default(), &serde_json::from_value(secret).unwrap()).await.unwrap();
        let list = api.list_metadata(&ListParams::default().labels("a=b")).await.unwrap();
        assert_eq!(list.items[0].name_any(), "s");
        let events = watcher(metadata, watcher::Config::default()).applied_objects();
        pin_mut!(events);
        assert_eq!(events.try_next().await.unwrap().unwrap().labels()["a"], "b");
        let labels =
            ObjectMeta { labels: Some(BTreeMap::from([("a".into(), "c".into())])), ..ObjectMeta::default() };
        let patch = Patch::Merge(labels.into_request_partial::<Secret>());
        api.patch_metadata("s", &PatchParams::default(), &patch).await.unwrap();
        assert_eq!(events.try_next().await.unwrap().unwrap().labels()["a"], "c");
        assert_eq!(api.get_metadata("s").await.unwrap().labels()["a"], "c");
        assert_eq!(api.get("s").await.unwrap().data.unwrap()["k"].0, b"v");
    })
    .await;
}

/// Everything that the finalizer's controller did.
type Deeds = Arc<std::sync::Mutex<Vec<String>>>;

#[derive(Clone)]
struct Shop {
    client: Client,
    deeds: Deeds,
}

type Failed = kube::runtime::finalizer::Error<kube::Error>;

async fn reconcile(map: Arc<ConfigMap>, shop: Arc<Shop>) -> Result<Action, Failed> {
    let api: Api<ConfigMap> = Api::default_namespaced(shop.client.clone());
    let secrets: Api<Secret> = Api::default_namespaced(shop.client.clone());
    finalizer(&api, "example.com/cleanup", map, async |event| {
        match event {
            Finalizing::Apply(map) => {
                let owner = map.controller_owner_ref(&()).unwrap();
                let name = map.name_any();
                if secrets.get_opt(&name).await?.is_none() {
                    let metadata = ObjectMeta {
                        name: Some(name.clone()),
                        owner_references: Some(vec![owner]),
                        ..ObjectMeta::default()
                    };
                    secrets.create(&PostParams::default(), &Secret { metadata, ..Secret::default() }).await?;
                    shop.deeds.lock().unwrap().push(format!("made {name}"));
                }
            }
            Finalizing::Cleanup(map) => {
                secrets.delete(&map.name_any(), &DeleteParams::default()).await?;
                shop.deeds.lock().unwrap().push(format!("removed {}", map.name_any()));
            }
        }
        Ok(Action::await_change())
    })
    .await
}

#[tokio::test]
async fn a_controller_owns_finalizes_and_tries_again() {
    both(|client, hooks| async move {
        let api: Api<ConfigMap> = Api::default_namespaced(client.clone());
        let secrets: Api<Secret> = Api::default_namespaced(client.clone());
        // The first attempt to make the secret fails, as in a bad hour.
        let bad = windlass::api::status::unavailable("etcdserver: leader changed");
        hooks.on(Calls::to("secrets").verb("create").times(1)).fail(bad);
        let (deeds, shop) = (Deeds::default(), client.clone());
        let shop = Arc::new(Shop { client: shop, deeds: deeds.clone() });
        let controller = Controller::new(api.clone(), watcher::Config::default().labels("of=shop"))
            .owns(secrets.clone(), watcher::Config::default())
            .run(reconcile, |_, _, _| Action::requeue(std::time::Duration::from_millis(1)), shop)
            .for_each(|_| std::future::ready(()));
        let work = async {
            let mut map = config_map("a", "1");
            map.metadata.labels = Some(BTreeMap::from([("of".into(), "shop".into())]));
            api.create(&PostParams::default(), &map).await.unwrap();
            let made = await_condition(secrets.clone(), "a", |secret: Option<&Secret>| secret.is_some());
            made.await.unwrap();
            // Somebody takes away what it owns: it is made again.
            let uid = secrets.get("a").await.unwrap().uid().unwrap();
            secrets.delete("a", &DeleteParams::default()).await.unwrap();
            let again = move |secret: Option<&Secret>| secret.is_some_and(|own| own.uid().unwrap() != uid);
            await_condition(secrets.clone(), "a", again).await.unwrap();
            let uid = api.get("a").await.unwrap().uid().unwrap();
            let params = DeleteParams {
                propagation_policy: Some(PropagationPolicy::Background),
                ..Default::default()
            };
            api.delete("a", &params).await.unwrap();
            await_condition(api.clone(), "a", conditions::is_deleted(&uid)).await.unwrap();
            assert!(secrets.get_opt("a").await.unwrap().is_none());
        };
        pin_mut!(controller, work);
        futures_util::future::select(controller, work).await;
        assert_eq!(*deeds.lock().unwrap(), ["made a", "made a", "removed a"]);
        hooks.clear();
    })
    .await;
}

#[tokio::test]
async fn events_are_published_and_counted() {
    both(|client, _| async move {
        let api: Api<ConfigMap> = Api::default_namespaced(client.clone());
        let map = api.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
        let reporter = Reporter { controller: "shop".into(), instance: Some("shop-0".into()) };
        let recorder = Recorder::new(client.clone(), reporter);
        let event = Event {
            type_: EventType::Normal,
            reason: "Opened".into(),
            note: Some("the shop is open".into()),
            action: "Opening".into(),
            secondary: None,
        };
        for _ in 0..3 {
            recorder.publish(&event, &map.object_ref(&())).await.unwrap();
        }
        let events: Api<ClusterEvent> = Api::default_namespaced(client);
        let all = events.list(&ListParams::default()).await.unwrap().items;
        assert_eq!(all.len(), 1);
        let series = all[0].series.as_ref().expect("the same again is a series");
        assert_eq!((all[0].reason.as_deref(), series.count), (Some("Opened"), 3));
        assert_eq!(all[0].regarding.as_ref().unwrap().name.as_deref(), Some("a"));
    })
    .await;
}

#[tokio::test]
async fn what_is_not_known_beforehand_is_discovered() {
    both(|client, _| async move {
        for discovery in [
            Discovery::new(client.clone()).run().await.unwrap(),
            Discovery::new(client.clone()).run_aggregated().await.unwrap(),
        ] {
            let apps = discovery.get("apps").unwrap();
            let (resource, capabilities) = apps.recommended_kind("Deployment").unwrap();
            assert!(capabilities.scope == Scope::Namespaced && capabilities.supports_operation("patch"));
            let api: Api<DynamicObject> = Api::default_namespaced_with(client.clone(), &resource);
            let name = format!("web-{}", api.list(&ListParams::default()).await.unwrap().items.len());
            let web = DynamicObject::new(&name, &resource).data(json!({"spec": {"replicas": 1,
                "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}},
                    "spec": {"containers": [{"name": "c", "image": "i"}]}}}}));
            api.create(&PostParams::default(), &web).await.unwrap();
            let typed: Api<Deployment> = Api::default_namespaced(client.clone());
            let scale = typed.get_scale(&name).await.unwrap();
            assert_eq!(scale.spec.unwrap().replicas, Some(1));
            let patch = Patch::Merge(json!({"spec": {"replicas": 3}}));
            let scaled = typed.patch_scale(&name, &PatchParams::default(), &patch).await.unwrap();
            assert_eq!(scaled.spec.unwrap().replicas, Some(3));
            let status = Patch::Merge(json!({"status": {"replicas": 3}}));
            let shown = typed.patch_status(&name, &PatchParams::default(), &status).await.unwrap();
            assert_eq!(shown.status.unwrap().replicas, Some(3));
        }
        let version = client.apiserver_version().await.unwrap();
        assert_eq!((version.major.as_str(), version.minor.as_str()), ("1", "36"));
    })
    .await;
}

#[tokio::test]
async fn entries_and_collections() {
    both(|client, _| async move {
        let api: Api<ConfigMap> = Api::default_namespaced(client);
        let mut entry = api.entry("a").await.unwrap().or_insert(|| config_map("a", "1"));
        entry.commit(&PostParams::default()).await.unwrap();
        let mut entry = api.entry("a").await.unwrap().and_modify(|map| {
            map.data.get_or_insert_default().insert("more".into(), "2".into());
        });
        let kube::api::entry::Entry::Occupied(entry) = &mut entry else { panic!("it is there") };
        entry.commit(&PostParams::default()).await.unwrap();
        assert_eq!(api.get("a").await.unwrap().data.unwrap().len(), 2);
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        api.create(&dry, &config_map("b", "1")).await.unwrap();
        assert!(api.get_opt("b").await.unwrap().is_none());
        api.create(&PostParams::default(), &config_map("b", "1")).await.unwrap();
        let gone = api.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
        assert_eq!(gone.left().unwrap().items.len(), 2);
        assert!(api.list(&ListParams::default()).await.unwrap().items.is_empty());
    })
    .await;
}

#[tokio::test]
async fn fields_are_applied_by_several_and_conflicts_are_told() {
    both(|client, _| async move {
        let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
        let map = |value: &str| {
            Patch::Apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": value}}))
        };
        let (one, two) = (PatchParams::apply("one"), PatchParams::apply("two"));
        let made = maps.patch("a", &one, &map("1")).await.unwrap();
        assert_eq!(made.managed_fields()[0].manager.as_deref(), Some("one"));
        let again = maps.patch("a", &one, &map("1")).await.unwrap();
        assert_eq!(again.resource_version(), made.resource_version());
        let Err(kube::Error::Api(refused)) = maps.patch("a", &two, &map("2")).await else { panic!("it is one's") };
        assert!(refused.is_conflict(), "{refused:?}");
        assert_eq!(refused.message, "Apply failed with 1 conflict: conflict with \"one\": .data.k");
        let forced = maps.patch("a", &two.clone().force(), &map("2")).await.unwrap();
        let owners: Vec<_> = forced.managed_fields().iter().filter_map(|entry| entry.manager.clone()).collect();
        assert_eq!((forced.data.unwrap()["k"].as_str(), owners), ("2", vec!["two".to_owned()]));

        // A typed object, its status and its scale, each by its owner.
        let api: Api<Deployment> = Api::default_namespaced(client);
        let web = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": {
                "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
        let typed: Deployment = serde_json::from_value(web).unwrap();
        api.patch("web", &one, &Patch::Apply(&typed)).await.unwrap();
        let status = Patch::Apply(json!({"apiVersion": "apps/v1", "kind": "Deployment", "status": {"replicas": 1}}));
        let shown = api.patch_status("web", &two, &status).await.unwrap();
        assert_eq!(shown.status.unwrap().replicas, Some(1));
        let scale = Patch::Apply(json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": {"replicas": 5}}));
        let Err(kube::Error::Api(refused)) = api.patch_scale("web", &two, &scale).await else {
            panic!("the replicas are one's")
        };
        assert!(refused.is_conflict(), "{refused:?}");
        let scaled = api.patch_scale("web", &two.clone().force(), &scale).await.unwrap();
        assert_eq!(scaled.spec.unwrap().replicas, Some(5));
        let web = api.get("web").await.unwrap();
        let entries: Vec<_> = web
            .managed_fields()
            .iter()
            .map(|entry| (entry.manager.as_deref().unwrap_or_default(), entry.subresource.as_deref()))
            .collect();
        // An entry that came by way of the scale has no time in Kubernetes either, and so stands first.
        assert_eq!(entries, [("two", Some("scale")), ("one", None), ("two", Some("status"))]);
    })
    .await;
}
