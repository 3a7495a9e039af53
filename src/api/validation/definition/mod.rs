//! CustomResourceDefinitions.
//!
//! Kubernetes judges a definition in the form of an older version, where what all versions say alike (a
//! schema, subresources, columns, selectable fields) stands once, above them; so with a single version, a
//! schema's faults are at `spec.validation.openAPIV3Schema`. Paths here are the same.
//!
//! What an older definition is wrong about may stay wrong: see [`Leeway`].
//!
//! Source: `pkg/apis/apiextensions/validation` of `k8s.io/apiextensions-apiserver` (1.36).

mod approval;
mod conversion;
mod leeway;
mod rules;
mod schema;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde_json::Value;

use self::leeway::Leeway;
use super::at::At;
use super::checks::{self, Errors};
use crate::api::field::{Error, Path};
use crate::api::structural::{Schema, Type, field_path, is_known_format};
use crate::api::{names, structural};

#[cfg(feature = "server")]
pub(crate) use approval::{Approval, approval};
#[cfg(feature = "server")]
pub(crate) use conversion::is_ca_bundle;

/// How many selectable fields a version may have.
const MOST_SELECTABLE: usize = 8;

const COLUMN_TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
const COLUMN_FORMATS: [&str; 8] =
    ["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];

/// A new definition, or one that replaces another.
pub(super) fn object(definition: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    let leeway = old.map_or_else(Leeway::none, |old| Leeway::of(definition.value(), old.value()));
    if old.is_none() {
        name(definition, errors);
    }
    spec(&definition.get("spec"), &leeway, errors);
    words(&definition.get("status").get("acceptedNames"), errors);
    stored_versions(definition, errors);
    approval::check(definition, old, errors);
    let keeps = |definition: &At<'_>| definition.get("spec").get("preserveUnknownFields").flag();
    if keeps(definition) && !old.is_some_and(keeps) {
        let path = Path::new("spec").child("preserveUnknownFields");
        let why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in \
                   spec.versions[*].schema instead";
        errors.push(Error::invalid(&path, true, why));
    }
}

/// The status of a definition.
pub(super) fn status(definition: &At<'_>, errors: &mut Errors) {
    words(&definition.get("status").get("acceptedNames"), errors);
}

/// What the writer of a definition should know: formats that nobody knows, and that were not there before.
pub(super) fn warnings(definition: &Value, old: Option<&Value>) -> Vec<String> {
    let known = old.map(unknown_formats).unwrap_or_default();
    unknown_formats(definition)
        .into_iter()
        .filter(|format| !known.contains(format))
        .map(|format| format!("unrecognized format {format:?}"))
        .collect()
}

fn unknown_formats(definition: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let schemas = versions(definition).filter_map(|version| version.pointer("/schema/openAPIV3Schema"));
    let mut seen: Vec<&Value> = Vec::new();
    for schema in schemas {
        // What all versions say alike is told once.
        if !seen.contains(&schema) {
            leeway::any(schema, &mut |schema| {
                let text = |field: &str| schema.get(field).and_then(Value::as_str).unwrap_or_default();
                if !text("format").is_empty() && !is_known_format(text("format"), text("type")) {
                    found.push(text("format").to_owned());
                }
                false
            });
            seen.push(schema);
        }
    }
    found
}

fn versions(definition: &Value) -> impl Iterator<Item = &Value> {
    definition.pointer("/spec/versions").and_then(Value::as_array).into_iter().flatten()
}

fn name(definition: &At<'_>, errors: &mut Errors) {
    let (metadata, spec) = (definition.get("metadata"), definition.get("spec"));
    let (group, names) = (spec.get("group"), spec.get("names"));
    let name = metadata.get("name");
    let wanted = format!("{}.{}", names.get("plural").text(), group.text());
    if !name.text().is_empty() && name.text() != wanted {
        errors.push(name.invalid("must be spec.names.plural+\".\"+spec.group"));
    }
}

fn spec(spec: &At<'_>, leeway: &Leeway, errors: &mut Errors) {
    let group = spec.get("group");
    if checks::present(&group, errors) {
        let sentences = names::dns1123_subdomain(group.text());
        if !sentences.is_empty() {
            errors.push(group.invalid(sentences.join(",")));
        } else if !group.text().contains('.') {
            errors.push(group.invalid("should be a domain with at least one dot"));
        }
    }
    checks::one_of(&spec.get("scope"), &["Cluster", "Namespaced"], errors);
    self::versions_of(spec, leeway, errors);
    let names = spec.get("names");
    for field in ["plural", "singular", "kind", "listKind"] {
        checks::present(&names.get(field), errors);
    }
    words(&names, errors);
    conversion::conversion(spec, leeway, errors);
}

/// A part that versions have, and where it counts as standing: above them, where all say the same.
struct Part<'a> {
    value: &'a Value,
    path: Path,
}

