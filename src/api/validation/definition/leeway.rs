//! What a definition may be wrong about, because it was wrong about it before.

use std::collections::BTreeSet;

use serde_json::Value;

use super::conversion::{REVIEWS, is_ca_bundle};
use super::{MOST_SELECTABLE, schema, versions};
use crate::api::field::Path;
use crate::api::structural::{self, Schema, check, prune_defaults};

/// Which rules hold of a definition that replaces another; all hold of a new one.
pub(super) struct Leeway {
    pub(super) needs_schema: bool,
    needs_structure: bool,
    pub(super) needs_types: bool,
    pub(super) needs_pruned_defaults: bool,
    pub(super) needs_atomic_sets: bool,
    pub(super) needs_list_keys: bool,
    pub(super) needs_known_review: bool,
    /// A bundle that is no bundle is told in a condition, until the definition is established.
    pub(super) any_ca_bundle: bool,
    many_fields: BTreeSet<String>,
    unchanged: BTreeSet<String>,
}

impl Leeway {
    pub(super) fn none() -> Self {
        Self {
            needs_schema: true,
            needs_structure: true,
            needs_types: true,
            needs_pruned_defaults: true,
            needs_atomic_sets: true,
            needs_list_keys: true,
            needs_known_review: true,
            any_ca_bundle: true,
            many_fields: BTreeSet::new(),
            unchanged: BTreeSet::new(),
        }
    }

    /// What the definition that is replaced lets pass.
    pub(super) fn of(new: &Value, old: &Value) -> Self {
        let schemas = || versions(old).map(schema_of);
        let has = |test: &dyn Fn(&Value) -> bool| {
            schemas().flatten().any(|schema| any(schema, &mut |schema| test(schema)))
        };
        let reviews = old.pointer("/spec/conversion/webhook/conversionReviewVersions");
        let reviews = reviews.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let known = |version: &Value| version.as_str().is_some_and(|version| REVIEWS.contains(&version));
        let bundle = old.pointer("/spec/conversion/webhook/clientConfig/caBundle").and_then(Value::as_str);
        let bundle = bundle.filter(|bundle| !bundle.is_empty());
        let before = |version: &Value| versions(old).find(|old| old["name"] == version["name"]);
        let named = |test: &dyn Fn(&Value, &Value) -> bool| -> BTreeSet<String> {
            let same = versions(new).filter(|new| before(new).is_some_and(|old| test(new, old)));
            same.filter_map(|version| version["name"].as_str().map(str::to_owned)).collect()
        };
        Self {
            needs_schema: schemas().all(|schema| schema.is_some()),
            needs_structure: !schemas().flatten().any(is_loose),
            needs_types: !has(&|schema| !schema::is_type(schema)),
            needs_pruned_defaults: !schemas().flatten().any(has_unpruned_defaults),
            needs_atomic_sets: !has(&|schema| !schema::is_atomic_set(schema)),
            needs_list_keys: !has(&|schema| !schema::list_keys(schema, &Path::root()).is_empty()),
            needs_known_review: reviews.is_empty() || reviews.iter().any(known),
            any_ca_bundle: !is_established(old) || bundle.is_some_and(|bundle| !is_ca_bundle(bundle)),
            many_fields: named(&|new, old| {
                let fields = |version: &Value| version["selectableFields"].as_array().map_or(0, Vec::len);
                fields(old) > MOST_SELECTABLE && new["selectableFields"] == old["selectableFields"]
            }),
            unchanged: named(&|new, old| schema_of(new) == schema_of(old)),
        }
    }

    /// Whether the schemas of a definition must be structural.
    pub(super) fn structural(&self, spec: &Value) -> bool {
        let extended = |schema: &Value| {
            let extensions = [
                "default",
                "x-kubernetes-embedded-resource",
                "x-kubernetes-preserve-unknown-fields",
                "x-kubernetes-int-or-string",
                "x-kubernetes-list-map-keys",
                "x-kubernetes-list-type",
                "x-kubernetes-validations",
            ];
            extensions.iter().any(|name| schema.get(name).is_some_and(|value| !value.is_null()))
        };
        let versions = spec["versions"].as_array().into_iter().flatten();
        self.needs_structure
            || spec["preserveUnknownFields"] != true
            || versions.filter_map(schema_of).any(|schema| any(schema, &mut |schema| extended(schema)))
    }

    /// Whether a version had more selectable fields than it may, and has the same.
    pub(super) fn has_many_fields(&self, version: &str) -> bool {
        self.many_fields.contains(version)
    }

    /// Whether the schema of a version is the one that was there.
    #[cfg_attr(not(feature = "cel"), allow(dead_code, reason = "only the costs of rules are not told again"))]
    pub(super) fn is_unchanged(&self, version: &str) -> bool {
        self.unchanged.contains(version)
    }
}

fn schema_of(version: &Value) -> Option<&Value> {
    version.pointer("/schema/openAPIV3Schema").filter(|schema| !schema.is_null())
}

pub(super) fn is_established(definition: &Value) -> bool {
    let conditions = definition.pointer("/status/conditions").and_then(Value::as_array);
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Established" && condition["status"] == "True")
}

fn is_loose(schema: &Value) -> bool {
    structural::unsupported(schema).is_err() || !check(&Path::root(), schema).is_empty()
}

fn has_unpruned_defaults(schema: &Value) -> bool {
    if is_loose(schema) || !any(schema, &mut |schema| schema.get("default").is_some()) {
        return false;
    }
    let Ok(mut pruned) = Schema::parse(schema) else { return false };
    let defaults = |schema: &Schema| format!("{schema:?}");
    let before = defaults(&pruned);
    prune_defaults(&mut pruned);
    before != defaults(&pruned)
}

/// Whether any part of a schema, or all of it, passes a test.
pub(super) fn any(schema: &Value, test: &mut dyn FnMut(&Value) -> bool) -> bool {
    let Some(map) = schema.as_object() else { return false };
    test(schema) || structural::children(map).any(|(_, child)| any(child, test))
}
