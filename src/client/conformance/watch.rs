//! Watches.

use std::time::Duration;

use futures_util::StreamExt as _;

use super::world::{World, value};
use crate::api::{Object, Revision};
use crate::client::{WatchEvent, WatchStream};

/// The next event, in short: what, which, and which value.
async fn next(events: &mut WatchStream) -> (&'static str, Object) {
    loop {
        match events.next().await.expect("the watch goes on").expect("without an error") {
            WatchEvent::Added(object) => return ("added", object),
            WatchEvent::Modified(object) => return ("modified", object),
            WatchEvent::Deleted(object) => return ("deleted", object),
            WatchEvent::Bookmark { .. } => {}
        }
    }
}

async fn shown(events: &mut WatchStream) -> String {
    let (what, object) = next(events).await;
    format!("{what} {}", object.name())
}

pub(super) async fn a_watch_goes_on_from_a_revision(world: World) {
    world.make("a", "1").await;
    let from = world.revision().await;
    for number in 0..50 {
        world.set("a", &format!("v{number}")).await;
    }
    world.delete("a").await.unwrap();
    let mut events = world.watch(|options| options.resource_version = Some(from)).await;
    let mut last = from;
    let middle = {
        let mut seen = Revision::NONE;
        for number in 0..50 {
            let (what, object) = next(&mut events).await;
            assert_eq!((what, value(&object)), ("modified", format!("v{number}")));
            assert!(object.revision() > last);
            last = object.revision();
            if number == 24 {
                seen = last;
            }
        }
        seen
    };
    assert_eq!(shown(&mut events).await, "deleted a");
    drop(events);
    // Whoever has seen the first half goes on with the second.
    let mut events = world.watch(|options| options.resource_version = Some(middle)).await;
    assert_eq!(value(&next(&mut events).await.1), "v25");
}

pub(super) async fn a_watch_shows_what_comes_and_goes(world: World) {
    world.make_labelled("a", "y").await;
    let from = world.revision().await;
    let mut events = world
        .watch(|options| {
            options.labels = "of=x".parse().unwrap();
            options.resource_version = Some(from);
        })
        .await;
    world.label("a", "x").await;
    world.set("a", "2").await;
    world.label("a", "y").await;
    world.set("a", "3").await;
    world.make_labelled("b", "x").await;
    for expected in ["added a", "modified a", "deleted a", "added b"] {
        assert_eq!(shown(&mut events).await, expected);
    }
}

pub(super) async fn a_watch_begins_with_what_is_there(world: World) {
    world.make("a", "1").await;
    world.make("b", "1").await;
    let mut events = world.watch(|_| {}).await;
    let mut first = [shown(&mut events).await, shown(&mut events).await];
    first.sort();
    assert_eq!(first, ["added a", "added b"]);
    world.set("a", "2").await;
    assert_eq!(shown(&mut events).await, "modified a");
}

pub(super) async fn initial_events_have_an_end(world: World) {
    let made = world.make("a", "1").await;
    let mut events = world
        .watch(|options| {
            options.send_initial_events = Some(true);
            options.bookmarks = true;
            options.resource_version_match = Some(crate::client::ResourceVersionMatch::NotOlderThan);
        })
        .await;
    let first = events.next().await.unwrap().unwrap();
    assert!(matches!(&first, WatchEvent::Added(object) if *object == made), "{first:?}");
    let second = events.next().await.unwrap().unwrap();
    let WatchEvent::Bookmark { revision, initial_events_end: true } = second else { panic!("{second:?}") };
    assert!(revision >= made.revision());
    world.set("a", "2").await;
    assert_eq!(shown(&mut events).await, "modified a");
}

pub(super) async fn a_watch_ends_in_its_time(world: World) {
    let from = world.revision().await;
    let mut events = world
        .watch(|options| {
            options.resource_version = Some(from);
            options.timeout = Some(Duration::from_secs(1));
        })
        .await;
    while let Some(event) = events.next().await {
        assert!(matches!(event, Ok(WatchEvent::Bookmark { .. })), "{event:?}");
    }
}

pub(super) async fn a_deletion_is_told_with_the_last_state(world: World) {
    let made = world.make("a", "1").await;
    let mut events = world.watch(|options| options.resource_version = Some(made.revision())).await;
    let last = world.set("a", "2").await;
    world.delete("a").await.unwrap();
    let after = world.revision().await;
    assert_eq!(shown(&mut events).await, "modified a");
    let (what, object) = next(&mut events).await;
    assert_eq!((what, value(&object).as_str(), object.uid()), ("deleted", "2", made.uid()));
    assert!(object.revision() > last.revision() && object.revision() <= after);
}