/// The parts of this name of each version, `above` them where they are alike.
fn parts<'a>(versions: &[At<'a>], field: &'static str, above: &str) -> Vec<Option<Part<'a>>> {
    let values: Vec<&Value> =
        versions.iter().map(|version| version.value().get(field).unwrap_or(&Value::Null)).collect();
    let alike = values.windows(2).all(|pair| pair[0] == pair[1]);
    values
        .into_iter()
        .enumerate()
        .map(|(index, value)| {
            if value.is_null() || (alike && index > 0) {
                return None;
            }
            let path = if alike {
                Path::new("spec").child(above)
            } else {
                Path::new("spec").child("versions").index(index).child(field)
            };
            Some(Part { value, path })
        })
        .collect()
}

fn versions_of(spec: &At<'_>, leeway: &Leeway, errors: &mut Errors) {
    let list = spec.get("versions");
    let all: Vec<At<'_>> = list.items().collect();
    for version in &all {
        let schema = version.get("schema");
        let schema = schema.get("openAPIV3Schema");
        if !schema.is_set() && (leeway.needs_schema || version.get("served").flag()) {
            let why = if leeway.needs_schema { "" } else { "because otherwise all fields are pruned" };
            errors.push(schema.required(why));
        }
    }
    let structural = leeway.structural(spec.value());
    let schemas = parts(&all, "schema", "validation");
    let subresources = parts(&all, "subresources", "subresources");
    let columns = parts(&all, "additionalPrinterColumns", "additionalPrinterColumns");
    let fields = parts(&all, "selectableFields", "selectableFields");
    let has_status = |index: usize| {
        all[index].value().pointer("/subresources/status").is_some_and(|status| !status.is_null())
    };
    let any_status = (0..all.len()).any(has_status);
    let (mut seen, mut unique) = (BTreeSet::new(), true);
    for (index, version) in all.iter().enumerate() {
        let name = version.get("name");
        let sentences = names::dns1035_label(name.text());
        if !sentences.is_empty() {
            errors.push(name.invalid(sentences.join(",")));
        }
        unique &= seen.insert(name.text());
        deprecation(version, errors);
        let own = version.value().pointer("/schema/openAPIV3Schema");
        if let (Some(part), Some(schema)) = (&schemas[index], own) {
            let with_status = if part.path == Path::new("spec").child("validation") {
                any_status
            } else {
                has_status(index)
            };
            let judged = schema::Judged { structural, with_status, version: name.text(), leeway };
            judged.check(schema, &part.path, errors);
        }
        if let Some(part) = &subresources[index] {
            scale(part, errors);
        }
        if let Some(part) = &columns[index] {
            for (index, column) in part.value.as_array().into_iter().flatten().enumerate() {
                self::column(column, &part.path.index(index), errors);
            }
        }
        if let Some(part) = &fields[index] {
            selectable_fields(part, own, leeway.has_many_fields(name.text()), errors);
        }
    }
    if !unique {
        errors.push(list.invalid("must contain unique version names"));
    }
    if all.iter().filter(|version| version.get("storage").flag()).count() != 1 {
        errors.push(list.invalid("must have exactly one version marked as storage version"));
    }
}

