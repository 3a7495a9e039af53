//! The event recorder: says what happened to an object, for people to read.
//!
//! Recording never waits and never fails the caller: events go through a bounded queue to one
//! task, and what does not fit is dropped. The same thing said again about the same object raises
//! the count of the event that exists, as client-go's correlator does. Events are best effort by
//! nature; nothing may depend on them.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube_core::Resource;
use serde_json::json;
use tokio::sync::mpsc;

use super::{Api, Client, Error};
use crate::env::{Clock, Env, HashMap, Stream};

/// How many events may wait to be written.
const QUEUE: usize = 1000;
/// How many events are remembered for counting (client-go: 4096).
const REMEMBERED: usize = 4096;

/// Records events, as one component. Clones share queue and counts.
#[derive(Clone)]
pub struct Events {
    component: Arc<str>,
    clock: Clock,
    queue: mpsc::Sender<Said>,
}

/// Whether an event is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// It is.
    Normal,
    /// Somebody should look.
    Warning,
}

struct Said {
    about: ObjectReference,
    kind: EventKind,
    reason: String,
    message: String,
    component: Arc<str>,
    at: Timestamp,
}

impl Events {
    /// A recorder that writes through `client`, by a task of `env`. `component` is who speaks, such
    /// as `deployment-controller`.
    pub fn new(component: &str, client: Arc<dyn Client>, env: &Env) -> Self {
        let (queue, said) = mpsc::channel(QUEUE);
        let writer = Writer {
            client,
            suffixes: env.random.stream(&format!("events/{component}")),
            known: HashMap::default(),
            order: VecDeque::new(),
        };
        env.tasks.spawn("events", writer.run(said));
        Self { component: component.into(), clock: env.clock.clone(), queue }
    }

    /// The same queue and counts, with another speaker.
    #[must_use]
    pub fn component(&self, component: &str) -> Self {
        Self { component: component.into(), ..self.clone() }
    }

    /// Says that something happened. Returns at once.
    pub fn record(
        &self,
        about: ObjectReference,
        kind: EventKind,
        reason: impl Into<String>,
        message: impl Into<String>,
    ) {
        let said = Said {
            about,
            kind,
            reason: reason.into(),
            message: message.into(),
            component: self.component.clone(),
            at: self.clock.now_seconds(),
        };
        if let Err(error) = self.queue.try_send(said) {
            tracing::debug!(%error, component = &*self.component, "dropped an event");
        }
    }

    /// Says that something happened as it should.
    pub fn normal<K: Resource<DynamicType = ()>>(
        &self,
        about: &K,
        reason: impl Into<String>,
        message: impl Into<String>,
    ) {
        self.record(reference(about), EventKind::Normal, reason, message);
    }

    /// Says that something happened that somebody should look at.
    pub fn warning<K: Resource<DynamicType = ()>>(
        &self,
        about: &K,
        reason: impl Into<String>,
        message: impl Into<String>,
    ) {
        self.record(reference(about), EventKind::Warning, reason, message);
    }
}

/// The reference that names an object in an event.
pub fn reference<K: Resource<DynamicType = ()>>(object: &K) -> ObjectReference {
    let meta = object.meta();
    ObjectReference {
        api_version: Some(K::api_version(&()).into_owned()),
        kind: Some(K::kind(&()).into_owned()),
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
        uid: meta.uid.clone(),
        resource_version: meta.resource_version.clone(),
        field_path: None,
    }
}

struct Writer {
    client: Arc<dyn Client>,
    suffixes: Stream,
    known: HashMap<Subject, Known>,
    order: VecDeque<Subject>,
}

/// Who says what about whom: what must be equal for events to be counted as one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Subject {
    component: Arc<str>,
    about: [Option<String>; 6],
    kind: EventKind,
    reason: String,
    message: String,
}

struct Known {
    namespace: String,
    name: String,
    count: i32,
    first: Timestamp,
}

impl Said {
    fn subject(&self) -> Subject {
        let ObjectReference { api_version, kind, namespace, name, uid, field_path, .. } = self.about.clone();
        Subject {
            component: self.component.clone(),
            about: [api_version, kind, namespace, name, uid, field_path],
            kind: self.kind,
            reason: self.reason.clone(),
            message: self.message.clone(),
        }
    }
}

impl Writer {
    async fn run(mut self, mut said: mpsc::Receiver<Said>) {
        while let Some(said) = said.recv().await {
            if let Err(error) = self.write(&said).await {
                tracing::debug!(%error, reason = said.reason, "could not record an event");
            }
        }
    }

    async fn write(&mut self, said: &Said) -> Result<(), Error> {
        let subject = said.subject();
        if let Some(known) = self.known.get_mut(&subject) {
            known.count = known.count.saturating_add(1);
            let patch = json!({"count": known.count, "lastTimestamp": Time(said.at)});
            let events = Api::<Event>::namespaced(self.client.clone(), &known.namespace);
            match events.strategic_merge_patch(&known.name, &patch).await {
                // It has expired: it starts anew, with the count it had.
                Err(Error::NotFound(_)) => {}
                other => return other.map(drop),
            }
        }
        let count = self.known.get(&subject).map_or(1, |known| known.count);
        let first = self.known.get(&subject).map_or(said.at, |known| known.first);
        let event = event(said, count, first, &self.suffixes);
        let namespace = event.metadata.namespace.clone().unwrap_or_default();
        let events = Api::<Event>::namespaced(self.client.clone(), &namespace);
        events.post(&event).await?;
        let name = event.metadata.name.unwrap_or_default();
        if self.known.insert(subject.clone(), Known { namespace, name, count, first }).is_none() {
            self.order.push_back(subject);
            if self.order.len() > REMEMBERED
                && let Some(oldest) = self.order.pop_front()
            {
                self.known.remove(&oldest);
            }
        }
        Ok(())
    }
}

fn event(said: &Said, count: i32, first: Timestamp, suffixes: &Stream) -> Event {
    let about = &said.about;
    // Events about what has no namespace live in `default`.
    let namespace = about.namespace.clone().filter(|namespace| !namespace.is_empty());
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{}.{:016x}", about.name.as_deref().unwrap_or_default(), suffixes.next_u64())),
            namespace: Some(namespace.unwrap_or_else(|| "default".into())),
            ..ObjectMeta::default()
        },
        involved_object: about.clone(),
        type_: Some(match said.kind {
            EventKind::Normal => "Normal".into(),
            EventKind::Warning => "Warning".into(),
        }),
        reason: Some(said.reason.clone()),
        message: Some(said.message.clone()),
        source: Some(EventSource { component: Some(said.component.to_string()), host: None }),
        reporting_component: Some(said.component.to_string()),
        first_timestamp: Some(Time(first)),
        last_timestamp: Some(Time(said.at)),
        count: Some(count),
        ..Event::default()
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("component", &self.component).finish_non_exhaustive()
    }
}
