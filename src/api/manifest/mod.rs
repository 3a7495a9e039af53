//! Manifests: files of many documents.
//!
//! A manifest is YAML or JSON, one document or many, and a `List` in it stands for its items. Every
//! document knows where it came from, so that whoever refuses it later can say so.

use serde::Deserialize;
use serde_json::Value;

use super::schema;

mod plain;
mod write;
pub mod yaml;

pub use write::write;

/// An object of a manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The object.
    pub tree: Value,
    /// The file, as the reader named it.
    pub source: String,
    /// Which document of the file it stands in, from 1.
    pub index: usize,
    /// The line on which it starts, from 1.
    pub line: usize,
}

impl Document {
    /// Where it stands, in the words of this module's errors.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}: document {}, line {}", self.source, self.index, self.line)
    }
}

/// What is wrong with a manifest, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: document {document}, line {line}: {problem}")]
pub struct Error {
    /// The file, as the reader named it.
    pub file: String,
    /// The document, from 1.
    pub document: usize,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// It cannot be read as YAML.
    #[error("{0}")]
    Yaml(yaml::Problem),
    /// It cannot be read as JSON.
    #[error("{0}")]
    Json(String),
    /// A field stands twice in a JSON object.
    #[error("{0}")]
    Duplicate(String),
    /// It is no object.
    #[error("expected an object, found {0}")]
    NotAnObject(&'static str),
    /// It has no `kind` or no `apiVersion`.
    #[error("Object '{0}' is missing")]
    Missing(&'static str),
}

/// Reads a manifest. `source` names it in errors; empty documents are skipped.
///
/// # Errors
///
/// When a document is malformed, has duplicate fields, exceeds a bound of [`yaml`], or is no object
/// with `apiVersion` and `kind`.
pub fn read(source: &str, text: &str) -> Result<Vec<Document>, Error> {
    let mut reader = Reader { source, documents: Vec::new() };
    if text.trim_start().starts_with('{') {
        // A text that starts like JSON may still be YAML in flow style.
        match reader.json(text) {
            Err(error) if matches!(error.problem, Problem::Json(_)) => {
                reader.documents.clear();
                reader.yaml(text).map_err(|_| error)?;
            }
            result => result?,
        }
    } else {
        reader.yaml(text)?;
    }
    Ok(reader.documents)
}

struct Reader<'a> {
    source: &'a str,
    documents: Vec<Document>,
}

impl Reader<'_> {
    fn error(&self, document: usize, line: usize, problem: Problem) -> Error {
        Error { file: self.source.to_owned(), document, line, problem }
    }

    fn yaml(&mut self, text: &str) -> Result<(), Error> {
        for (index, read) in (1..).zip(yaml::Documents::new(text)) {
            let wrong = |error: yaml::Error| self.error(index, error.line, Problem::Yaml(error.problem));
            let read = read.map_err(wrong)?;
            if let Some(duplicate) = read.duplicates.into_iter().next() {
                return Err(wrong(duplicate.into()));
            }
            self.add(read.tree, index, read.line, &read.item_lines)?;
        }
        Ok(())
    }

    fn json(&mut self, text: &str) -> Result<(), Error> {
        let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Free>();
        for index in 1.. {
            let start = stream.byte_offset();
            let blank = text[start..].len() - text[start..].trim_start().len();
            let line = 1 + text[..start + blank].bytes().filter(|byte| *byte == b'\n').count();
            let Some(next) = stream.next() else { break };
            let Free(tree, duplicates) = next
                .map_err(|error| self.error(index, error.line().max(1), Problem::Json(error.to_string())))?;
            if let Some(duplicate) = duplicates.into_iter().next() {
                return Err(self.error(index, line, Problem::Duplicate(duplicate)));
            }
            self.add(tree, index, line, &[])?;
        }
        Ok(())
    }

