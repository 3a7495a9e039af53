//! Requests: how many, how long, how large.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use kube_core::GroupVersionResource;
use scc::{Equivalent, HashIndex};

use super::instrument::{Gauge, Histogram, Snapshot};
use super::text::{Kind, Page};
use crate::api::{Resource, Scheme};

/// Buckets of how long requests take, in seconds.
const SECONDS: &[f64] = &[
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0,
    20.0, 30.0, 45.0, 60.0,
];
/// The same, of how long they take beside what is not the server's own.
const SLI_SECONDS: &[f64] = &[
    0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0,
    45.0, 60.0,
];
/// Buckets of how large answers are, in bytes.
const BYTES: &[f64] = &[1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
/// The codes that are counted without a lock.
const CODES: [u16; 22] = [
    101, 200, 201, 202, 204, 301, 304, 400, 401, 403, 404, 405, 406, 409, 410, 413, 415, 422, 429, 500, 503,
    504,
];

/// All requests.
#[derive(Debug, Default)]
pub(crate) struct Requests(HashIndex<Labels, Arc<Series>, rustc_hash::FxBuildHasher>);

/// What tells series apart. Fields as in [`Asked`], in the same order, since both must hash alike.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Labels {
    verb: &'static str,
    group: Box<str>,
    version: Box<str>,
    resource: Box<str>,
    subresource: Box<str>,
    scope: &'static str,
    dry_run: bool,
    client: &'static str,
}

/// What is asked for, as far as series tell it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Asked<'a> {
    /// `GET`, `LIST`, `WATCH`, `POST`, `PUT`, `PATCH`, `APPLY`, `DELETE`, `CONNECT`; else `other`.
    pub(crate) verb: &'static str,
    pub(crate) group: &'a str,
    pub(crate) version: &'a str,
    pub(crate) resource: &'a str,
    /// The subresource, or the path of what is no resource.
    pub(crate) subresource: &'a str,
    /// `resource`, `namespace`, `cluster`, or nothing.
    pub(crate) scope: &'static str,
    pub(crate) dry_run: bool,
    /// The component of Kubernetes that asks, where it is one that is told apart.
    pub(crate) client: &'static str,
}

impl Equivalent<Labels> for Asked<'_> {
    fn equivalent(&self, key: &Labels) -> bool {
        self.verb == key.verb
            && self.resource == &*key.resource
            && self.group == &*key.group
            && self.version == &*key.version
            && self.subresource == &*key.subresource
            && (self.scope, self.dry_run, self.client) == (key.scope, key.dry_run, key.client)
    }
}

impl<'a> Asked<'a> {
    /// The same, of this resource.
    pub(crate) fn of(mut self, row: &'a Resource) -> Self {
        (self.group, self.version, self.resource) = (&row.group, &row.version, &row.plural);
        self
    }
}

/// What is counted of requests that are alike.
#[derive(Debug)]
pub(crate) struct Series {
    codes: [AtomicU64; CODES.len()],
    other_codes: Mutex<BTreeMap<u16, u64>>,
    pub(crate) took: Histogram,
    pub(crate) sli: Histogram,
    /// Of reads alone.
    pub(crate) bytes: Histogram,
    /// Long-running ones that have not ended.
    pub(crate) open: Gauge,
}

impl Series {
    fn new() -> Self {
        Self {
            codes: [const { AtomicU64::new(0) }; CODES.len()],
            other_codes: Mutex::default(),
            took: Histogram::seconds(SECONDS),
            sli: Histogram::seconds(SLI_SECONDS),
            bytes: Histogram::sizes(BYTES),
            open: Gauge::default(),
        }
    }

    /// One was answered with this code.
    pub(crate) fn answered(&self, code: u16) {
        match CODES.binary_search(&code) {
            Ok(at) => drop(self.codes[at].fetch_add(1, Ordering::Relaxed)),
            Err(_) => {
                let mut others = self.other_codes.lock().unwrap_or_else(PoisonError::into_inner);
                *others.entry(code).or_default() += 1;
            }
        }
    }

    fn counts(&self) -> BTreeMap<u16, u64> {
        let mut all = self.other_codes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let known = CODES.iter().zip(&self.codes).map(|(code, count)| (*code, count.load(Ordering::Relaxed)));
        all.extend(known.filter(|(_, count)| *count > 0));
        all
    }
}

