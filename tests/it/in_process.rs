//! The client in process: what it copies, and what it does not.

use std::sync::Arc;

use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use windlass::api::Object;
use windlass::client::{
    Api, ClientExt, Identity, Informer, ListOptions, Payload, WatchEvent, WatchOptions, WriteOptions,
};
use windlass::env::Env;
use windlass::server::ApiServer;
use windlass::store::{MemoryStore, ObjectStore};

use crate::server_kit::{Kit, config_map};

/// Where an object's bytes are.
fn bytes(object: &Object) -> *const u8 {
    object.body().as_ptr()
}

/// Everybody who reads an object has the same bytes, which are the store's, and the same tree and typed value,
/// which are made once while anybody holds them.
#[tokio::test(start_paused = true)]
async fn readers_share_bytes_trees_and_typed_values() {
    let (store, env) = (MemoryStore::new(), Env::simulated(7));
    let builder = ApiServer::builder().store(Arc::new(store.clone())).env(env.clone());
    let server = builder.build().await.unwrap();
    let client = server.client(Identity::admin());
    let kit = Kit { server: server.clone(), client: client.clone() };
    let (maps, map) = (kit.at("default", "configmaps"), kit.at("default", "configmaps/a"));
    let mut watch = client.watch(maps.clone(), WatchOptions::default()).await.unwrap();
    let payload = Payload::Tree(config_map("a"));
    let made = client.create(maps.clone(), payload, WriteOptions::default()).await.unwrap().unwrap();

    let stored = store.get(b"/registry/configmaps/default/a").await.unwrap().unwrap();
    assert_eq!(bytes(&made), stored.value.as_ptr(), "what the writer was answered is what is stored");
    let other = server.client(Identity::user("other").group("system:masters"));
    let listed = other.list(maps, ListOptions::default()).await.unwrap().items.pop().unwrap();
    let Some(Ok(WatchEvent::Added(watched))) = watch.next().await else { panic!("it was made") };
    let informer = Informer::<ConfigMap>::builder(other.clone()).namespace("default").start(&env);
    informer.synced().await;
    let got = client.get(map.clone()).await.unwrap();
    let informed = informer.object(got.key()).unwrap();
    for object in [&got, &listed, &watched, &informed] {
        assert_eq!(bytes(object), bytes(&made));
    }
    // Views are shared by whoever asks for them through whichever of these, while one is held.
    let (tree, typed) = (got.tree(), got.view::<ConfigMap>().unwrap());
    for object in [&listed, &watched, &informed] {
        assert!(Arc::ptr_eq(&object.tree(), &tree));
        assert!(Arc::ptr_eq(&object.view::<ConfigMap>().unwrap(), &typed));
    }
    let api = Api::<ConfigMap>::namespaced(client.clone(), "default");
    assert_eq!(api.get("a").await.unwrap().data, typed.data);
    assert!(Arc::ptr_eq(&informer.get(got.key()).unwrap(), &typed), "an informer's objects are views, too");

    // An update of what was read moves nothing that does not change.
    let same = client.update(map, Payload::Object(got.clone()), WriteOptions::default()).await.unwrap();
    assert_eq!((bytes(&same), same.revision()), (bytes(&got), got.revision()));
}
