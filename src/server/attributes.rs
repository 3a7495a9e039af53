//! What a request is about, as authorization sees it.

use kube_core::GroupVersionResource;

use crate::api::selector::{FieldSelector, LabelSelector};
use crate::client::{Request, Target};

/// What somebody wants to do to what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`; for a
    /// path the HTTP method in lower case.
    pub verb: String,
    /// API group; empty for the core group and for paths.
    pub group: String,
    /// API version.
    pub version: String,
    /// Plural name of the resource; empty for paths.
    pub resource: String,
    /// Subresource; mostly empty.
    pub subresource: String,
    /// Namespace; empty for all, and for resources of cluster scope.
    pub namespace: String,
    /// Name; empty where none is named. A list, watch or deletion of many whose field selector asks for one
    /// `metadata.name` names that one.
    pub name: String,
    /// The field selector of a list, watch or deletion of many; mostly empty.
    pub fields: FieldSelector,
    /// The label selector of the same.
    pub labels: LabelSelector,
    /// The path, where the request is about no resource.
    pub path: Option<String>,
}

impl Attributes {
    /// What a request is about.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        match request {
            Request::Get { target, .. } => Self::on("get", target),
            Request::List { target, options } => {
                Self::on("list", target).selecting(&options.fields, &options.labels)
            }
            Request::Watch { target, options } => {
                Self::on("watch", target).selecting(&options.fields, &options.labels)
            }
            Request::Create { target, .. } => Self::on("create", target),
            Request::Update { target, .. } => Self::on("update", target),
            Request::Patch { target, .. } => Self::on("patch", target),
            Request::Delete { target, .. } => Self::on("delete", target),
            Request::DeleteCollection { target, list, .. } => {
                Self::on("deletecollection", target).selecting(&list.fields, &list.labels)
            }
            Request::Connect { target, .. } => Self::on("create", target),
            Request::Raw(request) => {
                Self::path(&request.method().as_str().to_lowercase(), request.uri().path())
            }
        }
    }

    /// A verb on a path that is no resource.
    #[must_use]
    pub fn path(verb: &str, path: &str) -> Self {
        Self { verb: verb.into(), path: Some(path.into()), ..Self::default() }
    }

    /// A verb on a resource or an object.
    #[must_use]
    pub fn on(verb: &str, target: &Target) -> Self {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        Self {
            verb: verb.into(),
            group: target.resource.group.clone(),
            version: target.resource.version.clone(),
            resource: target.resource.resource.clone(),
            subresource: text(&target.subresource),
            namespace: text(&target.namespace),
            name: text(&target.name),
            ..Self::default()
        }
    }

    /// The same, of those that these select.
    ///
    /// Source: `NewRequestInfo` of `k8s.io/apiserver/pkg/endpoints/request` (1.36).
    #[must_use]
    pub fn selecting(mut self, fields: &FieldSelector, labels: &LabelSelector) -> Self {
        if self.name.is_empty()
            && let Some(name) = fields.required("metadata.name")
            && crate::api::names::path_segment(name).is_empty()
        {
            self.name = name.to_owned();
        }
        self.fields = fields.clone();
        self.labels = labels.clone();
        self
    }

    /// Group, version and plural name, where the request is about a resource.
    #[must_use]
    pub fn gvr(&self) -> Option<GroupVersionResource> {
        self.path.is_none().then(|| GroupVersionResource::gvr(&self.group, &self.version, &self.resource))
    }
}

#[cfg(test)]
mod tests {
    use kube_core::GroupVersionResource;

    use super::*;
    use crate::client::{ListOptions, WatchOptions};

    #[test]
    fn a_list_of_one_name_is_about_that_name() {
        let target = || Target {
            resource: GroupVersionResource::gvr("", "v1", "secrets"),
            namespace: Some("a".into()),
            name: None,
            subresource: None,
        };
        let list = |fields: &str, labels: &str| {
            let (fields, labels) = (fields.parse().unwrap(), labels.parse().unwrap());
            let options = ListOptions { fields, labels, ..ListOptions::default() };
            Attributes::of(&Request::List { target: target(), options })
        };
        assert_eq!(list("metadata.name=x", "").name, "x");
        assert_eq!(list("metadata.name!=x", "").name, "");
        assert_eq!(list("metadata.name=a/b", "").name, "");
        let both = list("spec.nodeName=n1", "app=web");
        assert_eq!((both.fields.required("spec.nodeName"), both.labels.requirements.len()), (Some("n1"), 1));
        let fields = "metadata.name=x".parse().unwrap();
        let options = WatchOptions { fields, ..WatchOptions::default() };
        let watch = Attributes::of(&Request::Watch { target: target(), options });
        assert_eq!((watch.verb.as_str(), watch.name.as_str()), ("watch", "x"));
    }
}
