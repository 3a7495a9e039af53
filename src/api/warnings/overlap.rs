//! Files of a volume of which one hides another.
//!
//! Source: `warningsForOverlappingVirtualPaths` of `k8s.io/kubernetes/pkg/api/pod` (1.36).

use std::fmt;

use serde_json::Value;

use super::{list, text};

/// A path in a volume, and what it comes from where a volume has several sources.
#[derive(PartialEq)]
struct File {
    path: String,
    source: String,
}

impl fmt::Display for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.path)?;
        if self.source.is_empty() { Ok(()) } else { write!(f, " ({})", self.source) }
    }
}

pub(super) fn of(volumes: &[Value]) -> Vec<String> {
    let mut warnings = Vec::new();
    for volume in volumes {
        let name = text(&volume["name"]);
        for (source, kind, named) in [
            ("configMap", "ConfigMap", "name"),
            ("secret", "Secret", "secretName"),
            ("downwardAPI", "DownwardAPI", ""),
        ] {
            let own = &volume[source];
            let shown =
                if named.is_empty() { kind.to_owned() } else { format!("{kind} {:?}", text(&own[named])) };
            let mut known = Vec::new();
            items(own, "").for_each(|file| add(&mut warnings, &mut known, file, name, &shown));
        }
        let mut known = Vec::new();
        for source in list(&volume["projected"]["sources"]) {
            if source.as_object().is_some_and(serde_json::Map::is_empty) {
                warnings.push(format!("volume {name:?} (Projected) has no sources provided"));
            }
            projected(source)
                .into_iter()
                .for_each(|file| add(&mut warnings, &mut known, file, name, "Projected"));
        }
    }
    warnings
}

fn items<'a>(source: &'a Value, shown: &'a str) -> impl Iterator<Item = File> + 'a {
    list(&source["items"]).iter().map(move |item| file(&item["path"], shown))
}

fn file(path: &Value, source: &str) -> File {
    File { path: text(path).trim_end_matches('/').to_owned(), source: source.to_owned() }
}

fn projected(source: &Value) -> Vec<File> {
    for (field, kind) in [("configMap", "ConfigMap"), ("secret", "Secret")] {
        let own = &source[field];
        if own["items"].is_array() {
            return items(own, &format!("{kind} {:?}", text(&own["name"]))).collect();
        }
    }
    if source["downwardAPI"]["items"].is_array() {
        return items(&source["downwardAPI"], "DownwardAPI").collect();
    }
    if source["serviceAccountToken"].is_object() {
        return vec![file(&source["serviceAccountToken"]["path"], "ServiceAccountToken")];
    }
    let bundle = &source["clusterTrustBundle"];
    if bundle.is_object() {
        let name = bundle["name"].as_str().unwrap_or_else(|| text(&bundle["signerName"]));
        return vec![file(&bundle["path"], &format!("ClusterTrustBundle {name:?}"))];
    }
    let certificate = &source["podCertificate"];
    [
        ("certificateChainPath", "PodCertificate chain"),
        ("keyPath", "PodCertificate key"),
        ("credentialBundlePath", "PodCertificate credential bundle"),
    ]
    .into_iter()
    .filter(|(field, _)| !text(&certificate[*field]).is_empty())
    .map(|(field, shown)| file(&certificate[field], shown))
    .collect()
}

fn add(warnings: &mut Vec<String>, known: &mut Vec<File>, file: File, volume: &str, shown: &str) {
    let below = |inner: &str, outer: &str| format!("{inner}/").starts_with(&format!("{outer}/"));
    let both = |other: &File| !file.path.is_empty() && !other.path.is_empty();
    for other in known.iter().filter(|other| both(other)) {
        if *other == file || below(&other.path, &file.path) || below(&file.path, &other.path) {
            warnings.push(format!("volume {volume:?} ({shown}): overlapping paths: {file} with {other}"));
        }
    }
    known.push(file);
}
