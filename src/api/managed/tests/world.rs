//! An object, those who write it, and what is known of its versions.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::api::managed::*;

/// Versions of which each names its own fields: `field_v1` is `field_v2` in the other.
#[derive(Clone)]
pub(super) struct Renaming {
    pub(super) schema: Schema,
    pub(super) served: Vec<&'static str>,
}

impl Versions for Renaming {
    fn schema(&self, api_version: &str) -> Option<&Schema> {
        self.served.contains(&api_version).then_some(&self.schema)
    }

    fn convert(&self, tree: &Value, from: &str, to: &str) -> Result<Value, String> {
        let mut out = renamed(tree, &format!("_{from}"), &format!("_{to}"));
        out["apiVersion"] = to.into();
        Ok(out)
    }
}

fn renamed(tree: &Value, from: &str, to: &str) -> Value {
    match tree {
        Value::Object(map) => {
            let rename = |(name, value): (&String, &Value)| {
                let name = name.strip_suffix(from).map_or_else(|| name.clone(), |stem| format!("{stem}{to}"));
                (name, renamed(value, from, to))
            };
            Value::Object(map.iter().map(rename).collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(|item| renamed(item, from, to)).collect(),
        scalar => scalar.clone(),
    }
}

/// One object and its owners.
#[derive(Clone)]
pub(super) struct World {
    pub(super) versions: Renaming,
    pub(super) live: Value,
    pub(super) version: &'static str,
    pub(super) managed: ManagedFields,
    pub(super) second: i64,
}

/// What somebody owns: name, version, paths.
pub(super) type Share<'a> = (&'a str, &'a str, &'a [&'a str]);

impl World {
    /// No object yet, of a kind whose fields have these OpenAPI schemas.
    pub(super) fn new(properties: Value) -> Self {
        Self::of(Schema::open_api(json!({"type": "object", "properties": properties})))
    }

    pub(super) fn of(schema: Schema) -> Self {
        Self {
            versions: Renaming { schema, served: vec!["v1", "v2", "v3"] },
            live: Value::Null,
            version: "v1",
            managed: ManagedFields::new(),
            second: 0,
        }
    }

    fn object(version: &str, mut fields: Value) -> Value {
        fields["apiVersion"] = version.into();
        fields["kind"] = "Thing".into();
        fields
    }

    fn live(&self, version: &str) -> Value {
        match &self.live {
            Value::Null => Self::object(version, json!({})),
            live => self.versions.convert(live, self.version, version).unwrap(),
        }
    }

    fn tried(
        &mut self,
        who: &str,
        version: &'static str,
        config: Value,
        force: bool,
    ) -> Result<Applied, Error> {
        self.second += 1;
        let live = self.live(version);
        let now = jiff::Timestamp::from_second(self.second).unwrap();
        let config = Self::object(version, config);
        let manager = FieldManager::new(&self.versions, version, "Thing");
        manager.apply(&live, &config, &self.managed, who, force, now)
    }

    fn took(mut self, version: &'static str, applied: Applied) -> Self {
        (self.live, self.managed, self.version) = (applied.tree, applied.managed, version);
        self
    }

    pub(super) fn apply(self, who: &str, config: Value) -> Self {
        self.apply_in("v1", who, config)
    }

    pub(super) fn apply_in(mut self, version: &'static str, who: &str, config: Value) -> Self {
        let applied = self.tried(who, version, config, false).unwrap();
        self.took(version, applied)
    }

    pub(super) fn force(mut self, who: &str, config: Value) -> Self {
        let applied = self.tried(who, "v1", config, true).unwrap();
        self.took("v1", applied)
    }

    /// An apply that fails by these conflicts, each with its owner.
    pub(super) fn refused(self, who: &str, config: Value, conflicts: &[(&str, &str)]) -> Self {
        self.refused_in("v1", who, config, conflicts)
    }

    pub(super) fn refused_in(
        mut self,
        version: &'static str,
        who: &str,
        config: Value,
        conflicts: &[(&str, &str)],
    ) -> Self {
        let error = self.tried(who, version, config, false).unwrap_err();
        let Error::Conflict(found) = error else { panic!("{error}") };
        let found: Vec<_> = found
            .0
            .iter()
            .map(|conflict| (conflict.manager.name.as_str(), path_text(&conflict.path)))
            .collect();
        let wanted: Vec<_> = conflicts.iter().map(|(who, path)| (*who, (*path).to_owned())).collect();
        assert_eq!(found, wanted);
        self
    }

    /// An apply that fails otherwise.
    pub(super) fn fails(mut self, who: &str, config: Value) -> String {
        self.tried(who, "v1", config, false).unwrap_err().to_string()
    }

    pub(super) fn update(self, who: &str, new: Value) -> Self {
        self.update_in("v1", who, new)
    }

    pub(super) fn update_in(mut self, version: &'static str, who: &str, new: Value) -> Self {
        self.second += 1;
        let now = jiff::Timestamp::from_second(self.second).unwrap();
        let (live, new) = (self.live(version), Self::object(version, new));
        let manager = FieldManager::new(&self.versions, version, "Thing");
        self.managed = manager.update(&live, &new, &self.managed, who, now).unwrap();
        (self.live, self.version) = (new, version);
        self
    }

    pub(super) fn is(self, fields: Value) -> Self {
        assert_eq!(self.live, Self::object(self.version, fields));
        self
    }

    /// Checks all owners.
    pub(super) fn owned(self, shares: &[Share<'_>]) -> Self {
        let found: BTreeMap<_, _> = self
            .managed
            .entries()
            .into_iter()
            .map(|(manager, owned)| {
                let mut paths: Vec<_> = owned.fields.paths().iter().map(|path| path_text(path)).collect();
                paths.sort();
                (manager.name.clone(), (owned.api_version.clone(), paths))
            })
            .collect();
        let wanted: BTreeMap<_, _> = shares
            .iter()
            .map(|(who, version, paths)| {
                let mut paths: Vec<_> = paths.iter().map(|path| (*path).to_owned()).collect();
                paths.sort();
                ((*who).to_owned(), ((*version).to_owned(), paths))
            })
            .collect();
        assert_eq!(found, wanted);
        self
    }
}

pub(super) fn string() -> Value {
    json!({"type": "string"})
}

pub(super) fn number() -> Value {
    json!({"type": "number"})
}

/// A set of these.
pub(super) fn set_of(items: Value) -> Value {
    json!({"type": "array", "x-kubernetes-list-type": "set", "items": items})
}

/// A list of structs with these fields, found by keys.
pub(super) fn list_by(keys: &[&str], properties: Value) -> Value {
    json!({
        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys,
        "items": {"type": "object", "properties": properties},
    })
}

pub(super) fn map_of(values: Value) -> Value {
    json!({"type": "object", "additionalProperties": values})
}

pub(super) fn structure(properties: Value) -> Value {
    json!({"type": "object", "properties": properties})
}
