//! Field paths, and what can be wrong with a field.
//!
//! Wording follows `k8s.io/apimachinery/pkg/util/validation/field` (1.36): `spec.replicas: Invalid
//! value: -1: must be greater than or equal to 0`.

use std::fmt;

use serde_json::Value;

/// A path to a field: `spec.containers[0].ports[1].containerPort`, `metadata.labels[app]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(String);

impl Path {
    /// The object itself; it shows as `<nil>`.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// A path of one field.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// A field of this one.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        if self.0.is_empty() { Self::new(name) } else { Self(format!("{}.{name}", self.0)) }
    }

    /// An item of this list.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// An entry of this map.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        Self(format!("{}[{key}]", self.0))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "<nil>" } else { &self.0 })
    }
}

/// Something wrong with a field.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{field}: {}", self.detail_text())]
pub struct Error {
    /// What sort of wrong.
    pub kind: ErrorKind,
    /// The field's path.
    pub field: String,
    /// What the field holds.
    pub value: Value,
    /// What it should have been.
    pub detail: String,
    /// Whether the value is left out of what is said: it is long, and says nothing.
    pub value_omitted: bool,
}

/// What sort of wrong a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// It must be set and is not.
    Required,
    /// Its value is malformed or out of range.
    Invalid,
    /// The same, of a value that is not shown: it is large, secret, or made of several fields.
    Unshown,
    /// Its value is none of those allowed.
    NotSupported,
    /// Its value stands twice where it may stand once.
    Duplicate,
    /// It may not be set, here or by this caller.
    Forbidden,
    /// It names what does not exist.
    NotFound,
    /// It is longer than allowed.
    TooLong,
    /// It has more items than allowed.
    TooMany,
    /// Its value has another type than it must.
    TypeInvalid,
    /// Checking it failed, through no fault of the value.
    Internal,
}

impl ErrorKind {
    /// The machine's word for it, as causes of a `Status` carry it.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid | Self::Unshown => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Duplicate => "FieldValueDuplicate",
            Self::Forbidden => "FieldValueForbidden",
            Self::NotFound => "FieldValueNotFound",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::TypeInvalid => "FieldValueTypeInvalid",
            Self::Internal => "InternalError",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Required => "Required value",
            Self::Invalid | Self::Unshown | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Duplicate => "Duplicate value",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "Not found",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
            Self::Internal => "Internal error",
        }
    }
}

impl Error {
    fn new(kind: ErrorKind, path: &Path, value: Value, detail: impl Into<String>) -> Self {
        Self { kind, field: path.to_string(), value, detail: detail.into(), value_omitted: false }
    }

    /// It must be set and is not.
    #[must_use]
    pub fn required(path: &Path, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Required, path, Value::Null, detail)
    }

    /// Its value is malformed or out of range.
    #[must_use]
    pub fn invalid(path: &Path, value: impl Into<Value>, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, path, value.into(), detail)
    }

    /// Its value is malformed or out of range, and is not shown.
    #[must_use]
    pub fn unshown(path: &Path, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unshown, path, Value::Null, detail)
    }

    /// Its value is none of those allowed.
    #[must_use]
    pub fn not_supported(path: &Path, value: impl Into<Value>, allowed: &[&str]) -> Self {
        let quoted: Vec<_> = allowed.iter().map(|value| format!("{value:?}")).collect();
        let detail = if quoted.is_empty() {
            String::new()
        } else {
            format!("supported values: {}", quoted.join(", "))
        };
        Self::new(ErrorKind::NotSupported, path, value.into(), detail)
    }

    /// Its value stands twice where it may stand once.
    #[must_use]
    pub fn duplicate(path: &Path, value: impl Into<Value>) -> Self {
        Self::new(ErrorKind::Duplicate, path, value.into(), "")
    }

    /// It may not be set.
    #[must_use]
    pub fn forbidden(path: &Path, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Forbidden, path, Value::Null, detail)
    }

    /// It names what does not exist.
    #[must_use]
    pub fn not_found(path: &Path, value: impl Into<Value>) -> Self {
        Self::new(ErrorKind::NotFound, path, value.into(), "")
    }

    /// It is longer than `max` bytes.
    #[must_use]
    pub fn too_long(path: &Path, max: usize) -> Self {
        Self::new(ErrorKind::TooLong, path, Value::Null, format!("may not be more than {max} bytes"))
    }

    /// It has `actual` items and may have `max`.
    #[must_use]
    pub fn too_many(path: &Path, actual: usize, max: usize) -> Self {
        let noun = if max == 1 { "item" } else { "items" };
        Self::new(ErrorKind::TooMany, path, actual.into(), format!("must have at most {max} {noun}"))
    }

    /// Its value has another type than it must.
    #[must_use]
    pub fn type_invalid(path: &Path, value: impl Into<Value>, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::TypeInvalid, path, value.into(), detail)
    }

    /// Checking it failed, through no fault of the value.
    #[must_use]
    pub fn internal(path: &Path, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, path, Value::Null, detail)
    }

    /// The same error, which does not show the value.
    #[must_use]
    pub fn without_value(self) -> Self {
        Self { value_omitted: true, ..self }
    }

    /// The error without its field, as causes of a `Status` carry it.
    #[must_use]
    pub fn detail_text(&self) -> String {
        let title = self.kind.title();
        let shown = match self.kind {
            ErrorKind::Required
            | ErrorKind::Forbidden
            | ErrorKind::TooLong
            | ErrorKind::Unshown
            | ErrorKind::Internal => title.to_owned(),
            _ if self.value_omitted => title.to_owned(),
            _ => format!("{title}: {}", self.value),
        };
        if self.detail.is_empty() { shown } else { format!("{shown}: {}", self.detail) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_read_as_kubernetes_words_them() {
        let path = Path::new("spec").child("containers").index(0).child("ports").key("http");
        assert_eq!(path.to_string(), "spec.containers[0].ports[http]");
        let spec = Path::new("spec");
        assert_eq!(
            Error::invalid(&spec.child("replicas"), -1, "must be greater than or equal to 0").to_string(),
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0"
        );
        assert_eq!(
            Error::not_supported(&spec.child("type"), "x", &["A", "B"]).to_string(),
            r#"spec.type: Unsupported value: "x": supported values: "A", "B""#
        );
        assert_eq!(Error::required(&spec.child("x"), "").to_string(), "spec.x: Required value");
    }
}
