//! Events: what an agent tells people about.
//!
//! Telling never waits: an event goes into a bounded queue and is dropped where that is full. What
//! was told before is counted up instead of told again, and an object that is told about too often
//! falls silent for a while, as in client-go's event correlator (25 at once, then one in five
//! minutes).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use serde_json::json;
use tokio::sync::mpsc;

use super::lifecycle::spec;
use crate::client::{Api, Client};
use crate::env::Env;

/// Events that wait to be sent.
const QUEUE: usize = 1000;
/// Events that are remembered, to be counted up.
const REMEMBERED: usize = 4096;
/// Events about one object at once, and how long one more takes to be earned.
const BURST: f64 = 25.0;
const EARN_SECONDS: f64 = 300.0;

/// How serious an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    Normal,
    Warning,
}

/// Sends events, in its own time. Clones share it.
#[derive(Clone)]
pub(super) struct Recorder {
    queue: mpsc::Sender<Told>,
}

struct Told {
    about: ObjectReference,
    severity: Severity,
    reason: String,
    message: String,
}

impl Recorder {
    /// Starts to send, as a task of `env`. `node` is the host that events come from.
    pub(super) fn start(client: Arc<dyn Client>, env: &Env, node: &str) -> Self {
        let (queue, told) = mpsc::channel(QUEUE);
        let sender = Sender {
            client,
            env: env.clone(),
            names: env.random.stream(&format!("{node}/events")),
            source: EventSource { component: Some("kubelet".into()), host: Some(node.to_owned()) },
            known: BTreeMap::new(),
            order: VecDeque::new(),
            budgets: BTreeMap::new(),
        };
        env.tasks.spawn("events", sender.run(told));
        Self { queue }
    }

    /// Tells something.
    pub(super) fn tell(
        &self,
        about: ObjectReference,
        severity: Severity,
        reason: &str,
        message: impl Into<String>,
    ) {
        let told = Told { about, severity, reason: reason.to_owned(), message: message.into() };
        if self.queue.try_send(told).is_err() {
            tracing::debug!(reason, "event dropped: too many wait");
        }
    }
}

/// A pod, as events refer to it; with a container's name, that container.
pub(super) fn reference(pod: &Pod, container: Option<&str>) -> ObjectReference {
    let metadata = &pod.metadata;
    let field = container.map(|name| {
        let spec = spec(pod);
        let list = if spec.init_containers.iter().flatten().any(|one| one.name == name) {
            "initContainers"
        } else if spec.ephemeral_containers.iter().flatten().any(|one| one.name == name) {
            "ephemeralContainers"
        } else {
            "containers"
        };
        format!("spec.{list}{{{name}}}")
    });
    ObjectReference {
        api_version: Some("v1".into()),
        kind: Some("Pod".into()),
        namespace: metadata.namespace.clone(),
        name: metadata.name.clone(),
        uid: metadata.uid.clone(),
        resource_version: metadata.resource_version.clone(),
        field_path: field,
    }
}

type Key = (String, String, String, Severity, String, String);

struct Sender {
    client: Arc<dyn Client>,
    env: Env,
    names: crate::env::Stream,
    source: EventSource,
    known: BTreeMap<Key, (String, i32)>,
    order: VecDeque<Key>,
    budgets: BTreeMap<String, Budget>,
}

struct Budget {
    left: f64,
    at: Timestamp,
}

impl Sender {
    async fn run(mut self, mut told: mpsc::Receiver<Told>) {
        while let Some(told) = told.recv().await {
            self.send(told).await;
        }
    }

    async fn send(&mut self, told: Told) {
        let now = self.env.clock.now_seconds();
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let subject =
            format!("{}/{}/{}", text(&told.about.kind), text(&told.about.namespace), text(&told.about.uid));
        if !self.affords(&subject, now) {
            return;
        }
        let namespace = told.about.namespace.clone().unwrap_or_else(|| "default".into());
        let key = (
            subject,
            text(&told.about.name),
            text(&told.about.field_path),
            told.severity,
            told.reason,
            told.message,
        );
        let api = Api::<Event>::namespaced(self.client.clone(), &namespace);
        if let Some((name, count)) = self.known.get_mut(&key) {
            *count += 1;
            let patch = json!({"count": *count, "lastTimestamp": Time(now)});
            match api.merge_patch(name, &patch).await {
                Ok(_) => return,
                Err(crate::client::Error::NotFound(_)) => {}
                Err(error) => return tracing::debug!(%error, "event not counted"),
            }
        }
        let name = format!("{}.{:016x}", text(&told.about.name), self.names.next_u64());
        let event = Event {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                namespace: Some(namespace),
                ..ObjectMeta::default()
            },
            involved_object: told.about,
            type_: Some(format!("{:?}", told.severity)),
            reason: Some(key.4.clone()),
            message: Some(key.5.clone()),
            reporting_component: self.source.component.clone(),
            reporting_instance: self.source.host.clone(),
            source: Some(self.source.clone()),
            first_timestamp: Some(Time(now)),
            last_timestamp: Some(Time(now)),
            count: Some(1),
            ..Event::default()
        };
        if let Err(error) = api.create(&event).await {
            return tracing::debug!(%error, "event not told");
        }
        if self.known.insert(key.clone(), (name, 1)).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    fn affords(&mut self, subject: &str, now: Timestamp) -> bool {
        if self.budgets.len() > REMEMBERED {
            self.budgets.pop_first();
        }
        let budget = self.budgets.entry(subject.to_owned()).or_insert(Budget { left: BURST, at: now });
        let earned = now.duration_since(budget.at).as_secs_f64() / EARN_SECONDS;
        *budget = Budget { left: (budget.left + earned).min(BURST), at: now };
        let affords = budget.left >= 1.0;
        budget.left -= f64::from(u8::from(affords));
        affords
    }
}
