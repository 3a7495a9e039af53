//! The members of a cluster, and how to call one.
//!
//! One member at a time is the current one: it is asked until it fails, then the next is. A follower
//! serves as well as the leader does, for it passes on what it cannot do itself. Staying with one
//! keeps what its answers say of it (whether it is reached, has a leader, knows our token) with it,
//! which a balancer over all would blur; and the dead are not asked again and again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use etcd_client::{Client, KvClient, LeaseClient, MaintenanceClient, WatchClient};

use super::failure::Failure;
use super::options::EtcdOptions;
use crate::store::{Error, Result};

const FIRST_WAIT: Duration = Duration::from_millis(20);
const LAST_WAIT: Duration = Duration::from_millis(500);
/// How often a call logs in anew before it believes that it is not wanted.
const LOGINS: usize = 2;

/// The endpoints of a cluster.
pub(super) struct Members {
    list: Vec<Member>,
    current: AtomicUsize,
    pub(super) options: EtcdOptions,
}

struct Member {
    url: String,
    link: Mutex<Option<Arc<Link>>>,
    connecting: tokio::sync::Mutex<()>,
}

/// A connection to one member.
pub(super) struct Link {
    pub(super) kv: KvClient,
    pub(super) lease: LeaseClient,
    pub(super) maintenance: MaintenanceClient,
    pub(super) watch: WatchClient,
}

/// Whether a call may be sent twice.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It changes nothing, or nothing more.
    Freely,
    /// Only when it has not been sent.
    Unsent,
}

impl Members {
    pub(super) fn new(urls: Vec<String>, options: EtcdOptions) -> Self {
        let start = options.env.random.stream("etcd endpoint").below(urls.len() as u64) as usize;
        let list = urls
            .into_iter()
            .map(|url| Member { url, link: Mutex::default(), connecting: tokio::sync::Mutex::default() })
            .collect();
        Self { list, current: AtomicUsize::new(start), options }
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn current(&self) -> usize {
        self.current.load(Ordering::Relaxed)
    }

    pub(super) fn url(&self, index: usize) -> &str {
        &self.list[index].url
    }

    /// The member is of no use: whoever comes next tries the one behind it.
    pub(super) fn pass_over(&self, index: usize) {
        let next = (index + 1) % self.list.len();
        // Another may have been quicker; then there is nothing to do.
        let _ = self.current.compare_exchange(index, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The connection is of no use: whoever comes next makes another, and logs in.
    pub(super) fn forget(&self, index: usize, link: &Arc<Link>) {
        let mut held = lock(&self.list[index].link);
        if held.as_ref().is_some_and(|held| Arc::ptr_eq(held, link)) {
            *held = None;
        }
    }

    /// The connection to a member, made where there is none.
    pub(super) async fn link(&self, index: usize) -> Result<Arc<Link>, Failure> {
        let member = &self.list[index];
        if let Some(link) = lock(&member.link).clone() {
            return Ok(link);
        }
        let _one_at_a_time = member.connecting.lock().await;
        if let Some(link) = lock(&member.link).clone() {
            return Ok(link);
        }
        let client = match self.connect(&member.url, false).await {
            Err(failure) if failure.wants_no_login() => self.connect(&member.url, true).await,
            connected => connected,
        };
        let link = Arc::new(Link::new(&client?));
        *lock(&member.link) = Some(link.clone());
        Ok(link)
    }

    /// Without a user this does not reach out yet; with one, it logs in.
    async fn connect(&self, url: &str, anonymous: bool) -> Result<Client, Failure> {
        let options = self.options.for_endpoint(url, anonymous);
        let connected = self
            .options
            .env
            .clock
            .timeout(self.options.connect_timeout, Client::connect([url], Some(options)))
            .await;
        match connected {
            Ok(Ok(client)) => Ok(client),
            Ok(Err(error)) => Err(match Failure::from(error) {
                // A login whose answer is lost has done nothing that matters.
                Failure::Lost(source) => Failure::NotSent(source),
                failure => failure,
            }),
            Err(elapsed) => Err(Failure::NotSent(Box::new(elapsed))),
        }
    }

    /// Calls the current member, and others when it fails, as often as the time allows.
    pub(super) async fn call<T, Call>(
        &self,
        repeat: Repeat,
        call: impl Fn(Arc<Link>) -> Call,
    ) -> Result<T, Failure>
    where
        Call: Future<Output = Result<T, etcd_client::Error>>,
    {
        let clock = &self.options.env.clock;
        let deadline = clock.instant() + self.options.request_timeout;
        let (mut tried, mut logins, mut wait) = (0, 0, FIRST_WAIT);
        loop {
            let index = self.current();
            let link = self.link(index).await;
            let linked = link.as_ref().ok().cloned();
            let left = deadline.saturating_duration_since(clock.instant());
            // A member that says nothing at all must leave time for another.
            let limit = match repeat {
                Repeat::Freely if self.list.len() > 1 => left / 2,
                _ => left,
            };
            let failure = match link {
                Ok(link) => match clock.timeout(limit, call(link)).await {
                    Ok(Ok(answer)) => return Ok(answer),
                    Ok(Err(error)) => error.into(),
                    Err(elapsed) => Failure::Lost(Box::new(elapsed)),
                },
                Err(failure) => failure,
            };
            match (&failure, linked) {
                (Failure::NotSent(_), _) => self.pass_over(index),
                (Failure::Lost(_), _) => {
                    self.pass_over(index);
                    if repeat == Repeat::Unsent {
                        return Err(failure);
                    }
                }
                (Failure::LoggedOut(_), Some(link)) if logins < LOGINS => {
                    self.forget(index, &link);
                    logins += 1;
                    continue;
                }
                _ => return Err(failure),
            }
            tried += 1;
            tracing::debug!(endpoint = self.url(index), ?failure, "an etcd member fails");
            if clock.instant() + wait >= deadline {
                return Err(failure);
            }
            if tried % self.list.len() == 0 {
                clock.sleep(wait).await;
                wait = (wait * 2).min(LAST_WAIT);
            }
        }
    }

    /// Calls one member, once.
    pub(super) async fn call_one<T, Call>(
        &self,
        index: usize,
        operation: &'static str,
        call: impl Fn(Arc<Link>) -> Call,
    ) -> Result<T>
    where
        Call: Future<Output = Result<T, etcd_client::Error>>,
    {
        let told = |failure: Failure| failure.into_error(operation);
        let mut link = self.link(index).await.map_err(told)?;
        for _ in 0..LOGINS {
            match call(link.clone()).await.map_err(Failure::from) {
                Err(Failure::LoggedOut(_)) => {
                    self.forget(index, &link);
                    link = self.link(index).await.map_err(told)?;
                }
                answer => return answer.map_err(told),
            }
        }
        call(link).await.map_err(|error| told(error.into()))
    }
}

impl Link {
    fn new(client: &Client) -> Self {
        // etcd's own client takes answers of any size too, and so must whoever lists without a limit.
        Self {
            kv: client.kv_client().max_decoding_message_size(usize::MAX),
            lease: client.lease_client(),
            maintenance: client.maintenance_client(),
            watch: client.watch_client().max_decoding_message_size(usize::MAX),
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Something else than etcd's answer is the trouble.
pub(super) fn unavailable(operation: &'static str, why: &'static str) -> Error {
    Error::Unavailable { operation, source: why.into() }
}
