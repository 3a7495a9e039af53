//! ConfigMaps and Secrets.

use serde_json::Value;

use super::at::At;
use super::checks::{self, Errors};
use crate::api::field::{Error, Path};
use crate::api::names;

/// How much data one may hold, in bytes.
const MAX_DATA: usize = 1 << 20;

pub(super) fn config_map(object: &At<'_>, errors: &mut Errors) {
    let (data, binary) = (object.get("data"), object.get("binaryData"));
    let mut size = 0;
    for (key, value) in data.entries() {
        size += value.text().len();
        entry_key(&data, key, errors);
        if binary.key(key).is_set() {
            let path = data.path().key(key);
            errors.push(Error::invalid(&path, key, "duplicate of key present in binaryData"));
        }
    }
    for (key, value) in binary.entries() {
        size += decoded_length(value.text());
        entry_key(&binary, key, errors);
    }
    if size > MAX_DATA {
        // The whole object is too long, not a field of it.
        errors.push(Error::too_long(&Path::new("[]"), MAX_DATA));
    }
}

pub(super) fn config_map_update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    frozen(new, old, &["data", "binaryData"], errors);
}

pub(super) fn secret(object: &At<'_>, errors: &mut Errors) {
    let data = object.get("data");
    let mut size = 0;
    for (key, value) in data.entries() {
        size += decoded_length(value.text());
        entry_key(&data, key, errors);
    }
    if size > MAX_DATA {
        errors.push(Error::too_long(&data.path(), MAX_DATA));
    }
    let missing = |key: &str| !data.value().get(key).is_some_and(Value::is_string);
    let required = |key: &str| Error::required(&data.path().key(key), "");
    match object.get("type").text() {
        "kubernetes.io/service-account-token" => {
            let annotation = "kubernetes.io/service-account.name";
            let annotations = object.value()["metadata"]["annotations"].get(annotation);
            if annotations.and_then(Value::as_str).is_none_or(str::is_empty) {
                let path = Path::new("metadata").child("annotations").key(annotation);
                errors.push(Error::required(&path, ""));
            }
        }
        "kubernetes.io/dockercfg" => docker(&data, ".dockercfg", errors),
        "kubernetes.io/dockerconfigjson" => docker(&data, ".dockerconfigjson", errors),
        "kubernetes.io/basic-auth" if missing("username") && missing("password") => {
            errors.extend([required("username"), required("password")]);
        }
        "kubernetes.io/ssh-auth" if data.text_of("ssh-privatekey").is_empty() => {
            errors.push(required("ssh-privatekey"))
        }
        "kubernetes.io/tls" => {
            errors.extend(["tls.crt", "tls.key"].into_iter().filter(|key| missing(key)).map(required));
        }
        _ => {}
    }
}

pub(super) fn secret_update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    checks::immutable(&new.get("type"), &old.get("type"), errors);
    frozen(new, old, &["data"], errors);
}

/// What says that it never changes never does.
fn frozen(new: &At<'_>, old: &At<'_>, fields: &[&str], errors: &mut Errors) {
    const WHY: &str = "field is immutable when `immutable` is set";
    if !old.get("immutable").flag() {
        return;
    }
    if !new.get("immutable").flag() {
        errors.push(new.get("immutable").forbidden(WHY));
    }
    for field in fields {
        let (now, before) = (new.get(field), old.get(field));
        if !checks::same(now.value(), before.value()) || now.len() != before.len() {
            errors.push(now.forbidden(WHY));
        }
    }
}

fn entry_key(data: &At<'_>, key: &str, errors: &mut Errors) {
    for sentence in names::config_map_key(key) {
        errors.push(Error::invalid(&data.path().key(key), key, sentence));
    }
}

fn docker(data: &At<'_>, key: &str, errors: &mut Errors) {
    use base64::Engine as _;
    let at = data.key(key);
    if !at.is_set() {
        errors.push(at.required(""));
        return;
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(at.text()).unwrap_or_default();
    if let Err(error) = serde_json::from_slice::<serde_json::Map<String, Value>>(&bytes) {
        errors.push(Error::invalid(&at.path(), "<secret contents redacted>", error.to_string()));
    }
}

/// How many bytes a base64 text stands for.
pub(super) fn decoded_length(text: &str) -> usize {
    text.trim_end_matches('=').len() * 3 / 4
}
