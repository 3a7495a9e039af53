//! Custom resources, by what their definition says.
//!
//! Source: `strategy.go`, `status_strategy.go` and `validator.go` of
//! `k8s.io/apiextensions-apiserver/pkg/registry/customresource` (1.36).

use serde_json::Value;

use super::Findings;
use crate::api::field::{Error, ErrorKind, Path};
use crate::api::names;
use crate::api::structural::{ScalePaths, Version};

/// Finalizers that need no domain.
const STANDARD: [&str; 3] = ["orphan", "foregroundDeletion", "kubernetes"];

pub(super) fn create(version: &Version, tree: &Value, findings: &mut Findings) {
    let root = Path::root();
    if let Some(schema) = version.schema() {
        findings.errors.extend(schema.validate(&root, tree));
    }
    scale_spec(version.scale.as_ref(), tree, &mut findings.errors);
    scale_status(version.scale.as_ref(), tree, &mut findings.errors);
    if let Some(schema) = version.schema() {
        findings.errors.extend(schema.validate_embedded(&root, tree));
        findings.errors.extend(schema.duplicates(&root, tree));
    }
    rules(version, tree, None, findings);
    finalizers(tree, None, findings);
}

pub(super) fn update(version: &Version, tree: &Value, old: &Value, findings: &mut Findings) {
    let root = Path::root();
    if let Some(schema) = version.schema() {
        findings.errors.extend(schema.validate_update(&root, tree, old));
    }
    scale_spec(version.scale.as_ref(), tree, &mut findings.errors);
    scale_status(version.scale.as_ref(), tree, &mut findings.errors);
    if let Some(schema) = version.schema() {
        findings.errors.extend(schema.validate_embedded(&root, tree));
        // What stood twice before may go on to.
        if schema.duplicates(&root, old).is_empty() {
            findings.errors.extend(schema.duplicates(&root, tree));
        }
    }
    rules(version, tree, Some(old), findings);
    finalizers(tree, Some(old), findings);
}

pub(super) fn update_status(version: &Version, tree: &Value, old: &Value, findings: &mut Findings) {
    let root = Path::root();
    if let (Some(schema), Some(status)) = (version.status_schema(), tree.get("status")) {
        let before = old.get("status").unwrap_or(&Value::Null);
        findings.errors.extend(schema.validate_update(&Path::new("status"), status, before));
    }
    scale_status(version.scale.as_ref(), tree, &mut findings.errors);
    if let Some(schema) = version.schema()
        && schema.duplicates(&root, old).is_empty()
    {
        findings.errors.extend(schema.duplicates(&root, tree));
    }
    rules(version, tree, Some(old), findings);
}

/// Rules are asked where they can be: of an object whose fields are what they must be.
fn rules(version: &Version, tree: &Value, old: Option<&Value>, findings: &mut Findings) {
    let Some((rules, schema)) = version.rules().zip(version.schema()) else { return };
    let blocks = |error: &Error| {
        use ErrorKind::{NotSupported, Required, TooLong, TooMany, TypeInvalid};
        matches!(error.kind, NotSupported | Required | TooLong | TooMany | TypeInvalid)
    };
    if findings.errors.iter().any(blocks) {
        let why = "some validation rules were not checked because the object was invalid; correct the existing \
                   errors to complete validation";
        findings.errors.push(Error::invalid(&Path::root(), Value::Null, why));
        return;
    }
    let judged = rules.judge(schema, tree, old);
    findings.errors.extend(judged.errors);
    findings.warnings.extend(judged.warnings);
}

fn scale_spec(scale: Option<&ScalePaths>, tree: &Value, errors: &mut Vec<Error>) {
    if let Some(scale) = scale {
        replicas(&scale.spec, tree, errors);
    }
}

fn scale_status(scale: Option<&ScalePaths>, tree: &Value, errors: &mut Vec<Error>) {
    let Some(scale) = scale else { return };
    replicas(&scale.status, tree, errors);
    if let Some(path) = &scale.selector
        && let Err(why) = scale.text(tree)
    {
        errors.push(Error::invalid(&Path::new(path), "", why));
    }
}

fn replicas(path: &str, tree: &Value, errors: &mut Vec<Error>) {
    let at = Path::new(path);
    match ScalePaths::number(path, tree) {
        Err(why) => errors.push(Error::invalid(&at, 0, why)),
        Ok(Some(number)) if number < 0 => {
            errors.push(Error::invalid(&at, number, "should be a non-negative integer"));
        }
        Ok(Some(number)) if number > i64::from(i32::MAX) => {
            let why = format!("should be less than or equal to {}", i32::MAX);
            errors.push(Error::invalid(&at, number, why));
        }
        Ok(_) => {}
    }
}

/// Finalizers that come new should say whose they are, once nothing is wrong.
fn finalizers(tree: &Value, old: Option<&Value>, Findings { errors, warnings }: &mut Findings) {
    if !errors.is_empty() {
        return;
    }
    let of = |tree: &Value| -> Vec<String> {
        let list = tree.pointer("/metadata/finalizers").and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let known = old.map(of).unwrap_or_default();
    let mut fresh: Vec<_> = of(tree).into_iter().filter(|name| !known.contains(name)).collect();
    fresh.sort();
    fresh.dedup();
    for name in fresh {
        for sentence in names::qualified_name(&name) {
            warnings.push(format!("metadata.finalizers: {name:?}: {sentence}"));
        }
        if !name.contains('/') && !STANDARD.contains(&&*name) {
            let path = if name.contains('.') { "including a path (/) " } else { "" };
            warnings.push(format!(
                "metadata.finalizers: {name:?}: prefer a domain-qualified finalizer name {path}to avoid \
                 accidental conflicts with other finalizer writers"
            ));
        }
    }
}
