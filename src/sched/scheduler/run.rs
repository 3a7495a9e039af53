//! The loop: hear what happened, decide for the next pod, hand it over to be bound.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use super::super::framework::{Binding, Cycle, Permission, Profile, Verdict, WaitingPods};
use super::super::notices::Notices;
use super::super::{Boards, Decision, Diagnosis, NodeIndex, PodInfo, QueueOptions};
use super::bind::{self, Failure, Held};
use super::books::Books;
use crate::client::{Client, Events};
use crate::env::{Env, Stream};

/// How many pods have their turn before others run.
const TURNS: u64 = 16;

/// How many pods may be on their way to their nodes at once.
const BINDINGS: usize = 64;

/// What the loop hears.
#[derive(Debug)]
pub(super) enum Message {
    /// A pod came or changed.
    Pod(Arc<Pod>),
    /// A pod went.
    PodGone(Arc<Pod>),
    /// A node came or changed.
    Node(Arc<Node>),
    /// A node went.
    NodeGone(Arc<Node>),
    /// Something about the rest of the cluster.
    Around(Around),
    /// One of the first lists is in.
    Synced,
    /// A pod was bound, or was not.
    Bound { pod: Arc<PodInfo>, node: Arc<str>, result: Result<(), Failure> },
}

/// Tells the books something, at a time.
pub(super) type Note = Box<dyn FnOnce(&mut Books, Duration) + Send>;

/// What the books are to note.
pub(super) struct Around(pub(super) Note);

impl std::fmt::Debug for Around {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Around")
    }
}

/// All that the loop works with.
pub(super) struct Run {
    books: Books,
    boards: Boards,
    profile: Arc<Profile>,
    client: Arc<dyn Client>,
    env: Env,
    notices: Notices,
    events: Events,
    waiting: WaitingPods,
    inbox: mpsc::UnboundedSender<Message>,
    /// Chooses among nodes of the same score.
    draw: Stream,
    start: Instant,
    bindings: Arc<Semaphore>,
    /// How many lists are not in yet: until then no pod has its turn.
    unsynced: usize,
}

/// What a pod's turn came to.
enum Turn {
    Bind { node: Arc<str>, held: Option<Held> },
    Unschedulable(Box<Diagnosis>),
    Error(String),
}

impl Run {
    #[allow(clippy::too_many_arguments, reason = "the parts of one thing, put together in one place")]
    pub(super) fn new(
        name: String,
        profile: Arc<Profile>,
        queue: QueueOptions,
        client: Arc<dyn Client>,
        env: Env,
        notices: Notices,
        events: Events,
        waiting: WaitingPods,
        inbox: mpsc::UnboundedSender<Message>,
        lists: usize,
    ) -> Self {
        Self {
            draw: env.random.stream(&format!("sched/{name}")),
            books: Books::new(name, profile.clone(), queue),
            boards: Boards::default(),
            start: env.clock.instant(),
            profile,
            client,
            env,
            notices,
            events,
            waiting,
            inbox,
            bindings: Arc::new(Semaphore::new(BINDINGS)),
            unsynced: lists,
        }
    }

