//! Managed fields: who owns what of an object.
//!
//! There is one entry a manager, operation and subresource, and for updates one a version too. Follows
//! apimachinery 1.36 (`util/managedfields/internal/managedfields.go`).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::set::FieldSet;
use super::value;

/// How an entry came to be. In the order in which entries are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// By server-side apply: the fields are what was applied last.
    Apply,
    /// By any other write: the fields are all that were ever changed.
    Update,
}

impl Operation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// Who owns: what tells the entries of an object apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Manager {
    /// The manager's name.
    pub name: String,
    /// How it writes.
    pub operation: Operation,
    /// The version in which it writes; empty for one that applies, since it has one entry whatever the
    /// version.
    pub api_version: String,
    /// The subresource to which it writes; empty for the object itself.
    pub subresource: String,
}

impl Manager {
    /// A manager; one without a name is `unknown`.
    #[must_use]
    pub fn new(name: &str, operation: Operation, api_version: &str, subresource: &str) -> Self {
        Self {
            name: if name.is_empty() { "unknown" } else { name }.to_owned(),
            operation,
            api_version: match operation {
                Operation::Apply => String::new(),
                Operation::Update => api_version.to_owned(),
            },
            subresource: subresource.to_owned(),
        }
    }
}

/// What a manager owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// The version to which the fields belong.
    pub api_version: String,
    /// The fields.
    pub fields: FieldSet,
    /// When the object changed last by this manager.
    pub time: Option<Timestamp>,
}

/// The managed fields of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ManagedFields {
    pub(super) entries: BTreeMap<Manager, Owned>,
}

impl ManagedFields {
    /// No entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What a manager owns.
    #[must_use]
    pub fn get(&self, manager: &Manager) -> Option<&Owned> {
        self.entries.get(manager)
    }

    /// Adds or replaces what a manager owns.
    pub fn insert(&mut self, manager: Manager, owned: Owned) {
        self.entries.insert(manager, owned);
    }

    /// The entries in the order in which they are written: those that apply first, and the oldest first.
    #[must_use]
    pub fn entries(&self) -> Vec<(&Manager, &Owned)> {
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_by(|(a, mine), (b, theirs)| {
            (a.operation, seconds(mine.time), &a.name, &mine.api_version, &a.subresource).cmp(&(
                b.operation,
                seconds(theirs.time),
                &b.name,
                &theirs.api_version,
                &b.subresource,
            ))
        });
        entries
    }

    /// Reads `metadata.managedFields`; absent or null is empty.
    ///
    /// # Errors
    ///
    /// When an entry is malformed, in Kubernetes' words.
    pub fn decode(list: Option<&Value>) -> Result<Self, String> {
        let mut out = Self::new();
        let items = match list {
            None | Some(Value::Null) => &Vec::new(),
            Some(Value::Array(items)) => items,
            Some(other) => return Err(format!("expected list, got &{{{}}}", value::plain(other))),
        };
        for (at, entry) in items.iter().enumerate() {
            let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
            let operation = match text("operation") {
                "Apply" => Operation::Apply,
                "Update" => Operation::Update,
                _ => return Err("operation must be `Apply` or `Update`".to_owned()),
            };
            let api_version = text("apiVersion");
            if api_version.is_empty() {
                return Err("apiVersion must not be empty".to_owned());
            }
            match text("fieldsType") {
                "FieldsV1" => {}
                "" => return Err(format!("missing fieldsType in managed fields entry {at}")),
                other => return Err(format!("invalid fieldsType {other:?} in managed fields entry {at}")),
            }
            let wrong = |why: String| format!("error decoding versioned set from entry {at}: {why}");
            let fields = match entry.get("fieldsV1") {
                Some(fields) => FieldSet::from_fields_v1(fields)
                    .map_err(|error| wrong(format!("error decoding set: {error}")))?,
                None => FieldSet::new(),
            };
            let time = match text("time") {
                "" => None,
                time => Some(time.parse().map_err(|_| {
                    wrong(format!(
                        "parsing time {time:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {time:?} as \
                         \"2006\""
                    ))
                })?),
            };
            let manager = Manager {
                name: text("manager").to_owned(),
                ..Manager::new("", operation, api_version, text("subresource"))
            };
            out.insert(manager, Owned { api_version: api_version.to_owned(), fields, time });
        }
        Ok(out)
    }

