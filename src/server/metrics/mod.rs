//! What the server tells Prometheus of itself, under kube-apiserver's names.
//!
//! A request finds its series by one look-up that takes no lock and copies nothing, and then adds to a few
//! atomics; what is known elsewhere (objects, the store's size, the process) is read when somebody asks.
//! Series exist for what is served, never for what a path merely names, so that no caller makes them grow.
//!
//! The text is written by hand, not by the crate `prometheus-client`: that one writes OpenMetrics alone,
//! where older scrapers want Prometheus' own text, locks its histograms, and takes a series' labels by value.
//!
//! Names, labels, buckets and texts: `endpoints/metrics`, `storage/etcd3/metrics` and `storage/cacher/metrics`
//! of `k8s.io/apiserver/pkg` (1.36).

mod instrument;
mod process;
mod requests;
mod store;
mod text;
mod watches;

use std::sync::Arc;

use http::HeaderMap;

pub(crate) use requests::{Asked, Requests, Series};
pub(crate) use store::Measured;
pub(crate) use watches::{WatchSeries, Watches};

use self::instrument::Counter;
use self::text::{Kind, Page};
use super::ApiServer;
use crate::api::Resource;
use crate::store::{KeyRange, ListOptions};

/// What is counted.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) requests: Requests,
    pub(crate) watches: Watches,
    pub(crate) store: Arc<store::Calls>,
    /// TLS handshakes that failed.
    pub(crate) handshakes: Counter,
}

/// A page of metrics, and its media type.
pub(crate) async fn page(server: &ApiServer, headers: &HeaderMap) -> (&'static str, String) {
    let mut page = Page::of(headers);
    let metrics = server.metrics();
    metrics.requests.write(&mut page);
    metrics.requests.write_deprecated(&mut page, &server.scheme());
    metrics.watches.write(&mut page);
    in_flight(server, &mut page);
    page.family("apiserver_tls_handshake_errors_total", Kind::Counter, HANDSHAKES);
    page.count::<&str>(&[], metrics.handshakes.get());
    metrics.store.write(&mut page, &server.scheme());
    objects(server, &mut page).await;
    size(server, &mut page).await;
    process::write(&mut page, &server.env().clock);
    (page.media_type(), page.finish())
}

const HANDSHAKES: &str = "[ALPHA] Number of requests dropped with 'TLS handshake error from' error";

fn in_flight(server: &ApiServer, page: &mut Page) {
    let (reads, mutating) = server.in_flight().peaks(server.second());
    let name = "apiserver_current_inflight_requests";
    let help = "[STABLE] Maximal number of currently used inflight request limit of this apiserver per request \
                kind in last second.";
    page.family(name, Kind::Gauge, help);
    page.gauge(&[("request_kind", "mutating")], mutating as f64);
    page.gauge(&[("request_kind", "readOnly")], reads as f64);
}

/// How many objects there are of each stored resource, and what is known of those that are cached.
async fn objects(server: &ApiServer, page: &mut Page) {
    let scheme = server.scheme();
    // Versions of one kind share their objects.
    let mut rows: Vec<&Arc<Resource>> = Vec::new();
    for row in scheme.iter().filter(|row| row.verbs.iter().any(|verb| verb == "list")) {
        if rows.iter().all(|known| known.storage_key(None, None) != row.storage_key(None, None)) {
            rows.push(row);
        }
    }
    rows.sort_by_key(|row| row.qualified());
    let mut counts = Vec::new();
    for row in rows {
        let range = KeyRange::prefix(row.storage_key(None, None));
        let listed = server.cached().store().list(range, ListOptions::default().count_only()).await;
        counts.push((row, listed.map_or(-1.0, |listed| listed.count as f64)));
    }
    let labels =
        |row: &Arc<Resource>| [("group", row.group.to_string()), ("resource", row.plural.to_string())];
    let help = "[ALPHA] Number of stored objects at the time of last check split by kind. In case of a fetching \
                error, the value will be -1.";
    page.family("apiserver_resource_objects", Kind::Gauge, help);
    for (row, count) in &counts {
        page.gauge(&labels(row), *count);
    }
    let help = "[STABLE] [DEPRECATED, consider using apiserver_resource_objects instead] Number of stored objects \
                at the time of last check split by kind. In case of a fetching error, the value will be -1.";
    page.family("apiserver_storage_objects", Kind::Gauge, help);
    for (row, count) in &counts {
        page.gauge(&[("resource", row.qualified())], *count);
    }
    let glances: Vec<_> =
        counts.iter().filter_map(|(row, _)| Some((row, server.cached().glance(row)?))).collect();
    let help = "[ALPHA] Estimated size of stored objects in database. Estimate is based on sum of last observed \
                sizes of serialized objects. In case of a fetching error, the value will be -1.";
    page.family("apiserver_resource_size_estimate_bytes", Kind::Gauge, help);
    for (row, glance) in &glances {
        page.gauge(&labels(row), glance.stats.bytes as f64);
    }
    let help = "[ALPHA] Current resource version of watch cache broken by resource type.";
    page.family("apiserver_watch_cache_resource_version", Kind::Gauge, help);
    for (row, glance) in &glances {
        page.gauge(&labels(row), glance.revision.0 as f64);
    }
    let help = "[ALPHA] Counter of events received in watch cache broken by resource type.";
    page.family("apiserver_watch_cache_events_received_total", Kind::Counter, help);
    for (row, glance) in &glances {
        page.count(&labels(row), glance.events);
    }
}

async fn size(server: &ApiServer, page: &mut Page) {
    let Some(upkeep) = server.cached().store().maintenance() else { return };
    let Ok(status) = upkeep.status().await else { return };
    let help = "[STABLE] Size of the storage database file physically allocated in bytes.";
    page.family("apiserver_storage_size_bytes", Kind::Gauge, help);
    page.gauge(&[("storage_cluster_id", "etcd-0")], status.size_bytes as f64);
}
