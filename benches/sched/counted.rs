//! The scheduler's client, which counts what it writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use windlass::client::{Client, Error, Identity, Payload, Request, Response};

/// A client like the one below it, with counts of what was written.
pub(crate) struct Counted {
    below: Arc<dyn Client>,
    bindings: AtomicUsize,
    scheduled: AtomicUsize,
    events: AtomicUsize,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Pods bound.
    pub(crate) bindings: usize,
    /// Events that say so.
    pub(crate) scheduled: usize,
    /// Events of any kind, new or counted once more.
    pub(crate) events: usize,
}

/// What a request writes, as far as it counts.
enum Kind {
    Binding,
    Scheduled,
    Event,
    Other,
}

impl Counted {
    pub(crate) fn new(below: Arc<dyn Client>) -> Self {
        let zero = || AtomicUsize::new(0);
        Self { below, bindings: zero(), scheduled: zero(), events: zero() }
    }

    pub(crate) fn counts(&self) -> Counts {
        let get = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        Counts { bindings: get(&self.bindings), scheduled: get(&self.scheduled), events: get(&self.events) }
    }
}

fn kind(request: &Request) -> Kind {
    match request {
        Request::Create { target, .. } if target.subresource.as_deref() == Some("binding") => Kind::Binding,
        Request::Create { target, object, .. } if target.resource.resource == "events" => {
            let scheduled = match object {
                Payload::Tree(tree) => tree["reason"] == "Scheduled",
                Payload::Object(object) => object.tree()["reason"] == "Scheduled",
                _ => false,
            };
            if scheduled { Kind::Scheduled } else { Kind::Event }
        }
        Request::Patch { target, .. } if target.resource.resource == "events" => Kind::Event,
        _ => Kind::Other,
    }
}

#[async_trait]
impl Client for Counted {
    async fn call(&self, request: Request) -> Result<Response, Error> {
        let kind = kind(&request);
        let response = self.below.call(request).await?;
        let more = |count: &AtomicUsize| count.fetch_add(1, Ordering::Relaxed);
        match kind {
            Kind::Binding => drop(more(&self.bindings)),
            Kind::Scheduled => drop((more(&self.scheduled), more(&self.events))),
            Kind::Event => drop(more(&self.events)),
            Kind::Other => {}
        }
        Ok(response)
    }

    fn identity(&self) -> &Identity {
        self.below.identity()
    }
}