fn deprecation(version: &At<'_>, errors: &mut Errors) {
    let warning = version.get("deprecationWarning");
    let Some(text) = warning.value().as_str() else { return };
    if !version.get("deprecated").flag() {
        errors.push(warning.invalid("can only be set for deprecated versions"));
        return;
    }
    if text.len() > 256 {
        errors.push(warning.invalid("must be <= 256 characters long"));
    }
    if text.is_empty() {
        errors.push(warning.invalid("must not be an empty string"));
    }
    if let Some((index, _)) = text.char_indices().find(|(_, letter)| letter.is_control()) {
        errors.push(warning.invalid(format!(
            "must only contain printable UTF-8 characters; non-printable character found at index {index}"
        )));
    }
}

fn scale(part: &Part<'_>, errors: &mut Errors) {
    let Some(scale) = part.value.get("scale").filter(|scale| scale.is_object()) else { return };
    let roots = [
        ("specReplicasPath", &[".spec."][..], "should be a json path under .spec"),
        ("statusReplicasPath", &[".status."][..], "should be a json path under .status"),
        (
            "labelSelectorPath",
            &[".spec.", ".status."][..],
            "should be a json path under either .spec or .status",
        ),
    ];
    for (field, roots, why) in roots {
        let text = scale.get(field).and_then(Value::as_str).unwrap_or_default();
        let path = part.path.child(&format!("scale.{field}"));
        if text.is_empty() {
            if field != "labelSelectorPath" {
                errors.push(Error::required(&path, ""));
            }
        } else if !text.starts_with('.') {
            errors.push(Error::invalid(&path, text, "must be a simple json path starting with ."));
        } else if !roots.iter().any(|root| text.starts_with(root)) {
            errors.push(Error::invalid(&path, text, why));
        }
    }
}

fn column(column: &Value, path: &Path, errors: &mut Errors) {
    let text = |field: &str| column.get(field).and_then(Value::as_str).unwrap_or_default();
    if text("name").is_empty() {
        errors.push(Error::required(&path.child("name"), ""));
    }
    let (ty, format, json_path) = (text("type"), text("format"), text("jsonPath"));
    let types = format!("must be one of {}", COLUMN_TYPES.join(","));
    if ty.is_empty() {
        errors.push(Error::required(&path.child("type"), types));
    } else if !COLUMN_TYPES.contains(&ty) {
        errors.push(Error::invalid(&path.child("type"), ty, types));
    }
    if !format.is_empty() && !COLUMN_FORMATS.contains(&format) {
        let why = format!("must be one of {}", COLUMN_FORMATS.join(","));
        errors.push(Error::invalid(&path.child("format"), format, why));
    }
    if json_path.is_empty() {
        errors.push(Error::required(&path.child("JSONPath"), ""));
    } else if !json_path.starts_with('.') {
        let why = "must be a simple json path starting with .";
        errors.push(Error::invalid(&path.child("JSONPath"), json_path, why));
    }
}