    /// Takes `metadata.managedFields` out of an object's tree.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode); they are gone from the tree even so.
    pub fn take(tree: &mut Value) -> Result<Self, String> {
        let metadata = tree.get_mut("metadata").and_then(Value::as_object_mut);
        Self::decode(metadata.and_then(|metadata| metadata.remove("managedFields")).as_ref())
    }

    /// The fields to begin an update with.
    ///
    /// A client may write them itself: an empty list, or one of an empty entry, resets them, and entries
    /// that can be read replace those of the live object. Where it sends none, or what cannot be read, or
    /// writes to a subresource, the live object's count.
    #[must_use]
    pub fn for_update(live: &Value, new: &Value, subresource: &str) -> Self {
        let of = |tree: &Value| Self::decode(tree.pointer("/metadata/managedFields"));
        if subresource.is_empty() {
            if let Some(Value::Array(items)) = new.pointer("/metadata/managedFields") {
                let blank = |entry: &Value| entry.as_object().is_some_and(Map::is_empty);
                if items.is_empty() || matches!(items.as_slice(), [only] if blank(only)) {
                    return Self::new();
                }
            }
            match of(new) {
                Ok(fields) if !fields.is_empty() => return fields,
                _ => {}
            }
        }
        of(live).unwrap_or_default()
    }

    /// The value of `metadata.managedFields`.
    #[must_use]
    pub fn encode(&self) -> Value {
        self.entries()
            .into_iter()
            .map(|(manager, owned)| {
                let mut entry = Map::new();
                for (name, text) in head(manager, owned) {
                    entry.insert(name.to_owned(), text.into());
                }
                entry.insert("fieldsV1".to_owned(), owned.fields.to_fields_v1());
                Value::Object(entry)
            })
            .collect()
    }

    /// The same as JSON text, with the fields byte for byte as Kubernetes writes them.
    #[must_use]
    pub fn to_json(&self) -> String {
        let entries = self.entries().into_iter().map(|(manager, owned)| {
            let mut out = "{".to_owned();
            for (name, text) in head(manager, owned) {
                // Kubernetes has the subresource last.
                if name == "subresource" {
                    out.push_str(&format!("\"fieldsV1\":{},", owned.fields.to_json()));
                }
                value::quote(name, true, &mut out);
                out.push(':');
                value::quote(&text, true, &mut out);
                out.push(',');
            }
            if manager.subresource.is_empty() {
                out.push_str(&format!("\"fieldsV1\":{},", owned.fields.to_json()));
            }
            out.pop();
            out + "}"
        });
        format!("[{}]", entries.collect::<Vec<_>>().join(","))
    }

    /// Puts the entries into an object's tree; none leave no trace.
    pub fn put(&self, tree: &mut Value) {
        let Some(object) = tree.as_object_mut() else { return };
        if self.is_empty() {
            if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.remove("managedFields");
            }
            return;
        }
        let metadata = object.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.insert("managedFields".to_owned(), self.encode());
        }
    }

    /// Takes the times of the old entries where nothing but times differs.
    ///
    /// For a write that leaves the rest of the object as it was, so that it is no change at all.
    #[must_use]
    pub fn with_times_of(mut self, old: &Self) -> Self {
        let (mine, theirs) = (self.entries(), old.entries());
        let same = mine.len() == theirs.len()
            && mine.iter().zip(&theirs).all(|((a, mine), (b, theirs))| {
                a == b && mine.api_version == theirs.api_version && mine.fields == theirs.fields
            });
        if same {
            self.entries.clone_from(&old.entries);
        }
        self
    }
}

pub(super) fn seconds(time: Option<Timestamp>) -> i64 {
    time.map_or(0, Timestamp::as_second)
}

/// The fields of an entry that are text, without those that are empty.
fn head(manager: &Manager, owned: &Owned) -> impl Iterator<Item = (&'static str, String)> {
    let time = owned.time.map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    [
        ("manager", manager.name.clone()),
        ("operation", manager.operation.as_str().to_owned()),
        ("apiVersion", owned.api_version.clone()),
        ("time", time.unwrap_or_default()),
        ("fieldsType", "FieldsV1".to_owned()),
        ("subresource", manager.subresource.clone()),
    ]
    .into_iter()
    .filter(|(_, text)| !text.is_empty())
}
