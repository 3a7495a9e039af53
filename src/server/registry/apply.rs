//! Server-side apply: a configuration is merged into an object, by who owns what of it.
//!
//! Source: `applyPatcher` and `patchResource` of `k8s.io/apiserver/pkg/endpoints/handlers` (1.36).

use serde_json::{Map, Value};

use super::create::{check_namespace, create_owned, default};
use super::patch::check_patched;
use super::update::{Scope, check_create, check_name, modify, replace};
use super::{Call, decode};
use crate::api::managed::Applied;
use crate::api::{Status, manifest, status};
use crate::client::{FieldValidation, Patch, Response, WriteOptions};
use crate::server::Answer;
use crate::server::managed::Owners;
use crate::server::tree::{metadata_mut, text};

/// Applies a configuration: changes the object, or makes it where there is none.
pub(super) async fn apply(
    call: &mut Call<'_>,
    patch: &Patch,
    options: &WriteOptions,
    scope: Scope,
) -> Result<Answer, Status> {
    let config = Config::of(patch, options)?;
    let owners = Owners::of(call, options);
    loop {
        if call.current().await?.is_none() {
            // A subresource makes nothing.
            if scope != Scope::Main {
                return Err(call.not_found());
            }
            match create(call, &config, &owners, options).await {
                // It has come to be meanwhile: it is changed.
                Err(status) if status.reason == "AlreadyExists" => continue,
                answer => return answer,
            }
        }
        let applied = modify(call, options.dry_run, |call, current| {
            let applied = owners.apply(&current.tree(), &config.tree, config.force)?;
            config.report(call)?;
            let mut tree = owned(call, applied)?;
            check_patched(call, &mut tree, current)?;
            replace(call, tree, current, scope)
        });
        match applied.await {
            // It has gone meanwhile: it is made.
            Err(status) if status.code == 404 && call.current().await?.is_none() => {}
            object => return Ok(Response::Object(object?).into()),
        }
    }
}

async fn create(
    call: &mut Call<'_>,
    config: &Config,
    owners: &Owners,
    options: &WriteOptions,
) -> Result<Answer, Status> {
    let applied = owners.apply(&Value::Null, &config.tree, config.force)?;
    config.report(call)?;
    let mut tree = owned(call, applied)?;
    let uid = text(&tree, &["metadata", "uid"]);
    if !uid.is_empty() {
        return Err(call.conflict(&format!(
            "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        )));
    }
    check_namespace(call, &mut tree)?;
    check_name(call, &tree)?;
    check_create(call)?;
    // Whatever revision is said, there is none that it could be of.
    metadata_mut(&mut tree).remove("resourceVersion");
    let object = create_owned(call, tree, options).await?;
    Ok(Answer { created: true, ..Response::Object(object).into() })
}

/// The tree that is to be stored, in the stored version, with its defaults and its owners.
fn owned(call: &mut Call<'_>, applied: Applied) -> Result<Value, Status> {
    // What is not declared has been refused; here scalars become canonical.
    let mut tree = decode::prune(call, applied.tree, Some(FieldValidation::Ignore))?;
    default(call, &mut tree)?;
    applied.managed.put(&mut tree);
    Ok(tree)
}

/// What is applied.
pub(super) struct Config {
    pub(super) tree: Value,
    pub(super) force: bool,
    /// Keys that stand twice.
    problem: Option<String>,
    validation: FieldValidation,
}

impl Config {
    /// Reads YAML, of which JSON is a part.
    pub(super) fn of(patch: &Patch, options: &WriteOptions) -> Result<Self, Status> {
        let unreadable = |why: &str| status::bad_request(format!("error decoding YAML: {why}"));
        let text = std::str::from_utf8(&patch.body)
            .map_err(|_| unreadable("error converting YAML to JSON: yaml: invalid UTF-8"))?;
        let read = manifest::yaml::read_one(text)
            .map_err(|error| unreadable(&format!("error converting YAML to JSON: {error}")))?;
        let kind = match &read.tree {
            Value::Null | Value::Object(_) => None,
            Value::Array(_) => Some("array"),
            Value::String(_) => Some("string"),
            Value::Number(_) => Some("number"),
            Value::Bool(_) => Some("bool"),
        };
        if let Some(kind) = kind {
            return Err(unreadable(&format!(
                "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {kind} into Go value of \
                 type map[string]interface {{}}"
            )));
        }
        let problem = manifest::yaml::duplicates_text(&read.duplicates)
            .map(|text| format!("error converting YAML to JSON: {text}"));
        let tree = if read.tree.is_null() { Value::Object(Map::new()) } else { read.tree };
        let validation = options.field_validation.unwrap_or(FieldValidation::Warn);
        Ok(Self { tree, force: patch.force, problem, validation })
    }

    /// Refuses keys that stand twice, or warns of them, once the configuration has been applied.
    pub(super) fn report(&self, call: &mut Call<'_>) -> Result<(), Status> {
        let Some(problem) = &self.problem else { return Ok(()) };
        match self.validation {
            FieldValidation::Ignore => {}
            FieldValidation::Strict => {
                return Err(status::bad_request(format!("error strict decoding YAML: {problem}")));
            }
            FieldValidation::Warn if call.warnings.contains(problem) => {}
            FieldValidation::Warn => call.warnings.push(problem.clone()),
        }
        Ok(())
    }
}
