//! Checks that many kinds share.

use std::net::IpAddr;

use serde_json::Value;

use super::at::At;
use crate::api::field::Error;
use crate::api::ip;
use crate::api::names;
use crate::api::quantity::Quantity;

/// What is wrong so far.
pub(super) type Errors = Vec<Error>;

pub(super) const IMMUTABLE: &str = "field is immutable";
pub(super) const NEGATIVE: &str = "must be greater than or equal to 0";
pub(super) const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];

/// Each sentence about the value here.
pub(super) fn sentences(at: &At<'_>, sentences: Vec<String>, errors: &mut Errors) {
    errors.extend(sentences.into_iter().map(|sentence| at.invalid(sentence)));
}

/// The text here must pass a check of names.
pub(super) fn named(at: &At<'_>, check: names::Check, errors: &mut Errors) {
    // A text that is absent is an empty one.
    errors.extend(check(at.text()).into_iter().map(|wrong| Error::invalid(&at.path(), at.text(), wrong)));
}

/// The text here, where there is one, must pass a check of names.
pub(super) fn named_if_set(at: &At<'_>, check: names::Check, errors: &mut Errors) {
    if !at.text().is_empty() {
        named(at, check, errors);
    }
}

/// There must be a text here.
pub(super) fn present(at: &At<'_>, errors: &mut Errors) -> bool {
    let present = !at.text().is_empty();
    if !present {
        errors.push(at.required(""));
    }
    present
}

/// There must be a text here, and it must pass a check of names.
pub(super) fn present_and_named(at: &At<'_>, check: names::Check, errors: &mut Errors) {
    if present(at, errors) {
        named(at, check, errors);
    }
}

/// The text here must be one of these.
pub(super) fn one_of(at: &At<'_>, allowed: &[&str], errors: &mut Errors) {
    if present(at, errors) {
        one_of_if_set(at, allowed, errors);
    }
}

/// The text here, where there is one, must be one of these.
pub(super) fn one_of_if_set(at: &At<'_>, allowed: &[&str], errors: &mut Errors) {
    if at.is_set() && !allowed.contains(&at.text()) {
        errors.push(at.not_supported(allowed));
    }
}

pub(super) fn non_negative(at: &At<'_>, errors: &mut Errors) {
    if at.number().is_some_and(|number| number < 0) {
        errors.push(at.invalid(NEGATIVE));
    }
}

/// There must be a number above nothing here.
pub(super) fn positive(at: &At<'_>, errors: &mut Errors) {
    if at.number().unwrap_or_default() <= 0 {
        errors.push(at.invalid("must be greater than zero"));
    }
}

/// The number here, where there is one, must be in a range, both ends included.
pub(super) fn between(at: &At<'_>, low: i64, high: i64, errors: &mut Errors) {
    if at.number().is_some_and(|number| !(low..=high).contains(&number)) {
        errors.push(at.invalid(names::between(low, high)));
    }
}

/// The number here, where there is one, must be one of a user or a group.
pub(super) fn id(at: &At<'_>, errors: &mut Errors) {
    between(at, 0, i32::MAX.into(), errors);
}

/// The text here must be a path below a domain, such as `example.com/controller`.
pub(super) fn domain_prefixed_path(at: &At<'_>, errors: &mut Errors) {
    if !present(at, errors) {
        return;
    }
    let Some((host, path)) =
        at.text().split_once('/').filter(|(host, path)| !host.is_empty() && !path.is_empty())
    else {
        errors.push(at.invalid("must be a domain-prefixed path (such as \"acme.io/foo\")"));
        return;
    };
    for (part, problems) in [(host, names::dns1123_subdomain(host)), (path, names::http_path(path))] {
        errors.extend(problems.into_iter().map(|problem| Error::invalid(&at.path(), part, problem)));
    }
}

pub(super) fn port_number(at: &At<'_>, errors: &mut Errors) {
    sentences(at, names::port_number(at.number().unwrap_or_default()), errors);
}

pub(super) fn port_number_or_name(at: &At<'_>, errors: &mut Errors) {
    if at.value().is_string() {
        named(at, names::port_name, errors);
    } else {
        port_number(at, errors);
    }
}

/// A number that is not negative, or a percentage.
pub(super) fn count_or_percent(at: &At<'_>, errors: &mut Errors) {
    if at.value().is_string() {
        named(at, names::percent, errors);
    } else {
        non_negative(at, errors);
    }
}

