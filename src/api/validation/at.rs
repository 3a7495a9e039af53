//! A place in an object: a value, and how it was reached.
//!
//! The path is only written out when something is wrong there, so checking what is right costs no
//! text.

use serde_json::Value;

use crate::api::field::{Error, Path};

static ABSENT: Value = Value::Null;

/// A value in a tree, with the way that led to it. What is absent is a null.
#[derive(Clone, Copy, Debug)]
pub(super) struct At<'a> {
    value: &'a Value,
    parent: Option<&'a At<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Root,
    Field(&'a str),
    Index(usize),
    Key(&'a str),
}

impl<'a> At<'a> {
    pub(super) fn root(value: &'a Value) -> Self {
        Self { value, parent: None, step: Step::Root }
    }

    fn step(&'a self, value: Option<&'a Value>, step: Step<'a>) -> At<'a> {
        At { value: value.unwrap_or(&ABSENT), parent: Some(self), step }
    }

    /// A field.
    pub(super) fn get(&'a self, name: &'a str) -> At<'a> {
        self.step(self.value.get(name), Step::Field(name))
    }

    /// The same value, said to stand in another field: for the places where Kubernetes reports a
    /// field under another name than its own.
    pub(super) fn named(&self, name: &'a str) -> At<'a> {
        At { step: Step::Field(name), ..*self }
    }

    /// This place, holding what stands at another: for errors that are reported further out than
    /// what is wrong.
    pub(super) fn holding(&self, value: &'a Value) -> At<'a> {
        At { value, ..*self }
    }

    /// An item of a list; nothing where the list is shorter.
    pub(super) fn index(&'a self, index: usize) -> At<'a> {
        self.step(self.value.get(index), Step::Index(index))
    }

    /// An entry of a map.
    pub(super) fn key(&'a self, key: &'a str) -> At<'a> {
        self.step(self.value.get(key), Step::Key(key))
    }

    /// The items of a list.
    pub(super) fn items(&'a self) -> impl DoubleEndedIterator<Item = At<'a>> + ExactSizeIterator {
        let items = self.value.as_array().map_or(&[][..], Vec::as_slice);
        items.iter().enumerate().map(|(index, value)| self.step(Some(value), Step::Index(index)))
    }

    /// The entries of a map.
    pub(super) fn entries(&'a self) -> impl Iterator<Item = (&'a str, At<'a>)> {
        let map = self.value.as_object();
        map.into_iter().flatten().map(|(key, value)| (key.as_str(), self.step(Some(value), Step::Key(key))))
    }

    /// How many items or entries there are.
    pub(super) fn len(&self) -> usize {
        match self.value {
            Value::Array(items) => items.len(),
            Value::Object(map) => map.len(),
            _ => 0,
        }
    }

    pub(super) fn value(&self) -> &'a Value {
        self.value
    }

    /// Whether the field is there, whatever it holds.
    pub(super) fn is_set(&self) -> bool {
        !self.value.is_null()
    }

    /// The text here; empty where there is none.
    pub(super) fn text(&self) -> &'a str {
        self.value.as_str().unwrap_or_default()
    }

    /// The number here, if there is one.
    pub(super) fn number(&self) -> Option<i64> {
        self.value.as_i64()
    }

    /// The flag here; false where there is none.
    pub(super) fn flag(&self) -> bool {
        self.value.as_bool().unwrap_or_default()
    }

    /// The text of a field here; empty where there is none.
    pub(super) fn text_of(&self, name: &str) -> &'a str {
        self.value.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// The number in a field here; 0 where there is none.
    pub(super) fn number_of(&self, name: &str) -> i64 {
        self.value.get(name).and_then(Value::as_i64).unwrap_or_default()
    }

    /// Whether a field is here, whatever it holds.
    pub(super) fn has(&self, name: &str) -> bool {
        self.value.get(name).is_some_and(|value| !value.is_null())
    }

    /// The path, written out.
    pub(super) fn path(&self) -> Path {
        let parent = || self.parent.map_or_else(Path::root, At::path);
        match self.step {
            Step::Root => Path::root(),
            Step::Field(name) => parent().child(name),
            Step::Index(index) => parent().index(index),
            Step::Key(key) => parent().key(key),
        }
    }

    pub(super) fn required(&self, detail: impl Into<String>) -> Error {
        Error::required(&self.path(), detail)
    }

    pub(super) fn forbidden(&self, detail: impl Into<String>) -> Error {
        Error::forbidden(&self.path(), detail)
    }

    /// The value here is wrong.
    pub(super) fn invalid(&self, detail: impl Into<String>) -> Error {
        Error::invalid(&self.path(), self.value.clone(), detail)
    }

    /// The value here is wrong, and too long or too secret to be shown.
    pub(super) fn unshown(&self, detail: &str) -> Error {
        Error::unshown(&self.path(), detail)
    }

    /// The text here is none of those allowed; one that is absent is an empty one.
    pub(super) fn not_supported(&self, allowed: &[&str]) -> Error {
        let shown = if self.is_set() { self.value.clone() } else { "".into() };
        Error::not_supported(&self.path(), shown, allowed)
    }

    pub(super) fn duplicate(&self) -> Error {
        Error::duplicate(&self.path(), self.value.clone())
    }

    pub(super) fn not_found(&self) -> Error {
        Error::not_found(&self.path(), self.value.clone())
    }

    /// What is here is longer than `max` bytes.
    pub(super) fn too_long(&self, max: usize) -> Error {
        Error::too_long(&self.path(), max)
    }

    /// There is more here than `max` items.
    pub(super) fn too_many(&self, max: usize) -> Error {
        Error::too_many(&self.path(), self.len(), max)
    }
}
