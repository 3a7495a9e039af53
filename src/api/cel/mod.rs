//! CEL, the expression language of Kubernetes' rules: `x-kubernetes-validations` of custom resources, and whatever
//! else takes expressions.
//!
//! An expression is compiled once in an [`Environment`] and evaluated as often as needed against data that is looked
//! at where it stands. The language, its libraries and versions, its messages and every number of its cost model are
//! those of `cel-go` v0.26 as Kubernetes 1.36 configures it.
//!
//! # Rules are hostile
//!
//! Whoever may write a rule decides what the server computes. So nothing is evaluated without a [`Budget`], and every
//! stage is bounded: the text in length and depth, the tree in nodes, types in size, evaluation in cost and in the
//! work behind it, which covers also what `cel-go` counts as free. A test of hostile rules holds each bound.
//!
//! # The way of an expression
//!
//! `text ─ lexer ─► parse ─ macros ─► ast ─ check ─► types and overloads ─┬ validate ─► issues`
//! `                                                                      ├ estimate ─► Estimate`
//! `                                                                      └ plan ─► Program ─ eval ─► Value`
//!
//! # Why none of the crates
//!
//! `cel` parses with a generated parser and half a dozen crates under it, expands macros without a bound on the
//! tree, and knows neither types nor cost; its tree has no places for messages. `kube-cel` adds Kubernetes' functions
//! to it, and a heuristic in place of a cost model. A checker, an estimator and a metered evaluator are ours in any
//! case, and a parser that has their places and limits is the smallest part of it.
//!
//! ```
//! use serde_json::json;
//! use windlass::api::cel::{Activation, Budget, Declaration, Environment, RUNTIME_BUDGET, Schema};
//!
//! let schema = Schema::from_open_api(&json!({
//!     "type": "object",
//!     "properties": { "replicas": { "type": "integer" }, "most": { "type": "integer" } },
//! }));
//! let declaration = Declaration::of(&schema, false).expect("objects are seen");
//! let environment = Environment::for_rules(36, &declaration, false);
//! let rule = environment.compile_rule("self.replicas <= self.most").expect("it is a rule");
//!
//! let object = json!({ "replicas": 3, "most": 2 });
//! let mut activation = Activation::new();
//! activation.data("self", &object, &schema);
//! let mut budget = Budget::new(RUNTIME_BUDGET);
//! assert_eq!(rule.evaluate_bool(&activation, &mut budget), Ok(false));
//! assert_eq!(budget.remaining(), RUNTIME_BUDGET - 5);
//! ```

mod admission;
mod ast;
mod budget;
mod call_cost;
mod check;
mod cost;
mod devices;
mod environment;
mod estimate;
mod eval;
mod functions;
mod lexer;
mod library;
mod macros;
mod meter;
mod names;
mod parse;
mod patch;
mod plan;
mod schema;
mod source;
mod stack;
mod types;
mod unescape;
mod validate;
mod value;

#[cfg(test)]
mod tests;

pub use admission::{Composed, Offers};
pub use budget::{Budget, Fault};
pub use cost::Estimate;
pub use environment::{Activation, CompileError, Environment, Program, RuleError, TypedError};
pub use library::{NamedFormat, Semver, Url};
pub use names::{escape, unescape};
pub use schema::{Declaration, Format, Kind, ListType, Schema};
pub use types::{Parameters, Type};
pub use value::{Joining, Key, List, Map, Object, Octets, Text, Timestamp, Value};

/// What one evaluation may cost. Source: `pkg/apis/cel/config.go` of `k8s.io/apiserver` (1.36).
pub const PER_CALL_LIMIT: u64 = 1_000_000;
/// What the evaluations for one object may cost together. Source: as above.
pub const RUNTIME_BUDGET: u64 = 10_000_000;
/// The most that a rule may cost by its estimate. Source: `pkg/apis/apiextensions/validation/validation.go` of
/// `k8s.io/apiextensions-apiserver` (1.36).
pub const STATIC_RULE_LIMIT: u64 = 10_000_000;
/// The most that the rules of a definition may cost together by their estimates. Source: as above.
pub const STATIC_SCHEMA_LIMIT: u64 = 100_000_000;
/// The bytes of the largest request, from which sizes without a limit are estimated. Source:
/// `pkg/apis/cel/config.go` of `k8s.io/apiserver` (1.36).
pub const MAX_REQUEST_BYTES: i64 = 3 * 1024 * 1024;
/// The longest message that an expression may make, in bytes. Source: as above.
pub const MAX_MESSAGE_BYTES: usize = 5 * 1024;