    /// Adds a document, or the items of one that is a list.
    fn add(&mut self, tree: Value, index: usize, line: usize, item_lines: &[usize]) -> Result<(), Error> {
        let found = match &tree {
            Value::Null => return Ok(()),
            Value::Object(_) => None,
            Value::Array(_) => Some("a list"),
            Value::String(_) => Some("a text"),
            Value::Bool(_) | Value::Number(_) => Some("a scalar"),
        };
        if let Some(found) = found {
            return Err(self.error(index, line, Problem::NotAnObject(found)));
        }
        let text = |field: &str| tree[field].as_str().unwrap_or_default().to_owned();
        let (version, kind) = (text("apiVersion"), text("kind"));
        for (field, value) in [("kind", &kind), ("apiVersion", &version)] {
            if value.is_empty() {
                return Err(self.error(index, line, Problem::Missing(field)));
            }
        }
        let (Some(item_kind), true) = (kind.strip_suffix("List"), tree["items"].is_array()) else {
            self.documents.push(Document { tree, source: self.source.to_owned(), index, line });
            return Ok(());
        };
        let Value::Array(items) = tree["items"].clone() else { return Ok(()) };
        for (at, mut item) in items.into_iter().enumerate() {
            // The items of a typed list need not repeat what its kind says.
            if let (Value::Object(item), false) = (&mut item, item_kind.is_empty()) {
                item.entry("apiVersion").or_insert_with(|| version.clone().into());
                item.entry("kind").or_insert_with(|| item_kind.into());
            }
            self.add(item, index, item_lines.get(at).copied().unwrap_or(line), &[])?;
        }
        Ok(())
    }
}

/// Any JSON, and its duplicate fields.
struct Free(Value, Vec<String>);

impl<'de> Deserialize<'de> for Free {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        schema::free(deserializer).map(|(tree, duplicates)| Self(tree, duplicates))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn places(text: &str) -> Vec<(String, usize, usize)> {
        let name = |tree: &Value| format!("{}/{}", tree["kind"].as_str().unwrap(), tree["id"]);
        read("a.yaml", text)
            .unwrap()
            .into_iter()
            .map(|document| (name(&document.tree), document.index, document.line))
            .collect()
    }

    fn refused(text: &str) -> String {
        read("a.yaml", text).unwrap_err().to_string()
    }

    #[test]
    fn documents_know_their_place() {
        let text = "# comment\n---\napiVersion: v1\nkind: A\nid: 1\n---\n# nothing\n---\n\
                    apiVersion: v1\nkind: B\nid: 2\n...\n";
        assert_eq!(places(text), [("A/1".into(), 1, 3), ("B/2".into(), 3, 9)]);
        assert_eq!(places(""), []);
        assert_eq!(places("---\n---\n"), []);
    }

    #[test]
    fn json_is_read_as_such_one_object_or_many() {
        let text = "\n{\"apiVersion\":\"v1\",\"kind\":\"A\",\"id\":1}\n\n{\"apiVersion\":\"v1\",\"kind\":\"B\",\"id\":2}\n";
        assert_eq!(places(text), [("A/1".into(), 1, 2), ("B/2".into(), 2, 4)]);
        // YAML in flow style starts like JSON.
        assert_eq!(places("{apiVersion: v1, kind: A, id: 1}"), [("A/1".into(), 1, 1)]);
        assert!(refused("{\"kind\": ").starts_with("a.yaml: document 1, line 1: EOF while parsing"));
        assert_eq!(
            refused("{\"apiVersion\":\"v1\",\"kind\":\"A\",\"a\":{\"b\":1,\"b\":2}}"),
            r#"a.yaml: document 1, line 1: duplicate field "a.b""#
        );
    }

    #[test]
    fn lists_stand_for_their_items() {
        let text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: A\n  id: 1\n\
                    - apiVersion: v1\n  kind: List\n  items:\n  - {apiVersion: v1, kind: B, id: 2}\n";
        assert_eq!(places(text), [("A/1".into(), 1, 4), ("B/2".into(), 1, 7)]);
        let pods = read("p", "apiVersion: v1\nkind: PodList\nitems:\n- metadata: {name: a}\n").unwrap();
        assert_eq!(pods[0].tree, json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}));
    }

    #[test]
    fn errors_name_file_document_and_line() {
        let two = "apiVersion: v1\nkind: A\n---\n";
        assert_eq!(
            refused(&format!("{two}apiVersion: v1\nkind: B\na: 1\na: 2\n")),
            r#"a.yaml: document 2, line 7: key "a" already set in map"#
        );
        assert_eq!(refused(&format!("{two}a: 1\n")), "a.yaml: document 2, line 4: Object 'kind' is missing");
        assert_eq!(refused("kind: A"), "a.yaml: document 1, line 1: Object 'apiVersion' is missing");
        assert_eq!(refused("- 1"), "a.yaml: document 1, line 1: expected an object, found a list");
        assert!(refused(&format!("{two}a: [1\nb: 2\n")).starts_with("a.yaml: document 2, line "));
    }
}
