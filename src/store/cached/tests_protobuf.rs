//! Keys that hold protobuf, as a kube-apiserver has left them.

use serde_json::json;

use super::tests::{labelled, next, on, pod, world};
use super::*;
use crate::api::schema::encode_protobuf;
use crate::store::ObjectStoreExt;

/// A pod as a kube-apiserver stores it.
fn stored(node: &str) -> Vec<u8> {
    let tree = json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": "a", "name": "x", "uid": "u-1", "labels": {"app": "web"}},
        "spec": {"nodeName": node, "containers": [{"name": "c", "image": "i"}]}});
    encode_protobuf(&tree).unwrap()
}

#[tokio::test(start_paused = true)]
async fn protobuf_in_the_store_is_got_listed_watched_and_updated() {
    let world = world();
    let first = world.store.put("/registry/pods/a/x", stored("n1")).await.unwrap();
    let key = ObjectKey::new("a", "x");
    let got = world.cached.get(&world.row, &key).await.unwrap().unwrap();
    assert_eq!((got.revision(), got.uid(), got.field("spec.nodeName")), (first, "u-1", Some("n1")));
    let container = &got.tree()["spec"]["containers"][0];
    assert_eq!((&container["name"], &container["image"]), (&json!("c"), &json!("i")));
    // A kube-apiserver fills in defaults whenever it reads, and so does this.
    assert_eq!(container["imagePullPolicy"], "Always");

    let fields = |node| ListQuery { fields: on(node), ..ListQuery::default() };
    assert_eq!(world.names(fields("n1")).await, ["a/x"]);
    assert_eq!(world.names(fields("n2")).await, [""; 0]);
    let labels = |app| ListQuery { labels: labelled("app", app), ..ListQuery::default() };
    assert_eq!(world.names(labels("web")).await, ["a/x"]);

    let mut watch = world.watch(WatchQuery { fields: on("n2"), ..WatchQuery::default() }).await;
    let moved = world.store.put("/registry/pods/a/x", stored("n2")).await.unwrap();
    assert_eq!(next(&mut watch).await, format!("A a/x@{moved}"));

    // What is stored is not what would be, until somebody has written it.
    let current = world.cached.get(&world.row, &key).await.unwrap().unwrap();
    assert!(world.cached.is_stale(&current).await.unwrap());
    let written = world.commit(Change::Update { object: current.clone(), from: moved }).await;
    assert_eq!(next(&mut watch).await, format!("M a/x@{written}"));
    let kv = world.store.get(b"/registry/pods/a/x").await.unwrap().unwrap();
    assert_eq!((&kv.value, kv.value[0]), (current.body(), b'{'));
    let gone = world.delete("a", "x").await;
    assert_eq!(next(&mut watch).await, format!("D a/x@{gone}"));
}

#[tokio::test(start_paused = true)]
async fn protobuf_that_is_damaged_is_unreadable_and_the_rest_goes_on() {
    let world = world();
    world.create(pod("a", "y")).await;
    let whole = stored("n1");
    world.store.put("/registry/pods/a/x", whole[..whole.len() - 20].to_vec()).await.unwrap();
    let key = ObjectKey::new("a", "x");
    let error = world.cached.get(&world.row, &key).await.unwrap_err();
    let Error::Unreadable { values, .. } = &error else { panic!("{error}") };
    assert_eq!(values[0].defect.to_string(), "cannot decode the body of a Pod: unexpected EOF");
    assert!(world.cached.get(&world.row, &ObjectKey::new("a", "y")).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn what_a_kube_apiserver_has_encrypted_is_refused_in_words() {
    let world = world();
    let mut sealed = b"k8s:enc:aescbc:v1:key1:".to_vec();
    sealed.extend([0x9f, 0x00, 0x3a, 0xff]);
    world.store.put("/registry/pods/a/x", sealed).await.unwrap();
    let error = world.cached.get(&world.row, &ObjectKey::new("a", "x")).await.unwrap_err();
    let Error::Unreadable { values, .. } = &error else { panic!("{error}") };
    let why = "identity transformer tried to read encrypted data (k8s:enc:aescbc:v1:key1)";
    assert_eq!(values[0].defect, Defect::Untransformable(why.into()));
}
