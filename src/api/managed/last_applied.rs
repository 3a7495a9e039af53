//! What `kubectl apply` keeps on the client's side, in an annotation, and how it becomes ownership.
//!
//! An object that kubectl applied from the client's side is owned by an update of that client. So that
//! the first server-side apply by kubectl is no conflict, what the annotation holds and the object still
//! is may be taken. The annotation is kept current, so that one can go back. Follows apimachinery 1.36
//! (`util/managedfields/internal/lastapplied*.go`).

use serde_json::Value;

use super::schema::Schema;
use super::set::FieldSet;
use super::validate::Duplicates;

/// The manager of `kubectl apply --server-side`, unless it is told another.
pub(super) const KUBECTL: &str = "kubectl";
const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
const MAX_ANNOTATIONS: usize = 256 * 1024;

fn annotation(tree: &Value) -> Option<&str> {
    tree.get("metadata")?.get("annotations")?.get(ANNOTATION)?.as_str().filter(|text| !text.is_empty())
}

/// The fields that the annotation holds and the object still has as they were applied; none where there
/// is no annotation that can be read in this version.
pub(super) fn taken_over(live: &Value, api_version: &str, schema: &Schema) -> Option<FieldSet> {
    let last: Value = serde_json::from_str(annotation(live)?).ok()?;
    if last.get("apiVersion").and_then(Value::as_str) != Some(api_version) {
        return None;
    }
    schema.validate(live, Duplicates::Refused).ok()?;
    schema.validate(&last, Duplicates::Refused).ok()?;
    let differs = schema.compare(&last, live).ok()?;
    let fields = schema.fields(&last).ok()?;
    Some(fields.difference(&differs.modified).difference(&differs.added).difference(&differs.removed))
}

/// Writes the configuration into the annotation, if the object has it.
pub(super) fn refresh(tree: &mut Value, config: &Value) {
    if annotation(tree).is_none() {
        return;
    }
    let text = written(config);
    let annotations = tree.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut);
    if let Some(annotations) = annotations {
        annotations.insert(ANNOTATION.to_owned(), text.into());
        let size = |(name, value): (&String, &Value)| name.len() + value.as_str().map_or(0, str::len);
        if annotations.iter().map(size).sum::<usize>() > MAX_ANNOTATIONS {
            annotations.remove(ANNOTATION);
        }
    }
}

/// The configuration as kubectl writes it: without the annotation itself, a line of Go's JSON.
fn written(config: &Value) -> String {
    let mut config = config.clone();
    if let Some(annotations) = config.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove(ANNOTATION);
    }
    let mut out = String::new();
    super::value::write_json(&config, &mut out);
    out + "\n"
}
