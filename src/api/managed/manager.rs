//! The field manager: what a request does to an object and to who owns it.
//!
//! Follows apimachinery 1.36 (`util/managedfields/internal/fieldmanager.go` and the managers it stacks).

use std::collections::BTreeMap;
use std::sync::OnceLock;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::element::PathElement;
use super::entries::{ManagedFields, Manager, Operation, Owned};
use super::error::Error;
use super::filter::Filter;
use super::last_applied;
use super::schema::Schema;
use super::set::FieldSet;
use super::updater::Updater;
use super::validate::Duplicates;
use super::versions::Versions;

const MOST_UPDATES: usize = 10;
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// Works out the owners of objects of one kind, for requests in one version to the objects themselves or
/// to one subresource.
///
/// The trees that it is given may hold `metadata.managedFields` or not: who owns what is told by the
/// [`ManagedFields`] beside them, and the trees that it gives hold none.
#[derive(Clone)]
pub struct FieldManager<'a> {
    versions: &'a dyn Versions,
    api_version: &'a str,
    kind: &'a str,
    subresource: &'a str,
    filters: BTreeMap<String, Filter>,
    most_updates: usize,
}

/// What an apply makes.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// The object, not defaulted yet.
    pub tree: Value,
    /// Who owns it.
    pub managed: ManagedFields,
}

impl<'a> FieldManager<'a> {
    /// For requests to the objects themselves; `api_version` is the request's, such as `apps/v1`.
    #[must_use]
    pub fn new(versions: &'a dyn Versions, api_version: &'a str, kind: &'a str) -> Self {
        let filters = BTreeMap::new();
        Self { versions, api_version, kind, subresource: "", filters, most_updates: MOST_UPDATES }
    }

    /// The same for requests to a subresource, such as `status`.
    #[must_use]
    pub fn subresource(self, subresource: &'a str) -> Self {
        Self { subresource, ..self }
    }

    /// The same with what the requests can own, in the fields of this version.
    #[must_use]
    pub fn filter(mut self, api_version: impl Into<String>, filter: Filter) -> Self {
        self.filters.insert(api_version.into(), filter);
        self
    }

    /// The same with another bound on the entries of updates; it is 10.
    #[must_use]
    pub fn most_updates(self, most_updates: usize) -> Self {
        Self { most_updates, ..self }
    }

    /// Who owns the object after a write that is no apply: create, update, or any other patch.
    ///
    /// `live` is what is stored, or null for an object that is created; `new` is what is to be stored, with
    /// its defaults.
    /// `managed` are the fields to begin with, see [`ManagedFields::for_update`]. An object that nobody
    /// owned any field of stays so.
    ///
    /// # Errors
    ///
    /// When a tree does not fit its type or cannot be converted. Kubernetes then stores the object with
    /// no managed fields at all.
    pub fn update(
        &self,
        live: &Value,
        new: &Value,
        managed: &ManagedFields,
        who: &str,
        now: Timestamp,
    ) -> Result<ManagedFields, Error> {
        let lives = live.pointer("/metadata/uid").and_then(Value::as_str).is_some_and(|uid| !uid.is_empty());
        if managed.is_empty() && lives {
            return Ok(ManagedFields::new());
        }
        match live {
            Value::Null => self.updated(&self.nothing(), new, managed, who, now),
            live => self.updated(live, new, managed, who, now),
        }
    }

    /// Applies a configuration to an object.
    ///
    /// `live` is what is stored, or an object with nothing but its kind if there is none.
    ///
    /// What `who` applied before and leaves out now goes, unless somebody else owns it. An item of a list
    /// or an entry of a map that goes takes with it what others put into it, as in Kubernetes.
    ///
    /// # Errors
    ///
    /// When the configuration is of another kind or version, names managed fields, does not fit its type,
    /// or, without `force`, would change what somebody else owns.
    pub fn apply(
        &self,
        live: &Value,
        config: &Value,
        managed: &ManagedFields,
        who: &str,
        force: bool,
        now: Timestamp,
    ) -> Result<Applied, Error> {
        let text = |name: &str| config.get(name).and_then(Value::as_str).unwrap_or_default();
        if (text("apiVersion"), text("kind")) != (self.api_version, self.kind) {
            return Err(Error::BadRequest(format!("invalid object type: {}", gvk(config))));
        }
        if config.pointer("/metadata/managedFields").is_some_and(|fields| !fields.is_null()) {
            return Err(Error::BadRequest("metadata.managedFields must be nil".to_owned()));
        }
        let applied = self.applied(live, config, managed, who, force, now);
        let mut applied = match applied {
            Err(Error::Conflict(conflicts)) if who == last_applied::KUBECTL => {
                let schema = self.versions.schema(self.api_version);
                let known =
                    schema.and_then(|schema| last_applied::taken_over(live, self.api_version, schema));
                match known {
                    None => Err(Error::Conflict(conflicts)),
                    Some(known) if conflicts.fields().difference(&known).is_empty() => {
                        self.applied(live, config, managed, who, true, now)
                    }
                    Some(known) => Err(Error::Conflict(conflicts.without(&known))),
                }
            }
            other => other,
        }?;
        if who == last_applied::KUBECTL {
            last_applied::refresh(&mut applied.tree, config);
        }
        Ok(applied)
    }

