//! Updates that change nothing: none is written, unless what is stored is not what would be.
//!
//! Source: `RunTestGuaranteedUpdateChecksStoredData` of `k8s.io/apiserver/pkg/storage/testing` (1.36).

use std::sync::Arc;

use serde_json::{Value, json};
use windlass::store::{
    Encrypted, EncryptionKey, EncryptionKeys, MemoryStore, ObjectStore, ObjectStoreExt, Revision,
};

use super::server_kit::*;

const KEY: &str = "/registry/configmaps/default/a";

async fn stored(memory: &MemoryStore) -> (Vec<u8>, Revision) {
    let kv = memory.get(KEY.as_bytes()).await.unwrap().unwrap();
    (kv.value.to_vec(), kv.mod_revision)
}

async fn over(store: impl ObjectStore) -> Kit {
    kit_with(|builder| builder.store(Arc::new(store))).await
}

/// Every way to change nothing, each twice: the first is written or not, the second never is.
async fn unchanged(kit: &Kit, memory: &MemoryStore, make_stale: Option<&dyn Fn() -> Vec<u8>>) {
    let ways = ["update", "unconditional update", "patch", "empty patch"];
    for way in ways {
        if let Some(make_stale) = make_stale {
            memory.put(KEY, make_stale()).await.unwrap();
        }
        let before = kit.get("default", "configmaps/a").await.unwrap();
        let mut same = before.clone();
        let change = async |same: &Value| match way {
            "update" => kit.update("default", "configmaps/a", same.clone()).await.unwrap(),
            "unconditional update" => {
                let mut same = same.clone();
                same["metadata"].as_object_mut().unwrap().remove("resourceVersion");
                kit.update("default", "configmaps/a", same).await.unwrap()
            }
            "patch" => kit.merge("default", "configmaps/a", json!({"data": {"k": "v"}})).await.unwrap(),
            _ => kit.merge("default", "configmaps/a", json!({})).await.unwrap(),
        };
        for round in 0..2 {
            let (value, at) = stored(memory).await;
            let newest = memory.revision().await.unwrap();
            let answered = change(&same).await;
            let written = round == 0 && make_stale.is_some();
            let (now, now_at) = stored(memory).await;
            assert_eq!(now_at > at, written, "{way}, round {round}");
            assert_eq!(now != value, written, "{way}, round {round}");
            assert_eq!(memory.revision().await.unwrap() > newest, written);
            assert_eq!(answered["metadata"]["resourceVersion"], now_at.to_string());
            same = answered;
        }
        // Nothing but the revision is another.
        let mut expected = before;
        expected["metadata"]["resourceVersion"] = same["metadata"]["resourceVersion"].clone();
        assert_eq!(same, expected, "{way}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_update_that_changes_nothing_is_not_written() {
    let memory = MemoryStore::new();
    let kit = over(memory.clone()).await;
    kit.create("default", "configmaps", config_map("a")).await.unwrap();
    unchanged(&kit, &memory, None).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_stored_oddly_is_written_anew_though_nothing_changes() {
    let memory = MemoryStore::new();
    let kit = over(memory.clone()).await;
    kit.create("default", "configmaps", config_map("a")).await.unwrap();
    let (canonical, _) = stored(&memory).await;
    let oddly = || [b" ".to_vec(), canonical.clone()].concat();
    unchanged(&kit, &memory, Some(&oddly)).await;
    assert_eq!(stored(&memory).await.0, canonical);

    // A dry run says that nothing would change, and writes nothing.
    memory.put(KEY, oddly()).await.unwrap();
    let before = stored(&memory).await;
    let answered = kit.update_with("default", "configmaps/a", config_map("a"), dry_run()).await.unwrap();
    assert_eq!(answered["metadata"]["resourceVersion"], before.1.to_string());
    assert_eq!(stored(&memory).await, before);
}

#[tokio::test(start_paused = true)]
async fn what_is_sealed_with_an_old_key_or_not_at_all_is_sealed_anew_though_nothing_changes() {
    let memory = MemoryStore::new();
    let key = |name: &str, byte| EncryptionKey::new(name, [byte; 32]);
    let plain = over(memory.clone()).await;
    plain.create("default", "configmaps", config_map("a")).await.unwrap();
    let (unsealed, _) = stored(&memory).await;
    let old =
        over(Encrypted::new(Arc::new(memory.clone()), EncryptionKeys::new(key("old", 1)).unsealed(true)));
    old.await.update("default", "configmaps/a", config_map("a")).await.unwrap();
    let (sealed, _) = stored(&memory).await;
    assert!(sealed.starts_with(b"windlass:enc:aes256gcm:v1:old:"));
    let keys = EncryptionKeys::new(key("new", 2)).and(key("old", 1)).unsealed(true);
    let new = over(Encrypted::new(Arc::new(memory.clone()), keys)).await;
    for before in [unsealed, sealed] {
        unchanged(&new, &memory, Some(&|| before.clone())).await;
        assert!(stored(&memory).await.0.starts_with(b"windlass:enc:aes256gcm:v1:new:"));
    }
    unchanged(&new, &memory, None).await;
}

#[tokio::test(start_paused = true)]
async fn links_and_times_of_managers_change_nothing() {
    let memory = MemoryStore::new();
    let kit = over(memory.clone()).await;
    let made = kit.create("default", "configmaps", config_map("a")).await.unwrap();
    let managers = |time: &str| {
        json!([{"manager": "kubectl", "operation": "Update", "apiVersion": "v1", "time": time,
            "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:k": {}}}}])
    };
    let mut said = made.clone();
    said["metadata"]["selfLink"] = "/api/v1/namespaces/default/configmaps/a".into();
    said["metadata"]["managedFields"][0]["time"] = "2020-01-01T00:00:00Z".into();
    assert_eq!(kit.update("default", "configmaps/a", said.clone()).await.unwrap(), made);

    // What another server recorded stays, whatever the time that is said, and with it the revision.
    let (body, _) = stored(&memory).await;
    let mut recorded: Value = serde_json::from_slice(&body).unwrap();
    recorded["metadata"]["managedFields"] = managers("2019-01-01T00:00:00Z");
    memory.put(KEY, recorded.to_string()).await.unwrap();
    let before = kit.get("default", "configmaps/a").await.unwrap();
    said["metadata"]["managedFields"] = managers("2020-01-01T00:00:00Z");
    said["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    assert_eq!(kit.update("default", "configmaps/a", said).await.unwrap(), before);
    assert_eq!(kit.update("default", "configmaps/a", config_map("a")).await.unwrap(), before);
    // Until somebody changes what it is about.
    let changed = kit.merge("default", "configmaps/a", json!({"data": {"k": "w"}})).await.unwrap();
    assert_eq!(changed["metadata"]["managedFields"][0]["manager"], "unknown");
    assert_eq!(changed["metadata"]["managedFields"].as_array().unwrap().len(), 1);
}
