//! Which resources a control plane serves, as far as controllers of all kinds of objects need it.
//!
//! Asked over plain discovery (`/api/v1`, `/apis`, `/apis/<group>/<version>`), which every
//! Kubernetes answers. Of a resource that has several versions, the one that its group prefers.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIGroupList, APIResourceList};
use serde::de::DeserializeOwned;

use super::Error;
use crate::api::{Resource, Scope};
use crate::client::{Client, Request, Response};

/// What discovery found.
pub(super) struct Discovered {
    pub(super) resources: Vec<Arc<Resource>>,
    /// Group versions that did not answer, and why: what is known of them must not be forgotten.
    pub(super) failed: Vec<String>,
}

/// Asks for everything that is served.
///
/// # Errors
///
/// When not even the list of groups is answered.
pub(super) async fn resources(client: &dyn Client) -> Result<Discovered, Error> {
    let groups: APIGroupList = read(client, "/apis").await?;
    let mut paths = vec![("/api/v1".to_owned(), String::new(), "v1".to_owned())];
    for group in groups.groups {
        let preferred = group.preferred_version.map(|version| version.version);
        let mut versions: Vec<String> = group.versions.into_iter().map(|version| version.version).collect();
        versions.sort_by_key(|version| Some(version) != preferred.as_ref());
        let name = group.name;
        paths.extend(
            versions.into_iter().map(|version| (format!("/apis/{name}/{version}"), name.clone(), version)),
        );
    }
    let mut found = Discovered { resources: Vec::new(), failed: Vec::new() };
    let mut known = BTreeSet::new();
    for (path, group, version) in paths {
        let list: APIResourceList = match read(client, &path).await {
            Ok(list) => list,
            Err(error) => {
                found.failed.push(format!("{path}: {error}"));
                continue;
            }
        };
        for served in list.resources.into_iter().filter(|served| !served.name.contains('/')) {
            if !known.insert((group.clone(), served.name.clone())) {
                continue;
            }
            let scope = if served.namespaced { Scope::Namespaced } else { Scope::Cluster };
            let mut row = Resource::new(group.clone(), version.clone(), served.kind, served.name, scope);
            row.verbs = served.verbs.into_iter().map(Into::into).collect();
            found.resources.push(Arc::new(row));
        }
    }
    Ok(found)
}

/// Whether a resource does all of this.
pub(super) fn does(resource: &Resource, verbs: &[&str]) -> bool {
    verbs.iter().all(|verb| resource.verbs.iter().any(|own| own == verb))
}

async fn read<T: DeserializeOwned>(client: &dyn Client, path: &str) -> Result<T, Error> {
    let request = http::Request::get(path)
        .header(http::header::ACCEPT, "application/json")
        .body(Bytes::new())
        .map_err(Error::other)?;
    let Response::Raw(response) = client.call(Request::Raw(request)).await? else {
        return Err(Error::other("discovery was not answered as HTTP"));
    };
    let (head, mut body) = response.into_parts();
    let mut bytes = BytesMut::new();
    while let Some(part) = body.next().await {
        bytes.extend_from_slice(&part.map_err(Error::other)?);
    }
    if !head.status.is_success() {
        return Err(Error::other(format!("{path}: {}", head.status)));
    }
    serde_json::from_slice(&bytes).map_err(Error::other)
}