    /// An object of which nothing but the kind is said.
    fn nothing(&self) -> Value {
        json!({"apiVersion": self.api_version, "kind": self.kind})
    }

    fn updater(&self) -> Updater<'_> {
        Updater { versions: self.versions, api_version: self.api_version, filters: &self.filters }
    }

    fn updated(
        &self,
        live: &Value,
        new: &Value,
        managed: &ManagedFields,
        who: &str,
        now: Timestamp,
    ) -> Result<ManagedFields, Error> {
        self.validate("convert new object", "to smd typed", new, Duplicates::Allowed)?;
        // Of a built-in kind, what is stored has been looked at when it was written.
        if self.versions.schema(self.api_version).is_some_and(Schema::may_change) {
            self.validate("convert live object", "to smd typed", live, Duplicates::Allowed)?;
        }
        let (mut entries, mut changed) = self
            .updater()
            .update(live, new, &managed.entries)
            .map_err(|error| error.in_front(&format!("failed to update ManagedFields ({})", told(new))))?;
        changed.subtract(unowned());
        if !changed.is_empty() {
            let manager = Manager::new(who, Operation::Update, self.api_version, self.subresource);
            let before = entries.remove(&manager).map(|owned| owned.fields).unwrap_or_default();
            let owned = Owned {
                api_version: self.api_version.to_owned(),
                fields: changed.joined(before),
                time: Some(now),
            };
            entries.insert(manager, owned);
        }
        Ok(ManagedFields { entries }.capped(self.most_updates))
    }

    fn applied(
        &self,
        live: &Value,
        config: &Value,
        managed: &ManagedFields,
        who: &str,
        force: bool,
        now: Timestamp,
    ) -> Result<Applied, Error> {
        // Nobody owned anything yet: what is there was made by somebody before.
        let first;
        let managed = if managed.is_empty() {
            first = self
                .updated(&self.nothing(), live, managed, BEFORE_FIRST_APPLY, now)
                .map_err(|error| error.in_front("failed to create manager for existing fields"))?;
            &first
        } else {
            managed
        };
        self.validate("create typed patch object", "", config, Duplicates::Refused)?;
        self.validate("create typed live object", "", live, Duplicates::Allowed)?;
        let manager = Manager::new(who, Operation::Apply, self.api_version, self.subresource);
        let mut outcome = self.updater().apply(live, config, &managed.entries, &manager, force)?;
        if let Some(mut owned) = outcome.owners.remove(&manager) {
            owned.fields.subtract(unowned());
            if outcome.tree.is_some() {
                owned.time = Some(now);
            }
            if !owned.fields.is_empty() {
                outcome.owners.insert(manager, owned);
            }
        }
        let mut tree = outcome.tree.unwrap_or_else(|| live.clone());
        if let Some(metadata) = tree.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
        Ok(Applied { tree, managed: ManagedFields { entries: outcome.owners } })
    }

    fn validate(&self, what: &str, end: &str, tree: &Value, duplicates: Duplicates) -> Result<(), Error> {
        let schema = self
            .versions
            .schema(self.api_version)
            .ok_or_else(|| Error::Failed(format!("no corresponding type for {}", gvk(tree))))?;
        let end = if end.is_empty() { String::new() } else { format!(" {end}") };
        schema
            .validate(tree, duplicates)
            .map_err(|error| Error::Failed(format!("failed to {what} ({}){end}: {error}", told(tree))))
    }
}

/// What nobody owns: what says which object it is, and what the server keeps.
fn unowned() -> &'static FieldSet {
    static UNOWNED: OnceLock<FieldSet> = OnceLock::new();
    UNOWNED.get_or_init(|| {
        let metadata = [
            "name",
            "namespace",
            "creationTimestamp",
            "selfLink",
            "uid",
            "clusterName",
            "generation",
            "managedFields",
            "resourceVersion",
        ];
        let metadata =
            metadata.map(|name| vec![PathElement::field("metadata"), PathElement::field(name)]).into_iter();
        ["apiVersion", "kind", "metadata"]
            .map(|name| vec![PathElement::field(name)])
            .into_iter()
            .chain(metadata)
            .collect()
    })
}

/// Group, version and kind as Kubernetes' errors show them.
fn gvk(tree: &Value) -> String {
    let text = |name: &str| tree.get(name).and_then(Value::as_str).unwrap_or_default();
    let slash = if text("apiVersion").contains('/') { "" } else { "/" };
    format!("{slash}{}, Kind={}", text("apiVersion"), text("kind"))
}

/// An object as Kubernetes' errors show it.
fn told(tree: &Value) -> String {
    let text = |name: &str| {
        let metadata = tree.get("metadata");
        metadata.and_then(|metadata| metadata.get(name)).and_then(Value::as_str).unwrap_or_default()
    };
    format!("{}/{}; {}", text("namespace"), text("name"), gvk(tree))
}
