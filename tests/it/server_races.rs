//! Writes that lose: somebody else writes the object after the server has decided and before it commits.
//!
//! Source: `RunTestGuaranteedUpdate`, `…UpdateWithConflict`, `RunTestDeleteWithConflict`,
//! `…ValidateDeletionWithSuggestion`, `…PreconditionalDeleteWithSuggestion` and their like of
//! `k8s.io/apiserver/pkg/storage/testing` (1.36). Where Kubernetes suggests a state from its cache, the
//! server here reads the store; what can be stale is what it has read.

use futures_util::StreamExt;
use serde_json::{Value, json};
use windlass::client::{PatchType, Payload, WatchEvent, WriteOptions};

use super::racing_store::{Race, race};
use super::server_kit::*;

fn revision(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

fn labelled() -> Value {
    json!({"metadata": {"labels": {"rival": "faster"}}})
}

/// Somebody labels the object before the next commit.
fn lose_to_a_label(race: &Race, path: &'static str) {
    race.lose_to(async move |rival| {
        rival.merge("default", path, labelled()).await.unwrap();
    });
}

fn stale(resource: &str, name: &str) -> String {
    format!(
        "Operation cannot be fulfilled on {resource} {name:?}: the object has been modified; please apply \
         your changes to the latest version and try again"
    )
}

fn precondition(resource: &str, key: &str, what: &str, said: &str, found: &str) -> String {
    let name = key.rsplit('/').next().unwrap();
    format!(
        "Operation cannot be fulfilled on {resource} {name:?}: StorageError: invalid object, Code: 4, Key: \
         {key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: {what} in precondition: {said}, \
         {what} in object meta: {found}"
    )
}

#[tokio::test(start_paused = true)]
async fn a_patch_that_loses_is_made_of_what_won() {
    let race = race().await;
    let kit = &race.kit;
    kit.create("default", "configmaps", config_map("a")).await.unwrap();
    let add = json!([{"op": "add", "path": "/data/json", "value": "1"}]);
    for (kind, patch) in [
        (PatchType::Merge, json!({"data": {"merge": "1"}})),
        (PatchType::StrategicMerge, json!({"data": {"strategic": "1"}})),
        (PatchType::Json, add),
    ] {
        // Two in a row.
        for round in ["first", "second"] {
            race.lose_to(move |rival| async move {
                let more = json!({"data": {format!("{round}-{kind:?}"): "1"}});
                rival.merge("default", "configmaps/a", more).await.unwrap();
            });
        }
        // Lost the first time, and again.
        let made = kit.patch("default", "configmaps/a", kind, patch, WriteOptions::default()).await.unwrap();
        assert!(race.is_over());
        for key in [format!("first-{kind:?}"), format!("second-{kind:?}")] {
            assert_eq!(made["data"][key], "1", "{made}");
        }
    }
    let data = kit.get("default", "configmaps/a").await.unwrap()["data"].clone();
    assert_eq!(data.as_object().unwrap().len(), 1 + 3 * 3, "{data}");
}

#[tokio::test(start_paused = true)]
async fn an_update_of_one_part_that_loses_keeps_what_won_of_the_other() {
    let race = race().await;
    let kit = &race.kit;
    kit.create("default", "deployments", deployment("web")).await.unwrap();
    race.lose_to(async |rival| {
        let status = json!({"status": {"observedGeneration": 1, "replicas": 3}});
        rival.merge("default", "deployments/web/status", status).await.unwrap();
    });
    let mut more = deployment("web");
    more["spec"]["replicas"] = 5.into();
    let updated = kit.update("default", "deployments/web", more).await.unwrap();
    assert!(race.is_over());
    assert_eq!((&updated["spec"]["replicas"], &updated["status"]["replicas"]), (&json!(5), &json!(3)));

    race.lose_to(async |rival| {
        rival.merge("default", "deployments/web", json!({"spec": {"replicas": 7}})).await.unwrap();
    });
    let mut status = deployment("web");
    status["status"] = json!({"observedGeneration": 2, "replicas": 4});
    let updated = kit.update("default", "deployments/web/status", status).await.unwrap();
    assert!(race.is_over());
    assert_eq!((&updated["spec"]["replicas"], &updated["status"]["replicas"]), (&json!(7), &json!(4)));
    assert_eq!(updated["metadata"]["generation"], 3, "one for each change of the specification");

    race.lose_to(async |rival| {
        rival.merge("default", "deployments/web/status", json!({"status": {"replicas": 6}})).await.unwrap();
    });
    let scale = json!({"spec": {"replicas": 1}});
    kit.merge("default", "deployments/web/scale", scale).await.unwrap();
    let left = kit.get("default", "deployments/web").await.unwrap();
    assert_eq!((&left["spec"]["replicas"], &left["status"]["replicas"]), (&json!(1), &json!(6)));
}

#[tokio::test(start_paused = true)]
async fn a_change_that_names_a_revision_fails_once_it_is_another() {
    let race = race().await;
    let kit = &race.kit;
    let made = kit.create("default", "configmaps", config_map("a")).await.unwrap();
    lose_to_a_label(&race, "configmaps/a");
    let refused = status_of(
        kit.update("default", "configmaps/a", {
            let mut changed = made.clone();
            changed["data"]["k"] = "w".into();
            changed
        })
        .await,
    );
    assert!(race.is_over());
    assert_eq!((refused.code, refused.reason.as_str()), (409, "Conflict"));
    assert_eq!(refused.message, stale("configmaps", "a"));

    let second = kit.get("default", "configmaps/a").await.unwrap();
    race.lose_to(async |rival| {
        rival.merge("default", "configmaps/a", json!({"data": {"k": "theirs"}})).await.unwrap();
    });
    let insisting = json!({
        "metadata": {"resourceVersion": second["metadata"]["resourceVersion"]}, "data": {"k": "ours"},
    });
    let refused = status_of(kit.merge("default", "configmaps/a", insisting).await);
    assert_eq!((refused.code, refused.message), (409, stale("configmaps", "a")));
    assert_eq!(kit.get("default", "configmaps/a").await.unwrap()["data"]["k"], "theirs");
}

#[tokio::test(start_paused = true)]
async fn a_change_that_names_another_uid_is_refused() {
    let race = race().await;
    let kit = &race.kit;
    let made = kit.create("default", "configmaps", config_map("a")).await.unwrap();
    let uid = made["metadata"]["uid"].as_str().unwrap();
    let mut other = config_map("a");
    other["metadata"]["uid"] = "another".into();
    let key = "/registry/configmaps/default/a";
    let refused = status_of(kit.update("default", "configmaps/a", other).await);
    assert_eq!((refused.code, refused.reason.as_str()), (409, "Conflict"));
    assert_eq!(refused.message, precondition("configmaps", key, "UID", "another", uid));

    // The right one, until somebody makes another object of this name.
    race.lose_to(async |rival| {
        rival.delete("default", "configmaps/a").await.unwrap();
        rival.create("default", "configmaps", config_map("a")).await.unwrap();
    });
    let mut ours = config_map("a");
    ours["metadata"]["uid"] = uid.into();
    ours["data"]["k"] = "ours".into();
    let refused = status_of(kit.update("default", "configmaps/a", ours).await);
    let found = kit.get("default", "configmaps/a").await.unwrap();
    let new = found["metadata"]["uid"].as_str().unwrap();
    assert_eq!((refused.code, refused.message), (409, precondition("configmaps", key, "UID", uid, new)));
    assert_eq!(found["data"]["k"], "v");

    // Of a kind that an update makes, it must not be there at all.
    let mut absent = json!({"metadata": {"name": "a", "uid": "gone"}, "rules": []});
    let refused = status_of(kit.update("", "clusterroles/a", absent.clone()).await);
    let resource = "clusterroles.rbac.authorization.k8s.io";
    let key = "/registry/clusterroles/a";
    assert_eq!((refused.code, refused.message), (409, precondition(resource, key, "UID", "gone", "")));
    absent["metadata"].as_object_mut().unwrap().remove("uid");
    kit.update("", "clusterroles/a", absent).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_has_gone_before_it_is_written_is_not_found() {
    let race = race().await;
    let kit = &race.kit;
    let gone = || {
        race.lose_to(async |rival| {
            rival.delete("default", "configmaps/a").await.unwrap();
        });
    };
    let not_found = |status: windlass::api::Status| {
        assert!(race.is_over());
        assert_eq!((status.code, status.message.as_str()), (404, "configmaps \"a\" not found"));
    };
    let changed = json!({"data": {"k": "w"}});
    kit.create("default", "configmaps", config_map("a")).await.unwrap();
    gone();
    let mut update = config_map("a");
    update["data"] = changed["data"].clone();
    not_found(status_of(kit.update("default", "configmaps/a", update).await));
    kit.create("default", "configmaps", config_map("a")).await.unwrap();
    gone();
    not_found(status_of(kit.merge("default", "configmaps/a", changed).await));
    kit.create("default", "configmaps", config_map("a")).await.unwrap();
    gone();
    not_found(status_of(kit.delete("default", "configmaps/a").await));

    // One of many is no failure.
    for name in ["a", "b"] {
        kit.create("default", "configmaps", config_map(name)).await.unwrap();
    }
    gone();
    let target = kit.at("default", "configmaps");
    let (list, options) = (list_options(|_| {}), delete_options(|_| {}));
    let deleted = windlass::client::ClientExt::delete_collection(&*kit.client, target, list, options).await;
    let names: Vec<_> = deleted.unwrap().items.iter().map(|item| item.name().to_owned()).collect();
    assert_eq!(names, ["b"]);
    assert!(kit.names("default", "configmaps").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn of_two_who_make_the_same_one_does() {
    let race = race().await;
    let kit = &race.kit;
    race.lose_to(async |rival| {
        let mut theirs = config_map("a");
        theirs["data"]["k"] = "theirs".into();
        rival.create("default", "configmaps", theirs).await.unwrap();
    });
    let refused = status_of(kit.create("default", "configmaps", config_map("a")).await);
    assert_eq!((refused.code, refused.reason.as_str()), (409, "AlreadyExists"));
    assert_eq!(refused.message, "configmaps \"a\" already exists");
    assert_eq!(kit.get("default", "configmaps/a").await.unwrap()["data"]["k"], "theirs");
}

#[tokio::test(start_paused = true)]
async fn an_update_that_makes_changes_what_came_to_be_and_makes_what_has_gone() {
    let race = race().await;
    let kit = &race.kit;
    let role = |verb: &str| {
        json!({"metadata": {"name": "a"},
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": [verb]}]})
    };
    let verb = |role: &Value| role["rules"][0]["verbs"][0].as_str().unwrap().to_owned();
    let theirs = role("list");
    race.lose_to(async move |rival| {
        rival.create("", "clusterroles", theirs).await.unwrap();
        rival.merge("", "clusterroles/a", labelled()).await.unwrap();
    });
    let updated = kit.update("", "clusterroles/a", role("get")).await.unwrap();
    assert!(race.is_over());
    assert_eq!(verb(&updated), "get");
    let uid = updated["metadata"]["uid"].clone();
    assert_eq!(race.rival.get("", "clusterroles/a").await.unwrap()["metadata"]["uid"], uid);

    race.lose_to(async |rival| {
        rival.delete("", "clusterroles/a").await.unwrap();
    });
    let updated = kit.update("", "clusterroles/a", role("watch")).await.unwrap();
    assert!(race.is_over());
    assert_eq!(verb(&updated), "watch");
    assert_ne!(updated["metadata"]["uid"], uid, "it is another");
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_loses_answers_and_tells_the_last_state() {
    let race = race().await;
    let kit = &race.kit;
    kit.create("default", "pods", pod("web")).await.unwrap();
    let options = watch_options(|options| options.resource_version = Some(kit_revision(&race)));
    let mut watch = kit.watch("default", "pods", options).await.unwrap();
    lose_to_a_label(&race, "pods/web");
    let before = race.rival.revision().await;
    let deleted = kit.delete("default", "pods/web").await.unwrap().unwrap();
    assert!(race.is_over());
    assert_eq!(deleted["metadata"]["labels"], labelled()["metadata"]["labels"]);
    assert_eq!(revision(&deleted), before.0 + 2, "behind the label");
    let Some(Ok(WatchEvent::Modified(won))) = watch.next().await else { panic!("not changed") };
    assert_eq!(won.revision().0, before.0 + 1);
    let Some(Ok(WatchEvent::Deleted(last))) = watch.next().await else { panic!("not deleted") };
    assert_eq!(shown(&last), deleted);
}

/// The newest revision of the store that both share.
fn kit_revision(race: &Race) -> windlass::api::Revision {
    use futures_util::FutureExt;
    use windlass::store::ObjectStore;
    race.memory.revision().now_or_never().unwrap().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_deletion_whose_preconditions_no_longer_hold_of_what_won_is_refused() {
    let race = race().await;
    let kit = &race.kit;
    let made = kit.create("default", "configmaps", config_map("a")).await.unwrap();
    let uid = made["metadata"]["uid"].as_str().unwrap().to_owned();
    let key = "/registry/configmaps/default/a";

    lose_to_a_label(&race, "configmaps/a");
    let at = revision(&made);
    let insisting = delete_options(|options| options.preconditions.resource_version = Some(at.into()));
    let refused = status_of(kit.delete_with("default", "configmaps/a", insisting).await);
    assert!(race.is_over());
    let now = revision(&kit.get("default", "configmaps/a").await.unwrap());
    let words = precondition("configmaps", key, "ResourceVersion", &at.to_string(), &now.to_string());
    assert_eq!((refused.code, refused.reason.as_str(), refused.message), (409, "Conflict", words));

    // The same object, changed: its uid still holds.
    lose_to_a_label(&race, "configmaps/a");
    race.lose_to(async |rival| {
        rival.delete("default", "configmaps/a").await.unwrap();
        rival.create("default", "configmaps", config_map("a")).await.unwrap();
    });
    let same = || delete_options(|options| options.preconditions.uid = Some(uid.clone()));
    race.rival.merge("default", "configmaps/a", json!({"metadata": {"labels": null}})).await.unwrap();
    let refused = status_of(kit.delete_with("default", "configmaps/a", same()).await);
    assert!(race.is_over());
    let found = kit.get("default", "configmaps/a").await.unwrap();
    let new = found["metadata"]["uid"].as_str().unwrap();
    let words = precondition("configmaps", key, "UID", &uid, new);
    assert_eq!((refused.code, refused.message), (409, words));

    let new = new.to_owned();
    race.lose_to(async |rival| {
        rival.delete("default", "configmaps/a").await.unwrap();
    });
    let wanted = delete_options(|options| options.preconditions.uid = Some(new));
    let refused = status_of(kit.delete_with("default", "configmaps/a", wanted).await);
    assert_eq!((refused.code, refused.message.as_str()), (404, "configmaps \"a\" not found"));
}

#[tokio::test(start_paused = true)]
async fn a_deletion_is_decided_of_the_newest_state() {
    let race = race().await;
    let kit = &race.kit;
    // On no node it would go at once; somebody binds it.
    kit.create("default", "pods", pod("bound")).await.unwrap();
    race.lose_to(async |rival| {
        let binding = json!({"metadata": {"name": "bound"}, "target": {"kind": "Node", "name": "n1"}});
        rival.create("default", "pods/bound/binding", binding).await.unwrap();
    });
    let waits = kit.delete("default", "pods/bound").await.unwrap().unwrap();
    assert!(race.is_over());
    assert_eq!(waits["metadata"]["deletionGracePeriodSeconds"], 30);
    assert_eq!(kit.get("default", "pods/bound").await.unwrap(), waits);

    // Nothing held it; somebody adds a finalizer.
    kit.create("default", "configmaps", config_map("held")).await.unwrap();
    race.lose_to(async |rival| {
        let held = json!({"metadata": {"finalizers": ["example.com/hold"]}});
        rival.merge("default", "configmaps/held", held).await.unwrap();
    });
    let waits = kit.delete("default", "configmaps/held").await.unwrap().unwrap();
    assert_eq!(waits["metadata"]["deletionTimestamp"], "2020-01-01T00:00:00Z");
    assert_eq!(kit.get("default", "configmaps/held").await.unwrap(), waits);

    // A finalizer held it; somebody takes it away.
    let mut loose = config_map("loose");
    loose["metadata"]["finalizers"] = json!(["example.com/hold"]);
    kit.create("default", "configmaps", loose).await.unwrap();
    race.lose_to(async |rival| {
        let loose = json!({"metadata": {"finalizers": null}});
        rival.merge("default", "configmaps/loose", loose).await.unwrap();
    });
    assert_eq!(kit.delete("default", "configmaps/loose").await.unwrap(), None, "it is gone");
    assert_eq!(status_of(kit.get("default", "configmaps/loose").await).code, 404);
}

#[tokio::test(start_paused = true)]
async fn the_last_finalizer_goes_with_the_object_whoever_is_faster() {
    let race = race().await;
    let kit = &race.kit;
    let held = |name: &str, finalizers: Value| {
        let mut held = config_map(name);
        held["metadata"]["finalizers"] = finalizers;
        held
    };
    let free = || json!({"metadata": {"finalizers": null}});

    // The deletion comes between: the change that was to free it ends it.
    kit.create("default", "configmaps", held("a", json!(["example.com/a"]))).await.unwrap();
    race.lose_to(async |rival| {
        rival.delete("default", "configmaps/a").await.unwrap().unwrap();
    });
    let freed = kit.merge("default", "configmaps/a", free()).await.unwrap();
    assert!(race.is_over());
    assert!(freed["metadata"]["finalizers"].is_null() && !freed["metadata"]["deletionTimestamp"].is_null());
    assert_eq!(status_of(kit.get("default", "configmaps/a").await).code, 404);

    // Two take the last one away: neither has failed.
    kit.create("default", "configmaps", held("b", json!(["example.com/b"]))).await.unwrap();
    kit.delete("default", "configmaps/b").await.unwrap().unwrap();
    race.lose_to(async move |rival| {
        rival.merge("default", "configmaps/b", json!({"metadata": {"finalizers": null}})).await.unwrap();
    });
    let freed = kit.merge("default", "configmaps/b", free()).await.unwrap();
    assert!(race.is_over());
    assert!(freed["metadata"]["finalizers"].is_null());
    assert_eq!(status_of(kit.get("default", "configmaps/b").await).code, 404);

    // Each takes its own away: the object goes with the last.
    kit.create("default", "configmaps", held("c", json!(["example.com/c", "example.com/d"]))).await.unwrap();
    kit.delete("default", "configmaps/c").await.unwrap().unwrap();
    let without = |left: &str| {
        json!([{"op": "test", "path": "/metadata/finalizers/0", "value": left},
            {"op": "remove", "path": "/metadata/finalizers/0"}])
    };
    let first = without("example.com/c");
    race.lose_to(async move |rival| {
        let options = WriteOptions::default();
        rival.patch("default", "configmaps/c", PatchType::Json, first, options).await.unwrap();
    });
    let both = json!({"metadata": {"finalizers": ["example.com/c"]}});
    let refused = status_of(kit.merge("default", "configmaps/c", both).await);
    assert_eq!(refused.code, 422, "to put back what has gone meanwhile is to add one: {refused}");
    let options = WriteOptions::default();
    let last = without("example.com/d");
    kit.patch("default", "configmaps/c", PatchType::Json, last, options).await.unwrap();
    assert_eq!(status_of(kit.get("default", "configmaps/c").await).code, 404);
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_bound_once() {
    let race = race().await;
    let kit = &race.kit;
    let binding = |node: &str| json!({"metadata": {"name": "web"}, "target": {"kind": "Node", "name": node}});
    kit.create("default", "pods", pod("web")).await.unwrap();
    let theirs = binding("n1");
    race.lose_to(async move |rival| {
        rival.create("default", "pods/web/binding", theirs).await.unwrap();
    });
    let refused = status_of(kit.create("default", "pods/web/binding", binding("n2")).await);
    assert_eq!((refused.code, refused.reason.as_str()), (409, "Conflict"));
    assert!(refused.message.ends_with("pod web is already assigned to node \"n1\""), "{refused}");
    assert_eq!(kit.get("default", "pods/web").await.unwrap()["spec"]["nodeName"], "n1");
}

#[tokio::test(start_paused = true)]
async fn what_a_dry_run_decides_is_not_committed_and_cannot_lose() {
    let race = race().await;
    let kit = &race.kit;
    kit.create("default", "configmaps", config_map("a")).await.unwrap();
    lose_to_a_label(&race, "configmaps/a");
    let mut changed = config_map("a");
    changed["data"]["k"] = "w".into();
    let target = kit.at("default", "configmaps/a");
    let update = windlass::client::ClientExt::update(&*kit.client, target, Payload::Tree(changed), dry_run());
    assert_eq!(shown(&update.await.unwrap())["data"]["k"], "w");
    assert!(!race.is_over(), "nothing was committed");
}

#[tokio::test(start_paused = true)]
async fn the_last_disruption_of_a_budget_is_taken_once() {
    let race = race().await;
    let kit = &race.kit;
    for name in ["a", "b"] {
        let mut made = pod(name);
        made["metadata"]["labels"] = json!({"app": "web"});
        made["spec"]["nodeName"] = "n1".into();
        kit.create("default", "pods", made).await.unwrap();
        let running =
            json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
        kit.merge("default", &format!("pods/{name}/status"), running).await.unwrap();
    }
    let budget = json!({"metadata": {"name": "web"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}});
    kit.create("default", "poddisruptionbudgets", budget).await.unwrap();
    let counted = json!({"status": {"observedGeneration": 1, "disruptionsAllowed": 1, "currentHealthy": 2,
        "desiredHealthy": 1, "expectedPods": 2}});
    kit.merge("default", "poddisruptionbudgets/web/status", counted).await.unwrap();
    let eviction = |name: &str| json!({"metadata": {"name": name}});
    let theirs = eviction("b");
    race.lose_to(async move |rival| {
        rival.create("default", "pods/b/eviction", theirs).await.unwrap();
    });
    let refused = status_of(kit.create("default", "pods/a/eviction", eviction("a")).await);
    assert!(race.is_over());
    assert_eq!((refused.code, refused.reason.as_str()), (429, "TooManyRequests"));
    let deleting =
        async |path| kit.get("default", path).await.unwrap()["metadata"]["deletionTimestamp"].is_string();
    assert_eq!((deleting("pods/a").await, deleting("pods/b").await), (false, true));
}
