//! What a definition says of one version of its resource.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::defaults::prune_defaults;
use super::parse::ParseError;
use super::rules::Rules;
use super::schema::Schema;
use crate::api::managed;

/// A version of a custom resource: what its row knows besides names.
#[derive(Debug)]
pub struct Version {
    open_api: Option<Arc<Value>>,
    schema: Option<Schema>,
    status: Option<Schema>,
    rules: Option<Rules>,
    keeps_unknown: bool,
    converts_by_webhook: bool,
    /// The kind of lists.
    pub list_kind: String,
    /// Where objects keep their replicas, where they have a scale.
    pub scale: Option<ScalePaths>,
    /// What those who still use the version are told.
    pub deprecation: Option<String>,
}

/// Where a custom resource keeps what a Scale shows; paths as the definition has them, such as
/// `.spec.replicas`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScalePaths {
    /// The replicas that are wanted.
    pub spec: String,
    /// The replicas that there are.
    pub status: String,
    /// The selector of their pods, as text; none where there is none.
    pub selector: Option<String>,
}

impl ScalePaths {
    /// The number at a path; none where there is none.
    ///
    /// # Errors
    ///
    /// Where something else stands there.
    pub fn number(path: &str, tree: &Value) -> Result<Option<i64>, String> {
        let Some(value) = at(path, tree)? else { return Ok(None) };
        value.as_i64().map(Some).ok_or_else(|| misfit(path, value, "int64"))
    }

    /// The selector; none where there is none.
    ///
    /// # Errors
    ///
    /// Where something else than a text stands there.
    pub fn text<'a>(&self, tree: &'a Value) -> Result<Option<&'a str>, String> {
        let Some(path) = &self.selector else { return Ok(None) };
        let Some(value) = at(path, tree)? else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| misfit(path, value, "string"))
    }
}

/// What stands at a path of fields.
fn at<'a>(path: &str, tree: &'a Value) -> Result<Option<&'a Value>, String> {
    let mut value = tree;
    let mut seen = String::new();
    for step in path.trim_start_matches('.').split('.') {
        let Value::Object(map) = value else {
            return if value.is_null() {
                Ok(None)
            } else {
                Err(misfit(&seen, value, "map[string]interface{}"))
            };
        };
        let Some(next) = map.get(step) else { return Ok(None) };
        seen.push('.');
        seen.push_str(step);
        value = next;
    }
    Ok(Some(value))
}

fn misfit(path: &str, value: &Value, wanted: &str) -> String {
    let (shown, found) = match value {
        Value::Null => ("<nil>".to_owned(), "<nil>"),
        Value::Bool(flag) => (flag.to_string(), "bool"),
        Value::Number(number) if number.is_f64() => (number.to_string(), "float64"),
        Value::Number(number) => (number.to_string(), "int64"),
        Value::String(text) => (text.clone(), "string"),
        Value::Array(_) => (value.to_string(), "[]interface {}"),
        Value::Object(_) => (value.to_string(), "map[string]interface {}"),
    };
    format!("{path} accessor error: {shown} is of the type {found}, expected {wanted}")
}

