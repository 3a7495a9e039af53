//! Lists that go on: where a continue token leads, and what may happen meanwhile.
//!
//! The cases are those of `RunTestListPaging`, `…ListContinuation*`, `…ListInconsistentContinuation`,
//! `…ListPaginationRareObject`, `…ListResourceVersionMatch` and `…GetListRecursivePrefix` of
//! `k8s.io/apiserver/pkg/storage/testing` (1.36).

use serde_json::{Value, json};
use windlass::api::Revision;
use windlass::client::{Error, ListOptions, ObjectList, ResourceVersionMatch};

use super::server_kit::*;
use super::server_list::token;
use crate::support::get;

fn keys(list: &ObjectList) -> Vec<String> {
    list.items.iter().map(|object| object.key().to_string()).collect()
}

fn part(limit: u64, token: Option<&String>) -> ListOptions {
    list_options(|options| {
        options.limit = Some(limit).filter(|limit| *limit > 0);
        options.continue_token = token.cloned();
    })
}

fn at(options: &ListOptions, revision: Revision, meant: ResourceVersionMatch) -> ListOptions {
    let mut options = options.clone();
    (options.resource_version, options.resource_version_match) = (Some(revision), Some(meant));
    options
}

/// `first/bar`, `second/bar` and `second/foo`, and the revision of the last.
async fn three() -> (Kit, Revision) {
    let kit = placed_kit(&["first", "second"]).await;
    for (namespace, name) in [("first", "bar"), ("second", "bar"), ("second", "foo")] {
        kit.put(namespace, &format!("slots/{name}"), placed(name, "")).await;
    }
    let newest = kit.revision().await;
    (kit, newest)
}

#[tokio::test(start_paused = true)]
async fn each_part_goes_on_behind_the_one_before() {
    let (kit, newest) = three().await;
    let first = kit.list("", "slots", part(1, None)).await.unwrap();
    assert_eq!((keys(&first), first.revision), (vec!["first/bar".to_owned()], newest));
    kit.put("second", "slots/late", placed("late", "")).await;
    let rest = kit.list("", "slots", part(0, first.continue_token.as_ref())).await.unwrap();
    assert_eq!((keys(&rest), rest.continue_token), (vec!["second/bar".into(), "second/foo".into()], None));
    let second = kit.list("", "slots", part(1, first.continue_token.as_ref())).await.unwrap();
    assert_eq!((keys(&second), second.revision), (vec!["second/bar".into()], newest));
    let third = kit.list("", "slots", part(1, second.continue_token.as_ref())).await.unwrap();
    assert_eq!((keys(&third), third.revision), (vec!["second/foo".into()], newest));
    assert_eq!((third.continue_token, third.remaining), (None, None));
}

