//! Rules, compiled for the type of their place, and what they may cost there at worst.

use serde_json::{Value, json};

use crate::api::cel::{Declaration, Environment, Program, STATIC_RULE_LIMIT, STATIC_SCHEMA_LIMIT, Schema};
use crate::api::field::{Error, Path};
use crate::api::structural::raw::text;
use crate::api::validation::checks::Errors;
use crate::api::validation::definition::schema::{Inside, Walk, rules_of};

/// The version of Kubernetes whose libraries rules may use.
const MINOR: u32 = 36;
/// How many of the rules that cost most are named.
const NAMED: usize = 4;

/// What is known of a place: its type, where a rule stands above or here, and how often it may be there.
pub(in super::super) struct Context<'a> {
    schema: &'a Value,
    in_scope: bool,
    declaration: Option<Declaration>,
    /// At most how often the place is in one object; none where there is no bound.
    cardinality: Option<u64>,
}

impl<'a> Context<'a> {
    pub(in super::super) fn root(schema: &'a Value) -> Self {
        let in_scope = rules_of(schema).next().is_some();
        let declaration = in_scope.then(|| declare(schema, true)).flatten();
        Self { schema, in_scope, declaration, cardinality: Some(1) }
    }

    pub(in super::super) fn property<'b>(&self, schema: &'b Value, name: &str) -> Context<'b> {
        self.child(schema, self.declaration.as_ref().and_then(|declaration| declaration.property(name)))
    }

    pub(in super::super) fn additional<'b>(&self, schema: &'b Value) -> Context<'b> {
        self.child(schema, self.declaration.as_ref().and_then(Declaration::element))
    }

    pub(in super::super) fn items<'b>(&self, schema: &'b Value) -> Context<'b> {
        self.child(schema, self.declaration.as_ref().and_then(Declaration::element))
    }

    fn child<'b>(&self, schema: &'b Value, known: Option<&Declaration>) -> Context<'b> {
        let in_scope = self.in_scope || rules_of(schema).next().is_some();
        let embedded = schema.get("x-kubernetes-embedded-resource") == Some(&Value::Bool(true));
        let declaration = in_scope.then(|| known.cloned().or_else(|| declare(schema, embedded))).flatten();
        let cardinality = self
            .cardinality
            .zip(most_elements(self.schema))
            .map(|(outer, inner)| outer.saturating_mul(inner));
        Context { schema, in_scope, declaration, cardinality }
    }
}

fn declare(schema: &Value, is_object: bool) -> Option<Declaration> {
    schema.is_object().then(|| Declaration::of(&Schema::from_open_api(schema), is_object)).flatten()
}

/// How many values there may be directly inside one of this schema; none where there is no bound.
fn most_elements(schema: &Value) -> Option<u64> {
    let bound =
        |name: &str| schema.get(name).and_then(Value::as_i64).map(|most| u64::try_from(most).unwrap_or(0));
    match text(schema, "type") {
        "object" if schema.get("additionalProperties").is_some_and(|values| !values.is_null()) => {
            bound("maxProperties")
        }
        "array" => bound("maxItems"),
        _ => Some(1),
    }
}

/// What all rules of a schema may cost together.
#[derive(Default)]
pub(in super::super) struct Costs {
    total: u64,
    most: Vec<(u64, Path)>,
}

impl Costs {
    fn add(&mut self, path: &Path, cost: u64) {
        self.total = self.total.saturating_add(cost);
        // What is less than a hundredth of the limit is not named.
        if cost >= STATIC_SCHEMA_LIMIT / 100 {
            self.most.push((cost, path.clone()));
            self.most.sort_by_key(|(cost, _)| std::cmp::Reverse(*cost));
            self.most.truncate(NAMED);
        }
    }

    pub(in super::super) fn finish(self, path: &Path, errors: &mut Errors) {
        if self.total <= STATIC_SCHEMA_LIMIT {
            return;
        }
        let why = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema";
        errors.extend(self.most.iter().map(|(_, path)| Error::forbidden(path, why)));
        let what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema";
        errors.push(Error::forbidden(path, too_much(what, self.total, STATIC_SCHEMA_LIMIT)));
    }
}

