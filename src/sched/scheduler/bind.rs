//! The way from a decision to a bound pod, as a task of its own.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::poll;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::super::framework::{BindError, Binding, Bound, Profile, WaitingPods};
use super::run::Message;
use crate::client::Error;
use crate::env::Clock;

/// A pod that a plugin holds back.
#[derive(Debug)]
pub(super) struct Held {
    /// The first of the plugins that do.
    pub(super) plugin: &'static str,
    /// How long it may wait.
    pub(super) limit: Duration,
    /// Whether it may be bound, once that is known.
    pub(super) leave: oneshot::Receiver<Result<(), String>>,
}

/// Why a pod was not bound.
#[derive(Debug)]
pub(super) enum Failure {
    /// It is bound or gone already.
    Settled,
    /// A plugin said that it must not be.
    Rejected {
        /// Which.
        plugin: &'static str,
        /// Why.
        message: String,
    },
    /// It could not be done this time.
    Error(String),
}

/// Waits for leave, prepares, binds, and reports.
pub(super) async fn bind(
    profile: Arc<Profile>,
    binding: Binding,
    held: Option<Held>,
    clock: Clock,
    bindings: Arc<Semaphore>,
    waiting: WaitingPods,
    inbox: mpsc::UnboundedSender<Message>,
) {
    let leave = leave(held, &clock).await;
    waiting.give_up(&binding.pod.uid);
    let result = match leave {
        Ok(()) => write(&profile, &binding, &bindings).await,
        Err(failure) => Err(failure),
    };
    if result.is_ok() {
        for (_, plugin) in profile.post_binds() {
            plugin.post_bind(&binding);
        }
    }
    let Binding { pod, node, .. } = binding;
    // A scheduler that has ended hears nothing more.
    let _ = inbox.send(Message::Bound { pod, node, result });
}

async fn leave(held: Option<Held>, clock: &Clock) -> Result<(), Failure> {
    let Some(Held { plugin, limit, leave }) = held else { return Ok(()) };
    let message = match clock.timeout(limit, leave).await {
        Ok(Ok(Ok(()))) => return Ok(()),
        Ok(Ok(Err(message))) => message,
        Ok(Err(_)) | Err(_) => format!("timed out waiting for {plugin}"),
    };
    Err(Failure::Rejected { plugin, message })
}

/// Prepares and binds. Only those that are about to write count against the bound: who waits holds up nobody.
async fn write(profile: &Profile, binding: &Binding, bindings: &Semaphore) -> Result<(), Failure> {
    let permit = bindings.acquire().await;
    for (name, plugin) in profile.pre_binds() {
        plugin.pre_bind(binding).await.map_err(|error| failure("PreBind", name, &error))?;
    }
    let mut ready = pin!(ready(profile, binding));
    let _permit = match poll!(ready.as_mut()) {
        Poll::Ready(result) => {
            result?;
            permit
        }
        Poll::Pending => {
            drop(permit);
            ready.await?;
            bindings.acquire().await
        }
    };
    for (name, plugin) in profile.binds() {
        match plugin.bind(binding).await {
            Ok(Bound::Done) => return Ok(()),
            Ok(Bound::Skip) => {}
            Err(error) => return Err(failure("Bind", name, &error)),
        }
    }
    Err(Failure::Error("no plugin binds this pod".into()))
}

/// Waits until all that was prepared is there.
async fn ready(profile: &Profile, binding: &Binding) -> Result<(), Failure> {
    for (name, plugin) in profile.pre_binds() {
        plugin.ready(binding).await.map_err(|error| failure("PreBind", name, &error))?;
    }
    Ok(())
}

fn failure(point: &str, plugin: &str, error: &BindError) -> Failure {
    match error {
        BindError::Client(Error::NotFound(_) | Error::Conflict(_)) => Failure::Settled,
        error => Failure::Error(format!("running {point} plugin {plugin:?}: {error}")),
    }
}
