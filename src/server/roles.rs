//! The default authorizer: a table of who may do what.
//!
//! The table follows the default roles of Kubernetes' RBAC bootstrap policy and its node
//! authorizer (1.36), cut down to the resources that are served. What a node may change beyond the
//! table (only its own pods, its own node object) is refused in admission, where the object is known.

use super::{Attributes, Authorizer, Opinion};
use crate::client::Identity;

/// What may be done: any of the verbs on any of the resources, or on any of the paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// Verbs; `*` is every verb.
    pub verbs: Vec<String>,
    /// API groups; `*` is every group.
    pub groups: Vec<String>,
    /// Resources, subresources after a slash; `*` is every one.
    pub resources: Vec<String>,
    /// Object names; empty is every one.
    pub names: Vec<String>,
    /// Paths that are no resource; a `*` at the end is any ending.
    pub paths: Vec<String>,
    /// The one namespace in which the rule holds; everywhere where there is none.
    pub namespace: Option<String>,
}

/// Whom a role is for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Subject {
    User(String),
    Group(String),
}

/// Who may do what: subjects and their rules.
///
/// [`RoleTable::default`] holds Kubernetes' own roles: `system:masters` may do anything, the
/// scheduler, the controller manager, nodes and the service proxy what they need, authenticated
/// users discovery and reviews of their own access, everybody health and version.
#[derive(Clone, Debug)]
pub struct RoleTable {
    roles: Vec<(Subject, Vec<Rule>)>,
}

/// Where others find how to verify tokens.
const VERIFICATION: [&str; 4] = [
    "/.well-known/openid-configuration",
    "/.well-known/openid-configuration/",
    "/openid/v1/jwks",
    "/openid/v1/jwks/",
];

const READ: &[&str] = &["get", "list", "watch"];
const WRITE: &[&str] = &["create", "update", "patch", "delete"];

impl Rule {
    /// Any of `verbs` on any of `resources` of `group`.
    #[must_use]
    pub fn on(verbs: &[&str], group: &str, resources: &[&str]) -> Self {
        Self { verbs: texts(verbs), groups: texts(&[group]), resources: texts(resources), ..Self::default() }
    }

    /// Any of `verbs` on any of `paths`.
    #[must_use]
    pub fn paths(verbs: &[&str], paths: &[&str]) -> Self {
        Self { verbs: texts(verbs), paths: texts(paths), ..Self::default() }
    }

    /// The same, for objects of these names only.
    #[must_use]
    pub fn named(mut self, names: &[&str]) -> Self {
        self.names = texts(names);
        self
    }

    /// The same, in one namespace only.
    #[must_use]
    pub fn within(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Anything at all.
    pub(crate) fn everything() -> Vec<Self> {
        vec![Self::on(&["*"], "*", &["*"]), Self::paths(&["*"], &["*"])]
    }

    fn allows(&self, attributes: &Attributes) -> bool {
        let holds = |list: &[String], value: &str| list.iter().any(|own| own == "*" || own == value);
        if !holds(&self.verbs, &attributes.verb) {
            return false;
        }
        if let Some(path) = &attributes.path {
            return self.paths.iter().any(|own| match own.strip_suffix('*') {
                Some(prefix) => path.starts_with(prefix),
                None => own == path,
            });
        }
        let resource = match attributes.subresource.as_str() {
            "" => attributes.resource.clone(),
            subresource => format!("{}/{subresource}", attributes.resource),
        };
        holds(&self.groups, &attributes.group)
            && (holds(&self.resources, &resource) || self.allows_subresource(attributes))
            && (self.names.is_empty() || self.names.contains(&attributes.name))
            && self.namespace.as_ref().is_none_or(|namespace| *namespace == attributes.namespace)
    }

    /// Whether the rule names a subresource of every resource, as `*/scale`.
    fn allows_subresource(&self, attributes: &Attributes) -> bool {
        !attributes.subresource.is_empty()
            && self.resources.iter().any(|own| own.strip_prefix("*/") == Some(&attributes.subresource))
    }
}

impl RoleTable {
    /// Nobody may do anything, but for the group `system:masters`, which no table is asked about.
    #[must_use]
    pub fn empty() -> Self {
        Self { roles: Vec::new() }
    }

    /// The same, and this group may do this.
    #[must_use]
    pub fn group(mut self, name: &str, rules: impl IntoIterator<Item = Rule>) -> Self {
        self.roles.push((Subject::Group(name.into()), rules.into_iter().collect()));
        self
    }