#[tokio::test(start_paused = true)]
async fn a_list_goes_on_inconsistently_where_its_revision_is_gone() {
    let (kit, _) = three().await;
    let first = kit.list("", "slots", part(1, None)).await.unwrap();
    let updated = kit.put("second", "slots/foo", placed("foo", "new")).await.revision();
    kit.server.compact(updated).await.unwrap();
    for limit in [0, 1] {
        let expired = kit.list("", "slots", part(limit, first.continue_token.as_ref())).await.unwrap_err();
        assert!(matches!(expired, Error::Expired(_)), "{expired}");
        let words = "The provided continue parameter is too old to display a consistent list result. You can \
                     start a new list without the continue parameter, or use the continue token in this response \
                     to retrieve the remainder of the results. Continuing with the provided token results in an \
                     inconsistent list - objects that were created, modified, or deleted between the time the \
                     first chunk was returned and now may show up in the list.";
        assert_eq!(said(&expired), (410, "Expired", words));
        let inconsistent = expired.status().unwrap().metadata.clone().unwrap().continue_;
        assert_eq!(inconsistent.as_ref(), Some(&token("first/bar\0", -1)));
        let second = kit.list("", "slots", part(1, inconsistent.as_ref())).await.unwrap();
        assert_eq!((keys(&second), second.remaining), (vec!["second/bar".into()], Some(1)));
        assert!(second.revision >= updated);
        // From here on it is of one revision again.
        let resolved = i64::try_from(second.revision.0).unwrap();
        assert_eq!(second.continue_token, Some(token("second/bar\0", resolved)));
        kit.config_map(&format!("later-{limit}")).await;
        let third = kit.list("", "slots", part(1, second.continue_token.as_ref())).await.unwrap();
        assert_eq!((keys(&third), third.revision), (vec!["second/foo".into()], second.revision));
        assert_eq!((third.items[0].revision(), third.continue_token), (updated, None));
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_at_resource_version_zero_is_none() {
    let (kit, newest) = three().await;
    for meant in [None, Some(ResourceVersionMatch::NotOlderThan)] {
        let mut options = part(1, None);
        (options.resource_version, options.resource_version_match) = (Some(Revision::NONE), meant);
        let all = kit.list("", "slots", options.clone()).await.unwrap();
        assert_eq!(keys(&all), ["first/bar", "second/bar", "second/foo"]);
        assert_eq!((all.revision, all.continue_token, all.remaining), (newest, None, None));
        if meant.is_none() {
            let first = kit.list("", "slots", part(1, None)).await.unwrap();
            options.continue_token = first.continue_token;
            let rest = kit.list("", "slots", options).await.unwrap();
            assert_eq!(
                (keys(&rest), rest.continue_token),
                (vec!["second/bar".into(), "second/foo".into()], None)
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_of_one_name_is_of_what_is_now_though_it_has_a_limit() {
    let (kit, before) = three().await;
    let updated = kit.put("second", "slots/foo", placed("foo", "new")).await.revision();
    // What the selectors leave, asked with a limit and a revision, and whether it means that revision.
    let rows = [
        ("second", "metadata.name=foo", false),
        ("", "metadata.namespace=second,metadata.name=foo", false),
        ("", "metadata.name=foo", true),
        ("second", "metadata.name!=bar", true),
        ("second", "", true),
    ];
    for (namespace, fields, exact) in rows {
        let mut options = part(5, None);
        options.fields = fields.parse().unwrap();
        options.resource_version = Some(before);
        let list = kit.list(namespace, "slots", options.clone()).await.unwrap();
        let last = list.items.last().unwrap();
        assert_eq!(last.key().to_string(), "second/foo", "{namespace:?} {fields}");
        let (at, of) = if exact { (before, before) } else { (updated, updated) };
        assert_eq!((list.revision, last.revision()), (at, of), "{namespace:?} {fields}");
        // A token is read all the same.
        options.continue_token = Some("not a token".into());
        let refused = kit.list(namespace, "slots", options.clone()).await.unwrap_err();
        assert_eq!(said(&refused).0, 400, "{namespace:?} {fields}");
        // What says exact means it.
        options.continue_token = None;
        options.resource_version_match = Some(ResourceVersionMatch::Exact);
        let list = kit.list(namespace, "slots", options).await.unwrap();
        assert_eq!(list.items.last().unwrap().revision(), before, "{namespace:?} {fields}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rare_object_is_found_at_once_though_it_is_the_last() {
    let kit = kit().await;
    let mut last = Revision::NONE;
    for number in 0..1000 {
        let mut map = config_map(&format!("map-{number:03}"));
        map["metadata"]["labels"]["rare"] = (number == 999).to_string().into();
        kit.create("default", "configmaps", map).await.unwrap();
        if number == 998 {
            last = kit.revision().await;
        }
    }
    for namespace in ["", "default"] {
        for (labels, fields) in [("", "metadata.name=map-999"), ("rare=true", "")] {
            let options = list_options(|options| {
                options.limit = Some(1);
                options.labels = labels.parse().unwrap();
                options.fields = fields.parse().unwrap();
            });
            let list = kit.list(namespace, "configmaps", options.clone()).await.unwrap();
            assert_eq!(keys(&list), ["default/map-999"], "{namespace:?}, {labels}{fields}");
            assert_eq!(
                (list.continue_token, list.remaining),
                (None, None),
                "{namespace:?}, {labels}{fields}"
            );
            let before = kit
                .list(namespace, "configmaps", at(&options, last, ResourceVersionMatch::Exact))
                .await
                .unwrap();
            assert_eq!(
                (keys(&before), before.continue_token),
                (vec![], None),
                "{namespace:?}, {labels}{fields}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_asked_again_at_its_revision_is_the_same() {
    let kit = kit().await;
    let put = async |number: usize| {
        let mut map = config_map(&format!("map-{number}"));
        map["metadata"]["labels"]["even"] = number.is_multiple_of(2).to_string().into();
        kit.create("default", "configmaps", map).await.unwrap();
    };
    for number in 0..7 {
        put(number).await;
    }
    let rows = [(None, "even=true"), (Some(3), "even=true"), (Some(4), ""), (None, "")];
    for (number, (limit, labels)) in (7..).zip(rows) {
        let options = list_options(|options| {
            options.limit = limit;
            options.labels = labels.parse().unwrap();
        });
        let once = kit.list("", "configmaps", options.clone()).await.unwrap();
        assert!(once.items.len() >= 3);
        let all = |list: &ObjectList| {
            (list.items.clone(), list.revision, list.continue_token.clone(), list.remaining)
        };
        // Meanwhile objects come, change and go.
        put(number).await;
        kit.merge("default", "configmaps/map-1", json!({"data": {"k": number.to_string()}})).await.unwrap();
        kit.delete("default", &format!("configmaps/map-{number}")).await.unwrap();
        let again = at(&options, once.revision, ResourceVersionMatch::Exact);
        assert_eq!(all(&once), all(&kit.list("", "configmaps", again).await.unwrap()), "{limit:?} {labels}");
        let newer = at(&options, once.revision, ResourceVersionMatch::NotOlderThan);
        let newer = kit.list("", "configmaps", newer).await.unwrap();
        assert!(newer.revision >= once.revision);
        let again = at(&options, newer.revision, ResourceVersionMatch::Exact);
        assert_eq!(all(&newer), all(&kit.list("", "configmaps", again).await.unwrap()), "{limit:?} {labels}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_begins_alike_is_kept_apart() {
    let kit = placed_kit(&["foo", "foobar", "foo-bar"]).await;
    for key in ["foo/x", "foo/x-y", "foo/xy", "foobar/x", "foo-bar/x"] {
        let (namespace, name) = key.split_once('/').unwrap();
        kit.put(namespace, &format!("slots/{name}"), placed(name, "")).await;
    }
    let newest = kit.revision().await;
    let everything = ["foo-bar/x", "foo/x", "foo/x-y", "foo/xy", "foobar/x"];
    let rows: [(&str, &str, &[&str]); 8] = [
        ("", "", &everything),
        ("foo", "", &everything[1..4]),
        ("foobar", "", &everything[4..]),
        ("foo-bar", "", &everything[..1]),
        ("fo", "", &[]),
        ("foo", "metadata.name=x", &everything[1..2]),
        ("foo", "metadata.name=x-", &[]),
        ("", "metadata.namespace=foo", &everything[1..4]),
    ];
    for (namespace, fields, expected) in rows {
        for (at, meant) in [
            (None, None),
            (Some(newest), Some(ResourceVersionMatch::Exact)),
            (Some(Revision::NONE), Some(ResourceVersionMatch::NotOlderThan)),
        ] {
            let mut options = list_options(|options| {
                options.fields = fields.parse().unwrap();
                options.resource_version = at;
                options.resource_version_match = meant;
            });
            let story = format!("{namespace:?}, {fields:?}, {at:?}");
            let whole = kit.list(namespace, "slots", options.clone()).await.unwrap();
            assert_eq!(keys(&whole), expected, "{story}");
            // Part by part it is the same.
            options.limit = Some(1);
            let mut seen = Vec::new();
            loop {
                let list = kit.list(namespace, "slots", options.clone()).await.unwrap();
                seen.extend(keys(&list));
                if list.continue_token.is_none() {
                    break;
                }
                options.continue_token = list.continue_token;
                (options.resource_version, options.resource_version_match) = (None, None);
            }
            assert_eq!(seen, expected, "{story}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn over_http_tokens_are_the_same() {
    let (kit, newest) = three().await;
    let revision = i64::try_from(newest.0).unwrap();
    let list = async |path: &str| get(&kit.server, &format!("/apis/example.com/v1/{path}"), &[]).await.json();
    let second = "namespaces/second/slots";
    let rows = [
        ("slots?limit=1", json!({"continue": token("first/bar\0", revision), "remainingItemCount": 2})),
        (
            &format!("{second}?limit=1"),
            json!({"continue": token("bar\0", revision), "remainingItemCount": 1}),
        ),
        ("slots?limit=1&fieldSelector=spec.nodeName%3D", json!({"continue": token("first/bar\0", revision)})),
        ("slots?limit=2&labelSelector=!none", json!({"continue": token("second/bar\0", revision)})),
        (&format!("{second}?limit=1&continue={}", token("foo", revision)), json!({})),
        (&format!("{second}?continue={}", token("bar\0", -1)), json!({})),
        ("slots", json!({})),
    ];
    for (path, mut expected) in rows {
        expected["resourceVersion"] = newest.to_string().into();
        assert_eq!(list(path).await["metadata"], expected, "{path}");
    }
    kit.server.compact(kit.config_map("other").await).await.unwrap();
    let expired: Value = list(&format!("{second}?continue={}", token("bar\0", revision))).await;
    assert_eq!((&expired["code"], &expired["reason"]), (&json!(410), &json!("Expired")));
    assert_eq!(expired["metadata"], json!({"continue": token("bar\0", -1)}));
}
