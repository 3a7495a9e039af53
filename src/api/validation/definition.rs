//! CustomResourceDefinitions: names, scope and versions. Their schemas are judged where they are
//! compiled.

use std::collections::BTreeSet;

use super::at::At;
use super::checks::{self, Errors};
use crate::api::field::Error;
use crate::api::names;

pub(super) fn object(definition: &At<'_>, errors: &mut Errors) {
    let (metadata, spec) = (definition.get("metadata"), definition.get("spec"));
    let (group, words) = (spec.get("group"), spec.get("names"));
    let name = metadata.get("name");
    let wanted = format!("{}.{}", words.get("plural").text(), group.text());
    if !name.text().is_empty() && name.text() != wanted {
        errors.push(name.invalid("must be spec.names.plural+\".\"+spec.group"));
    }
    if checks::present(&group, errors) {
        let sentences = names::dns1123_subdomain(group.text());
        if !sentences.is_empty() {
            errors.push(group.invalid(sentences.join(",")));
        } else if !group.text().contains('.') {
            errors.push(group.invalid("should be a domain with at least one dot"));
        }
    }
    checks::one_of(&spec.get("scope"), &["Cluster", "Namespaced"], errors);
    versions(&spec.get("versions"), errors);
    self::words(&words, errors);
}

fn versions(versions: &At<'_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    let mut unique = true;
    for version in versions.items() {
        let schema = version.get("schema");
        let schema = schema.get("openAPIV3Schema");
        if !schema.is_set() {
            errors.push(schema.required(""));
        }
        let name = version.get("name");
        let sentences = names::dns1035_label(name.text());
        if !sentences.is_empty() {
            errors.push(name.invalid(sentences.join(",")));
        }
        unique &= seen.insert(name.text().to_owned());
    }
    if !unique {
        errors.push(versions.invalid("must contain unique version names"));
    }
    if versions.items().filter(|version| version.get("storage").flag()).count() != 1 {
        errors.push(versions.invalid("must have exactly one version marked as storage version"));
    }
}

/// The names that a resource goes by.
fn words(words: &At<'_>, errors: &mut Errors) {
    let label = |at: &At<'_>, errors: &mut Errors| {
        let sentences = names::dns1035_label(at.text());
        if !sentences.is_empty() {
            errors.push(at.invalid(sentences.join(",")));
        }
    };
    for field in ["plural", "singular"] {
        let at = words.get(field);
        if checks::present(&at, errors) {
            label(&at, errors);
        }
    }
    for field in ["kind", "listKind"] {
        let at = words.get(field);
        if checks::present(&at, errors) {
            let sentences = names::dns1035_label(&at.text().to_lowercase());
            if !sentences.is_empty() {
                let mixed = "may have mixed case, but should otherwise match: ";
                errors.push(at.invalid(format!("{mixed}{}", sentences.join(","))));
            }
        }
    }
    let (kind, list) = (words.get("kind"), words.get("listKind"));
    if !kind.text().is_empty() && kind.text() == list.text() {
        errors.push(list.invalid("kind and listKind may not be the same"));
    }
    for field in ["shortNames", "categories"] {
        words.get(field).items().for_each(|name| label(&name, errors));
    }
}

/// What objects are stored by cannot change.
pub(super) fn update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let (spec, before) = (new.get("spec"), old.get("spec"));
    let established = |condition: At<'_>| {
        condition.get("type").text() == "Established" && condition.get("status").text() == "True"
    };
    if old.get("status").get("conditions").items().any(established) {
        checks::immutable(&spec.get("scope"), &before.get("scope"), errors);
        checks::immutable(&spec.get("names").get("kind"), &before.get("names").get("kind"), errors);
    }
    for path in [&["group"][..], &["names", "plural"][..]] {
        let last = path.len() - 1;
        let (now, was) = (spec.get(path[0]), before.get(path[0]));
        let (now_inner, was_inner) = (now.get(path[last]), was.get(path[last]));
        let (now, was) = if last == 0 { (&now, &was) } else { (&now_inner, &was_inner) };
        if !checks::same(now.value(), was.value()) {
            errors.push(Error::invalid(&now.path(), now.value().clone(), checks::IMMUTABLE));
        }
    }
}