impl Requests {
    /// The series of what is asked for.
    pub(crate) fn series(&self, asked: &Asked<'_>) -> Arc<Series> {
        if let Some(known) = self.0.peek_with(asked, |_, series| series.clone()) {
            return known;
        }
        let labels = Labels {
            verb: asked.verb,
            group: asked.group.into(),
            version: asked.version.into(),
            resource: asked.resource.into(),
            subresource: asked.subresource.into(),
            scope: asked.scope,
            dry_run: asked.dry_run,
            client: asked.client,
        };
        self.0.entry_sync(labels).or_insert_with(|| Arc::new(Series::new())).get().clone()
    }

    pub(super) fn write(&self, page: &mut Page) {
        let mut all = Vec::new();
        self.0.iter_sync(|labels, series| {
            all.push((labels.clone(), series.clone()));
            true
        });
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        // Who asks is told of counts alone, so that the rest is added up over it.
        let dry = |labels: &Labels| if labels.dry_run { "All" } else { "" };
        page.family(
            "apiserver_request_total",
            Kind::Counter,
            "[STABLE] Counter of apiserver requests broken out for each verb, dry run value, group, version, \
             resource, scope, component, and HTTP response code.",
        );
        for (labels, series) in &all {
            for (code, count) in series.counts() {
                let code = code.to_string();
                page.count(
                    &[
                        ("code", code.as_str()),
                        ("component", "apiserver"),
                        ("dry_run", dry(labels)),
                        ("group", &labels.group),
                        ("resource", &labels.resource),
                        ("scope", labels.scope),
                        ("subresource", &labels.subresource),
                        ("system_client", labels.client),
                        ("verb", labels.verb),
                        ("version", &labels.version),
                    ],
                    count,
                );
            }
        }
        for Distribution { name, help, of, tells_dry_run } in DISTRIBUTIONS {
            page.family(name, Kind::Histogram, help);
            for (labels, read) in summed(&all, *of, *tells_dry_run) {
                let mut own = vec![("component", "apiserver")];
                if *tells_dry_run {
                    own.push(("dry_run", dry(&labels)));
                }
                own.extend(shared(&labels));
                page.histogram(&own, &read);
            }
        }
        page.family(
            "apiserver_longrunning_requests",
            Kind::Gauge,
            "[STABLE] Gauge of all active long-running apiserver requests broken out by verb, group, version, \
             resource, scope and component. Not all requests are tracked this way.",
        );
        let long = all.iter().filter(|(labels, _)| matches!(labels.verb, "WATCH" | "CONNECT"));
        let mut open: BTreeMap<Labels, i64> = BTreeMap::new();
        for (labels, series) in long {
            *open.entry(without(labels, false)).or_default() += series.open.get();
        }
        for (labels, open) in &open {
            let own: Vec<_> = [("component", "apiserver")].into_iter().chain(shared(labels)).collect();
            page.gauge(&own, *open as f64);
        }
    }

    /// Which resources have been asked for although something else should be used by now.
    pub(super) fn write_deprecated(&self, page: &mut Page, scheme: &Scheme) {
        let mut all = BTreeSet::new();
        self.0.iter_sync(|labels, _| {
            let (group, version, resource) = (&*labels.group, &*labels.version, &*labels.resource);
            let row = scheme.resource(&GroupVersionResource::gvr(group, version, resource));
            if let Some(deprecation) = row.and_then(|row| row.deprecation.clone()) {
                all.insert((without(labels, false), deprecation.removed_release));
            }
            true
        });
        page.family(
            "apiserver_requested_deprecated_apis",
            Kind::Gauge,
            "[STABLE] Gauge of deprecated APIs that have been requested, broken out by API group, version, \
             resource, subresource, and removed_release.",
        );
        let told: BTreeSet<_> = all
            .iter()
            .map(|(labels, removed)| {
                [
                    ("group", &*labels.group),
                    ("removed_release", &**removed),
                    ("resource", &*labels.resource),
                    ("subresource", &*labels.subresource),
                    ("version", &*labels.version),
                ]
            })
            .collect();
        for labels in told {
            page.gauge(&labels, 1.0);
        }
    }
}

/// A family of histograms.
struct Distribution {
    name: &'static str,
    help: &'static str,
    of: fn(&Series) -> &Histogram,
    tells_dry_run: bool,
}

