//! Informers: a local, indexed, current copy of many objects.
//!
//! An informer lists once, then watches from the revision of that list. A watch that breaks is
//! resumed from the last revision seen; one whose revision has expired starts over with a list,
//! and what changed meanwhile is told as changes, not as news. Handlers are called by the
//! informer's own task, in the order of revisions, after the copy has changed; they must not wait.
//!
//! # Reading what one wrote
//!
//! A writer that got revision `r` for an object of this resource may wait for
//! [`Informer::reached`]`(r)`: then the copy holds the write. No other bookkeeping is needed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::{Notify, mpsc};

use super::{Client, ClientExt, Error, ListOptions, Target, Typed, WatchEvent, WatchOptions};
use crate::api::selector::{FieldSelector, LabelSelector};
use crate::api::{Object, ObjectKey, Resource, Revision};
use crate::env::{Env, Stream};

/// How long after a failure the next attempt starts, at first and at most; each failure doubles it
/// (client-go's reflector: 800 ms to 30 s, with jitter).
const BACKOFF: (Duration, Duration) = (Duration::from_millis(800), Duration::from_secs(30));

/// A local copy of many objects that follows them. Clones share it; its task ends with the task
/// group it was started in.
pub struct Informer<K>(Arc<Shared<K>>);

/// What is to be copied, and how it is to be found.
pub struct InformerBuilder<K> {
    client: Arc<dyn Client>,
    resource: Arc<Resource>,
    namespace: String,
    labels: LabelSelector,
    fields: FieldSelector,
    indexes: Vec<Index<K>>,
    handlers: Vec<Handler<K>>,
}

/// What changed in the copy.
#[derive(Debug)]
pub enum Change<K> {
    /// An object came, or changed.
    Applied {
        /// What it was, if it was there.
        old: Option<Arc<K>>,
        /// What it is.
        new: Arc<K>,
        /// The same, untyped.
        object: Object,
    },
    /// An object went; this is its last state.
    Deleted {
        /// The last state.
        old: Arc<K>,
        /// The same, untyped.
        object: Object,
    },
    /// The first list is in: all that came before is what was there, all that follows is news.
    Synced,
}

type Handler<K> = Box<dyn FnMut(&Change<K>) + Send>;
type IndexFn<K> = Box<dyn Fn(&K) -> Vec<String> + Send + Sync>;

struct Index<K> {
    name: &'static str,
    values: IndexFn<K>,
}

struct Shared<K> {
    resource: Arc<Resource>,
    indexes: Vec<Index<K>>,
    copy: RwLock<Copy<K>>,
    /// Held while the copy changes and the change is told, so that a new handler misses nothing.
    handlers: Mutex<Vec<Handler<K>>>,
    moved: Notify,
}

struct Copy<K> {
    entries: BTreeMap<ObjectKey, Entry<K>>,
    postings: Vec<BTreeMap<String, BTreeSet<ObjectKey>>>,
    revision: Revision,
    synced: bool,
}

struct Entry<K> {
    object: Object,
    value: Arc<K>,
}

impl<K> Informer<K>
where
    K: Typed + kube_core::Resource<DynamicType = ()>,
    K::Scope: 'static,
{
    /// An informer of every object of a type.
    pub fn builder(client: Arc<dyn Client>) -> InformerBuilder<K> {
        Self::of(client, Arc::new(Resource::of::<K>()))
    }
}

impl<K: Typed> Informer<K> {
    /// An informer of every object of this row, whatever type they are read as.
    pub fn of(client: Arc<dyn Client>, resource: Arc<Resource>) -> InformerBuilder<K> {
        InformerBuilder {
            client,
            resource,
            namespace: String::new(),
            labels: LabelSelector::default(),
            fields: FieldSelector::default(),
            indexes: Vec::new(),
            handlers: Vec::new(),
        }
    }

    /// The row.
    #[must_use]
    pub fn resource(&self) -> &Arc<Resource> {
        &self.0.resource
    }

    /// The object of this key.
    #[must_use]
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<K>> {
        self.read(|copy| copy.entries.get(key).map(|entry| entry.value.clone()))
    }

