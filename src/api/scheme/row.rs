//! From a line of the table to a row of the scheme: what lines do not say because it follows from a
//! rule with few exceptions.

use kube_core::GroupVersionKind;

use super::{columns, deprecated, fields};
use crate::api::{Resource, Scope, Subresource};

/// A line of the table.
#[derive(Clone, Copy)]
pub(super) struct Row {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    short: &'static str,
    categories: &'static str,
    scope: Scope,
    subresources: &'static str,
}

pub(super) const N: Scope = Scope::Namespaced;
pub(super) const C: Scope = Scope::Cluster;

#[allow(clippy::too_many_arguments, reason = "a line of a table")]
pub(super) const fn row(
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    short: &'static str,
    categories: &'static str,
    scope: Scope,
    subresources: &'static str,
) -> Row {
    Row { group, version, kind, plural, short, categories, scope, subresources }
}

impl Row {
    pub(super) fn resource(&self) -> Resource {
        let words = |text: &'static str| text.split_whitespace().map(Into::into).collect();
        let mut resource = Resource::new(self.group, self.version, self.kind, self.plural, self.scope);
        resource.short_names = words(self.short);
        resource.categories = words(self.categories);
        match (self.kind, self.plural) {
            ("Binding", _) => resource.verbs = words("create"),
            (kind, _) if kind.ends_with("Review") => resource.verbs = words("create"),
            ("ComponentStatus", _) => resource.verbs = words("get list"),
            // Namespaces go one by one: each has contents that go first.
            ("Namespace", _) => resource.verbs.retain(|verb| verb != "deletecollection"),
            _ => {}
        }
        resource.subresources =
            self.subresources.split_whitespace().map(|name| self.subresource(name)).collect();
        resource.storage = self.storage().into();
        resource.schema = Some(self.schema().into());
        resource.selectable = fields::of(self.group, self.kind);
        resource.columns = columns::of(self.group, self.kind);
        resource.deprecation = deprecated::of(self.group, self.version, self.kind);
        resource
    }

    fn subresource(&self, name: &'static str) -> Subresource {
        let core = |kind: String| GroupVersionKind::gvk("", "v1", &kind);
        let own = GroupVersionKind::gvk(self.group, self.version, self.kind);
        let (kind, verbs) = match name {
            "scale" => (GroupVersionKind::gvk("autoscaling", "v1", "Scale"), "get patch update"),
            "binding" => (core("Binding".into()), "create"),
            "eviction" => (GroupVersionKind::gvk("policy", "v1", "Eviction"), "create"),
            "token" => (GroupVersionKind::gvk("authentication.k8s.io", "v1", "TokenRequest"), "create"),
            "attach" => (core("PodAttachOptions".into()), "create get"),
            "exec" => (core("PodExecOptions".into()), "create get"),
            "portforward" => (core("PodPortForwardOptions".into()), "create get"),
            "proxy" => (core(format!("{}ProxyOptions", self.kind)), "create delete get patch update"),
            "log" => (own, "get"),
            "finalize" => (own, "update"),
            _ => (own, "get patch update"),
        };
        Subresource { name: name.into(), kind, verbs: verbs.split_whitespace().map(Into::into).collect() }
    }

    /// Where kube-apiserver keeps the resource: by its plural name, but for the oldest.
    fn storage(&self) -> &'static str {
        match (self.group, self.plural) {
            ("", "nodes") => "minions",
            ("", "replicationcontrollers") => "controllers",
            ("", "services") => "services/specs",
            ("", "endpoints") => "services/endpoints",
            ("networking.k8s.io", "ingresses") => "ingress",
            ("apiextensions.k8s.io", _) => "apiextensions.k8s.io/customresourcedefinitions",
            ("apiregistration.k8s.io", _) => "apiregistration.k8s.io/apiservices",
            (_, plural) => plural,
        }
    }

    fn schema(&self) -> String {
        let package = match self.group {
            "" => "io.k8s.api.core".into(),
            "apiextensions.k8s.io" => "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions".into(),
            "apiregistration.k8s.io" => "io.k8s.kube-aggregator.pkg.apis.apiregistration".into(),
            "internal.apiserver.k8s.io" => "io.k8s.api.apiserverinternal".into(),
            group => format!("io.k8s.api.{}", group.split('.').next().unwrap_or(group)),
        };
        format!("{package}.{}.{}", self.version, self.kind)
    }
}
