//! Listing and watching.

use futures_util::StreamExt as _;
use serde_json::json;
use windlass::api::Revision;
use windlass::client::{Error, ResourceVersionMatch, WatchEvent, WatchStream};

use super::server_kit::*;

async fn five() -> Kit {
    let kit = kit().await;
    for name in ["a", "b", "c", "d", "e"] {
        let mut made = config_map(name);
        made["metadata"]["labels"] = json!({"odd": (name != "b" && name != "d").to_string()});
        kit.create("default", "configmaps", made).await.unwrap();
    }
    kit
}

fn names(list: &windlass::client::ObjectList) -> Vec<&str> {
    list.items.iter().map(windlass::api::Object::name).collect()
}

#[tokio::test(start_paused = true)]
async fn a_list_in_parts_shows_one_revision() {
    let kit = five().await;
    let first =
        kit.list("default", "configmaps", list_options(|options| options.limit = Some(2))).await.unwrap();
    assert_eq!((names(&first), first.remaining), (vec!["a", "b"], Some(3)));
    kit.delete("default", "configmaps/c").await.unwrap();
    kit.create("default", "configmaps", config_map("bb")).await.unwrap();
    let rest = list_options(|options| {
        options.limit = Some(10);
        options.continue_token = first.continue_token.clone();
    });
    let rest = kit.list("default", "configmaps", rest).await.unwrap();
    assert_eq!((names(&rest), rest.revision), (vec!["c", "d", "e"], first.revision));
    assert_eq!((rest.continue_token, rest.remaining), (None, None));
    assert_eq!(kit.names("default", "configmaps").await, ["a", "b", "bb", "d", "e"]);
}

#[tokio::test(start_paused = true)]
async fn selectors_choose_and_unknown_fields_are_refused() {
    let kit = five().await;
    let odd = list_options(|options| options.labels = "odd=true".parse().unwrap());
    assert_eq!(names(&kit.list("default", "configmaps", odd).await.unwrap()), ["a", "c", "e"]);
    let one = list_options(|options| options.fields = "metadata.name=b".parse().unwrap());
    assert_eq!(names(&kit.list("", "configmaps", one).await.unwrap()), ["b"]);
    let unknown = list_options(|options| options.fields = "spec.colour=red".parse().unwrap());
    let refused = status_of(kit.list("default", "configmaps", unknown).await);
    assert_eq!((refused.code, refused.message.as_str()), (400, "field label not supported: spec.colour"));
}

#[tokio::test(start_paused = true)]
async fn a_revision_is_meant_as_its_match_says() {
    let kit = five().await;
    let then = kit.revision().await;
    kit.delete("default", "configmaps/a").await.unwrap();
    let at = |revision: Revision, meant| {
        list_options(|options| {
            options.resource_version = Some(revision);
            options.resource_version_match = meant;
        })
    };
    let exact = kit.list("default", "configmaps", at(then, Some(ResourceVersionMatch::Exact))).await.unwrap();
    assert_eq!((exact.items.len(), exact.revision), (5, then));
    let newer = at(then, Some(ResourceVersionMatch::NotOlderThan));
    assert_eq!(kit.list("default", "configmaps", newer).await.unwrap().items.len(), 4);
    let any = kit.list("default", "configmaps", at(Revision::NONE, None)).await.unwrap();
    assert_eq!(any.items.len(), 4);
    let future = status_of(kit.list("default", "configmaps", at(Revision(1 << 40), None)).await);
    assert_eq!((future.code, future.reason.as_str()), (504, "Timeout"));
    assert!(future.message.starts_with("Timeout: Too large resource version: "), "{future}");
    let zero = at(Revision::NONE, Some(ResourceVersionMatch::Exact));
    let refused = status_of(kit.list("default", "configmaps", zero).await);
    assert_eq!(refused.code, 422);
    let alone =
        list_options(|options| options.resource_version_match = Some(ResourceVersionMatch::NotOlderThan));
    let refused = status_of(kit.list("default", "configmaps", alone).await);
    assert!(refused.message.contains("resourceVersionMatch is forbidden unless resourceVersion is provided"));
}

#[tokio::test(start_paused = true)]
async fn bad_and_old_continue_tokens() {
    let kit = five().await;
    let bad = list_options(|options| options.continue_token = Some("nonsense!".into()));
    let refused = status_of(kit.list("default", "configmaps", bad).await);
    assert_eq!(refused.code, 400);
    assert!(refused.message.starts_with("invalid continue token: "), "{refused}");
}

async fn next(stream: &mut WatchStream) -> (String, String) {
    let event = stream.next().await.expect("the watch goes on").unwrap();
    let (kind, object) = match event {
        WatchEvent::Added(object) => ("added", object),
        WatchEvent::Modified(object) => ("modified", object),
        WatchEvent::Deleted(object) => ("deleted", object),
        WatchEvent::Bookmark { initial_events_end, .. } => {
            return ("bookmark".into(), initial_events_end.to_string());
        }
        _ => panic!("an event of a new kind"),
    };
    (kind.into(), object.name().into())
}

fn event(kind: &str, name: &str) -> (String, String) {
    (kind.into(), name.into())
}