fn selectable_fields(part: &Part<'_>, schema: Option<&Value>, many: bool, errors: &mut Errors) {
    let list = part.value.as_array().map(Vec::as_slice).unwrap_or_default();
    if list.is_empty() {
        return;
    }
    let Some(schema) = schema else {
        errors.push(Error::invalid(&part.path, "", "may only be set when validations.schema is included"));
        return;
    };
    // What keeps it from being compiled is told where the schema is judged.
    let Ok(schema) = structural::unsupported(schema).and_then(|()| Schema::parse(schema)) else { return };
    let mut seen = BTreeSet::new();
    for (index, field) in list.iter().enumerate() {
        let path = part.path.index(index).child("jsonPath");
        let text = field.get("jsonPath").and_then(Value::as_str).unwrap_or_default();
        if text.is_empty() {
            errors.push(Error::required(&path, ""));
            continue;
        }
        let (place, found) = match field_path(text, &schema, false) {
            Ok(found) => found,
            Err(why) => {
                errors.push(Error::invalid(&path, text, format!("is an invalid path: {why}")));
                continue;
            }
        };
        let place = place.to_string();
        if place == "metadata" || place.starts_with("metadata.") {
            errors.push(Error::invalid(&path, text, "must not point to fields in metadata"));
        }
        let scalar = [Some(Type::String), Some(Type::Boolean), Some(Type::Integer)];
        if !found.is_some_and(|found| scalar.contains(&found.ty)) {
            let why = "must point to a field of type string, boolean or integer. Enum string fields and \
                       strings with formats are allowed.";
            errors.push(Error::invalid(&path, text, why));
        }
        if !seen.insert(place) {
            errors.push(Error::duplicate(&path, text));
        }
    }
    if seen.len() > MOST_SELECTABLE && !many {
        errors.push(Error::too_many(&part.path, seen.len(), MOST_SELECTABLE));
    }
}

/// The names that a resource goes by; which of them must be there is said elsewhere.
fn words(words: &At<'_>, errors: &mut Errors) {
    let label = |at: &At<'_>, text: &str, before: &str, errors: &mut Errors| {
        let sentences = names::dns1035_label(text);
        if !text.is_empty() && !sentences.is_empty() {
            errors.push(at.invalid(format!("{before}{}", sentences.join(","))));
        }
    };
    for field in ["plural", "singular"] {
        let at = words.get(field);
        label(&at, at.text(), "", errors);
    }
    for field in ["kind", "listKind"] {
        let at = words.get(field);
        let mixed = "may have mixed case, but should otherwise match: ";
        label(&at, &at.text().to_lowercase(), mixed, errors);
    }
    let listed = |at: At<'_>, errors: &mut Errors| {
        let sentences = names::dns1035_label(at.text());
        if !sentences.is_empty() {
            errors.push(at.invalid(sentences.join(",")));
        }
    };
    words.get("shortNames").items().for_each(|name| listed(name, errors));
    let (kind, list) = (words.get("kind"), words.get("listKind"));
    if !kind.text().is_empty() && kind.text() == list.text() {
        errors.push(list.invalid("kind and listKind may not be the same"));
    }
    words.get("categories").items().for_each(|name| listed(name, errors));
}

/// Versions in which objects are stored are not taken away.
fn stored_versions(definition: &At<'_>, errors: &mut Errors) {
    let status = definition.get("status");
    let stored = status.get("storedVersions");
    if stored.len() == 0 {
        let path = stored.path();
        errors.push(Error::invalid(&path, Vec::<Value>::new(), "must have at least one stored version"));
        return;
    }
    let names: BTreeSet<&str> = stored.items().map(|version| version.text()).collect();
    let spec = definition.get("spec");
    let versions = spec.get("versions");
    let mut left = names.clone();
    for version in versions.items() {
        let name = version.get("name").text().to_owned();
        if version.get("storage").flag() && !names.contains(&*name) {
            errors.push(stored.invalid(format!("must have the storage version {name}")));
        }
        left.remove(&*name);
    }
    for version in stored.items().filter(|version| left.contains(version.text())) {
        let name = version.text();
        errors.push(version.invalid(format!(
            "missing from spec.versions; {name} was previously a storage version, and must remain in \
             spec.versions until a storage migration ensures no data remains persisted in {name} and removes \
             {name} from status.storedVersions"
        )));
    }
}

/// What objects are stored by cannot change.
pub(super) fn update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let (spec, before) = (new.get("spec"), old.get("spec"));
    let (names, names_before) = (spec.get("names"), before.get("names"));
    if leeway::is_established(old.value()) {
        checks::immutable(&spec.get("scope"), &before.get("scope"), errors);
        checks::immutable(&names.get("kind"), &names_before.get("kind"), errors);
    }
    checks::immutable(&spec.get("group"), &before.get("group"), errors);
    checks::immutable(&names.get("plural"), &names_before.get("plural"), errors);
}