    /// The object of this key, untyped.
    #[must_use]
    pub fn object(&self, key: &ObjectKey) -> Option<Object> {
        self.read(|copy| copy.entries.get(key).map(|entry| entry.object.clone()))
    }

    /// Every object, by namespace and name.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<K>> {
        self.read(|copy| copy.entries.values().map(|entry| entry.value.clone()).collect())
    }

    /// Every object of a namespace, by name.
    #[must_use]
    pub fn list_in(&self, namespace: &str) -> Vec<Arc<K>> {
        let from = ObjectKey::new(namespace, "");
        self.read(|copy| {
            let of_namespace = copy.entries.range(from..).take_while(|(key, _)| key.namespace == namespace);
            of_namespace.map(|(_, entry)| entry.value.clone()).collect()
        })
    }

    /// Every key, in order.
    #[must_use]
    pub fn keys(&self) -> Vec<ObjectKey> {
        self.read(|copy| copy.entries.keys().cloned().collect())
    }

    /// How many objects there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.read(|copy| copy.entries.len())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The objects that an index files under a value, by namespace and name. None, where there is
    /// no index of that name.
    #[must_use]
    pub fn by_index(&self, index: &str, value: &str) -> Vec<Arc<K>> {
        let Some(position) = self.0.indexes.iter().position(|own| own.name == index) else {
            return Vec::new();
        };
        self.read(|copy| {
            let keys = copy.postings[position].get(value).into_iter().flatten();
            keys.filter_map(|key| copy.entries.get(key)).map(|entry| entry.value.clone()).collect()
        })
    }

    /// Calls `handler` with everything that is there, then with every change.
    ///
    /// It is called by the informer's task and must neither wait nor subscribe.
    pub fn subscribe(&self, mut handler: impl FnMut(&Change<K>) + Send + 'static) {
        let mut handlers = self.handlers();
        self.read(|copy| {
            for entry in copy.entries.values() {
                let (new, object) = (entry.value.clone(), entry.object.clone());
                handler(&Change::Applied { old: None, new, object });
            }
            if copy.synced {
                handler(&Change::Synced);
            }
        });
        handlers.push(Box::new(handler));
    }

    /// The keys of what is there, then of every object that changes, as a queue without bound.
    #[must_use]
    pub fn changed_keys(&self) -> mpsc::UnboundedReceiver<ObjectKey> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.subscribe(move |change| {
            if let Change::Applied { object, .. } | Change::Deleted { object, .. } = change {
                // A receiver that is gone wants no more keys.
                let _ = sender.send(object.key().clone());
            }
        });
        receiver
    }

    /// The revision that the copy has reached.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.read(|copy| copy.revision)
    }

    /// Whether the first list is in.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.read(|copy| copy.synced)
    }

    /// Waits until the first list is in. Cancel safe.
    pub async fn synced(&self) {
        self.wait(|copy| copy.synced).await;
    }

    /// Waits until the copy has reached a revision. Cancel safe.
    ///
    /// A revision of another resource is reached only when something of this one happens later, or
    /// with the next bookmark.
    pub async fn reached(&self, revision: Revision) {
        self.wait(|copy| copy.synced && copy.revision >= revision).await;
    }

    async fn wait(&self, holds: impl Fn(&Copy<K>) -> bool) {
        loop {
            // Enlist before looking: a move between the look and the wait is not missed.
            let moved = self.0.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            if self.read(&holds) {
                return;
            }
            moved.await;
        }
    }

    fn read<T>(&self, look: impl FnOnce(&Copy<K>) -> T) -> T {
        look(&self.0.copy.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn handlers(&self) -> MutexGuard<'_, Vec<Handler<K>>> {
        self.0.handlers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the copy to what a list says.
    fn replace(&self, revision: Revision, items: Vec<Object>) {
        let mut handlers = self.handlers();
        let listed: BTreeSet<_> = items.iter().map(|object| object.key().clone()).collect();
        let gone: Vec<_> = self.keys().into_iter().filter(|key| !listed.contains(key)).collect();
        for key in gone {
            self.remove(&key, None, &mut handlers);
        }
        for object in items {
            let unchanged =
                self.object(object.key()).is_some_and(|held| held.revision() == object.revision());
            if !unchanged {
                self.apply(object, &mut handlers);
            }
        }
        let first = {
            let mut copy = self.0.copy.write().unwrap_or_else(PoisonError::into_inner);
            copy.revision = revision;
            !std::mem::replace(&mut copy.synced, true)
        };
        if first {
            tell(&mut handlers, &Change::Synced);
        }
        self.0.moved.notify_waiters();
    }

    /// Brings the copy to behind an event.
    fn follow(&self, event: WatchEvent) {
        let revision = event.revision();
        let mut handlers = self.handlers();
        match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => self.apply(object, &mut handlers),
            WatchEvent::Deleted(object) => {
                let key = object.key().clone();
                self.remove(&key, Some(object), &mut handlers);
            }
            WatchEvent::Bookmark { .. } => {}
        }
        self.0.copy.write().unwrap_or_else(PoisonError::into_inner).revision = revision;
        self.0.moved.notify_waiters();
    }

    fn apply(&self, object: Object, handlers: &mut [Handler<K>]) {
        let new = match object.view::<K>() {
            Ok(value) => value,
            Err(error) => {
                // The rest of the resource must not suffer from one object that cannot be read.
                tracing::warn!(%error, resource = self.0.resource.qualified(), "left out of the informer");
                return;
            }
        };
        let entry = Entry { object: object.clone(), value: new.clone() };
        let old = {
            let mut copy = self.0.copy.write().unwrap_or_else(PoisonError::into_inner);
            let old = copy.entries.insert(object.key().clone(), entry).map(|entry| entry.value);
            copy.repost(&self.0.indexes, object.key(), old.as_deref(), Some(&new));
            old
        };
        tell(handlers, &Change::Applied { old, new, object });
    }

    fn remove(&self, key: &ObjectKey, last: Option<Object>, handlers: &mut [Handler<K>]) {
        let removed = {
            let mut copy = self.0.copy.write().unwrap_or_else(PoisonError::into_inner);
            let removed = copy.entries.remove(key);
            if let Some(entry) = &removed {
                copy.repost(&self.0.indexes, key, Some(&entry.value), None);
            }
            removed
        };
        if let Some(entry) = removed {
            tell(handlers, &Change::Deleted { old: entry.value, object: last.unwrap_or(entry.object) });
        }
    }
}