#[tokio::test(start_paused = true)]
async fn a_watch_goes_on_where_a_list_ended() {
    let kit = five().await;
    let from = kit.revision().await;
    let options = watch_options(|options| {
        options.resource_version = Some(from);
        options.labels = "odd=true".parse().unwrap();
    });
    let mut watch = kit.watch("default", "configmaps", options).await.unwrap();
    kit.merge("default", "configmaps/b", json!({"data": {"k": "w"}})).await.unwrap();
    kit.merge("default", "configmaps/a", json!({"data": {"k": "w"}})).await.unwrap();
    kit.merge("default", "configmaps/b", json!({"metadata": {"labels": {"odd": "true"}}})).await.unwrap();
    kit.merge("default", "configmaps/a", json!({"metadata": {"labels": {"odd": "false"}}})).await.unwrap();
    kit.delete("default", "configmaps/c").await.unwrap();
    assert_eq!(next(&mut watch).await, event("modified", "a"));
    assert_eq!(next(&mut watch).await, event("added", "b"));
    assert_eq!(next(&mut watch).await, event("deleted", "a"));
    assert_eq!(next(&mut watch).await, event("deleted", "c"));
}

#[tokio::test(start_paused = true)]
async fn a_watch_from_nothing_begins_with_what_is_there() {
    let kit = five().await;
    let mut plain = kit.watch("default", "configmaps", watch_options(|_| {})).await.unwrap();
    for name in ["a", "b", "c", "d", "e"] {
        assert_eq!(next(&mut plain).await, event("added", name));
    }
    kit.create("default", "configmaps", config_map("f")).await.unwrap();
    assert_eq!(next(&mut plain).await, event("added", "f"));
    let initial = watch_options(|options| {
        options.send_initial_events = Some(true);
        options.resource_version_match = Some(ResourceVersionMatch::NotOlderThan);
        options.bookmarks = true;
        options.fields = "metadata.name=f".parse().unwrap();
    });
    let mut watch = kit.watch("default", "configmaps", initial).await.unwrap();
    assert_eq!(next(&mut watch).await, event("added", "f"));
    assert_eq!(next(&mut watch).await, event("bookmark", "true"));
    kit.create("default", "configmaps", config_map("g")).await.unwrap();
    assert_eq!(next(&mut watch).await, event("bookmark", "false"), "about once a minute");
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_when_its_time_is_over_or_its_options_are_wrong() {
    let kit = five().await;
    let short = watch_options(|options| {
        options.timeout = Some(std::time::Duration::from_secs(5));
        options.resource_version = Some(Revision::NONE);
        options.fields = "metadata.name=none".parse().unwrap();
    });
    let mut watch = kit.watch("default", "configmaps", short).await.unwrap();
    assert!(watch.next().await.is_none());
    let wrong = watch_options(|options| options.send_initial_events = Some(true));
    let refused = kit.watch("default", "configmaps", wrong).await.err().unwrap().into_status();
    assert_eq!(refused.code, 422);
    assert!(
        refused.message.contains("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_compacted_is_expired() {
    let kit = five().await;
    let first =
        kit.list("default", "configmaps", list_options(|options| options.limit = Some(1))).await.unwrap();
    for turn in 0..3 {
        kit.merge("default", "configmaps/a", json!({"data": {"k": turn.to_string()}})).await.unwrap();
    }
    kit.server.compact(kit.revision().await).await.unwrap();
    let rest = list_options(|options| options.continue_token = first.continue_token.clone());
    let expired = kit.list("default", "configmaps", rest).await.unwrap_err();
    assert!(matches!(expired, Error::Expired(_)), "{expired}");
    assert!(said(&expired).2.starts_with("The provided continue parameter is too old"));
    let token = expired.status().unwrap().metadata.clone().unwrap().continue_;
    let inconsistent = list_options(|options| options.continue_token = token);
    let rest = kit.list("default", "configmaps", inconsistent).await.unwrap();
    assert_eq!(names(&rest), ["b", "c", "d", "e"]);
    let old = watch_options(|options| options.resource_version = Some(first.revision));
    let refused = kit.watch("default", "configmaps", old).await.unwrap().next().await.unwrap().unwrap_err();
    assert!(matches!(refused, Error::Expired(_)), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn an_event_is_one_object_in_two_groups() {
    let kit = kit().await;
    let row = windlass::api::GroupVersionResource::gvr("events.k8s.io", "v1", "events");
    let sent = json!({"metadata": {"name": "e1"}, "regarding": {"kind": "Pod", "name": "a"}, "note": "hello",
        "reason": "Because", "type": "Normal", "action": "Say", "eventTime": "2020-01-01T00:00:00.000000Z",
        "reportingController": "test", "reportingInstance": "t-1"});
    let mut target = kit.at("default", "events");
    target.resource = row;
    windlass::client::ClientExt::create(
        &*kit.client,
        target,
        windlass::client::Payload::Tree(sent),
        windlass::client::WriteOptions::default(),
    )
    .await
    .unwrap();
    let core = kit.get("default", "events/e1").await.unwrap();
    assert_eq!((&core["message"], &core["involvedObject"]["name"]), (&json!("hello"), &json!("a")));
    assert_eq!(core["apiVersion"], "v1");
}