/// The labels here. Errors stand at the map, with the key or value that is wrong.
pub(super) fn labels(at: &At<'_>, errors: &mut Errors) {
    for (key, value) in at.entries() {
        for sentence in names::qualified_name(key) {
            errors.push(Error::invalid(&at.path(), key, sentence));
        }
        for sentence in names::label_value(value.text()) {
            errors.push(Error::invalid(&at.path(), value.text(), sentence));
        }
    }
}

/// A label selector of `matchLabels` and `matchExpressions`.
pub(super) fn label_selector(at: &At<'_>, errors: &mut Errors) {
    label_selector_with(at, false, errors);
}

/// The same; `any_value` lets through values that no label has.
pub(super) fn label_selector_with(at: &At<'_>, any_value: bool, errors: &mut Errors) {
    labels(&at.get("matchLabels"), errors);
    for requirement in at.get("matchExpressions").items() {
        let (operator, values) = (requirement.get("operator"), requirement.get("values"));
        match operator.text() {
            "In" | "NotIn" if values.len() == 0 => {
                errors.push(values.required("must be specified when `operator` is 'In' or 'NotIn'"));
            }
            "Exists" | "DoesNotExist" if values.len() > 0 => {
                errors.push(
                    values.forbidden("may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
                );
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            _ => errors.push(operator.invalid("not a valid selector operator")),
        }
        named(&requirement.get("key"), names::qualified_name, errors);
        if !any_value {
            values.items().for_each(|value| named(&value, names::label_value, errors));
        }
    }
}

/// The quantity here; `None` where there is none, or where decoding has already refused it.
pub(super) fn quantity(at: &At<'_>) -> Option<Quantity> {
    at.value().as_str().and_then(|text| text.parse().ok())
}

pub(super) fn non_negative_quantity(at: &At<'_>, errors: &mut Errors) {
    if quantity(at).is_some_and(|quantity| quantity.is_negative()) {
        errors.push(at.invalid(NEGATIVE));
    }
}

/// The IP address here.
pub(super) fn ip(at: &At<'_>, errors: &mut Errors) -> Option<IpAddr> {
    let parsed = at.text().parse().ok();
    if parsed.is_none() {
        errors.push(at.invalid("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"));
    }
    parsed
}

/// The IP address here, in a field that has always held addresses: what stood there before (`known`) is
/// not judged again.
pub(super) fn legacy_ip(at: &At<'_>, known: &[&str], errors: &mut Errors) {
    if !known.contains(&at.text()) {
        sentences(at, ip::address_problems(at.text()), errors);
    }
}

/// The block here, like [`legacy_ip`].
pub(super) fn legacy_cidr(at: &At<'_>, known: &[&str], errors: &mut Errors) {
    if !known.contains(&at.text()) {
        sentences(at, ip::block_problems(at.text()), errors);
    }
}

/// What is here must be what was there, where absent, empty and null are the same.
pub(super) fn immutable(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    if !same(new.value(), old.value()) {
        errors.push(new.invalid(IMMUTABLE));
    }
}

/// Whether two values are the same to Kubernetes, which knows no difference between absent and empty.
pub(super) fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(left), Value::Object(right)) => {
            let covers = |left: &serde_json::Map<_, _>, right: &serde_json::Map<String, Value>| {
                left.iter().all(|(key, value)| same(value, right.get::<String>(key).unwrap_or(&Value::Null)))
            };
            covers(left, right) && right.iter().all(|(key, value)| left.contains_key(key) || is_empty(value))
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        _ => one == other || (is_empty(one) && is_empty(other)),
    }
}

/// Whether a value is nothing to Kubernetes.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.values().all(is_empty),
        Value::Bool(flag) => !flag,
        Value::Number(_) => false,
    }
}

/// The text here has at most so many bytes.
pub(super) fn short(at: &At<'_>, max_bytes: usize, errors: &mut Errors) {
    if at.text().len() > max_bytes {
        errors.push(Error::too_long(&at.path(), max_bytes));
    }
}

/// The name of a CSI driver, or of a driver of devices: upper case counts as lower.
///
/// Source: `ValidateCSIDriverName` of `k8s.io/kubernetes/pkg/apis/core/validation` (1.36).
pub(super) fn driver_name(at: &At<'_>, errors: &mut Errors) {
    if present(at, errors) {
        short(at, 63, errors);
        sentences(at, names::dns1123_subdomain(&at.text().to_lowercase()), errors);
    }
}
