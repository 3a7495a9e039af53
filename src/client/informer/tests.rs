//! An informer against a scripted server.

use std::collections::VecDeque;

use async_trait::async_trait;
use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use super::super::{Client, Error, Identity, ObjectList, Request, Response, WatchEvent};
use super::*;
use crate::api::{Revision, status};
use crate::env::Env;

/// Answers lists and watches from a script, and remembers from where it was watched. When the
/// script is at its end, watches stay silent.
struct FakeServer {
    lists: Mutex<VecDeque<(u64, Vec<Object>)>>,
    watches: Mutex<VecDeque<Vec<Result<WatchEvent, Error>>>>,
    watched_from: Mutex<Vec<u64>>,
    identity: Identity,
}

#[async_trait]
impl Client for FakeServer {
    async fn call(&self, request: Request) -> Result<Response, Error> {
        match request {
            Request::List { .. } => {
                let (revision, items) = self.lists.lock().unwrap().pop_front().unwrap();
                let resource = Arc::new(Resource::of::<Pod>());
                let revision = Revision(revision);
                Ok(Response::List(ObjectList {
                    resource,
                    revision,
                    items,
                    continue_token: None,
                    remaining: None,
                }))
            }
            Request::Watch { options, .. } => {
                self.watched_from.lock().unwrap().push(options.resource_version.unwrap().0);
                let script = self.watches.lock().unwrap().pop_front();
                Ok(Response::Watch(match script {
                    Some(events) => futures_util::stream::iter(events).boxed(),
                    None => futures_util::stream::pending().boxed(),
                }))
            }
            _ => unreachable!("an informer lists and watches"),
        }
    }

    fn identity(&self) -> &Identity {
        &self.identity
    }
}

fn pod(name: &str, node: &str, revision: u64) -> Object {
    let tree = json!({"metadata": {"name": name, "namespace": "default"}, "spec": {"nodeName": node}});
    Object::from_tree(Arc::new(Resource::of::<Pod>()), Revision(revision), tree).unwrap()
}

type Script = Vec<Result<WatchEvent, Error>>;

async fn run(
    lists: Vec<(u64, Vec<Object>)>,
    watches: Vec<Script>,
    until: u64,
) -> (Vec<String>, Vec<u64>, Informer<Pod>) {
    let server = Arc::new(FakeServer {
        lists: Mutex::new(lists.into()),
        watches: Mutex::new(watches.into()),
        watched_from: Mutex::default(),
        identity: Identity::admin(),
    });
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = told.clone();
    let informer = Informer::<Pod>::builder(server.clone())
        .index("node", |pod| pod.spec.iter().filter_map(|spec| spec.node_name.clone()).collect())
        .on_change(move |change| {
            tell.lock().unwrap().push(match change {
                Change::Applied { old, object, .. } => {
                    format!(
                        "{} {}@{}",
                        if old.is_some() { "changed" } else { "came" },
                        object.name(),
                        object.revision()
                    )
                }
                Change::Deleted { object, .. } => format!("went {}", object.name()),
                Change::Synced => "synced".to_owned(),
            });
        })
        .start(&Env::simulated(1));
    informer.reached(Revision(until)).await;
    let told = told.lock().unwrap().clone();
    let from = server.watched_from.lock().unwrap().clone();
    (told, from, informer)
}

#[tokio::test(start_paused = true)]
async fn lists_then_follows_and_indexes() {
    let events = vec![
        Ok(WatchEvent::Added(pod("b", "n2", 6))),
        Ok(WatchEvent::Modified(pod("a", "n2", 7))),
        Ok(WatchEvent::Deleted(pod("b", "n2", 8))),
    ];
    let (told, from, informer) = run(vec![(5, vec![pod("a", "n1", 3)])], vec![events], 8).await;
    assert_eq!(told, ["came a@3", "synced", "came b@6", "changed a@7", "went b"]);
    assert_eq!(from[0], 5);
    assert_eq!(informer.by_index("node", "n2").len(), 1);
    assert!(informer.by_index("node", "n1").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_breaks_is_resumed_where_it_stood() {
    let broken = || Error::from(status::unavailable("going away"));
    let first = vec![Ok(WatchEvent::Added(pod("a", "n", 6))), Err(broken())];
    let second = vec![Ok(WatchEvent::Bookmark { revision: Revision(9), initial_events_end: false })];
    let (told, from, _) = run(vec![(5, vec![])], vec![first, second], 9).await;
    assert_eq!(told, ["synced", "came a@6"]);
    assert_eq!(from[..2], [5, 6]);
}

#[tokio::test(start_paused = true)]
async fn what_an_expired_watch_missed_is_told_as_changes() {
    let expired = vec![Err(Error::from(status::expired("too old resource version")))];
    let lists = vec![
        (5, vec![pod("a", "n", 1), pod("b", "n", 2), pod("c", "n", 3)]),
        (20, vec![pod("a", "n", 1), pod("b", "n", 12), pod("d", "n", 14)]),
    ];
    let (told, _, informer) = run(lists, vec![expired], 20).await;
    assert_eq!(told, ["came a@1", "came b@2", "came c@3", "synced", "went c", "changed b@12", "came d@14"]);
    assert_eq!(informer.keys().iter().map(|key| key.name.as_str()).collect::<Vec<_>>(), ["a", "b", "d"]);
}

#[tokio::test(start_paused = true)]
async fn a_late_handler_hears_first_what_is_there() {
    let (_, _, informer) = run(vec![(5, vec![pod("a", "n", 1)])], vec![], 5).await;
    let mut keys = informer.changed_keys();
    assert_eq!(keys.recv().await.unwrap().name, "a");
}
