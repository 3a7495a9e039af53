//! The scheduler as a running thing: how it is put together, started and ended.

mod around;
mod bind;
mod books;
mod run;

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use tokio::sync::mpsc;

use super::QueueOptions;
use super::framework::{Plugin, Profile, WaitingPods};
use super::notices::Notices;
use crate::api::selector::{FieldSelector, FieldTerm};
use crate::client::{Change, Client, Events, Informer};
use crate::env::Env;
use around::Surroundings;
use run::{Message, Run};

/// The name by which pods ask for the scheduler, unless they say otherwise.
pub const DEFAULT_NAME: &str = "default-scheduler";

/// A running scheduler. Dropping it ends it at once; [`shutdown`](Self::shutdown) also waits.
#[derive(Debug)]
pub struct Scheduler {
    env: Env,
    waiting: WaitingPods,
    pods: Informer<Pod>,
    nodes: Informer<Node>,
    around: Surroundings,
}

/// What a scheduler is made of.
#[derive(Default)]
pub struct SchedulerBuilder {
    client: Option<Arc<dyn Client>>,
    env: Option<Env>,
    name: Option<String>,
    profile: Profile,
    queue: QueueOptions,
    waiting: WaitingPods,
}

impl Scheduler {
    /// A scheduler with kube-scheduler's default plugins.
    #[must_use]
    pub fn builder() -> SchedulerBuilder {
        SchedulerBuilder::default()
    }

    /// The pods that have a node and wait for a plugin's leave to be bound.
    #[must_use]
    pub fn waiting(&self) -> &WaitingPods {
        &self.waiting
    }

    /// The pods that it sees: all that have not run to their end.
    #[must_use]
    pub fn pods(&self) -> &Informer<Pod> {
        &self.pods
    }

    /// The nodes that it sees.
    #[must_use]
    pub fn nodes(&self) -> &Informer<Node> {
        &self.nodes
    }

    /// Ends it and waits until none of its tasks is left. A binding under way may or may not have
    /// happened.
    pub async fn shutdown(self) {
        self.env.tasks.shutdown().await;
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.env.tasks.cancel();
    }
}

impl SchedulerBuilder {
    /// Through what it observes and acts. Needed.
    #[must_use]
    pub fn client(mut self, client: Arc<dyn Client>) -> Self {
        self.client = Some(client);
        self
    }

    /// Time, chance and tasks; the machine's own where none is given.
    #[must_use]
    pub fn env(mut self, env: Env) -> Self {
        self.env = Some(env);
        self
    }

    /// The `spec.schedulerName` of the pods that are its to schedule.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Which plugins take part, in the place of the default ones.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// A plugin more.
    #[must_use]
    pub fn plugin(mut self, plugin: impl Plugin) -> Self {
        self.profile = self.profile.plugin(plugin);
        self
    }

    /// How long pods wait, where that is not as kube-scheduler has it.
    #[must_use]
    pub fn queue(mut self, options: QueueOptions) -> Self {
        self.queue = options;
        self
    }

    /// The pods that plugins hold back, for a [`Permit`](super::Permit) plugin that shares them.
    #[must_use]
    pub fn waiting(mut self, waiting: WaitingPods) -> Self {
        self.waiting = waiting;
        self
    }

    /// Starts it, and waits until it knows all pods and nodes.
    ///
    /// # Panics
    ///
    /// Without a client, or outside a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the wait ends the scheduler.
    pub async fn start(self) -> Scheduler {
        let client = self.client.expect("a scheduler needs a client");
        let env = self.env.unwrap_or_else(Env::system).child();
        let name = self.name.unwrap_or_else(|| DEFAULT_NAME.into());
        let (inbox, messages) = mpsc::unbounded_channel();
        // Those that have run to their end take nothing of their nodes.
        let unfinished = ["Succeeded", "Failed"].map(|phase| FieldTerm {
            field: "status.phase".into(),
            value: phase.into(),
            equal: false,
        });
        let (to_run, nodes_to_run) = (inbox.clone(), inbox.clone());
        let pods = Informer::<Pod>::builder(client.clone())
            .fields(FieldSelector { terms: unfinished.into() })
            .without_managed_fields()
            .on_change(move |change| send(&to_run, pod_message(change)))
            .start(&env);
        let nodes = Informer::<Node>::builder(client.clone())
            .without_managed_fields()
            .on_change(move |change| send(&nodes_to_run, node_message(change)))
            .start(&env);
        self.profile.start(&client, &env);
        let around = around::watch(&client, &self.profile, &inbox, &env);
        let lists = 2 + around.lists();
        let scheduler = Scheduler { env: env.clone(), waiting: self.waiting.clone(), pods, nodes, around };
        let run = Run::new(
            name.clone(),
            Arc::new(self.profile),
            self.queue,
            client.clone(),
            env.clone(),
            Notices::new(client.clone(), &env),
            Events::new(&name, client, &env),
            self.waiting,
            inbox,
            lists,
        );
        env.tasks.spawn("scheduler", run.run(messages));
        scheduler.pods.synced().await;
        scheduler.nodes.synced().await;
        scheduler.around.synced().await;
        scheduler
    }
}

fn send(inbox: &mpsc::UnboundedSender<Message>, message: Message) {
    // A scheduler that has ended hears nothing more.
    let _ = inbox.send(message);
}

fn pod_message(change: &Change<Pod>) -> Message {
    match change {
        Change::Applied { new, .. } => Message::Pod(new.clone()),
        Change::Deleted { old, .. } => Message::PodGone(old.clone()),
        Change::Synced => Message::Synced,
    }
}

fn node_message(change: &Change<Node>) -> Message {
    match change {
        Change::Applied { new, .. } => Message::Node(new.clone()),
        Change::Deleted { old, .. } => Message::NodeGone(old.clone()),
        Change::Synced => Message::Synced,
    }
}

impl std::fmt::Debug for SchedulerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SchedulerBuilder").field("name", &self.name).field("profile", &self.profile).finish()
    }
}
