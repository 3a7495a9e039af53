//! What the expressions of webhooks and policies speak of.
//!
//! Objects and parameters are of any type; the request and the namespace have declared fields. Types are told by
//! their names: `kubernetes.AdmissionRequest`.
//!
//! Source: `pkg/admission/plugin/cel` of `k8s.io/apiserver` (1.36), `compile.go` and `composition.go`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::Environment;
use super::functions::Special;
use super::schema::Declaration;
use super::types::Type;

/// What an expression may speak of besides the request, its objects and their namespace.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Offers<'c> {
    /// `params`.
    pub params: bool,
    /// `authorizer`, and `authorizer.requestResource`.
    pub authorizer: bool,
    /// The types that patches are made of.
    pub patches: bool,
    /// `variables`, by name.
    pub variables: Option<&'c Composed>,
}

/// The variables of a policy that have been compiled so far, each with its type.
#[derive(Clone, Debug, Default)]
pub struct Composed(BTreeMap<String, Declaration>);

impl Composed {
    /// Adds what a variable comes to; one that did not compile is of any type.
    pub fn add(&mut self, name: &str, kind: Option<&Type>) {
        let declared = kind.map_or_else(|| simple(Type::Dyn), declared);
        self.0.insert(name.to_owned(), declared);
    }
}

/// The declaration of a type: what is neither plain nor made of plain types is of any type.
fn declared(kind: &Type) -> Declaration {
    match kind {
        Type::List(of) => Declaration::list(declared(&of[0])),
        Type::Map(of) => Declaration::map(declared(&of[0]), declared(&of[1]), i64::MAX, false),
        Type::Any | Type::Null | Type::Duration | Type::Timestamp => simple(kind.clone()),
        kind if kind.is_scalar() => simple(kind.clone()),
        _ => simple(Type::Dyn),
    }
}

fn simple(kind: Type) -> Declaration {
    Declaration::simple(kind, 0)
}

fn text() -> Declaration {
    simple(Type::String)
}

fn texts() -> Declaration {
    Declaration::list(text())
}

fn by_text(values: Declaration) -> Declaration {
    Declaration::map(text(), values, i64::MAX, false)
}

/// The request, but for the objects, which are variables themselves, and its `uid`.
static REQUEST: LazyLock<Declaration> = LazyLock::new(|| {
    let kind = Declaration::record(
        "kubernetes.GroupVersionKind",
        ["group", "version", "kind"].map(|field| (field, text())),
    );
    let resource = Declaration::record(
        "kubernetes.GroupVersionResource",
        ["group", "version", "resource"].map(|field| (field, text())),
    );
    let user = Declaration::record(
        "kubernetes.UserInfo",
        [("username", text()), ("uid", text()), ("groups", texts()), ("extra", by_text(texts()))],
    );
    let texts = ["subResource", "requestSubResource", "name", "namespace", "operation"];
    let others = [
        ("kind", kind.clone()),
        ("resource", resource.clone()),
        ("requestKind", kind),
        ("requestResource", resource),
        ("userInfo", user),
        ("dryRun", simple(Type::Bool)),
        ("options", simple(Type::Dyn)),
    ];
    Declaration::record(
        "kubernetes.AdmissionRequest",
        texts.map(|field| (field, text())).into_iter().chain(others),
    )
});

/// The namespace of the request's object. Its `uid` is called `UID` here.
static NAMESPACE: LazyLock<Declaration> = LazyLock::new(|| {
    let time = || simple(Type::Timestamp);
    let condition = Declaration::record(
        "kubernetes.NamespaceCondition",
        [
            ("status", text()),
            ("type", text()),
            ("lastTransitionTime", time()),
            ("message", text()),
            ("reason", text()),
        ],
    );
    let metadata = Declaration::record(
        "kubernetes.NamespaceMetadata",
        [
            ("name", text()),
            ("generateName", text()),
            ("namespace", text()),
            ("labels", by_text(text())),
            ("annotations", by_text(text())),
            ("UID", text()),
            ("creationTimestamp", time()),
            ("deletionGracePeriodSeconds", simple(Type::Int)),
            ("deletionTimestamp", time()),
            ("generation", simple(Type::Int)),
            ("resourceVersion", text()),
            ("finalizers", texts()),
        ],
    );
    let spec = Declaration::record("kubernetes.NamespaceSpec", [("finalizers", texts())]);
    let status = Declaration::record(
        "kubernetes.NamespaceStatus",
        [("conditions", Declaration::list(condition)), ("phase", text())],
    );
    Declaration::record("kubernetes.Namespace", [("metadata", metadata), ("spec", spec), ("status", status)])
});

impl Environment {
    /// The environment of the expressions of webhooks and policies: `object`, `oldObject`, `request`,
    /// `namespaceObject`, and what the expression's field offers.
    #[must_use]
    pub fn for_admission(minor: u32, offers: Offers<'_>) -> Self {
        let special = if offers.patches { Special::Patches } else { Special::None };
        let mut environment = Self::with(minor, special)
            .with_variable("object", Type::Dyn)
            .with_variable("oldObject", Type::Dyn)
            .with_declared("namespaceObject", &NAMESPACE)
            .with_declared("request", &REQUEST);
        if offers.params {
            environment = environment.with_variable("params", Type::Dyn);
        }
        if offers.authorizer {
            let kind = |name: &str| Type::Object(format!("kubernetes.authorization.{name}").into());
            environment = environment
                .with_variable("authorizer", kind("Authorizer"))
                .with_variable("authorizer.requestResource", kind("ResourceCheck"));
        }
        if let Some(Composed(variables)) = offers.variables {
            let fields = variables.iter().map(|(name, declared)| (name.as_str(), declared.clone()));
            let declared = Declaration::record("kubernetes.variables", fields);
            environment = environment.with_declared("variables", &declared);
        }
        environment
    }
}

impl Type {
    /// The type of the object that an expression applies.
    #[must_use]
    pub fn applied_object() -> Self {
        Self::Object(super::patch::OBJECT.into())
    }

    /// The type of the operations that an expression patches with.
    #[must_use]
    pub fn json_patch() -> Self {
        Self::list(Self::Object(super::patch::JSON_PATCH.into()))
    }
}