    pub(super) async fn run(mut self, mut messages: mpsc::UnboundedReceiver<Message>) {
        let mut turns: u64 = 0;
        loop {
            while let Ok(message) = messages.try_recv() {
                self.hear(message);
            }
            self.books.expire(self.now());
            if self.unsynced == 0 && self.turn() {
                turns += 1;
                if turns.is_multiple_of(TURNS) {
                    // Others run.
                    tokio::task::yield_now().await;
                }
                continue;
            }
            let due = self.books.next_due().filter(|_| self.unsynced == 0).map(|due| self.start + due);
            let clock = self.env.clock.clone();
            let wait = async {
                match due {
                    Some(due) => clock.sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            crate::select! {
                message = messages.recv() => match message {
                    Some(message) => self.hear(message),
                    None => return,
                },
                () = wait => {}
            }
        }
    }

    fn now(&self) -> Duration {
        self.env.clock.instant() - self.start
    }

    fn hear(&mut self, message: Message) {
        let now = self.now();
        match message {
            Message::Pod(pod) => self.books.pod(pod, now),
            Message::PodGone(pod) => self.books.gone(pod, now),
            Message::Node(node) => self.books.node(node, now),
            Message::NodeGone(node) => {
                self.books.node_gone(node.metadata.name.as_deref().unwrap_or_default(), now);
            }
            Message::Around(Around(note)) => note(&mut self.books, now),
            Message::Synced => self.unsynced -= 1,
            Message::Bound { pod, node, result: Ok(()) } => {
                self.books.bound(&pod, now);
                let message = format!("Successfully assigned {} to {node}", pod.key);
                self.events.normal(&*pod.pod, "Scheduled", message);
            }
            Message::Bound { pod, node, result: Err(failure) } => {
                for (_, plugin) in self.profile.reserves() {
                    plugin.unreserve(&pod, &node);
                }
                if self.books.forget(&pod, now) {
                    self.failed(&pod, failure);
                }
            }
        }
    }

    fn failed(&mut self, pod: &Arc<PodInfo>, failure: Failure) {
        match failure {
            // Somebody else bound or deleted it; the informer will say so.
            Failure::Settled => self.books.queue.retry(&pod.key, self.now()),
            Failure::Rejected { plugin, message } => {
                let mut diagnosis = Diagnosis::of(self.books.snapshot.nodes().len());
                diagnosis.plugins.insert(plugin);
                diagnosis.before = message;
                self.unschedulable(pod, diagnosis);
            }
            Failure::Error(message) => self.error(pod, &message),
        }
    }

    /// Gives the next pod its turn. Returns whether there was one.
    fn turn(&mut self) -> bool {
        let now = self.now();
        let Some(queued) = self.books.queue.pop(now) else { return false };
        let pod = queued.pod;
        match self.decide(&pod) {
            Turn::Bind { node, held } => {
                self.books.assume(&pod, &node);
                let binding = Binding { pod, node, client: self.client.clone(), env: self.env.clone() };
                let task = bind::bind(
                    self.profile.clone(),
                    binding,
                    held,
                    self.env.clock.clone(),
                    self.bindings.clone(),
                    self.waiting.clone(),
                    self.inbox.clone(),
                );
                self.env.tasks.spawn("bind", task);
            }
            Turn::Unschedulable(diagnosis) => self.unschedulable(&pod, *diagnosis),
            Turn::Error(message) => self.error(&pod, &message),
        }
        true
    }

    fn decide(&mut self, pod: &Arc<PodInfo>) -> Turn {
        let snapshot = &self.books.snapshot;
        let node = match self.boards.decide(&self.profile, snapshot, pod, &self.draw) {
            Decision::Place(node) => node,
            Decision::Reject(diagnosis) => return Turn::Unschedulable(diagnosis),
            Decision::Fail { message, .. } => return Turn::Error(message),
        };
        let name = snapshot.name(node).clone();
        match self.claim(&Cycle::new(pod, snapshot), node) {
            Ok(held) => Turn::Bind { node: name, held },
            Err(turn) => {
                for (_, plugin) in self.profile.reserves() {
                    plugin.unreserve(pod, &name);
                }
                turn
            }
        }
    }

    /// Reserves, and asks whether the pod may be bound now.
    fn claim(&self, cycle: &Cycle<'_>, node: NodeIndex) -> Result<Option<Held>, Turn> {
        let reject = |plugin, reasons: Vec<_>| {
            let mut diagnosis = Diagnosis::of(cycle.snapshot.nodes().len());
            diagnosis.reject(plugin, node, Verdict::Unschedulable(reasons));
            Turn::Unschedulable(Box::new(diagnosis))
        };
        for (name, plugin) in self.profile.reserves() {
            match plugin.reserve(cycle, node) {
                Verdict::Fits => {}
                Verdict::Error(message) => {
                    return Err(Turn::Error(format!("running Reserve plugin {name:?}: {message}")));
                }
                Verdict::Unschedulable(reasons) | Verdict::Unresolvable(reasons) => {
                    return Err(reject(name, reasons));
                }
            }
        }
        let (mut plugins, mut limit) = (BTreeSet::new(), Duration::MAX);
        for (name, plugin) in self.profile.permits() {
            match plugin.permit(cycle, node) {
                Permission::Allow => {}
                Permission::Wait(longest) => {
                    plugins.insert(name);
                    limit = limit.min(longest);
                }
                Permission::Reject(reason) => return Err(reject(name, vec![reason])),
            }
        }
        let first = plugins.first().copied();
        Ok(first.map(|plugin| Held { plugin, limit, leave: self.waiting.hold(&cycle.pod.uid, plugins) }))
    }

    fn unschedulable(&mut self, pod: &Arc<PodInfo>, diagnosis: Diagnosis) {
        let message = diagnosis.message();
        let now = self.now();
        self.books.reject(pod, diagnosis.plugins, now);
        self.say(pod, "Unschedulable", &message);
    }

    fn error(&mut self, pod: &Arc<PodInfo>, message: &str) {
        tracing::warn!(pod = %pod.key, message, "could not schedule; trying again");
        let now = self.now();
        self.books.queue.retry(&pod.key, now);
        self.say(pod, "SchedulerError", message);
    }

    fn say(&self, pod: &Arc<PodInfo>, reason: &str, message: &str) {
        // The queue knows the newest state of the pod, its conditions among it.
        let newest = self.books.queue.get(&pod.key).map_or(&pod.pod, |queued| &queued.pod.pod);
        self.notices.not_scheduled(newest, reason, message);
        self.events.warning(&**newest, "FailedScheduling", message);
    }
}
