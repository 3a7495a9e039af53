//! Fields that nobody declares go.
//!
//! Sources: `schema/pruning` and `schema/defaulting/prunenulls.go` of
//! `k8s.io/apiextensions-apiserver/pkg/apiserver` (1.36).

use serde_json::{Map, Value};

use super::schema::{Additional, Schema};
use super::version::Version;

/// What every object has, whatever its schema says.
const HEAD: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Brings a decoded object into the form that its version gives it: undeclared fields go, nulls that cannot
/// be go, and the metadata of embedded objects become metadata. What strict decoding objects to, in the
/// order in which Kubernetes tells it.
///
/// # Errors
///
/// Where metadata of an embedded object do not decode.
pub(in crate::api) fn clean(version: &Version, tree: &mut Value) -> Result<Vec<String>, String> {
    let Some(schema) = version.schema() else { return Ok(Vec::new()) };
    let mut unknown = Vec::new();
    if !version.keeps_unknown() {
        unknown = schema.prune(tree, true);
        schema.prune_nulls(tree);
    }
    let problems = schema.coerce(tree, false)?;
    Ok(unknown.into_iter().chain(problems).map(|path| format!("unknown field {path:?}")).collect())
}

impl Schema {
    /// Removes the fields of a value that the schema does not declare; their paths, sorted. A `whole` object
    /// keeps its kind and metadata.
    pub fn prune(&self, value: &mut Value, whole: bool) -> Vec<String> {
        let mut walk = Walk::default();
        let own = View::of(self);
        walk.prune(value, Some(&View { embedded: own.embedded || whole, ..own }));
        walk.unknown.sort();
        walk.unknown
    }

    /// Removes nulls that are neither allowed nor become a default.
    pub fn prune_nulls(&self, value: &mut Value) {
        prune_nulls(value, Some(self));
    }
}

/// A schema, as it is at one place.
struct View<'a> {
    schema: &'a Schema,
    /// Whether this is a whole object.
    embedded: bool,
    /// Whether fields that are not declared stay.
    keeps: bool,
}

impl<'a> View<'a> {
    fn of(schema: &'a Schema) -> Self {
        Self { schema, embedded: schema.embedded, keeps: schema.preserve_unknown }
    }
}

#[derive(Default)]
struct Walk {
    path: String,
    unknown: Vec<String>,
}

impl Walk {
    fn below(&mut self, step: &str, work: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        if !self.path.is_empty() && !step.starts_with('[') {
            self.path.push('.');
        }
        self.path.push_str(step);
        work(self);
        self.path.truncate(length);
    }

    fn note(&mut self, field: &str) {
        let dot = if self.path.is_empty() { "" } else { "." };
        self.unknown.push(format!("{}{dot}{field}", self.path));
    }

    fn prune(&mut self, value: &mut Value, view: Option<&View<'_>>) {
        match value {
            Value::Object(map) => self.prune_map(map, view),
            Value::Array(items) => {
                let keeps = view.is_some_and(|view| view.keeps);
                let item = view.and_then(|view| view.schema.items.as_deref()).map(View::of);
                if keeps && item.is_none() {
                    return;
                }
                // What stands in a list that keeps unknown fields keeps them too.
                let item = item.map(|item| View { keeps: item.keeps || keeps, ..item });
                for (index, value) in items.iter_mut().enumerate() {
                    self.below(&format!("[{index}]"), |walk| walk.prune(value, item.as_ref()));
                }
            }
            _ => {}
        }
    }

    fn prune_map(&mut self, map: &mut Map<String, Value>, view: Option<&View<'_>>) {
        let mut gone = Vec::new();
        for (key, value) in map.iter_mut() {
            let is_head = HEAD.contains(&key.as_str());
            let Some(View { schema, embedded, keeps }) = view else {
                gone.push(key.clone());
                continue;
            };
            if *embedded && is_head {
                continue;
            }
            let known = schema.properties.get(key);
            match (known, &schema.additional) {
                (Some(property), _) => {
                    self.below(key, |walk| walk.prune(value, Some(&View::of(property))));
                }
                (None, Some(Additional::Schema(schema))) => {
                    self.below(key, |walk| walk.prune(value, Some(&View::of(schema))));
                }
                // What may be anything has no fields of its own.
                (None, Some(Additional::Any(_))) => self.below(key, |walk| walk.prune(value, None)),
                (None, None) if *keeps => {}
                (None, None) => gone.push(key.clone()),
            }
        }
        for key in gone {
            if view.is_none() || !HEAD.contains(&key.as_str()) || !self.path.is_empty() {
                self.note(&key);
            }
            map.remove(&key);
        }
    }
}

fn prune_nulls(value: &mut Value, schema: Option<&Schema>) {
    match value {
        Value::Object(map) => map.retain(|key, value| {
            let field = schema.and_then(|schema| schema.field(key));
            if value.is_null() && field.is_some_and(|field| !field.nullable && field.default.is_none()) {
                return false;
            }
            prune_nulls(value, field);
            true
        }),
        Value::Array(items) => {
            let item = schema.and_then(|schema| schema.items.as_deref());
            items.iter_mut().for_each(|value| prune_nulls(value, item));
        }
        _ => {}
    }
}
