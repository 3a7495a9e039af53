//! Objects that cannot be read, at the server: told, refused, and deleted all the same.

use std::sync::Arc;

use futures_util::StreamExt;
use http::Method;
use serde_json::{Value, json};
use windlass::api::Status;
use windlass::client::{ClientExt, DeleteOptions, Identity, WatchEvent};
use windlass::server::{RoleTable, Rule};
use windlass::store::{
    Encrypted, EncryptionKey, EncryptionKeys, MemoryStore, ObjectStore, ObjectStoreExt, Revision,
};

use super::server_kit::*;
use crate::support::send;

const KEY: &str = "/registry/configmaps/default/broken";

/// A server that seals what it stores, and what lies below.
async fn sealed() -> (MemoryStore, Kit) {
    let below = MemoryStore::new();
    let kit = over(&below).await;
    (below, kit)
}

async fn over(below: &MemoryStore) -> Kit {
    let keys = EncryptionKeys::new(EncryptionKey::new("one", [1; 32]));
    let store = Encrypted::new(Arc::new(below.clone()), keys);
    // They may delete, and some of them what cannot be read.
    let roles = RoleTable::default()
        .user("jane", [Rule::on(&["delete", "deletecollection", "list"], "", &["configmaps"])])
        .user("joan", [Rule::on(&["delete", "unsafe-delete-ignore-read-errors"], "", &["configmaps"])]);
    kit_with(|builder| builder.store(Arc::new(store)).authorizer(Arc::new(roles))).await
}

/// Breaks a stored value: it does not open any more.
async fn spoil(below: &MemoryStore, key: &str) -> Revision {
    let mut value = below.get(key.as_bytes()).await.unwrap().unwrap().value.to_vec();
    *value.last_mut().unwrap() ^= 1;
    below.put(key.to_owned(), value).await.unwrap()
}

fn unread() -> DeleteOptions {
    delete_options(|options| options.ignore_store_read_error_with_cluster_breaking_potential = true)
}

