//! Watches: how many events, how large.

use std::sync::Arc;

use scc::HashIndex;

use super::instrument::{Counter, Histogram};
use super::text::{Kind, Page};
use crate::api::Resource;

/// Buckets of how large events are, in bytes.
const BYTES: &[f64] = &[1024.0, 2048.0, 4096.0, 8192.0, 16384.0, 32768.0, 65536.0, 131_072.0];

/// The watches of all resources, by group, version and plural name.
#[derive(Debug, Default)]
pub(crate) struct Watches(HashIndex<[String; 3], Arc<WatchSeries>, rustc_hash::FxBuildHasher>);

/// What is counted of the watches of a resource.
#[derive(Debug)]
pub(crate) struct WatchSeries {
    events: Counter,
    bytes: Histogram,
}

impl WatchSeries {
    /// An event was sent.
    pub(crate) fn sent(&self, bytes: usize) {
        self.events.add(1);
        self.bytes.size(bytes as u64);
    }
}

impl Watches {
    /// The series of a resource.
    pub(crate) fn series(&self, row: &Resource) -> Arc<WatchSeries> {
        let key = [row.group.to_string(), row.version.to_string(), row.plural.to_string()];
        let new = || Arc::new(WatchSeries { events: Counter::default(), bytes: Histogram::sizes(BYTES) });
        self.0.entry_sync(key).or_insert_with(new).get().clone()
    }

    pub(super) fn write(&self, page: &mut Page) {
        let mut all = Vec::new();
        self.0.iter_sync(|key, series| {
            all.push((key.clone(), series.clone()));
            true
        });
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        let labels = |[group, version, resource]: &[String; 3]| {
            [("group", group.clone()), ("resource", resource.clone()), ("version", version.clone())]
        };
        let help = "[ALPHA] Number of events sent in watch clients";
        page.family("apiserver_watch_events_total", Kind::Counter, help);
        for (key, series) in &all {
            page.count(&labels(key), series.events.get());
        }
        page.family(
            "apiserver_watch_events_sizes",
            Kind::Histogram,
            "[ALPHA] Watch event size distribution in bytes",
        );
        for (key, series) in &all {
            page.histogram(&labels(key), &series.bytes.read());
        }
    }
}
