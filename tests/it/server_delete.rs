//! Deleting: at once, after a grace period, behind finalizers; namespaces and collections.

use serde_json::json;
use windlass::client::{PropagationPolicy, WriteOptions};

use super::server_kit::*;

#[tokio::test(start_paused = true)]
async fn what_nothing_holds_goes_at_once() {
    let kit = kit().await;
    kit.create("default", "configmaps", config_map("a")).await.unwrap();
    assert!(kit.delete("default", "configmaps/a").await.unwrap().is_none());
    let gone = status_of(kit.get("default", "configmaps/a").await);
    assert_eq!((gone.code, gone.message.as_str()), (404, r#"configmaps "a" not found"#));
    assert_eq!(status_of(kit.delete("default", "configmaps/a").await).code, 404);
}

#[tokio::test(start_paused = true)]
async fn a_finalizer_holds_an_object_until_it_is_taken_away() {
    let kit = kit().await;
    let mut held = deployment("web");
    held["metadata"]["finalizers"] = json!(["example.com/hold", "example.com/other"]);
    kit.create("default", "deployments", held).await.unwrap();
    let waiting = kit.delete("default", "deployments/web").await.unwrap().unwrap();
    assert_eq!(waiting["metadata"]["deletionTimestamp"], "2020-01-01T00:00:00Z");
    assert_eq!(waiting["metadata"]["deletionGracePeriodSeconds"], 0);
    assert_eq!(waiting["metadata"]["generation"], 2);
    let added = json!({"metadata": {"finalizers": ["example.com/hold", "example.com/late"]}});
    let refused = status_of(kit.merge("default", "deployments/web", added).await);
    assert_eq!(refused.code, 422);
    assert!(
        refused.message.contains("no new finalizers can be added if the object is being deleted"),
        "{refused}"
    );
    let again = status_of(kit.create("default", "deployments", deployment("web")).await);
    assert_eq!(again.message, "object is being deleted: deployments.apps \"web\" already exists");
    let one = json!({"metadata": {"finalizers": ["example.com/other"]}});
    kit.merge("default", "deployments/web", one).await.unwrap();
    kit.merge("default", "deployments/web", json!({"metadata": {"finalizers": null}})).await.unwrap();
    assert_eq!(status_of(kit.get("default", "deployments/web").await).code, 404);
}

#[tokio::test(start_paused = true)]
async fn a_policy_becomes_the_finalizer_of_the_garbage_collector() {
    let kit = kit().await;
    for (policy, finalizer) in
        [(PropagationPolicy::Foreground, "foregroundDeletion"), (PropagationPolicy::Orphan, "orphan")]
    {
        let name = finalizer.to_lowercase();
        kit.create("default", "deployments", deployment(&name)).await.unwrap();
        let options = delete_options(|options| options.propagation = Some(policy));
        let path = format!("deployments/{name}");
        let waiting = kit.delete_with("default", &path, options).await.unwrap().unwrap();
        assert_eq!(waiting["metadata"]["finalizers"], json!([finalizer]));
    }
}

#[tokio::test(start_paused = true)]
async fn preconditions_must_hold() {
    let kit = kit().await;
    let made = kit.create("default", "configmaps", config_map("a")).await.unwrap();
    let wrong = delete_options(|options| options.preconditions.uid = Some("another".into()));
    let refused = status_of(kit.delete_with("default", "configmaps/a", wrong).await);
    assert_eq!((refused.code, refused.reason.as_str()), (409, "Conflict"));
    assert!(
        refused.message.contains("the UID in the precondition (another) does not match the UID in record")
    );
    let stale = delete_options(|options| options.preconditions.resource_version = Some(1.into()));
    assert_eq!(status_of(kit.delete_with("default", "configmaps/a", stale).await).code, 409);
    let right = delete_options(|options| {
        options.preconditions.uid = made["metadata"]["uid"].as_str().map(Into::into);
        options.preconditions.resource_version =
            made["metadata"]["resourceVersion"].as_str().and_then(|text| text.parse().ok());
    });
    kit.delete_with("default", "configmaps/a", right).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_pod_on_a_node_is_given_its_grace_and_one_on_none_is_not() {
    let kit = kit().await;
    kit.create("default", "pods", pod("loose")).await.unwrap();
    kit.delete("default", "pods/loose").await.unwrap();
    assert_eq!(status_of(kit.get("default", "pods/loose").await).code, 404);

    let mut bound = pod("bound");
    bound["spec"]["nodeName"] = "n1".into();
    kit.create("default", "pods", bound).await.unwrap();
    let going = kit.delete("default", "pods/bound").await.unwrap().unwrap();
    assert_eq!(going["metadata"]["deletionTimestamp"], "2020-01-01T00:00:30Z");
    assert_eq!(going["metadata"]["deletionGracePeriodSeconds"], 30);
    let sooner = delete_options(|options| options.grace_period_seconds = Some(5));
    let going = kit.delete_with("default", "pods/bound", sooner).await.unwrap().unwrap();
    assert_eq!(going["metadata"]["deletionTimestamp"], "2020-01-01T00:00:05Z");
    let later = delete_options(|options| options.grace_period_seconds = Some(60));
    let same = kit.delete_with("default", "pods/bound", later).await.unwrap().unwrap();
    assert_eq!(same, going);
    let now = delete_options(|options| options.grace_period_seconds = Some(0));
    kit.delete_with("default", "pods/bound", now).await.unwrap();
    assert_eq!(status_of(kit.get("default", "pods/bound").await).code, 404);
}

#[tokio::test(start_paused = true)]
async fn a_collection_goes_as_its_selector_says() {
    let kit = kit().await;
    for (name, tier) in [("a", "front"), ("b", "back"), ("c", "front")] {
        let mut made = config_map(name);
        made["metadata"]["labels"] = json!({"tier": tier});
        kit.create("default", "configmaps", made).await.unwrap();
    }
    let front = list_options(|options| options.labels = "tier=front".parse().unwrap());
    let deleted = windlass::client::ClientExt::delete_collection(
        &*kit.client,
        kit.at("default", "configmaps"),
        front,
        delete_options(|_| {}),
    )
    .await
    .unwrap();
    assert_eq!(deleted.items.len(), 2);
    assert_eq!(kit.names("default", "configmaps").await, ["b"]);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_lives_until_it_is_finalized() {
    let kit = kit().await;
    let made = kit.create("", "namespaces", json!({"metadata": {"name": "team"}})).await.unwrap();
    assert_eq!(made["status"]["phase"], "Active");
    assert_eq!(made["spec"]["finalizers"], json!(["kubernetes"]));
    assert_eq!(made["metadata"]["labels"]["kubernetes.io/metadata.name"], "team");
    kit.create("team", "configmaps", config_map("a")).await.unwrap();
    let going = kit.delete("", "namespaces/team").await.unwrap().unwrap();
    assert_eq!(going["status"]["phase"], "Terminating");
    let refused = status_of(kit.create("team", "configmaps", config_map("b")).await);
    assert_eq!((refused.code, refused.reason.as_str()), (403, "Forbidden"));
    assert_eq!(
        refused.message,
        "configmaps \"b\" is forbidden: unable to create new content in namespace team because it is \
         being terminated"
    );
    assert_eq!(refused.details.unwrap().causes[0].reason, "NamespaceTerminating");
    assert_eq!(kit.get("team", "configmaps/a").await.unwrap()["data"]["k"], "v");
    let mut finalized = going.clone();
    finalized["spec"]["finalizers"] = json!([]);
    kit.update_with("", "namespaces/team/finalize", finalized, WriteOptions::default()).await.unwrap();
    assert_eq!(status_of(kit.get("", "namespaces/team").await).code, 404);
}

#[tokio::test(start_paused = true)]
async fn some_namespaces_are_there_and_stay() {
    let kit = kit().await;
    assert_eq!(
        kit.names("", "namespaces").await,
        ["default", "kube-node-lease", "kube-public", "kube-system"]
    );
    let refused = status_of(kit.delete("", "namespaces/default").await);
    assert_eq!(
        (refused.code, refused.message.as_str()),
        (403, "namespaces \"default\" is forbidden: this namespace may not be deleted")
    );
}
