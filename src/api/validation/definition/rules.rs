//! Rules: their structure, whether they compile, and what they may cost.
//!
//! Source: `ValidateCustomResourceDefinitionOpenAPISchema` and `cel_validation.go` of
//! `k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation` (1.36).

use serde_json::{Map, Value};

use super::schema::{Inside, Walk, rules_of};
use crate::api::field::{Error, Path};
use crate::api::structural::{self, Schema, field_path};

#[cfg(feature = "cel")]
mod compile;
#[cfg(feature = "cel")]
pub(super) use compile::{Context, Costs};
#[cfg(not(feature = "cel"))]
mod without {
    use serde_json::Value;

    use crate::api::field::{Error, Path};
    use crate::api::validation::checks::Errors;
    use crate::api::validation::definition::schema::{Inside, Walk};

    /// Without the language there is nothing to know of a place.
    pub(in super::super) struct Context<'a>(std::marker::PhantomData<&'a ()>);

    impl<'a> Context<'a> {
        pub(in super::super) fn root(_: &'a Value) -> Self {
            Self(std::marker::PhantomData)
        }

        pub(in super::super) fn property(&self, _: &'a Value, _: &'a str) -> Self {
            Self(self.0)
        }

        pub(in super::super) fn additional(&self, _: &'a Value) -> Self {
            Self(self.0)
        }

        pub(in super::super) fn items(&self, _: &'a Value) -> Self {
            Self(self.0)
        }
    }

    #[derive(Default)]
    pub(in super::super) struct Costs(());

    impl Costs {
        pub(in super::super) fn finish(self, _: &Path, _: &mut Errors) {}
    }

    /// No rule is taken that could not be held to.
    pub(super) fn compile(walk: &mut Walk<'_>, _: &Value, path: &Path, _: &Inside, _: Option<&Context<'_>>) {
        let why = "rules in CEL are not evaluated by this server: it was built without the feature `cel`";
        walk.wrong.push(Error::forbidden(&path.child("x-kubernetes-validations"), why));
    }
}
#[cfg(feature = "cel")]
use compile::compile;
#[cfg(not(feature = "cel"))]
use without::compile;
#[cfg(not(feature = "cel"))]
pub(super) use without::{Context, Costs};

const REASONS: [&str; 4] =
    ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];

/// Judges the rules of a schema. They are compiled only where all else is `sound`.
pub(super) fn check(
    walk: &mut Walk<'_>,
    schema: &Value,
    path: &Path,
    inside: &Inside,
    context: Option<&Context<'_>>,
    sound: bool,
) {
    if rules_of(schema).next().is_none() {
        return;
    }
    let before = walk.wrong.len();
    for (index, rule) in rules_of(schema).enumerate() {
        let path = path.child("x-kubernetes-validations").index(index);
        structure(schema, rule, &path, &mut walk.wrong);
    }
    if sound && walk.wrong.len() == before && (context.is_some() || cfg!(not(feature = "cel"))) {
        compile(walk, schema, path, inside, context);
    }
}

fn structure(schema: &Value, rule: &Map<String, Value>, path: &Path, errors: &mut Vec<Error>) {
    let text = |field: &str| rule.get(field).and_then(Value::as_str).unwrap_or_default();
    let breaks = |text: &str| text.contains(['\n', '\r']);
    let at = |field: &str| path.child(field);
    let (own, message) = (text("rule"), text("message"));
    if own.trim().is_empty() {
        errors.push(Error::required(&at("rule"), "rule is not specified"));
    } else if !message.is_empty() && message.trim().is_empty() {
        errors.push(Error::invalid(&at("message"), message, "must be non-empty if specified"));
    } else if breaks(message.trim()) {
        errors.push(Error::invalid(&at("message"), message, "must not contain line breaks"));
    } else if breaks(own.trim()) && message.trim().is_empty() {
        let why = "message must be specified if rule contains line breaks";
        errors.push(Error::required(&at("message"), why));
    }
    let expression = text("messageExpression");
    if !expression.is_empty() && expression.trim().is_empty() {
        let why = "messageExpression must be non-empty if specified";
        errors.push(Error::required(&at("messageExpression"), why));
    }
    if let Some(reason) = rule.get("reason").filter(|reason| !reason.is_null()) {
        let known = reason.as_str().is_some_and(|reason| REASONS.contains(&reason));
        if !known {
            errors.push(Error::not_supported(&at("reason"), reason.clone(), &REASONS));
        }
    }
    let field = text("fieldPath");
    if field.is_empty() {
        return;
    }
    if field.trim().is_empty() {
        errors.push(Error::invalid(&at("fieldPath"), field, "must be non-empty if specified"));
    }
    if breaks(field) {
        errors.push(Error::invalid(&at("fieldPath"), field, "must not contain line breaks"));
    }
    let compiled = structural::unsupported(schema).and_then(|()| Schema::parse(schema));
    if compiled.is_ok_and(|schema| field_path(field, &schema, true).is_err()) {
        errors.push(Error::invalid(&at("fieldPath"), field, "must be a valid path"));
    }
}