const DISTRIBUTIONS: &[Distribution] = &[
    Distribution {
        name: "apiserver_request_duration_seconds",
        help: "[STABLE] Response latency distribution in seconds for each verb, dry run value, group, version, \
               resource, subresource, scope and component.",
        of: |series| &series.took,
        tells_dry_run: true,
    },
    Distribution {
        name: "apiserver_request_sli_duration_seconds",
        help: "[ALPHA] Response latency distribution (not counting webhook duration and priority & fairness queue \
               wait times) in seconds for each verb, group, version, resource, subresource, scope and component.",
        of: |series| &series.sli,
        tells_dry_run: false,
    },
    Distribution {
        name: "apiserver_response_sizes",
        help: "[STABLE] Response size distribution in bytes for each group, version, verb, resource, subresource, \
               scope and component.",
        of: |series| &series.bytes,
        tells_dry_run: false,
    },
];

/// The labels that all families share, in order.
fn shared(labels: &Labels) -> [(&'static str, &str); 6] {
    [
        ("group", &labels.group),
        ("resource", &labels.resource),
        ("scope", labels.scope),
        ("subresource", &labels.subresource),
        ("verb", labels.verb),
        ("version", &labels.version),
    ]
}

/// The same labels without those that a family does not tell.
fn without(labels: &Labels, tells_dry_run: bool) -> Labels {
    Labels { client: "", dry_run: labels.dry_run && tells_dry_run, ..labels.clone() }
}

/// The histograms of all series, those with the same labels added up; empty ones are left out.
fn summed(
    all: &[(Labels, Arc<Series>)],
    of: fn(&Series) -> &Histogram,
    tells_dry_run: bool,
) -> BTreeMap<Labels, Snapshot> {
    let mut sums: BTreeMap<Labels, Snapshot> = BTreeMap::new();
    for (labels, series) in all {
        let read = of(series).read();
        if read.count == 0 {
            continue;
        }
        match sums.get_mut(&without(labels, tells_dry_run)) {
            Some(sum) => sum.add(&read),
            None => drop(sums.insert(without(labels, tells_dry_run), read)),
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderMap;

    use super::*;

    fn asked(verb: &'static str) -> Asked<'static> {
        Asked {
            verb,
            group: "apps",
            version: "v1",
            resource: "deployments",
            subresource: "",
            scope: "namespace",
            dry_run: false,
            client: "",
        }
    }

    #[test]
    fn what_is_alike_is_one_series() {
        assert!(CODES.is_sorted());
        let requests = Requests::default();
        let list = requests.series(&asked("LIST"));
        assert!(Arc::ptr_eq(&list, &requests.series(&asked("LIST"))));
        assert!(!Arc::ptr_eq(&list, &requests.series(&asked("POST"))));
        assert!(!Arc::ptr_eq(&list, &requests.series(&Asked { group: "", ..asked("LIST") })));
    }

    #[test]
    fn who_asks_is_told_of_counts_alone() {
        let requests = Requests::default();
        for client in ["", "kube-scheduler"] {
            let series = requests.series(&Asked { client, ..asked("LIST") });
            series.answered(200);
            series.answered(299);
            series.took.took(Duration::from_millis(30));
        }
        let mut page = Page::of(&HeaderMap::new());
        requests.write(&mut page);
        let text = page.finish();
        let labels = |code, client| {
            format!(
                "apiserver_request_total{{code=\"{code}\",component=\"apiserver\",dry_run=\"\",group=\"apps\",\
                 resource=\"deployments\",scope=\"namespace\",subresource=\"\",system_client=\"{client}\",\
                 verb=\"LIST\",version=\"v1\"}} 1\n"
            )
        };
        for (code, client) in [(200, ""), (299, ""), (200, "kube-scheduler"), (299, "kube-scheduler")] {
            assert!(text.contains(&labels(code, client)), "{text}");
        }
        let bucket = "apiserver_request_duration_seconds_bucket{component=\"apiserver\",dry_run=\"\",\
                      group=\"apps\",resource=\"deployments\",scope=\"namespace\",subresource=\"\",\
                      verb=\"LIST\",version=\"v1\",le=\"0.05\"} 2\n";
        assert!(text.contains(bucket), "{text}");
    }
}
