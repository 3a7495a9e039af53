//! All addresses that a proxy answers, and what becomes of them when rules change.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

use super::port::{Port, Shared};
use super::table::Rule;
use crate::api::ObjectKey;
use crate::env::Stream;

/// When binding is tried again: soon, because the listener before may just be closing, and then
/// ever more seldom.
const RETRY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(30));

/// An address could not be bound.
#[derive(Debug)]
pub(super) struct BindFailure {
    pub(super) service: ObjectKey,
    pub(super) port: String,
    pub(super) address: SocketAddr,
    pub(super) error: io::Error,
}

pub(super) struct Ports {
    shared: Shared,
    chance: Stream,
    failures: mpsc::UnboundedSender<BindFailure>,
    owned: Mutex<BTreeMap<SocketAddr, Owned>>,
}

struct Owned {
    service: ObjectKey,
    port: Arc<Port>,
}

impl Ports {
    pub(super) fn new(
        shared: Shared,
        chance: Stream,
        failures: mpsc::UnboundedSender<BindFailure>,
    ) -> Arc<Self> {
        Arc::new(Self { shared, chance, failures, owned: Mutex::default() })
    }

    fn owned(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, Owned>> {
        self.owned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on, these are the rules of a service, and all of them. An address that it had and
    /// keeps goes on listening; only its rule changes.
    pub(super) fn apply(self: &Arc<Self>, service: &ObjectKey, rules: BTreeMap<SocketAddr, Rule>) {
        let mut owned = self.owned();
        let kept: BTreeSet<_> = rules.keys().copied().collect();
        owned.retain(|address, entry| {
            let stays = entry.service != *service || kept.contains(address);
            if !stays {
                entry.port.close();
            }
            stays
        });
        for (address, rule) in rules {
            match owned.get_mut(&address) {
                Some(entry) => {
                    // The address may have been another service's a moment ago.
                    entry.service = service.clone();
                    entry.port.set(rule);
                }
                None => {
                    let port = Port::new(rule, self.chance.next_u64());
                    owned.insert(address, Owned { service: service.clone(), port: Arc::clone(&port) });
                    if port.bind(address, &self.shared).is_err() {
                        let retry = Arc::clone(self).bind_later(address, port);
                        self.shared.env.tasks.spawn("service port", retry);
                    }
                }
            }
        }
        drop(owned);
        self.shared.rotation.moved();
    }

    /// Tries until it succeeds, or the address is no longer wanted. The first failure is told.
    async fn bind_later(self: Arc<Self>, address: SocketAddr, port: Arc<Port>) {
        let (mut pause, mut told) = (RETRY.0, false);
        loop {
            self.shared.env.clock.sleep(pause).await;
            pause = (pause * 2).min(RETRY.1);
            let owned = self.owned();
            let Some(entry) = owned.get(&address).filter(|entry| Arc::ptr_eq(&entry.port, &port)) else {
                return;
            };
            let Err(error) = port.bind(address, &self.shared) else {
                drop(owned);
                self.shared.rotation.moved();
                return;
            };
            if !told {
                told = true;
                let (service, port) = (entry.service.clone(), port.rule().port.clone());
                // Whoever wrote events down is gone only when the proxy is.
                let _ = self.failures.send(BindFailure { service, port, address, error });
            }
        }
    }

    /// Every address, with whether it is bound and its rule.
    pub(super) fn list(&self) -> Vec<(SocketAddr, bool, Arc<Rule>)> {
        let owned = self.owned();
        owned.iter().map(|(address, entry)| (*address, entry.port.is_bound(), entry.port.rule())).collect()
    }

    /// Whether a rule sends connections to an address.
    pub(super) fn names(&self, address: IpAddr) -> bool {
        let owned = self.owned();
        owned
            .values()
            .any(|entry| entry.port.rule().endpoints.iter().any(|endpoint| endpoint.ip() == address))
    }
}

#[cfg(test)]
mod tests;
