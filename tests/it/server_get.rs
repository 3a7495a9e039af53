//! Reading one object: as of which revision, and by which name.
//!
//! The cases are those of `RunTestGet`, of `TestStoreListResourceVersion` and, for names, of `RunTestKeySchema` and `NamespaceKeyFunc` of
//! `k8s.io/apiserver` (1.36).

use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::json;
use windlass::api::{Object, Revision};
use windlass::client::{Client, Error, GetOptions, Request, ResourceVersionMatch, Response};

use super::server_kit::*;

async fn get_at(kit: &Kit, path: &str, revision: Option<Revision>) -> Result<Object, Error> {
    let mut options = GetOptions::default();
    options.resource_version = revision;
    match kit.client.call(Request::Get { target: kit.at("default", path), options }).await? {
        Response::Object(object) => Ok(object),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_get_is_not_older_than_it_is_asked_to_be() {
    let kit = kit().await;
    let created = kit.config_map("foo").await;
    kit.merge("default", "configmaps/foo", json!({"data": {"k": "w"}})).await.unwrap();
    let stored = get_at(&kit, "configmaps/foo", None).await.unwrap();
    let newest = kit.config_map("bar").await;
    assert!(created < stored.revision() && stored.revision() < newest);
    let ahead = Revision(newest.0 + 1);
    let most = Revision(i64::MAX as u64);
    for path in ["configmaps/foo", "configmaps/none"] {
        for (story, asked) in [
            ("no revision", None),
            ("0", Some(Revision::NONE)),
            ("that of its creation", Some(created)),
            ("its own", Some(stored.revision())),
            ("that of another's creation", Some(newest)),
        ] {
            match get_at(&kit, path, asked).await {
                Ok(got) => assert_eq!((path, &got), ("configmaps/foo", &stored), "{story}"),
                Err(error) => {
                    let words = (404, "NotFound", r#"configmaps "none" not found"#);
                    assert_eq!((path, said(&error)), ("configmaps/none", words), "{story}");
                }
            }
        }
        for asked in [ahead, most] {
            let error = get_at(&kit, path, Some(asked)).await.unwrap_err();
            let words = format!("Timeout: Too large resource version: {asked}, current: {newest}");
            assert_eq!(said(&error), (504, "Timeout", words.as_str()), "{path}");
            let details = error.status().unwrap().details.clone().unwrap();
            let causes: Vec<_> = details.causes.iter().map(|it| (&*it.reason, &*it.message)).collect();
            assert_eq!(causes, [("ResourceVersionTooLarge", "Too large resource version")], "{path}");
            assert_eq!(details.retry_after_seconds, 1, "{path}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_revision_that_is_about_to_happen_is_waited_for() {
    let kit = kit().await;
    let clock = kit.server.env().clock.clone();
    let read = async |how: &str, asked: Revision| -> Result<Revision, Error> {
        let list_at = |meant, limit| {
            list_options(|options| {
                options.resource_version = Some(asked);
                options.resource_version_match = meant;
                options.limit = limit;
            })
        };
        let list = async |options| Ok(kit.list("", "configmaps", options).await?.revision);
        match how {
            "get" => get_at(&kit, "configmaps/a", Some(asked)).await.map(|_| asked),
            "list" => list(list_at(None, None)).await,
            "list not older" => list(list_at(Some(ResourceVersionMatch::NotOlderThan), None)).await,
            "list exactly" => list(list_at(Some(ResourceVersionMatch::Exact), None)).await,
            "list a part" => list(list_at(None, Some(1))).await,
            "watch" => {
                let options = watch_options(|options| {
                    options.resource_version = Some(asked);
                    options.send_initial_events = Some(true);
                    options.resource_version_match = Some(ResourceVersionMatch::NotOlderThan);
                });
                let first = kit.watch("default", "configmaps", options).await?.next().await;
                first.unwrap().map(|_| asked)
            }
            _ => panic!("{how}"),
        }
    };
    kit.config_map("a").await;
    for how in ["get", "list", "list not older", "list exactly", "list a part", "watch"] {
        let asked = kit.revision().await.next();
        let write = async {
            clock.sleep(Duration::from_secs(2)).await;
            kit.merge("default", "configmaps/a", json!({"data": {"k": how}})).await.unwrap()
        };
        let (read_at, _) = tokio::join!(read(how, asked), write);
        assert_eq!(read_at.unwrap(), asked, "{how}");
        // Nobody writes: three seconds are what Kubernetes waits.
        let begun = clock.now();
        assert_eq!(said(&read(how, asked.next()).await.unwrap_err()).0, 504, "{how}");
        assert_eq!(clock.now().duration_since(begun).as_secs(), 3, "{how}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_no_part_of_a_path_names_nothing() {
    let kit = kit().await;
    kit.config_map("a").await;
    let rows = [
        ("", "Name parameter required."),
        ("/", r#"Name parameter invalid: "/": may not contain '/'"#),
        (".", r#"Name parameter invalid: ".": may not be '.'"#),
        ("..", r#"Name parameter invalid: "..": may not be '..'"#),
        ("../a", r#"Name parameter invalid: "../a": may not contain '/'"#),
        ("a%2Fb", r#"Name parameter invalid: "a%2Fb": may not contain '%'"#),
        ("a/b%", r#"Name parameter invalid: "a/b%": may not contain '/';may not contain '%'"#),
    ];
    let (patch, write) = (json!({}), write_options(|_| {}));
    for (name, words) in rows {
        for (plural, namespace) in [("configmaps", "default"), ("nodes", "")] {
            let target = kit.at(namespace, plural).name(name);
            let body = || windlass::client::Payload::Tree(json!({"metadata": {"name": name}}));
            let get = Request::Get { target: target.clone(), options: GetOptions::default() };
            let update = Request::Update { target: target.clone(), object: body(), options: write.clone() };
            let delete = Request::Delete { target: target.clone(), options: delete_options(|_| {}) };
            let kind = windlass::client::PatchType::Merge;
            let patch = windlass::client::Patch { kind, body: patch.to_string().into(), force: false };
            let patch = Request::Patch { target, patch, options: write.clone() };
            for request in [get, update, delete, patch] {
                let story = format!("{request:?}");
                let refused = kit.client.call(request).await.unwrap_err();
                assert_eq!(said(&refused), (400, "BadRequest", words), "{story}");
            }
        }
        // A name that is to be is judged by its kind's rule; a role's is that it be a part of a path.
        for (plural, namespace) in [("configmaps", "default"), ("clusterroles", "")] {
            let tree = json!({"metadata": {"name": name}});
            let refused = status_of(kit.create(namespace, plural, tree).await);
            assert_eq!((refused.code, refused.reason.as_str()), (422, "Invalid"), "{plural} {name:?}");
            let field = refused.details.unwrap().causes.first().map(|cause| cause.field.clone());
            assert_eq!(field.as_deref(), Some("metadata.name"), "{plural} {name:?}");
        }
    }
    assert_eq!(kit.names("default", "configmaps").await, ["a"]);
}
