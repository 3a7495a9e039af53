//! Rows: those of the scheme, and those that answers teach.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::api::{Resource, Scheme, Scope};
use crate::client::Target;

/// The rows that answers are read by.
pub(super) struct Rows {
    scheme: Scheme,
    /// By group, version and plural name.
    learned: Mutex<BTreeMap<[String; 3], Arc<Resource>>>,
}

/// What an answer says about its row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'a> {
    pub(super) api_version: &'a str,
    /// Empty where the answer does not say.
    pub(super) kind: &'a str,
    /// Whether an object of it has a namespace.
    pub(super) namespaced: bool,
}

impl Rows {
    pub(super) fn new(scheme: Scheme) -> Self {
        Self { scheme, learned: Mutex::default() }
    }

    /// The row of what a target is answered with.
    pub(super) fn row(&self, target: &Target, seen: Seen<'_>) -> Arc<Resource> {
        let asked = &target.resource;
        let known = self.scheme.resource(asked);
        if let Some(known) = known.filter(|row| seen.kind.is_empty() || seen.kind == row.kind) {
            return known.clone();
        }
        let (group, version) = match seen.api_version.split_once('/') {
            Some(both) => both,
            None if seen.api_version.is_empty() => (asked.group.as_str(), asked.version.as_str()),
            None => ("", seen.api_version),
        };
        let own = known.is_none() && group == asked.group && version == asked.version;
        let scope =
            if seen.namespaced || target.namespace.is_some() { Scope::Namespaced } else { Scope::Cluster };
        let made = |plural: String| {
            let (group, version) = (group.to_owned(), version.to_owned());
            Arc::new(Resource::new(group, version, seen.kind.to_owned(), plural, scope))
        };
        if !own {
            // A subresource's own kind, such as `Scale`: it has no path but its parent's.
            return made(format!("{}s", seen.kind.to_lowercase()));
        }
        let key = [&asked.group, &asked.version, &asked.resource].map(Clone::clone);
        let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(row) = learned.get(&key) {
            let same = seen.kind.is_empty() || seen.kind == row.kind;
            if same && (row.namespaced() || scope == Scope::Cluster) {
                return row.clone();
            }
        }
        let row = made(asked.resource.clone());
        if target.subresource.is_none() && !seen.kind.is_empty() {
            learned.insert(key, row.clone());
        }
        row
    }
}

#[cfg(test)]
mod tests {
    use kube_core::GroupVersionResource;

    use super::*;

    fn target(group: &str, version: &str, plural: &str) -> Target {
        Target {
            resource: GroupVersionResource::gvr(group, version, plural),
            namespace: None,
            name: None,
            subresource: None,
        }
    }

    #[test]
    fn the_schemes_rows_come_first_and_subresources_have_their_own() {
        let rows = Rows::new(Scheme::builtin());
        let deployments = target("apps", "v1", "deployments");
        let seen = Seen { api_version: "apps/v1", kind: "Deployment", namespaced: true };
        assert!(!rows.row(&deployments, seen).columns.is_empty());
        let seen = Seen { api_version: "autoscaling/v1", kind: "Scale", namespaced: true };
        let row = rows.row(&deployments.subresource("scale"), seen);
        assert_eq!((row.api_version().as_str(), row.kind.as_ref()), ("autoscaling/v1", "Scale"));
    }

    #[test]
    fn a_row_is_learned_once_and_found_out_to_be_namespaced() {
        let rows = Rows::new(Scheme::empty());
        let target = target("x.io", "v1", "things");
        let seen = |namespaced| Seen { api_version: "x.io/v1", kind: "Thing", namespaced };
        let first = rows.row(&target, seen(false));
        assert_eq!(
            (first.kind.as_ref(), first.plural.as_ref(), first.namespaced()),
            ("Thing", "things", false)
        );
        assert!(Arc::ptr_eq(&first, &rows.row(&target, seen(false))));
        let second = rows.row(&target, seen(true));
        assert!(second.namespaced());
        assert!(Arc::ptr_eq(&second, &rows.row(&target, seen(false))));
    }
}