fn read_error(key: &str, revision: Revision) -> String {
    format!(
        "StorageError: corrupt object, Code: 7, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: data \
         from the storage is not transformable revision={revision}: the value of {key}: does not open: damaged, \
         moved from another key, or sealed with another secret"
    )
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_told_and_goes_when_it_is_told_to() {
    let (below, kit) = sealed().await;
    let mut broken = config_map("broken");
    broken["metadata"]["finalizers"] = json!(["example.com/held"]);
    kit.create("default", "configmaps", broken).await.unwrap();
    kit.create("default", "configmaps", config_map("sound")).await.unwrap();
    kit.create("kube-system", "configmaps", config_map("other")).await.unwrap();
    // So that what happens from now on is remembered.
    kit.names("", "configmaps").await;
    let start = kit.revision().await;
    let spoilt = spoil(&below, KEY).await;
    let internal = format!("Internal error occurred: {}", read_error(KEY, spoilt));

    let is_internal = |status: Status| {
        assert_eq!((status.code, &*status.reason, &*status.message), (500, "InternalError", &*internal));
    };
    is_internal(status_of(kit.get("default", "configmaps/broken").await));
    is_internal(status_of(kit.update("default", "configmaps/broken", config_map("broken")).await));
    is_internal(status_of(kit.merge("default", "configmaps/broken", json!({"data": {}})).await));
    is_internal(status_of(kit.delete("default", "configmaps/broken").await));
    let exists = status_of(kit.create("default", "configmaps", config_map("broken")).await);
    assert_eq!((exists.code, &*exists.message), (409, r#"configmaps "broken" already exists"#));

    for namespace in ["default", ""] {
        let listed = kit.list(namespace, "configmaps", list_options(|_| {})).await;
        let status = status_of(listed.map(|_| ()));
        assert_eq!((status.code, &*status.reason), (500, "StorageReadError"));
        assert_eq!(status.message, "failed to read one or more configmaps from the storage");
        let details = status.details.unwrap();
        assert_eq!((&*details.kind, &*details.name, details.causes.len()), ("configmaps", "list", 1));
        let cause = &details.causes[0];
        assert_eq!((&*cause.reason, &*cause.field), ("UnexpectedServerResponse", KEY));
        assert_eq!(cause.message, read_error(KEY, spoilt));
        let all = kit.client.delete_collection(
            kit.at("default", "configmaps"),
            list_options(|_| {}),
            delete_options(|_| {}),
        );
        assert_eq!(status_of(all.await.map(|_| ())).reason, "StorageReadError");
    }
    // What does not need it goes on.
    assert_eq!(kit.names("kube-system", "configmaps").await, ["other"]);
    kit.get("default", "configmaps/sound").await.unwrap();
    kit.merge("default", "configmaps/sound", json!({"data": {"k": "w"}})).await.unwrap();
    kit.create("default", "pods", pod("p")).await.unwrap();

    // A watch that gets there ends so.
    let from = |from| watch_options(move |options| options.resource_version = Some(from));
    let mut watch = kit.watch("default", "configmaps", from(start)).await.unwrap();
    is_internal(watch.next().await.unwrap().unwrap_err().into_status());
    assert!(watch.next().await.is_none());
    let mut behind = kit.watch("default", "configmaps", from(spoilt)).await.unwrap();
    let Some(Ok(WatchEvent::Modified(object))) = behind.next().await else { panic!("it goes on") };
    assert_eq!(object.name(), "sound");

    // Deleted unread, it is gone; its finalizers are as unknown as the rest of it.
    assert_eq!(kit.delete_with("default", "configmaps/broken", unread()).await.unwrap(), None);
    let deleted = below.revision().await.unwrap();
    let status = behind.next().await.unwrap().unwrap_err().into_status();
    assert_eq!((status.code, &*status.reason), (500, "StorageReadError"));
    let expected =
        "saw a DELETED event, but object data is corrupt - data from the storage is not transformable";
    assert!(status.message.starts_with(expected), "{}", status.message);
    assert!(behind.next().await.is_none());
    assert_eq!(status_of(kit.get("default", "configmaps/broken").await).code, 404);
    assert_eq!(kit.names("default", "configmaps").await, ["sound"]);
    let mut watch = kit.watch("default", "configmaps", from(deleted)).await.unwrap();
    kit.create("default", "configmaps", config_map("broken")).await.unwrap();
    assert!(matches!(watch.next().await, Some(Ok(WatchEvent::Added(_)))));
}

#[tokio::test(start_paused = true)]
async fn only_what_cannot_be_read_is_deleted_unread_and_only_by_whom_may() {
    let (below, kit) = sealed().await;
    kit.create("default", "configmaps", config_map("broken")).await.unwrap();
    kit.create("default", "configmaps", config_map("sound")).await.unwrap();
    let (jane, joan) = (kit.acting_as(Identity::user("jane")), kit.acting_as(Identity::user("joan")));
    spoil(&below, KEY).await;

    for name in ["sound", "absent"] {
        let path = format!("configmaps/{name}");
        let refused = status_of(joan.delete_with("default", &path, unread()).await);
        assert_eq!((refused.code, &*refused.reason), (422, "Invalid"));
        assert_eq!(
            refused.message,
            format!(
                "configmaps {name:?} is invalid: ignoreStoreReadErrorWithClusterBreakingPotential: Invalid \
                 value: true: is exclusively used to delete corrupt object(s), try again by removing this option"
            )
        );
    }
    let refused = status_of(jane.delete_with("default", "configmaps/broken", unread()).await);
    assert_eq!((refused.code, &*refused.reason), (403, "Forbidden"));
    let expected = "configmaps \"broken\" is forbidden: not permitted to do \
                    \"unsafe-delete-ignore-read-errors\", reason: ";
    assert_eq!(refused.message, expected);
    let together = delete_options(|options| {
        options.ignore_store_read_error_with_cluster_breaking_potential = true;
        options.grace_period_seconds = Some(0);
        options.dry_run = true;
    });
    let refused = status_of(joan.delete_with("default", "configmaps/broken", together).await);
    let error = |name| {
        format!(
            "ignoreStoreReadErrorWithClusterBreakingPotential: Invalid value: true: cannot be set together \
             with .{name}"
        )
    };
    let expected = [error("dryRun"), error("gracePeriodSeconds")].join(", ");
    assert_eq!(refused.message, format!("DeleteOptions.meta.k8s.io \"\" is invalid: [{expected}]"));
    let all = jane.client.delete_collection(kit.at("default", "configmaps"), list_options(|_| {}), unread());
    let refused = status_of(all.await.map(|_| ()));
    assert_eq!(
        (refused.code, &*refused.message),
        (
            422,
            "DeleteOptions.meta.k8s.io \"\" is invalid: ignoreStoreReadErrorWithClusterBreakingPotential: \
             Invalid value: true: is not allowed with DELETECOLLECTION, try again after removing the option"
        )
    );
    assert!(below.get(KEY.as_bytes()).await.unwrap().is_some(), "nothing has happened yet");
    joan.delete_with("default", "configmaps/broken", unread()).await.unwrap();
    assert!(below.get(KEY.as_bytes()).await.unwrap().is_none());
    assert_eq!(kit.names("default", "configmaps").await, ["sound"]);
}

#[tokio::test(start_paused = true)]
async fn over_http_the_option_comes_in_the_body_or_in_the_query() {
    const PATH: &str = "/api/v1/namespaces/default/configmaps/broken";
    const OPTION: &str = "ignoreStoreReadErrorWithClusterBreakingPotential";
    let (below, kit) = sealed().await;
    let ask = async |method, path: &str, body: Value| {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers = [("content-type", "application/json")];
        let reply = send(&kit.server, Identity::admin(), method, path, &headers, body).await;
        (reply.code.as_u16(), reply.json())
    };
    let in_body = json!({"kind": "DeleteOptions", "apiVersion": "v1", OPTION: true});
    for (query, body) in [(format!("?{OPTION}=true"), Value::Null), (String::new(), in_body)] {
        kit.create("default", "configmaps", config_map("broken")).await.unwrap();
        let spoilt = spoil(&below, KEY).await;
        let (code, status) = ask(Method::GET, PATH, Value::Null).await;
        assert_eq!((code, &status["reason"]), (500, &json!("InternalError")));
        let (code, status) = ask(Method::GET, "/api/v1/configmaps", Value::Null).await;
        assert_eq!((code, &status["reason"]), (500, &json!("StorageReadError")));
        assert_eq!(status["details"]["causes"][0]["message"], read_error(KEY, spoilt));
        let (code, status) = ask(Method::DELETE, &format!("{PATH}{query}"), body).await;
        assert_eq!((code, &status["status"], &status["code"]), (200, &json!("Success"), &json!(200)));
        let details = &status["details"];
        assert_eq!((&details["name"], &details["kind"]), (&json!("broken"), &json!("ConfigMap")));
        let (code, list) = ask(Method::GET, "/api/v1/namespaces/default/configmaps", Value::Null).await;
        assert_eq!((code, &list["items"]), (200, &json!([])));
    }
    let (code, status) = ask(Method::DELETE, &format!("{PATH}?{OPTION}=true&dryRun=All"), Value::Null).await;
    assert_eq!((code, &status["reason"]), (422, &json!("Invalid")));
}

#[tokio::test(start_paused = true)]
async fn a_server_begins_above_what_cannot_be_read_and_serves_what_can() {
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            }],
        },
    });
    let mut other = definition.clone();
    other["metadata"]["name"] = "gadgets.example.com".into();
    other["spec"]["names"] =
        json!({"plural": "gadgets", "singular": "gadget", "kind": "Gadget", "listKind": "GadgetList"});
    let (below, kit) = sealed().await;
    kit.create("", "customresourcedefinitions", definition).await.unwrap();
    kit.create("", "customresourcedefinitions", other).await.unwrap();
    let served = |kit: &Kit, plural: &str| kit.server.scheme().iter().any(|row| row.plural == plural);
    assert!(served(&kit, "widgets") && served(&kit, "gadgets"));
    kit.server.shutdown().await;
    spoil(&below, "/registry/apiextensions.k8s.io/customresourcedefinitions/gadgets.example.com").await;
    spoil(&below, "/registry/namespaces/default").await;

    let kit = over(&below).await;
    kit.create("kube-system", "configmaps", config_map("a")).await.unwrap();
    assert_eq!(status_of(kit.create("default", "configmaps", config_map("a")).await).code, 500);
    // What cannot be read keeps its own objects from being served, and no others.
    assert!(served(&kit, "widgets") && !served(&kit, "gadgets"));
    let scope = windlass::api::Scope::Namespaced;
    let gadgets = windlass::api::Resource::new("example.com", "v1", "Gadget", "gadgets", scope);
    let gadgets = windlass::client::Target::all(&gadgets);
    let unserved = status_of(kit.client.list(gadgets.clone(), list_options(|_| {})).await.map(|_| ()));
    assert_eq!((unserved.code, &*unserved.reason), (500, "InternalError"));
    let why = "Internal error occurred: error resolving resource: ";
    assert!(unserved.message.starts_with(why), "{}", unserved.message);
    kit.delete_with("", "customresourcedefinitions/gadgets.example.com", unread()).await.unwrap();
    kit.server.env().clock.sleep(std::time::Duration::from_secs(3)).await;
    assert!(served(&kit, "widgets") && !served(&kit, "gadgets"));
    assert_eq!(status_of(kit.client.list(gadgets, list_options(|_| {})).await.map(|_| ())).code, 404);
    kit.delete_with("", "namespaces/default", unread()).await.unwrap();
    kit.create("", "namespaces", json!({"metadata": {"name": "default"}})).await.unwrap();
    kit.create("default", "configmaps", config_map("a")).await.unwrap();
}
