//! A row of the scheme: all that is known of a resource before any object of it exists.

use std::any::TypeId;
use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use kube_core::{ClusterResourceScope, GroupVersionKind, GroupVersionResource};
use serde_json::Value;

use super::structural::Version;

type Text = Cow<'static, str>;

/// One resource: its names, its scope, what can be done with it and how it is shown and found.
///
/// Discovery, OpenAPI, routing, tables, permissions and garbage collection read rows; no code
/// below the server's strategies knows a kind by name.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Resource {
    /// API group; empty for the core group.
    pub group: Text,
    /// API version, such as `v1`.
    pub version: Text,
    /// Kind, such as `Pod`.
    pub kind: Text,
    /// Name in paths, such as `pods`.
    pub plural: Text,
    /// Singular name, such as `pod`.
    pub singular: Text,
    /// Short names, such as `po`.
    pub short_names: Vec<Text>,
    /// Categories that name it among others, such as `all`.
    pub categories: Vec<Text>,
    /// Whether objects live in namespaces.
    pub scope: Scope,
    /// Verbs, as discovery lists them.
    pub verbs: Vec<Text>,
    /// Subresources.
    pub subresources: Vec<Subresource>,
    /// What `kubectl get` shows, without the name column, which comes first unless one of these has
    /// the format `name`. With none, name and age are shown.
    pub columns: Vec<Column>,
    /// What a field selector may name, beside `metadata.name` and `metadata.namespace`.
    pub selectable: Vec<SelectableField>,
    /// Where objects are stored: `/registry/<storage>/[<namespace>/]<name>`, as kube-apiserver
    /// lays its keys out (`pods`, but `minions` for nodes and `services/specs` for services).
    pub storage: Text,
    /// The name of the type in [`schema`](crate::api::schema)'s table; none where any field is kept.
    pub schema: Option<Text>,
    /// What those are told who use the resource although something else should be used by now.
    pub deprecation: Option<Deprecation>,
    /// What a CustomResourceDefinition says of the objects; none of kinds that no definition made.
    pub custom: Option<Arc<Version>>,
}

/// How mature an API version is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Maturity {
    /// `v1alpha1`, and any name that follows no rule.
    Alpha,
    /// `v1beta1`.
    Beta,
    /// `v1`.
    Stable,
}

/// That a resource should not be used any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deprecation {
    /// What every answer says, in a `Warning` header.
    pub warning: Text,
    /// The release that does not serve it any more, such as `1.39`; empty where none is known.
    pub removed_release: Text,
}

/// Where objects of a resource live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Once in a cluster.
    Cluster,
    /// In a namespace.
    Namespaced,
}

/// A part of an object with a path, kind and verbs of its own.
#[derive(Clone, Debug)]
pub struct Subresource {
    /// Name in paths, such as `status`.
    pub name: Text,
    /// What is sent and answered; for `scale` that is `autoscaling/v1, Scale`.
    pub kind: GroupVersionKind,
    /// Verbs, as discovery lists them.
    pub verbs: Vec<Text>,
}

/// A column of `kubectl get`.
#[derive(Clone, Debug)]
pub struct Column {
    /// Header.
    pub name: Text,
    /// OpenAPI type: `string`, `integer`, `date` and so on.
    pub kind: Text,
    /// OpenAPI format: `name` and so on; mostly empty.
    pub format: Text,
    /// What the column means.
    pub description: Description,
    /// 0 is always shown, more only with `-o wide`.
    pub priority: i32,
    /// Where the cell comes from.
    pub value: ColumnValue,
}

/// What a column means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Description {
    /// These words.
    Text(Text),
    /// What a field means; as OpenAPI describes it.
    Field {
        /// The type that has the field, as OpenAPI names it, but for `io.k8s.`: `api.core.v1.PodSpec`.
        of: &'static str,
        /// The field.
        field: &'static str,
    },
}

impl Description {
    /// What an object's name means.
    pub const NAME: Self = Self::Field { of: "apimachinery.pkg.apis.meta.v1.ObjectMeta", field: "name" };
    /// What it means when an object was made.
    pub const AGE: Self =
        Self::Field { of: "apimachinery.pkg.apis.meta.v1.ObjectMeta", field: "creationTimestamp" };
}

impl<T: Into<Text>> From<T> for Description {
    fn from(words: T) -> Self {
        Self::Text(words.into())
    }
}

/// Where the cells of a column come from.
#[derive(Clone, Debug)]
pub enum ColumnValue {
    /// A JSON path without braces, such as `.spec.replicas`.
    Path(Text),
    /// A function of the object's tree and the time.
    Function(fn(&Value, Timestamp) -> Value),
}

/// A field that selectors may name.
#[derive(Clone, Debug)]
pub struct SelectableField {
    /// Name in selectors, such as `spec.nodeName`.
    pub name: Text,
    /// Where the value stands, with dots; mostly the name itself.
    pub path: Text,
    /// What an absent field counts as.
    pub default: Text,
    /// Whether the object cache keeps a posting list by this field.
    pub indexed: bool,
}

