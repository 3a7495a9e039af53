//! What a document says it is, before anything else of it is read.

use super::ConfigError;
use super::node::{Kind, Node};
use crate::api::manifest::yaml;
use crate::api::schema;

pub(super) const GROUP: &str = "kubescheduler.config.k8s.io";
pub(super) const VERSION: &str = "kubescheduler.config.k8s.io/v1";
pub(super) const KIND: &str = "KubeSchedulerConfiguration";

/// Reads a text: JSON where it begins as such, else the first document of YAML. With it comes what strict
/// decoding objects to in YAML alone: keys that stand twice.
///
/// Source: `k8s.io/apimachinery/pkg/runtime/serializer/json/json.go` and `recognizer.go` (1.36).
pub(super) fn read(text: &str) -> Result<(Node, Option<String>), ConfigError> {
    if text.trim_start().starts_with('{') {
        let node = Node::from_json(text).map_err(|error| {
            let why = schema::complaint(text.as_bytes()).unwrap_or_else(|| error.to_string());
            ConfigError::Syntax(format!("couldn't get version/kind; json parse error: {why}"))
        })?;
        return Ok((node, None));
    }
    let read = yaml::read_one(text).map_err(|error| ConfigError::Syntax(error.to_string()))?;
    Ok((Node::from_value(read.tree), yaml::duplicates_text(&read.duplicates)))
}

/// Version and kind, empty where a document does not say them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) version: String,
    pub(super) kind: String,
}

impl Head {
    /// The head of a document. The names of its two fields are matched in any case, as this is read by Go's
    /// own decoder; the strict one knows only the right case.
    ///
    /// Source: `k8s.io/apimachinery/pkg/runtime/serializer/json/meta.go` (1.36).
    pub(super) fn of(node: &Node) -> Result<Self, ConfigError> {
        let wrong = |found: &str, what: &str| {
            Err(ConfigError::Syntax(format!(
                "couldn't get version/kind; json parse error: json: cannot unmarshal {found} into Go {what}"
            )))
        };
        let fields = match &node.kind {
            Kind::Null => return Ok(Self::default()),
            Kind::Object(fields) => fields,
            _ => {
                let wanted = r#"struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }"#;
                return wrong(node.word(), &format!("value of type {wanted}"));
            }
        };
        let mut head = Self::default();
        for (key, value) in fields {
            let (name, place) = match key {
                key if key.eq_ignore_ascii_case("apiVersion") => ("apiVersion", &mut head.version),
                key if key.eq_ignore_ascii_case("kind") => ("kind", &mut head.kind),
                _ => continue,
            };
            match &value.kind {
                Kind::Text(text) => place.clone_from(text),
                Kind::Null => {}
                _ => return wrong(value.word(), &format!("struct field .{name} of type string")),
            }
        }
        if head.version.matches('/').count() > 1 {
            return Err(ConfigError::Syntax(format!("unexpected GroupVersion string: {}", head.version)));
        }
        Ok(head)
    }

    /// The head with what it does not say taken from another: the kind, and the version or its part.
    pub(super) fn or(mut self, version: &str, kind: &str) -> Self {
        let group = version.split_once('/').map_or("", |(group, _)| group);
        let same_group = self.version.strip_suffix('/') == Some(group);
        if self.kind.is_empty() {
            kind.clone_into(&mut self.kind);
        }
        if self.version.is_empty() || self.version == "/" || same_group {
            version.clone_into(&mut self.version);
        }
        self
    }

    /// A document that says what it is, and is of a kind that there is.
    pub(super) fn known(self, text: &str, kinds: impl Fn(&str) -> bool) -> Result<Self, ConfigError> {
        let missing = |field| Err(ConfigError::Missing { field, text: text.to_owned() });
        match self {
            Self { kind, .. } if kind.is_empty() => missing("Kind"),
            Self { version, .. } if version.is_empty() || version.ends_with('/') => missing("apiVersion"),
            Self { version, kind } if version != VERSION || !kinds(&kind) => {
                Err(ConfigError::NotRegistered { kind, version })
            }
            head => Ok(head),
        }
    }
}
