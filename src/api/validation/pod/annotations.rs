//! Annotations that mean something to pods, most of them from before there were fields for it.

use serde_json::Value;

use super::{MIRROR, Rules, placement, security};
use crate::api::field::Error;
use crate::api::validation::at::At;
use crate::api::validation::checks::Errors;
use crate::api::validation::volume::paths;

const TOLERATIONS: &str = "scheduler.alpha.kubernetes.io/tolerations";
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

/// The annotations of a pod, or of a template of pods.
pub(super) fn specific(annotations: &At<'_>, spec: &At<'_>, rules: &Rules<'_>, errors: &mut Errors) {
    if annotations.has(MIRROR) && spec.text_of("nodeName").is_empty() {
        let wrong = "must set spec.nodeName if mirror pod annotation is set";
        errors.push(annotations.key(MIRROR).invalid(wrong));
    }
    tolerations(annotations, rules, errors);
    if !deletion_cost_is_sound(annotations.value()) && !rules.allows_any_deletion_cost() {
        errors.push(annotations.key(DELETION_COST).invalid("must be a 32bit integer"));
    }
    for (key, profile) in annotations.entries() {
        if key == SECCOMP_POD || key.starts_with(SECCOMP_CONTAINER) {
            seccomp(&annotations.get(key), errors);
        }
        if let Some(container) = key.strip_prefix(APP_ARMOR) {
            let known = super::any_container(spec.value(), |own| own["name"] == container);
            if !known {
                errors.push(Error::invalid(&profile.path(), container, "container not found"));
            }
            let text = profile.text();
            let local = text.starts_with("localhost/");
            if !matches!(text, "" | "runtime/default" | "unconfined") && !local {
                errors.push(profile.invalid(format!("invalid AppArmor profile name: {text:?}")));
            }
        }
    }
}

/// Tolerations that stand in an annotation have had no effect for long, and are still judged.
fn tolerations(annotations: &At<'_>, rules: &Rules<'_>, errors: &mut Errors) {
    let text = annotations.text_of(TOLERATIONS);
    if text.is_empty() {
        return;
    }
    match serde_json::from_str::<Value>(text) {
        Ok(list @ (Value::Array(_) | Value::Null)) => {
            let place = annotations.get(TOLERATIONS);
            let mut found = Errors::new();
            placement::tolerations(&At::root(&list), rules, &mut found);
            let path = place.path().to_string();
            let moved = |error: Error| Error { field: format!("{path}{}", error.field), ..error };
            errors.extend(found.into_iter().map(moved));
        }
        Ok(_) => {
            let wrong = "json: cannot unmarshal value into Go value of type []core.Toleration";
            errors.push(Error::invalid(&annotations.path(), TOLERATIONS, wrong));
        }
        Err(error) => {
            errors.push(Error::invalid(&annotations.path(), TOLERATIONS, error.to_string()));
        }
    }
}

/// Whether the cost of a pod's deletion is a number, if it is named.
pub(super) fn deletion_cost_is_sound(annotations: &Value) -> bool {
    let Some(text) = annotations.get(DELETION_COST).and_then(Value::as_str) else { return true };
    // A sign and leading zeros are for people who count otherwise.
    let first = text.as_bytes().first();
    let leads = first == Some(&b'+') || (text.len() > 1 && first == Some(&b'0'));
    !leads && text.parse::<i32>().is_ok()
}

fn seccomp(profile: &At<'_>, errors: &mut Errors) {
    match profile.text() {
        "runtime/default" | "docker/default" | "unconfined" => {}
        text => match text.strip_prefix("localhost/") {
            Some(path) => {
                let path = Value::from(path);
                let mut found = Errors::new();
                paths::descending(&At::root(&path), &mut found);
                let field = profile.path().to_string();
                errors.extend(found.into_iter().map(|error| Error { field: field.clone(), ..error }));
            }
            None => errors.push(profile.invalid("must be a valid seccomp profile")),
        },
    }
}