impl<K: Typed> Copy<K> {
    fn repost(&mut self, indexes: &[Index<K>], key: &ObjectKey, old: Option<&K>, new: Option<&K>) {
        for (index, postings) in indexes.iter().zip(&mut self.postings) {
            for value in old.map(&index.values).unwrap_or_default() {
                if let Some(keys) = postings.get_mut(&value) {
                    keys.remove(key);
                    if keys.is_empty() {
                        postings.remove(&value);
                    }
                }
            }
            for value in new.map(&index.values).unwrap_or_default() {
                postings.entry(value).or_default().insert(key.clone());
            }
        }
    }
}

fn tell<K>(handlers: &mut [Handler<K>], change: &Change<K>) {
    for handler in handlers {
        handler(change);
    }
}

impl<K: Typed> InformerBuilder<K> {
    /// Only objects of one namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Only objects with these labels.
    #[must_use]
    pub fn labels(mut self, labels: LabelSelector) -> Self {
        self.labels = labels;
        self
    }

    /// Only objects with these fields.
    #[must_use]
    pub fn fields(mut self, fields: FieldSelector) -> Self {
        self.fields = fields;
        self
    }

    /// File objects under the values that `values` gives, for [`Informer::by_index`].
    #[must_use]
    pub fn index(
        mut self,
        name: &'static str,
        values: impl Fn(&K) -> Vec<String> + Send + Sync + 'static,
    ) -> Self {
        self.indexes.push(Index { name, values: Box::new(values) });
        self
    }

    /// Call `handler` with every change from the first on; see [`Informer::subscribe`].
    #[must_use]
    pub fn on_change(mut self, handler: impl FnMut(&Change<K>) + Send + 'static) -> Self {
        self.handlers.push(Box::new(handler));
        self
    }

