//! What a request is about, as authorization sees it.

use kube_core::GroupVersionResource;

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
    /// Name; empty where none is named.
    pub name: String,
    /// The path, where the request is about no resource.
    pub path: Option<String>,
}

impl Attributes {
    /// What a request is about.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        match request {
            Request::Get { target, .. } => Self::on("get", target),
            Request::List { target, .. } => Self::on("list", target),
            Request::Watch { target, .. } => Self::on("watch", target),
            Request::Create { target, .. } => Self::on("create", target),
            Request::Update { target, .. } => Self::on("update", target),
            Request::Patch { target, .. } => Self::on("patch", target),
            Request::Delete { target, .. } => Self::on("delete", target),
            Request::DeleteCollection { target, .. } => Self::on("deletecollection", target),
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
            path: None,
        }
    }

    /// Group, version and plural name, where the request is about a resource.
    #[must_use]
    pub fn gvr(&self) -> Option<GroupVersionResource> {
        self.path.is_none().then(|| GroupVersionResource::gvr(&self.group, &self.version, &self.resource))
    }
}
