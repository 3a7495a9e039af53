//! Where an informer gets its objects from: a list, then watches.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;

use super::super::{Client, ClientExt, Error, ListOptions, Target, Typed, WatchOptions};
use super::Informer;
use crate::api::selector::{FieldSelector, LabelSelector};
use crate::env::{Env, Stream};

/// How long after a failure the next attempt starts, at first and at most; each failure doubles it
/// (client-go's reflector: 800 ms to 30 s, with jitter).
const BACKOFF: (Duration, Duration) = (Duration::from_millis(800), Duration::from_secs(30));

/// Where an informer gets its objects from.
pub(super) struct Source {
    pub(super) client: Arc<dyn Client>,
    pub(super) target: Target,
    pub(super) labels: LabelSelector,
    pub(super) fields: FieldSelector,
    pub(super) jitter: Stream,
    pub(super) env: Env,
}

impl Source {
    pub(super) async fn run<K: Typed>(&self, informer: &Informer<K>) {
        let mut backoff = BACKOFF.0;
        loop {
            match self.list_and_watch(informer, &mut backoff).await {
                Error::Expired(_) => tracing::debug!(target = ?self.target, "watch expired, listing again"),
                error => {
                    tracing::debug!(%error, target = ?self.target, "listing again");
                    self.env.clock.sleep(self.jitter.jitter(backoff, 1.0)).await;
                    backoff = (backoff * 2).min(BACKOFF.1);
                }
            }
        }
    }

    /// Lists, then watches until the revision has expired or a list fails.
    async fn list_and_watch<K: Typed>(&self, informer: &Informer<K>, backoff: &mut Duration) -> Error {
        let options = ListOptions {
            labels: self.labels.clone(),
            fields: self.fields.clone(),
            ..ListOptions::default()
        };
        let list = match self.client.list(self.target.clone(), options).await {
            Ok(list) => list,
            Err(error) => return error,
        };
        informer.replace(list.revision, list.items);
        loop {
            match self.watch(informer, backoff).await {
                // A watch that delivered something and ends (its time was up) goes on at once.
                Ok(Ended::AfterEvents) => continue,
                Ok(Ended::Empty) => {}
                Err(error @ Error::Expired(_)) => return error,
                Err(error) => tracing::debug!(%error, target = ?self.target, "watch broke"),
            }
            self.env.clock.sleep(self.jitter.jitter(*backoff, 1.0)).await;
            *backoff = (*backoff * 2).min(BACKOFF.1);
        }
    }

    async fn watch<K: Typed>(&self, informer: &Informer<K>, backoff: &mut Duration) -> Result<Ended, Error> {
        let options = WatchOptions {
            labels: self.labels.clone(),
            fields: self.fields.clone(),
            resource_version: Some(informer.revision()),
            bookmarks: true,
            ..WatchOptions::default()
        };
        let mut stream = self.client.watch(self.target.clone(), options).await?;
        let mut ended = Ended::Empty;
        while let Some(event) = stream.next().await {
            informer.follow(event?);
            *backoff = BACKOFF.0;
            ended = Ended::AfterEvents;
        }
        Ok(ended)
    }
}

/// How a watch ended that no error ended.
enum Ended {
    AfterEvents,
    Empty,
}
