//! What a value is found to be: what is wrong, and how much was looked at.
//!
//! Of several alternatives none of which holds, Kubernetes tells what is wrong with the one that most was
//! found right of; so what is counted, and when, is part of the answer.

use serde_json::Value;

use crate::api::field::{Error, Path};
use crate::api::structural::trail::Trail;

/// What is wrong with a value, and how much was looked at.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    faults: Vec<Fault>,
    pub(super) count: usize,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    /// Where, from where the walk began; none for what is said of alternatives, which stands at the start.
    place: Option<String>,
    kind: Kind,
    value: Value,
    message: String,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Required,
    NotSupported(Vec<String>),
    TooLong(i64),
    TooMany { most: i64 },
    Type,
    Invalid,
}

impl Fault {
    fn at(trail: &Trail<'_>, kind: Kind, value: Value, sentence: &str) -> Self {
        let place = trail.dotted();
        let message = format!("{place} in body {sentence}");
        Self { place: Some(place), kind, value, message }
    }

    pub(super) fn invalid(trail: &Trail<'_>, value: impl Into<Value>, sentence: impl AsRef<str>) -> Self {
        Self::at(trail, Kind::Invalid, value.into(), sentence.as_ref())
    }

    /// A value of another type than it must be. Where the value is a text, it is shown.
    pub(super) fn ty(trail: &Trail<'_>, wanted: &str, value: Value) -> Self {
        let shown = match &value {
            Value::String(text) => format!(": {text:?}"),
            _ => String::new(),
        };
        Self::at(trail, Kind::Type, value, &format!("must be of type {wanted}{shown}"))
    }

    pub(super) fn required(trail: &Trail<'_>) -> Self {
        Self::at(trail, Kind::Required, Value::Null, "is required")
    }

    pub(super) fn not_supported(trail: &Trail<'_>, value: Value, values: Vec<String>) -> Self {
        let sentence = format!("should be one of [{}]", values.join(" "));
        Self::at(trail, Kind::NotSupported(values), value, &sentence)
    }

    pub(super) fn too_long(trail: &Trail<'_>, most: i64) -> Self {
        Self::at(trail, Kind::TooLong(most), Value::Null, &format!("should be at most {most} chars long"))
    }

    pub(super) fn too_many(trail: &Trail<'_>, size: i64, most: i64, what: &str) -> Self {
        let sentence = format!("should have at most {most} {what}");
        Self::at(trail, Kind::TooMany { most }, size.into(), &sentence)
    }

    pub(super) fn forbidden(trail: &Trail<'_>, key: &str) -> Self {
        let message = format!("{}.{key} in body is a forbidden property", trail.dotted());
        Self::worded(trail, key, message)
    }

    /// A value that is wrong in words of its own.
    pub(super) fn worded(trail: &Trail<'_>, value: impl Into<Value>, message: String) -> Self {
        Self { place: Some(trail.dotted()), kind: Kind::Invalid, value: value.into(), message }
    }

    /// Something that is said of the whole.
    pub(super) fn whole(message: String) -> Self {
        Self { place: None, kind: Kind::Invalid, value: "".into(), message }
    }

    fn into_error(self, start: &Path) -> Error {
        let path = match self.place.as_deref() {
            None | Some("") => start.clone(),
            Some(place) => start.child(place.trim_start_matches('.')),
        };
        if let Kind::NotSupported(values) = self.kind {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            return Error::not_supported(&path, self.value, &values);
        }
        let value = if self.value.is_null() { Value::from("") } else { self.value };
        match self.kind {
            Kind::Required => Error::required(&path, ""),
            Kind::TooLong(most) => Error::too_long(&path, usize::try_from(most).unwrap_or(0)),
            Kind::TooMany { most } => {
                let count = |number: i64| usize::try_from(number).unwrap_or(0);
                Error::too_many(&path, count(value.as_i64().unwrap_or(0)), count(most))
            }
            Kind::Type => Error::type_invalid(&path, value, self.message),
            Kind::Invalid | Kind::NotSupported(_) => Error::invalid(&path, value, self.message),
        }
    }
}

impl Verdict {
    pub(super) fn of(fault: Fault) -> Self {
        Self { faults: vec![fault], count: 0 }
    }

    pub(super) fn is_valid(&self) -> bool {
        self.faults.is_empty()
    }

    /// Notes what is wrong, unless it has been said in the same words.
    pub(super) fn add(&mut self, fault: Fault) {
        if !self.faults.iter().any(|known| known.message == fault.message) {
            self.faults.push(fault);
        }
    }

    /// Takes in what a part was found to be.
    pub(super) fn merge(&mut self, part: Verdict) {
        self.count += part.count;
        part.faults.into_iter().for_each(|fault| self.add(fault));
    }

    /// One more thing has been looked at.
    pub(super) fn count(&mut self) {
        self.count += 1;
    }

    /// Forgets what is wrong, and not what was looked at.
    pub(super) fn forgive(&mut self) {
        self.faults.clear();
    }

    pub(super) fn into_errors(self, start: &Trail<'_>) -> Vec<Error> {
        self.faults.into_iter().map(|fault| fault.into_error(start.start())).collect()
    }
}