fn too_much(what: &str, cost: u64, limit: u64) -> String {
    let factor = cost as f64 / limit as f64;
    let factor = if factor > 100.0 {
        "more than 100x".to_owned()
    } else if factor < 1.5 {
        format!("{factor:.6}x")
    } else {
        format!("{factor:.1}x")
    };
    format!(
        "{what} exceeds budget by factor of {factor} (try simplifying the rule, or adding maxItems, \
         maxProperties, and maxLength where arrays, maps, and strings are declared)"
    )
}

/// Compiles the rules of a schema, and adds up what they may cost.
pub(super) fn compile(
    walk: &mut Walk<'_>,
    schema: &Value,
    path: &Path,
    inside: &Inside,
    context: Option<&Context<'_>>,
) {
    let Some(context) = context else { return };
    let at = path.child("x-kubernetes-validations");
    let Some(declaration) = &context.declaration else {
        let why = "internal error: failed to construct type information for x-kubernetes-validations rules: \
                   unable to convert structural schema to CEL declarations";
        walk.wrong.push(Error::internal(&at, why));
        return;
    };
    // What a schema costs that was there before has been told before.
    let told = walk.judged.leeway.is_unchanged(walk.judged.version);
    let times = context.cardinality.unwrap_or_else(|| declaration.max_cardinality());
    for (index, rule) in rules_of(schema).enumerate() {
        let own = |field: &str| rule.get(field).and_then(Value::as_str).unwrap_or_default();
        let optional = rule.get("optionalOldSelf").and_then(Value::as_bool);
        let at = at.index(index);
        let shown = || {
            json!({"Rule": own("rule"), "Message": own("message"), "MessageExpression": own("messageExpression"),
                "Reason": rule.get("reason"), "FieldPath": own("fieldPath"), "OptionalOldSelf": optional})
        };
        let environment = Environment::for_rules(MINOR, declaration, optional.unwrap_or(false));
        let program = environment.compile_rule(own("rule"));
        let cost = program.as_ref().map_or(0, |program| program.estimate().max).saturating_mul(times);
        charge(walk, &at.child("rule"), "estimated rule cost", cost, told);
        if let Err(error) = &program {
            walk.wrong.push(Error::invalid(&at.child("rule"), shown(), error.to_string()));
        }
        let message = own("messageExpression");
        if !message.trim().is_empty() && program.is_ok() {
            let at = at.child("messageExpression");
            match environment.compile_message(message) {
                Err(error) => walk.wrong.push(Error::invalid(&at, shown(), error.to_string())),
                Ok(program) => {
                    let cost = program.estimate().max;
                    charge(walk, &at, "estimated messageExpression cost", cost, told);
                }
            }
        }
        transition(walk, own("rule"), program.as_ref().ok(), optional, &at, inside);
    }
}

fn charge(walk: &mut Walk<'_>, path: &Path, what: &str, cost: u64, told: bool) {
    if !told && cost > STATIC_RULE_LIMIT {
        walk.wrong.push(Error::forbidden(path, too_much(what, cost, STATIC_RULE_LIMIT)));
    }
    walk.rules.add(path, cost);
}

/// A rule about a change needs a place at which old values are found again.
fn transition(
    walk: &mut Walk<'_>,
    rule: &str,
    program: Option<&Program>,
    optional: Option<bool>,
    at: &Path,
    inside: &Inside,
) {
    if program.is_some_and(|program| program.references("oldSelf")) {
        if let Some(place) = &inside.uncorrelated {
            let why =
                format!("oldSelf cannot be used on the uncorrelatable portion of the schema within {place}");
            walk.wrong.push(Error::invalid(&at.child("rule"), rule, why));
        }
    } else if let Some(optional) = optional {
        let why = "may not be set if oldSelf is not used in rule";
        walk.wrong.push(Error::invalid(&at.child("optionalOldSelf"), optional, why));
    }
}
