//! Discovery: which groups, versions and resources there are, read from the scheme's rows.
//!
//! Both forms: one document a group version (`/api`, `/apis`, `/apis/apps/v1`), and everything at
//! once (`APIGroupDiscoveryList`). Groups stand in the order of kube-apiserver's priorities, since
//! kubectl takes the first group that knows a short name.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::api::resource::version_rank;
use crate::api::{Resource, Scheme, Scope, Subresource};

/// `/api`.
pub(crate) fn legacy_versions() -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
}

/// `/apis`.
pub(crate) fn group_list(scheme: &Scheme) -> Value {
    let groups: Vec<Value> = groups(scheme)
        .into_iter()
        .filter(|(group, _)| !group.is_empty())
        .map(|(group, versions)| describe(&group, &versions))
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/apps`, if there is such a group.
pub(crate) fn group(scheme: &Scheme, name: &str) -> Option<Value> {
    let (_, versions) = groups(scheme).into_iter().find(|(group, _)| group == name)?;
    let mut group = describe(name, &versions);
    group["kind"] = "APIGroup".into();
    group["apiVersion"] = "v1".into();
    Some(group)
}

/// `/api/v1`, `/apis/apps/v1`, if there is such a version.
pub(crate) fn resource_list(scheme: &Scheme, group: &str, version: &str) -> Option<Value> {
    let rows: Vec<_> = scheme.iter().filter(|row| row.group == group && row.version == version).collect();
    let first = rows.first()?;
    let mut resources = Vec::new();
    for row in &rows {
        let mut entry = json!({
            "name": row.plural,
            "singularName": row.singular,
            "namespaced": row.namespaced(),
            "kind": row.kind,
            "verbs": row.verbs,
        });
        put_names(&mut entry, row);
        resources.push(entry);
        for sub in &row.subresources {
            let mut entry = json!({
                "name": format!("{}/{}", row.plural, sub.name),
                "singularName": "",
                "namespaced": row.namespaced(),
                "kind": sub.kind.kind,
                "verbs": sub.verbs,
            });
            if sub.kind.group != group || sub.kind.version != version {
                entry["group"] = sub.kind.group.as_str().into();
                entry["version"] = sub.kind.version.as_str().into();
            }
            resources.push(entry);
        }
    }
    Some(json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": first.api_version(),
        "resources": resources,
    }))
}

/// Everything at `/api` (`core`) or `/apis`.
pub(crate) fn aggregated(scheme: &Scheme, core: bool) -> Value {
    let items: Vec<Value> = groups(scheme)
        .into_iter()
        .filter(|(group, _)| group.is_empty() == core)
        .map(|(group, versions)| {
            let mut metadata = Map::new();
            metadata.insert("creationTimestamp".into(), Value::Null);
            if !group.is_empty() {
                metadata.insert("name".into(), group.as_str().into());
            }
            let versions: Vec<Value> = versions
                .iter()
                .map(|(version, rows)| {
                    let resources: Vec<Value> = rows.iter().map(|row| aggregated_resource(row)).collect();
                    json!({"version": version, "resources": resources, "freshness": "Current"})
                })
                .collect();
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    })
}

fn aggregated_resource(row: &Resource) -> Value {
    let subresource = |sub: &Subresource| {
        json!({
            "subresource": sub.name,
            "responseKind": {"group": sub.kind.group, "version": sub.kind.version, "kind": sub.kind.kind},
            "verbs": sub.verbs,
        })
    };
    let mut entry = json!({
        "resource": row.plural,
        "responseKind": {"group": row.group, "version": row.version, "kind": row.kind},
        "scope": match row.scope { Scope::Cluster => "Cluster", Scope::Namespaced => "Namespaced" },
        "singularResource": row.singular,
        "verbs": row.verbs,
    });
    put_names(&mut entry, row);
    if !row.subresources.is_empty() {
        entry["subresources"] = row.subresources.iter().map(subresource).collect();
    }
    entry
}

fn put_names(entry: &mut Value, row: &Resource) {
    if !row.short_names.is_empty() {
        entry["shortNames"] = json!(row.short_names);
    }
    if !row.categories.is_empty() {
        entry["categories"] = json!(row.categories);
    }
}

fn describe(group: &str, versions: &[(String, Vec<Arc<Resource>>)]) -> Value {
    let version =
        |version: &String| json!({"groupVersion": format!("{group}/{version}"), "version": version});
    let all: Vec<Value> = versions.iter().map(|(name, _)| version(name)).collect();
    json!({"name": group, "preferredVersion": all.first(), "versions": all})
}

/// A version with its rows.
pub(crate) type Version = (String, Vec<Arc<Resource>>);

/// Groups with their versions, the preferred one first, and their rows.
pub(crate) fn groups(scheme: &Scheme) -> Vec<(String, Vec<Version>)> {
    let mut groups: BTreeMap<String, BTreeMap<String, Vec<Arc<Resource>>>> = BTreeMap::new();
    for row in scheme.iter() {
        let versions = groups.entry(row.group.to_string()).or_default();
        versions.entry(row.version.to_string()).or_default().push(row.clone());
    }
    let mut groups: Vec<_> = groups
        .into_iter()
        .map(|(group, versions)| {
            let mut versions: Vec<_> = versions.into_iter().collect();
            versions.sort_by_key(|(version, _)| Reverse(version_rank(version)));
            (group, versions)
        })
        .collect();
    groups.sort_by_key(|(group, _)| group_rank(group));
    groups
}

/// Where a group stands among the built-in ones (kube-apiserver's `apiVersionPriorities`, 1.36);
/// custom groups follow, by name.
fn group_rank(group: &str) -> usize {
    const ORDER: &[&str] = &[
        "",
        "apps",
        "events.k8s.io",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "autoscaling",
        "batch",
        "certificates.k8s.io",
        "networking.k8s.io",
        "policy",
        "rbac.authorization.k8s.io",
        "storage.k8s.io",
        "apiextensions.k8s.io",
        "admissionregistration.k8s.io",
        "scheduling.k8s.io",
        "coordination.k8s.io",
        "node.k8s.io",
        "discovery.k8s.io",
        "flowcontrol.apiserver.k8s.io",
        "internal.apiserver.k8s.io",
        "resource.k8s.io",
        "storagemigration.k8s.io",
    ];
    ORDER.iter().position(|known| *known == group).unwrap_or(ORDER.len())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::Deployment;
    use k8s_openapi::api::core::v1::Pod;

    use super::*;

    fn scheme() -> Scheme {
        let mut deployment = Resource::of::<Deployment>();
        deployment.short_names = vec!["deploy".into()];
        deployment.subresources = vec![Subresource {
            name: "scale".into(),
            kind: kube_core::GroupVersionKind::gvk("autoscaling", "v1", "Scale"),
            verbs: vec!["get".into()],
        }];
        Scheme::empty()
            .with(Resource::new("a.example", "v1beta1", "Thing", "things", Scope::Cluster))
            .with(Resource::new("a.example", "v1", "Thing", "things", Scope::Cluster))
            .with(deployment)
            .with(Resource::of::<Pod>())
    }

    #[test]
    fn groups_stand_by_priority_and_versions_by_maturity() {
        let list = group_list(&scheme());
        let names: Vec<_> =
            list["groups"].as_array().unwrap().iter().map(|group| group["name"].clone()).collect();
        assert_eq!(names, ["apps", "a.example"]);
        assert_eq!(list["groups"][1]["preferredVersion"]["groupVersion"], "a.example/v1");
        let mut versions = ["v1alpha1", "v2", "v10", "foo", "v1beta2", "v1"];
        versions.sort_by_key(|version| Reverse(version_rank(version)));
        assert_eq!(versions, ["v10", "v2", "v1", "v1beta2", "v1alpha1", "foo"]);
    }

    #[test]
    fn a_subresource_names_the_kind_that_it_borrows() {
        let list = resource_list(&scheme(), "apps", "v1").unwrap();
        assert_eq!(list["groupVersion"], "apps/v1");
        assert_eq!(list["resources"][0]["shortNames"], json!(["deploy"]));
        assert_eq!(
            list["resources"][1],
            json!({"name": "deployments/scale", "singularName": "", "namespaced": true, "kind": "Scale",
                "group": "autoscaling", "version": "v1", "verbs": ["get"]})
        );
        assert!(resource_list(&scheme(), "apps", "v2").is_none());
    }

    #[test]
    fn everything_at_once() {
        let core = aggregated(&scheme(), true);
        assert_eq!(core["items"].as_array().unwrap().len(), 1);
        assert_eq!(core["items"][0]["versions"][0]["resources"][0]["responseKind"]["kind"], "Pod");
        let rest = aggregated(&scheme(), false);
        assert_eq!(rest["items"][0]["metadata"]["name"], "apps");
        assert_eq!(rest["items"][1]["versions"][0]["version"], "v1");
    }
}
