//! What is wrong with a value, by its schema.
//!
//! A walk that gathers a [`Verdict`] a value. Against an older value, what is wrong and has not changed is
//! forgiven (`CRDValidationRatcheting`): such errors are dropped where they are found, so that what stands
//! around them is judged as if they were right.
//!
//! Sources: `SchemaValidator` of `k8s.io/kube-openapi/pkg/validation/validate`, and
//! `ratchetingValueValidator` and `kubeOpenAPIResultToFieldErrors` of
//! `k8s.io/apiextensions-apiserver/pkg/apiserver/validation` (1.36).

mod logic;
mod scalar;
mod verdict;

use serde_json::{Map, Value};

use self::verdict::{Fault, Verdict};
use super::correlate::Correlated;
use super::go;
use super::schema::{Additional, Schema, Type};
use super::trail::Trail;
use crate::api::field::{Error, Path};

impl Schema {
    /// What is wrong with a value. `path` is where it stands.
    #[must_use]
    pub fn validate(&self, path: &Path, value: &Value) -> Vec<Error> {
        let trail = Trail::root(path);
        judge(self, &trail, value, None).into_errors(&trail)
    }

    /// The same of a value that is to replace another: what was wrong already and has not changed is
    /// forgiven, as far as values are found again. Lists are matched by their keys, or not at all.
    #[must_use]
    pub fn validate_update(&self, path: &Path, value: &Value, old: &Value) -> Vec<Error> {
        let trail = Trail::root(path);
        let correlated = Correlated::new(value, old, self);
        judge_part(self, &trail, value, Some(correlated)).into_errors(&trail)
    }
}

/// Judges a value that may have an older one beside it.
fn judge_part(schema: &Schema, trail: &Trail<'_>, value: &Value, old: Option<Correlated<'_>>) -> Verdict {
    let mut verdict = judge(schema, trail, value, old.as_ref());
    if !verdict.is_valid() && old.is_some_and(|old| old.is_unchanged()) {
        verdict.forgive();
    }
    verdict
}

/// Judges a value. The older one, where there is one, belongs to this place, of which several schemas may
/// speak: it forgives parts of the value, and not the value.
fn judge(schema: &Schema, trail: &Trail<'_>, value: &Value, old: Option<&Correlated<'_>>) -> Verdict {
    let mut verdict = Verdict::default();
    if value.is_null() {
        verdict.merge(scalar::ty(schema, trail, value));
        scalar::enumeration(schema, trail, value, &mut verdict);
        return verdict;
    }
    if schema.ty.is_some() || schema.int_or_string || schema.format.is_some() {
        verdict.merge(scalar::ty(schema, trail, value));
        verdict.count();
    }
    verdict.merge(logic::logic(schema, trail, value, old));
    verdict.count();
    match value {
        Value::String(text) => {
            scalar::text(schema, trail, text, &mut verdict);
            verdict.count();
            if let Some(format) = &schema.format
                && !matches!(schema.ty, Some(Type::Integer | Type::Number))
            {
                if !format.fits(text) {
                    verdict.add(Fault::ty(trail, format.name(), value.clone()));
                }
                verdict.count();
            }
        }
        Value::Number(number) => {
            verdict.merge(scalar::number(schema, trail, go::Number::of(number), value));
            verdict.count();
        }
        Value::Array(items) => {
            verdict.merge(list(schema, trail, items, old));
            verdict.count();
        }
        _ => {}
    }
    scalar::enumeration(schema, trail, value, &mut verdict);
    verdict.count();
    if let Value::Object(map) = value {
        verdict.merge(object(schema, trail, map, old));
        verdict.count();
    }
    verdict.count();
    verdict
}

fn list(schema: &Schema, trail: &Trail<'_>, items: &[Value], old: Option<&Correlated<'_>>) -> Verdict {
    let mut verdict = Verdict::default();
    if let Some(schema) = &schema.items {
        for (index, item) in items.iter().enumerate() {
            let before = old.and_then(|old| old.index(index));
            verdict.merge(judge_part(schema, &trail.index(index), item, before));
        }
    }
    let (size, bounds) = (i64::try_from(items.len()).unwrap_or(i64::MAX), &schema.bounds);
    if let Some(least) = bounds.min_items.filter(|least| size < *least) {
        verdict.add(Fault::invalid(trail, size, format!("should have at least {least} items")));
    }
    if let Some(most) = bounds.max_items.filter(|most| size > *most) {
        verdict.add(Fault::too_many(trail, size, most, "items"));
    }
    if bounds.unique_items && (1..items.len()).any(|at| items[..at].iter().any(|it| go::same(it, &items[at])))
    {
        verdict.add(Fault::invalid(trail, "", "shouldn't contain duplicates"));
    }
    verdict.count();
    verdict
}

fn object(
    schema: &Schema,
    trail: &Trail<'_>,
    map: &Map<String, Value>,
    old: Option<&Correlated<'_>>,
) -> Verdict {
    let mut verdict = Verdict::default();
    let (size, bounds) = (i64::try_from(map.len()).unwrap_or(i64::MAX), &schema.bounds);
    if let Some(least) = bounds.min_properties.filter(|least| size < *least) {
        verdict.add(Fault::invalid(trail, size, format!("should have at least {least} properties")));
    }
    if let Some(most) = bounds.max_properties.filter(|most| size > *most) {
        verdict.add(Fault::too_many(trail, size, most, "properties"));
    }
    let before = |key: &str| {
        // The kind and version of the whole object may change with the request.
        let own = trail.is_root() && matches!(key, "kind" | "apiVersion");
        old.filter(|_| !own).and_then(|old| old.key(key))
    };
    for (key, value) in map.iter().filter(|(key, _)| !schema.properties.contains_key(*key)) {
        match &schema.additional {
            Some(Additional::Any(false)) => verdict.add(Fault::forbidden(trail, key)),
            Some(Additional::Schema(schema)) => {
                verdict.merge(judge_part(schema, &trail.key(key), value, before(key)));
            }
            Some(Additional::Any(true)) | None => {}
        }
    }
    for (key, schema) in &schema.properties {
        if let Some(value) = map.get(key) {
            verdict.merge(judge_part(schema, &trail.field(key), value, before(key)));
        }
    }
    for key in schema.required.iter().filter(|key| !map.contains_key(*key)) {
        verdict.add(Fault::required(&trail.field(key)));
    }
    verdict
}