    /// Starts to list and watch, as a task of `env`.
    pub fn start(self, env: &Env) -> Informer<K> {
        let copy = Copy {
            entries: BTreeMap::new(),
            postings: self.indexes.iter().map(|_| BTreeMap::new()).collect(),
            revision: Revision::NONE,
            synced: false,
        };
        let informer = Informer(Arc::new(Shared {
            resource: self.resource.clone(),
            indexes: self.indexes,
            copy: RwLock::new(copy),
            handlers: Mutex::new(self.handlers),
            moved: Notify::new(),
        }));
        let source = Source {
            client: self.client,
            target: Target::all(&self.resource).namespace(self.namespace),
            labels: self.labels,
            fields: self.fields,
            jitter: env.random.stream(&format!("informer/{}", self.resource.qualified())),
            env: env.clone(),
        };
        let shared = informer.clone();
        env.tasks.spawn("informer", async move { source.run(&shared).await });
        informer
    }
}

/// Where an informer gets its objects from.
struct Source {
    client: Arc<dyn Client>,
    target: Target,
    labels: LabelSelector,
    fields: FieldSelector,
    jitter: Stream,
    env: Env,
}

impl Source {
    async fn run<K: Typed>(&self, informer: &Informer<K>) {
        let mut backoff = BACKOFF.0;
        loop {
            match self.list_and_watch(informer, &mut backoff).await {
                Error::Expired(_) => tracing::debug!(target = ?self.target, "watch expired, listing again"),
                error => {
                    tracing::debug!(%error, target = ?self.target, "listing again");
                    self.env.clock.sleep(self.jitter.jitter(backoff, 1.0)).await;
                    backoff = (backoff * 2).min(BACKOFF.1);
                }
            }
        }
    }

    /// Lists, then watches until the revision has expired or a list fails.
    async fn list_and_watch<K: Typed>(&self, informer: &Informer<K>, backoff: &mut Duration) -> Error {
        let options = ListOptions {
            labels: self.labels.clone(),
            fields: self.fields.clone(),
            ..ListOptions::default()
        };
        let list = match self.client.list(self.target.clone(), options).await {
            Ok(list) => list,
            Err(error) => return error,
        };
        informer.replace(list.revision, list.items);
        loop {
            match self.watch(informer, backoff).await {
                // A watch that delivered something and ends (its time was up) goes on at once.
                Ok(Ended::AfterEvents) => continue,
                Ok(Ended::Empty) => {}
                Err(error @ Error::Expired(_)) => return error,
                Err(error) => tracing::debug!(%error, target = ?self.target, "watch broke"),
            }
            self.env.clock.sleep(self.jitter.jitter(*backoff, 1.0)).await;
            *backoff = (*backoff * 2).min(BACKOFF.1);
        }
    }

    async fn watch<K: Typed>(&self, informer: &Informer<K>, backoff: &mut Duration) -> Result<Ended, Error> {
        let options = WatchOptions {
            labels: self.labels.clone(),
            fields: self.fields.clone(),
            resource_version: Some(informer.revision()),
            bookmarks: true,
            ..WatchOptions::default()
        };
        let mut stream = self.client.watch(self.target.clone(), options).await?;
        let mut ended = Ended::Empty;
        while let Some(event) = stream.next().await {
            informer.follow(event?);
            *backoff = BACKOFF.0;
            ended = Ended::AfterEvents;
        }
        Ok(ended)
    }
}

/// How a watch ended that no error ended.
enum Ended {
    AfterEvents,
    Empty,
}

impl<K> Clone for Informer<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K> fmt::Debug for Informer<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Informer({})", self.0.resource.qualified())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use async_trait::async_trait;
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::json;

    use super::super::{Identity, ObjectList, Request, Response};
    use super::*;
    use crate::api::status;

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
        assert_eq!(
            told,
            ["came a@1", "came b@2", "came c@3", "synced", "went c", "changed b@12", "came d@14"]
        );
        assert_eq!(informer.keys().iter().map(|key| key.name.as_str()).collect::<Vec<_>>(), ["a", "b", "d"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_handler_hears_first_what_is_there() {
        let (_, _, informer) = run(vec![(5, vec![pod("a", "n", 1)])], vec![], 5).await;
        let mut keys = informer.changed_keys();
        assert_eq!(keys.recv().await.unwrap().name, "a");
    }
}