impl Resource {
    /// A row with these names and nothing else: every verb, no subresource, name and age shown.
    #[must_use]
    pub fn new(
        group: impl Into<Text>,
        version: impl Into<Text>,
        kind: impl Into<Text>,
        plural: impl Into<Text>,
        scope: Scope,
    ) -> Self {
        let (group, kind, plural) = (group.into(), kind.into(), plural.into());
        Self {
            version: version.into(),
            singular: kind.to_lowercase().into(),
            short_names: Vec::new(),
            categories: Vec::new(),
            scope,
            verbs: ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
                .map(Text::Borrowed)
                .into(),
            subresources: Vec::new(),
            columns: Vec::new(),
            selectable: Vec::new(),
            storage: if group.contains('.') && !group.ends_with(".k8s.io") {
                format!("{group}/{plural}").into()
            } else {
                plural.clone()
            },
            schema: None,
            deprecation: None,
            custom: None,
            group,
            kind,
            plural,
        }
    }

    /// The row of a Rust type that carries its names, built in or derived with `CustomResource`.
    #[must_use]
    pub fn of<K>() -> Self
    where
        K: kube_core::Resource<DynamicType = ()>,
        K::Scope: 'static,
    {
        let scope = if TypeId::of::<K::Scope>() == TypeId::of::<ClusterResourceScope>() {
            Scope::Cluster
        } else {
            Scope::Namespaced
        };
        Self::new(
            K::group(&()).into_owned(),
            K::version(&()).into_owned(),
            K::kind(&()).into_owned(),
            K::plural(&()).into_owned(),
            scope,
        )
    }

    /// `v1`, or `apps/v1`.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_string()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `pods`, or `deployments.apps`: how errors name a resource.
    #[must_use]
    pub fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_string()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// The kind of lists: `PodList`, or as a definition says.
    #[must_use]
    pub fn list_kind(&self) -> Cow<'_, str> {
        match &self.custom {
            Some(version) => Cow::Borrowed(&version.list_kind),
            None => Cow::Owned(format!("{}List", self.kind)),
        }
    }

    /// Group, version and kind.
    #[must_use]
    pub fn gvk(&self) -> GroupVersionKind {
        GroupVersionKind::gvk(&self.group, &self.version, &self.kind)
    }

    /// Group, version and plural name.
    #[must_use]
    pub fn gvr(&self) -> GroupVersionResource {
        GroupVersionResource::gvr(&self.group, &self.version, &self.plural)
    }

    /// How mature the version is.
    #[must_use]
    pub fn maturity(&self) -> Maturity {
        match version_rank(&self.version).0 {
            3 => Maturity::Stable,
            2 => Maturity::Beta,
            _ => Maturity::Alpha,
        }
    }

    /// Whether objects live in namespaces.
    #[must_use]
    pub fn namespaced(&self) -> bool {
        self.scope == Scope::Namespaced
    }

    /// The subresource of this name.
    #[must_use]
    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|sub| sub.name == name)
    }

    /// The key of an object, or the prefix of a namespace's (no name) or of all (neither) objects.
    #[must_use]
    pub fn storage_key(&self, namespace: Option<&str>, name: Option<&str>) -> String {
        let mut key = format!("/registry/{}/", self.storage);
        if let Some(namespace) = namespace.filter(|namespace| !namespace.is_empty()) {
            key.push_str(namespace);
            key.push('/');
        }
        key.push_str(name.unwrap_or_default());
        key
    }
}

/// How versions compare: released before beta before alpha, higher numbers first, and what is no
/// such version last.
///
/// Source: `CompareKubeAwareVersionStrings` of `k8s.io/apimachinery/pkg/version` (1.36).
pub(crate) fn version_rank(version: &str) -> (u8, u64, u64) {
    let Some(rest) = version.strip_prefix('v') else { return (0, 0, 0) };
    let digits = rest.len() - rest.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    let Ok(major) = rest[..digits].parse() else { return (0, 0, 0) };
    let minor = |text: &str| text.parse().ok();
    match &rest[digits..] {
        "" => (3, major, 0),
        tail => {
            let beta = tail.strip_prefix("beta").and_then(minor).map(|minor| (2, major, minor));
            let alpha = || tail.strip_prefix("alpha").and_then(minor).map(|minor| (1, major, minor));
            beta.or_else(alpha).unwrap_or((0, 0, 0))
        }
    }
}

impl SelectableField {
    /// The field of this name, which is also its path: empty when absent, not indexed.
    #[must_use]
    pub fn new(name: impl Into<Text>) -> Self {
        let name = name.into();
        Self { path: name.clone(), name, default: "".into(), indexed: false }
    }

    /// The same, found at another path.
    #[must_use]
    pub fn at(self, path: impl Into<Text>) -> Self {
        Self { path: path.into(), ..self }
    }

    /// The same, with what an absent field counts as.
    #[must_use]
    pub fn otherwise(self, default: impl Into<Text>) -> Self {
        Self { default: default.into(), ..self }
    }

    /// The same, with a posting list.
    #[must_use]
    pub fn indexed(self) -> Self {
        Self { indexed: true, ..self }
    }

    /// The value of this field in a tree, as selectors compare it.
    #[must_use]
    pub fn value<'a>(&'a self, tree: &'a Value) -> Cow<'a, str> {
        let found = self.path.split('.').try_fold(tree, |value, step| value.get(step));
        match found {
            Some(Value::String(text)) => Cow::Borrowed(text),
            Some(Value::Bool(flag)) => Cow::Borrowed(if *flag { "true" } else { "false" }),
            Some(Value::Number(number)) => Cow::Owned(number.to_string()),
            _ => Cow::Borrowed(&self.default),
        }
    }
}