/// Some annotations stay what they were when the pod was made.
pub(super) fn update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let guarded = |key: &str| {
        if key.starts_with(APP_ARMOR) {
            Some("AppArmor annotations")
        } else if key == MIRROR {
            Some("mirror pod annotation")
        } else {
            None
        }
    };
    for (key, before) in old.entries() {
        let same = new.value().get(key) == Some(before.value());
        if let (false, Some(what)) = (same, guarded(key)) {
            errors.push(new.key(key).forbidden(format!("may not remove or update {what}")));
        }
    }
    for (key, _) in new.entries().filter(|(key, _)| old.value().get(key).is_none()) {
        if let Some(what) = guarded(key) {
            errors.push(new.key(key).forbidden(format!("may not add {what}")));
        }
    }
}

/// An annotation and the field that took its place say the same, where both are there.
pub(super) fn agree(metadata: &At<'_>, spec: &At<'_>, errors: &mut Errors) {
    let annotations = &metadata.value()["annotations"];
    let named = |key: &str| annotations.get(key).and_then(Value::as_str);
    let context = spec.get("securityContext");
    if let Some(annotation) = named(SECCOMP_POD) {
        profiles_agree(&context.get("seccompProfile"), annotation, "seccomp", errors);
    }
    super::each_container(spec, |container| {
        let context = container.get("securityContext");
        let key = format!("{SECCOMP_CONTAINER}{}", container.text_of("name"));
        if let Some(annotation) = named(&key) {
            profiles_agree(&context.get("seccompProfile"), annotation, "seccomp", errors);
        }
    });
    if spec.get("os").text_of("name") == "windows" {
        return;
    }
    let of_pod = &spec.value()["securityContext"]["appArmorProfile"];
    super::each_container(spec, |container| {
        let context = container.get("securityContext");
        let own = context.get("appArmorProfile");
        let profile = if own.is_set() { own } else { own.holding(of_pod) };
        let key = format!("{APP_ARMOR}{}", container.text_of("name"));
        if let Some(annotation) = named(&key) {
            profiles_agree(&profile, annotation, "apparmor", errors);
        }
    });
}

fn profiles_agree(profile: &At<'_>, annotation: &str, what: &str, errors: &mut Errors) {
    let (kind, local) = (profile.get("type"), profile.get("localhostProfile"));
    let of_default = annotation == "runtime/default" || (what == "seccomp" && annotation == "docker/default");
    let agrees = match kind.text() {
        "Unconfined" => annotation == "unconfined",
        "RuntimeDefault" => of_default,
        "Localhost" => annotation.starts_with("localhost/"),
        _ => true,
    };
    if !agrees {
        errors.push(kind.forbidden(format!("{what} type in annotation and field must match")));
    } else if kind.text() == "Localhost" && local.value().as_str() != annotation.strip_prefix("localhost/") {
        errors.push(local.forbidden(format!("{what} profile in annotation and field must match")));
    }
}

/// The annotations of a template, whose paths leave out the metadata; and that they agree with its
/// spec.
pub(in crate::api::validation) fn template(template: &At<'_>, rules: &Rules<'_>, errors: &mut Errors) {
    let (metadata, spec) = (template.get("metadata"), template.get("spec"));
    let place = template.get("annotations");
    specific(&place.holding(&metadata.value()["annotations"]), &spec, rules, errors);
    agree(&metadata, &spec, errors);
}

/// What an AppArmor annotation says, as the field would say it; nothing where it is none.
///
/// Source: `ApparmorFieldForAnnotation` of `k8s.io/kubernetes/pkg/api/pod` (1.36).
pub(crate) fn app_armor_field(annotation: &str) -> Option<Value> {
    let profile = match annotation {
        "unconfined" => serde_json::json!({"type": "Unconfined"}),
        "runtime/default" => serde_json::json!({"type": "RuntimeDefault"}),
        _ => {
            let path = annotation.strip_prefix("localhost/").filter(|path| !path.is_empty())?;
            serde_json::json!({"type": "Localhost", "localhostProfile": path})
        }
    };
    let mut errors = Errors::new();
    security::app_armor(&At::root(&profile), &mut errors);
    errors.is_empty().then_some(profile)
}
