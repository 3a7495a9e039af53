//! How many pods of each namespace a watch has seen bound, and when.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use k8s_openapi::api::core::v1::Pod;
use tokio::sync::oneshot;
use windlass::client::{Change, Client, Informer};
use windlass::env::Env;

/// What the watch has seen. Clones are of the same watch.
#[derive(Clone)]
pub(crate) struct Progress(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    bound: BTreeMap<String, usize>,
    /// Who waits for so many of a namespace.
    waiting: Vec<(String, usize, oneshot::Sender<Instant>)>,
    sampled: Option<Samples>,
}

/// Pods of one namespace, by the second in which they were seen bound.
struct Samples {
    namespace: String,
    start: Instant,
    seconds: Vec<usize>,
}

impl Progress {
    /// Begins to watch all pods.
    pub(crate) async fn watch(client: Arc<dyn Client>, env: &Env) -> Self {
        let progress = Self(Arc::default());
        let told = progress.clone();
        let watcher = Informer::<Pod>::builder(client)
            .without_managed_fields()
            .on_change(move |change| told.hear(change))
            .start(env);
        watcher.synced().await;
        progress
    }

    fn hear(&self, change: &Change<Pod>) {
        if let Change::Applied { old, new, .. } = change
            && is_bound(new)
            && !old.as_deref().is_some_and(is_bound)
        {
            self.state().saw(new.metadata.namespace.as_deref().unwrap_or_default());
        }
    }

    /// Fires when so many pods of a namespace are bound, with the time at which they were.
    pub(crate) fn reached(&self, namespace: &str, count: usize) -> oneshot::Receiver<Instant> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state();
        if state.bound.get(namespace).copied().unwrap_or(0) >= count {
            // Its receiver is at hand.
            let _ = sender.send(Instant::now());
        } else {
            state.waiting.push((namespace.to_owned(), count, sender));
        }
        receiver
    }

    /// How many pods of a namespace are bound.
    pub(crate) fn bound(&self, namespace: &str) -> usize {
        self.state().bound.get(namespace).copied().unwrap_or(0)
    }

    /// Counts the pods of a namespace by the second, from now on.
    pub(crate) fn sample(&self, namespace: &str) -> Instant {
        let start = Instant::now();
        let seconds = Vec::new();
        self.state().sampled = Some(Samples { namespace: namespace.to_owned(), start, seconds });
        start
    }

    /// How many were bound in each second that has passed whole.
    pub(crate) fn samples(&self) -> Vec<usize> {
        let mut seconds = self.state().sampled.as_ref().map_or(Vec::new(), |own| own.seconds.clone());
        seconds.pop();
        seconds
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn saw(&mut self, namespace: &str) {
        let count = match self.bound.get_mut(namespace) {
            Some(count) => count,
            None => self.bound.entry(namespace.to_owned()).or_default(),
        };
        *count += 1;
        let count = *count;
        if let Some(samples) = self.sampled.as_mut().filter(|samples| samples.namespace == namespace) {
            let second = samples.start.elapsed().as_secs() as usize;
            if samples.seconds.len() <= second {
                samples.seconds.resize(second + 1, 0);
            }
            samples.seconds[second] += 1;
        }
        let due = |own: &mut (String, usize, _)| own.0 == namespace && own.1 <= count;
        for (.., sender) in self.waiting.extract_if(.., due) {
            // Who no longer waits is not told.
            let _ = sender.send(Instant::now());
        }
    }
}

fn is_bound(pod: &Pod) -> bool {
    pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some())
}