impl Version {
    /// What `definition` says of its version of this name.
    ///
    /// # Errors
    ///
    /// Where the schema cannot be compiled, or there is no such version.
    pub fn of(definition: &Value, name: &str) -> Result<Self, ParseError> {
        let spec = &definition["spec"];
        let versions = spec["versions"].as_array().into_iter().flatten();
        let version = versions
            .into_iter()
            .find(|version| version["name"] == name)
            .ok_or_else(|| ParseError::new(format!("there is no version {name:?}")))?;
        let open_api = version.pointer("/schema/openAPIV3Schema").filter(|schema| schema.is_object());
        let schema = match open_api {
            Some(schema) => {
                super::unsupported(schema)?;
                let mut schema = Schema::parse(schema)?;
                prune_defaults(&mut schema);
                Some(schema)
            }
            None => None,
        };
        if cfg!(not(feature = "cel")) && schema.as_ref().is_some_and(Schema::has_rules) {
            let why = "it has rules in CEL, and this server was built without the feature `cel`";
            return Err(ParseError::new(why));
        }
        let keeps_unknown = spec["preserveUnknownFields"] == true || schema.is_none();
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let kind = spec.pointer("/names/kind").and_then(Value::as_str).unwrap_or_default();
        let scale = version.pointer("/subresources/scale").filter(|scale| scale.is_object());
        let group = spec["group"].as_str().unwrap_or_default();
        let deprecated = || {
            let own = text(&version["deprecationWarning"]);
            own.unwrap_or_else(|| format!("{group}/{name} {kind} is deprecated"))
        };
        Ok(Self {
            rules: schema.as_ref().zip(open_api).and_then(|(schema, open_api)| Rules::of(schema, open_api)),
            status: schema.as_ref().and_then(|schema| schema.properties.get("status")).cloned(),
            schema,
            open_api: open_api.cloned().map(Arc::new),
            keeps_unknown,
            converts_by_webhook: spec.pointer("/conversion/strategy").is_some_and(|it| it == "Webhook"),
            list_kind: text(&spec["names"]["listKind"]).unwrap_or_else(|| format!("{kind}List")),
            scale: scale.map(|scale| ScalePaths {
                spec: text(&scale["specReplicasPath"]).unwrap_or_default(),
                status: text(&scale["statusReplicasPath"]).unwrap_or_default(),
                selector: text(&scale["labelSelectorPath"]),
            }),
            deprecation: (version["deprecated"] == true).then(deprecated),
        })
    }

    /// The schema, compiled; none where any field is kept.
    #[must_use]
    pub fn schema(&self) -> Option<&Schema> {
        self.schema.as_ref()
    }

    /// The schema of `status`.
    #[must_use]
    pub fn status_schema(&self) -> Option<&Schema> {
        self.status.as_ref()
    }

    /// The rules of the schema, where it has any.
    pub(in crate::api) fn rules(&self) -> Option<&Rules> {
        self.rules.as_ref()
    }

    /// The schema as the definition has it.
    #[must_use]
    pub fn open_api(&self) -> Option<&Arc<Value>> {
        self.open_api.as_ref()
    }

    /// What apply must know of the objects' fields.
    #[must_use]
    pub fn managed_schema(&self) -> managed::Schema {
        match &self.open_api {
            Some(schema) => managed::Schema::open_api(schema.clone()),
            None => managed::Schema::deduced(),
        }
    }

    /// Whether every field is kept, whatever the schema says: `spec.preserveUnknownFields`.
    #[must_use]
    pub fn keeps_unknown(&self) -> bool {
        self.keeps_unknown
    }

    /// Whether a webhook turns objects of one version into objects of another; otherwise they are the same.
    #[must_use]
    pub fn converts_by_webhook(&self) -> bool {
        self.converts_by_webhook
    }

    /// Fills in what is absent.
    pub fn default(&self, tree: &mut Value) {
        if let Some(schema) = &self.schema {
            schema.default(tree);
        }
    }

    /// An object of this version as it is read, whatever of it was stored: undeclared fields go, defaults
    /// are filled in, metadata that do not fit are dropped, and there is a generation.
    pub fn read(&self, tree: &mut Value) {
        if let Some(schema) = &self.schema {
            if !self.keeps_unknown {
                schema.prune(tree, true);
                schema.prune_nulls(tree);
            }
            // What does not fit goes, so this cannot fail.
            let _ = schema.coerce(tree, true);
        }
        if let Some(metadata) = tree.get_mut("metadata").and_then(Value::as_object_mut) {
            repair_generation(metadata);
        }
        self.default(tree);
    }

    /// Prepares an object for being stored in this version, after it was converted to it.
    pub fn fit(&self, tree: &mut Value) {
        if let Some(schema) = self.schema.as_ref().filter(|_| !self.keeps_unknown) {
            schema.prune(tree, true);
            schema.prune_nulls(tree);
        }
    }
}

/// Objects from before there were generations have the first.
fn repair_generation(metadata: &mut Map<String, Value>) {
    if metadata.get("generation").and_then(Value::as_i64).unwrap_or(0) == 0 {
        metadata.insert("generation".into(), 1.into());
    }
}