    /// The same, and this user may do this.
    #[must_use]
    pub fn user(mut self, name: &str, rules: impl IntoIterator<Item = Rule>) -> Self {
        self.roles.push((Subject::User(name.into()), rules.into_iter().collect()));
        self
    }

    fn of<'a>(&'a self, identity: &'a Identity) -> impl Iterator<Item = &'a Rule> {
        self.roles
            .iter()
            .filter(|(subject, _)| match subject {
                Subject::User(name) => *name == identity.user,
                Subject::Group(name) => identity.in_group(name),
            })
            .flat_map(|(_, rules)| rules)
    }
}

impl Authorizer for RoleTable {
    fn authorize(&self, identity: &Identity, attributes: &Attributes) -> Opinion {
        if self.of(identity).any(|rule| rule.allows(attributes)) { Opinion::Allow } else { Opinion::none() }
    }

    fn rules(&self, identity: &Identity, namespace: &str) -> Vec<Rule> {
        self.of(identity)
            .filter(|rule| rule.namespace.as_deref().is_none_or(|own| own == namespace))
            .cloned()
            .collect()
    }
}

impl Default for RoleTable {
    fn default() -> Self {
        let events = || [Rule::on(WRITE, "", &["events"]), Rule::on(WRITE, "events.k8s.io", &["events"])];
        let health =
            ["/healthz", "/healthz/*", "/livez", "/livez/*", "/readyz", "/readyz/*", "/version", "/version/"];
        Self::empty()
            .group("system:masters", Rule::everything())
            .group("system:unauthenticated", [Rule::paths(&["get"], &health)])
            .group(
                "system:authenticated",
                [
                    Rule::paths(&["get"], &health),
                    Rule::paths(&["get"], &["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*"]),
                    Rule::on(
                        &["create"],
                        "authorization.k8s.io",
                        &["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
                    ),
                    Rule::on(&["create"], "authentication.k8s.io", &["selfsubjectreviews"]),
                ],
            )
            .group("system:serviceaccounts", [Rule::paths(&["get"], &VERIFICATION)])
            .user("system:kube-scheduler", scheduler().into_iter().chain(events()))
            .user("system:kube-controller-manager", controller_manager().into_iter().chain(events()))
            .user("system:kube-proxy", proxy().into_iter().chain(events()))
            .group("system:node-proxier", proxy().into_iter().chain(events()))
            .group("system:nodes", node().into_iter().chain(proxy()).chain(events()))
    }
}

fn scheduler() -> Vec<Rule> {
    vec![
        Rule::on(
            READ,
            "",
            &[
                "nodes",
                "pods",
                "namespaces",
                "services",
                "replicationcontrollers",
                "persistentvolumeclaims",
                "persistentvolumes",
            ],
        ),
        Rule::on(&["delete"], "", &["pods"]),
        Rule::on(&["create"], "", &["pods/binding", "bindings"]),
        Rule::on(&["patch", "update"], "", &["pods/status", "persistentvolumeclaims", "persistentvolumes"]),
        Rule::on(READ, "apps", &["replicasets", "statefulsets"]),
        Rule::on(READ, "policy", &["poddisruptionbudgets"]),
        Rule::on(READ, "storage.k8s.io", &["*"]),
        Rule::on(READ, "resource.k8s.io", &["*"]),
        Rule::on(READ, "scheduling.k8s.io", &["priorityclasses"]),
        Rule::on(&["create"], "coordination.k8s.io", &["leases"]).within("kube-system"),
        Rule::on(&["get", "list", "watch", "update", "patch"], "coordination.k8s.io", &["leases"])
            .within("kube-system"),
        Rule::on(&["create"], "authorization.k8s.io", &["subjectaccessreviews"]),
        Rule::on(&["create"], "authentication.k8s.io", &["tokenreviews"]),
    ]
}

fn controller_manager() -> Vec<Rule> {
    // Kubernetes gives each controller its own account; here one account carries them all, and the
    // garbage collector and the namespace controller need to read and delete whatever there is.
    vec![
        Rule::on(READ, "*", &["*"]),
        Rule::on(&["delete", "deletecollection", "patch", "update"], "*", &["*"]),
        Rule::on(
            &["create"],
            "",
            &[
                "pods",
                "pods/eviction",
                "endpoints",
                "configmaps",
                "serviceaccounts",
                "serviceaccounts/token",
                "secrets",
                "namespaces",
                "persistentvolumes",
            ],
        ),
        Rule::on(&["create"], "apps", &["replicasets", "controllerrevisions"]),
        Rule::on(&["create"], "batch", &["jobs"]),
        Rule::on(&["create"], "discovery.k8s.io", &["endpointslices"]),
        Rule::on(&["create"], "coordination.k8s.io", &["leases"]),
        Rule::on(&["create"], "authorization.k8s.io", &["subjectaccessreviews"]),
        Rule::on(&["create"], "authentication.k8s.io", &["tokenreviews"]),
    ]
}

fn proxy() -> Vec<Rule> {
    vec![
        Rule::on(READ, "", &["services", "endpoints", "nodes"]),
        Rule::on(READ, "discovery.k8s.io", &["endpointslices"]),
        Rule::on(READ, "networking.k8s.io", &["servicecidrs"]),
    ]
}

fn node() -> Vec<Rule> {
    vec![
        Rule::on(READ, "", &["services", "nodes", "pods", "configmaps", "secrets", "serviceaccounts"]),
        Rule::on(READ, "", &["persistentvolumeclaims", "persistentvolumes", "namespaces"]),
        Rule::on(&["create", "update", "patch"], "", &["nodes"]),
        Rule::on(&["update", "patch"], "", &["nodes/status"]),
        Rule::on(&["create", "delete"], "", &["pods"]),
        Rule::on(&["update", "patch"], "", &["pods/status"]),
        Rule::on(&["create"], "", &["pods/eviction", "serviceaccounts/token"]),
        Rule::on(&["get", "create", "update", "patch", "delete"], "coordination.k8s.io", &["leases"])
            .within("kube-node-lease"),
        Rule::on(READ, "node.k8s.io", &["runtimeclasses"]),
        Rule::on(READ, "storage.k8s.io", &["csidrivers", "csinodes", "volumeattachments"]),
        Rule::on(&["create"], "authorization.k8s.io", &["subjectaccessreviews"]),
        Rule::on(&["create"], "authentication.k8s.io", &["tokenreviews"]),
    ]
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(identity: &Identity, verb: &str, group: &str, resource: &str, namespace: &str) -> bool {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let attributes = Attributes {
            verb: verb.into(),
            group: group.into(),
            resource: resource.into(),
            subresource: subresource.into(),
            namespace: namespace.into(),
            ..Attributes::default()
        };
        RoleTable::default().authorize(identity, &attributes) == Opinion::Allow
    }

    #[test]
    fn the_table_reads_as_a_story() {
        let scheduler = Identity::user("system:kube-scheduler");
        let node = Identity::node("n1");
        let user = Identity::user("jane");
        for (who, verb, group, resource, namespace, expected) in [
            (&Identity::admin(), "delete", "example.com", "widgets/status", "x", true),
            (&scheduler, "create", "", "pods/binding", "x", true),
            (&scheduler, "create", "", "pods", "x", false),
            (&scheduler, "update", "coordination.k8s.io", "leases", "kube-system", true),
            (&scheduler, "update", "coordination.k8s.io", "leases", "default", false),
            (&node, "patch", "", "nodes/status", "", true),
            (&node, "update", "", "pods", "x", false),
            (&node, "patch", "", "pods/status", "x", true),
            (&node, "delete", "apps", "deployments", "x", false),
            (&user, "list", "", "pods", "x", false),
            (&user, "create", "authorization.k8s.io", "selfsubjectaccessreviews", "", true),
            (&Identity::anonymous(), "create", "authorization.k8s.io", "selfsubjectaccessreviews", "", false),
        ] {
            assert_eq!(
                may(who, verb, group, resource, namespace),
                expected,
                "{} {verb} {resource}",
                who.user
            );
        }
    }

    #[test]
    fn nobody_gets_health_and_version_and_nothing_else() {
        let table = RoleTable::default();
        let get =
            |who: &Identity, path| table.authorize(who, &Attributes::path("get", path)) == Opinion::Allow;
        for path in ["/healthz", "/livez", "/readyz", "/version", "/livez/ping"] {
            assert!(get(&Identity::anonymous(), path), "{path}");
        }
        for path in ["/api", "/apis", "/openapi/v3", "/metrics", "/", "/healthzz"] {
            assert!(!get(&Identity::anonymous(), path), "{path}");
        }
        assert!(get(&Identity::user("jane"), "/apis/apps/v1"));
        assert!(!get(&Identity::user("jane"), "/metrics"));
        let posted = table.authorize(&Identity::anonymous(), &Attributes::path("post", "/healthz"));
        assert_eq!(posted, Opinion::none());
    }
}
