//! What every part of one agent shares.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodStatus, Service};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::lifecycle::Machine;
use super::recorder::Recorder;
use crate::client::{Client, Informer};
use crate::env::Env;
use crate::net::NetworkProvider;
use crate::runtime::ContainerRuntime;

/// What every part of one agent shares.
pub(super) struct Context {
    pub(super) client: Arc<dyn Client>,
    pub(super) runtime: Arc<dyn ContainerRuntime>,
    pub(super) network: Arc<dyn NetworkProvider>,
    pub(super) env: Env,
    pub(super) recorder: Recorder,
    pub(super) services: Informer<Service>,
    pub(super) machine: Machine,
    pub(super) allocatable: BTreeMap<String, Quantity>,
    pub(super) drain: Drain,
    pub(super) views: Views,
}

/// How a pod leaves rotation before it is asked to end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drain {
    /// How long to wait at most until no EndpointSlice lists the pod as ready.
    pub(super) limit: Duration,
    /// How long to wait after that, for proxies to follow.
    pub(super) settle: Duration,
}

/// A pod as its worker last saw it, for those who ask the agent.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) pod: Arc<Pod>,
    pub(super) status: PodStatus,
}

/// The agent's pods, by uid.
#[derive(Clone, Default)]
pub(super) struct Views(Arc<Mutex<BTreeMap<String, View>>>);

impl Views {
    pub(super) fn set(&self, uid: &str, view: View) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(uid.to_owned(), view);
    }

    pub(super) fn forget(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }

    pub(super) fn all(&self) -> Vec<View> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}
