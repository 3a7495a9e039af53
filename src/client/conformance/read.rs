//! Reads.

use bytes::Bytes;
use futures_util::StreamExt as _;

use super::world::{World, names, reason, said, value};
use crate::api::GroupVersionResource;
use crate::client::{ClientExt, ListOptions, Request, ResourceVersionMatch, Response, Target, WatchOptions};

pub(super) async fn what_is_written_is_listed(world: World) {
    for number in 0..20 {
        let name = format!("m{number:02}");
        world.make(&name, "1").await;
        let written = world.set(&name, "2").await;
        let list = world.list(|_| {}).await;
        assert!(list.items.contains(&written), "{name}");
        assert!(list.revision >= written.revision());
        world.delete(&name).await.unwrap();
        assert!(!names(&world.list(|_| {}).await).contains(&&*name));
    }
}

pub(super) async fn lists_are_in_order_and_of_one_revision(world: World) {
    for name in ["b", "c.d", "a", "c-d", "c"] {
        world.make(name, "1").await;
    }
    let list = world.list(|_| {}).await;
    assert_eq!(names(&list), ["a", "b", "c", "c-d", "c.d"]);
    let newest = list.items.iter().map(crate::api::Object::revision).max().unwrap();
    assert!(list.revision >= newest && list.continue_token.is_none());
    assert_eq!(list.resource.kind, "ConfigMap");
}

pub(super) async fn a_name_selects_one(world: World) {
    for name in ["a", "b", "c"] {
        world.make(name, "1").await;
    }
    let list = world.client.list(world.map("b"), ListOptions::default()).await.unwrap();
    assert_eq!(names(&list), ["b"]);
    let options = WatchOptions { resource_version: Some(list.revision), ..WatchOptions::default() };
    let mut events = world.client.watch(world.map("b"), options).await.unwrap();
    world.set("a", "2").await;
    world.set("b", "2").await;
    let event = events.next().await.unwrap().unwrap();
    assert!(
        matches!(&event, crate::client::WatchEvent::Modified(object) if object.name() == "b"),
        "{event:?}"
    );
}

pub(super) async fn selectors_select(world: World) {
    for (name, label) in [("a", "x"), ("b", "y"), ("c", "x")] {
        world.make_labelled(name, label).await;
    }
    let list = world.list(|options| options.labels = "of in (x), of notin (z)".parse().unwrap()).await;
    assert_eq!(names(&list), ["a", "c"]);
    let list = world.list(|options| options.fields = "metadata.name=b".parse().unwrap()).await;
    assert_eq!(names(&list), ["b"]);
    let list = world.list(|options| options.labels = "!of".parse().unwrap()).await;
    assert_eq!(names(&list), [""; 0]);
}

pub(super) async fn pages_make_the_whole(world: World) {
    for number in 0..7 {
        world.make_labelled(&format!("m{number}"), "page").await;
    }
    let of_test = |options: &mut crate::client::ListOptions| {
        options.labels = "of=page".parse().unwrap();
        options.fields = Default::default();
        options.limit = Some(3);
    };
    let mut page = world.list(of_test).await;
    let (revision, mut found) = (page.revision, Vec::new());
    world.delete("m6").await.unwrap();
    loop {
        assert!(page.items.len() <= 3 && page.revision == revision);
        found.extend(page.items.iter().map(|item| item.name().to_owned()));
        let Some(token) = page.continue_token else { break };
        page = world
            .list(|options| {
                of_test(options);
                options.continue_token = Some(token);
            })
            .await;
    }
    let all: Vec<_> = (0..7).map(|number| format!("m{number}")).collect();
    assert_eq!(found, all, "what was there when the first page was read");
}

pub(super) async fn an_exact_revision_is_read_as_it_was(world: World) {
    world.make("a", "1").await;
    let then = world.revision().await;
    world.set("a", "2").await;
    world.make("b", "1").await;
    let list = world
        .list(|options| {
            options.resource_version = Some(then);
            options.resource_version_match = Some(ResourceVersionMatch::Exact);
        })
        .await;
    assert_eq!((names(&list), value(&list.items[0]).as_str(), list.revision), (vec!["a"], "1", then));
    let list = world
        .list(|options| {
            options.resource_version = Some(then);
            options.resource_version_match = Some(ResourceVersionMatch::NotOlderThan);
        })
        .await;
    assert!(list.revision >= then);
}

pub(super) async fn unknown_resources_are_not_found(world: World) {
    let target = Target {
        resource: GroupVersionResource::gvr("nowhere.example.com", "v1", "things"),
        namespace: Some(world.namespace.clone()),
        name: Some("a".into()),
        subresource: None,
    };
    assert_eq!(said(world.client.get(target).await), reason(404, "NotFound"));
}

pub(super) async fn raw_requests_are_passed_on(world: World) {
    let ask = async |path: &str| {
        let request = http::Request::get(path).body(Bytes::new()).unwrap();
        let Response::Raw(response) = world.client.call(Request::Raw(request)).await.unwrap() else {
            panic!("a raw request is answered raw")
        };
        let (parts, mut body) = response.into_parts();
        let mut text = Vec::new();
        while let Some(piece) = body.next().await {
            text.extend_from_slice(&piece.unwrap());
        }
        (parts.status.as_u16(), String::from_utf8(text).unwrap())
    };
    let (code, version) = ask("/version").await;
    assert!(code == 200 && version.contains("\"major\""), "{code} {version}");
    let (code, text) = ask(&format!("/api/v1/namespaces/{}/configmaps/none", world.namespace)).await;
    assert!(code == 404 && text.contains("configmaps \\\"none\\\" not found"), "{code} {text}");
}
