//! Terms over the labels and fields of nodes.

use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};

/// A selector of which one term must hold. `any_value` lets through values that no label has.
pub(in crate::api::validation) fn selector(selector: &At<'_>, any_value: bool, errors: &mut Errors) {
    let terms = selector.get("nodeSelectorTerms");
    if terms.len() == 0 {
        errors.push(terms.required("must have at least one node selector term"));
    }
    terms.items().for_each(|term| self::term(&term, any_value, errors));
}

pub(super) fn term(term: &At<'_>, any_value: bool, errors: &mut Errors) {
    for requirement in term.get("matchExpressions").items() {
        label(&requirement, any_value, errors);
    }
    for requirement in term.get("matchFields").items() {
        field(&requirement, errors);
    }
}

fn label(requirement: &At<'_>, any_value: bool, errors: &mut Errors) {
    let (operator, values) = (requirement.get("operator"), requirement.get("values"));
    match operator.text() {
        "In" | "NotIn" if values.len() == 0 => {
            errors.push(values.required("must be specified when `operator` is 'In' or 'NotIn'"));
        }
        "Exists" | "DoesNotExist" if values.len() > 0 => errors
            .push(values.forbidden("may not be specified when `operator` is 'Exists' or 'DoesNotExist'")),
        "Gt" | "Lt" if values.len() != 1 => {
            errors.push(values.required("must be specified single value when `operator` is 'Lt' or 'Gt'"));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
        _ => errors.push(operator.invalid("not a valid selector operator")),
    }
    checks::named(&requirement.get("key"), names::qualified_name, errors);
    if !any_value {
        values.items().for_each(|value| checks::named(&value, names::label_value, errors));
    }
}

fn field(requirement: &At<'_>, errors: &mut Errors) {
    let (operator, values, key) =
        (requirement.get("operator"), requirement.get("values"), requirement.get("key"));
    match operator.text() {
        "In" | "NotIn" if values.len() != 1 => {
            errors.push(values.required(
                "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
            ))
        }
        "In" | "NotIn" => {}
        _ => errors.push(operator.invalid("not a valid selector operator")),
    }
    if key.text() == "metadata.name" {
        values.items().for_each(|value| checks::named(&value, names::dns1123_subdomain, errors));
    } else {
        errors.push(key.invalid("not a valid field selector key"));
    }
}
