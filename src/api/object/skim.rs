//! Reading an object's head out of its bytes, in one pass and without a tree.
//!
//! Of a body that we wrote ourselves nothing is doubted. Of any other the pass also finds out
//! whether it is canonical, so that it can be kept as it is; where it cannot tell at a glance (a
//! number with a fraction, an escaped key) it gives up, and the body is decoded and written anew.

use std::ops::Range;

use super::ObjectKey;
use super::head::{Head, Span};
use crate::api::Resource;

/// How deep a body from elsewhere may nest; serde_json refuses what is deeper than 128.
const DEEPEST: usize = 120;

/// A selectable field that may stand below, and what is left of its path.
type Sought<'a> = (usize, &'a str);

struct Skim<'a> {
    body: &'a [u8],
    at: usize,
    resource: &'a Resource,
    /// Whether the body was written by us.
    ours: bool,
    splice: Option<usize>,
    managed: Span,
    /// Whether `apiVersion` and `kind` are the row's.
    named: [bool; 2],
    name: Span,
    namespace: Span,
    uid: Span,
    generation: i64,
    deleting: bool,
    fields: Vec<Span>,
    labels: Vec<Span>,
    owned: Vec<Box<str>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Root,
    Metadata,
    Labels,
    Elsewhere,
}

/// A value, as far as a head is concerned.
enum Found {
    /// Between its quotes, and whether anything is escaped there.
    Text(Range<usize>, bool),
    /// A number or a truth value.
    Literal(Range<usize>),
    Null,
    /// A list or an object.
    Inner,
}

/// The head of a body; nothing where it is not canonical, or not certainly so.
pub(super) fn skim(resource: &Resource, body: &[u8], ours: bool) -> Option<Head> {
    if u32::try_from(body.len()).is_err() || (!ours && std::str::from_utf8(body).is_err()) {
        return None;
    }
    let mut skim = Skim {
        body,
        at: 0,
        resource,
        ours,
        splice: None,
        managed: Span::EMPTY,
        named: [ours; 2],
        name: Span::EMPTY,
        namespace: Span::EMPTY,
        uid: Span::EMPTY,
        generation: 0,
        deleting: false,
        fields: vec![Span::DEFAULT; resource.selectable.len()],
        labels: Vec::new(),
        owned: Vec::new(),
    };
    let sought: Vec<Sought<'_>> =
        resource.selectable.iter().enumerate().map(|(at, field)| (at, &*field.path)).collect();
    skim.object(Place::Root, 0, &sought)?;
    if skim.at != body.len() || skim.named != [true; 2] {
        return None;
    }
    let read = |span: Span| span.read(body, &skim.owned).unwrap_or_default().to_owned();
    let key = ObjectKey { namespace: read(skim.namespace), name: read(skim.name) };
    let texts = [skim.uid].into_iter().chain(skim.fields).chain(skim.labels).collect();
    Some(Head {
        key,
        generation: skim.generation,
        deleting: skim.deleting,
        splice: u32::try_from(skim.splice?).ok()?,
        managed: skim.managed,
        texts,
        owned: skim.owned.into(),
    })
}

impl<'a> Skim<'a> {
    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn object(&mut self, place: Place, depth: usize, sought: &[Sought<'a>]) -> Option<()> {
        if self.next()? != b'{' || (!self.ours && depth > DEEPEST) {
            return None;
        }
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        let mut last: Option<Range<usize>> = None;
        loop {
            let (key, escaped) = self.string()?;
            let name = &self.body[key.clone()];
            if !self.ours && (escaped || last.is_some_and(|last| self.body[last] >= *name)) {
                return None;
            }
            last = Some(key.clone());
            if self.next()? != b':' {
                return None;
            }
            let (mut here, mut below) = (Vec::new(), Vec::new());
            for (position, path) in sought {
                match path.split_once('.') {
                    Some((step, rest)) if step.as_bytes() == name => below.push((*position, rest)),
                    None if path.as_bytes() == name => here.push(*position),
                    _ => {}
                }
            }
            let inner = match (place, name) {
                (Place::Root, b"metadata") => Place::Metadata,
                (Place::Metadata, b"labels") => Place::Labels,
                _ => Place::Elsewhere,
            };
            if inner == Place::Metadata {
                self.splice = Some(self.at + 1).filter(|_| self.peek() == Some(b'{'));
                self.splice?;
            }
            let found = self.value(inner, depth + 1, &below)?;
            self.note(place, key, escaped, &found)?;
            for position in here {
                self.fields[position] = self.text_or_literal(&found)?.unwrap_or(Span::DEFAULT);
            }
            match self.next()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    fn value(&mut self, place: Place, depth: usize, sought: &[Sought<'a>]) -> Option<Found> {
        match self.peek()? {
            b'"' => self.string().map(|(text, escaped)| Found::Text(text, escaped)),
            b'{' => self.object(place, depth, sought).map(|()| Found::Inner),
            b'[' => self.list(depth).map(|()| Found::Inner),
            _ => self.literal(),
        }
    }

    fn list(&mut self, depth: usize) -> Option<()> {
        self.at += 1;
        if !self.ours && depth > DEEPEST {
            return None;
        }
        if self.peek()? == b']' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.value(Place::Elsewhere, depth + 1, &[])?;
            match self.next()? {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    /// What stands between quotes, and whether anything is escaped there.
    fn string(&mut self) -> Option<(Range<usize>, bool)> {
        if self.next()? != b'"' {
            return None;
        }
        let (start, mut escaped) = (self.at, false);
        loop {
            let rest = &self.body[self.at..];
            self.at += rest.iter().position(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\'))?;
            match self.next()? {
                b'"' => return Some((start..self.at - 1, escaped)),
                b'\\' => {
                    escaped = true;
                    let letter = self.next()?;
                    if !self.ours && !self.is_canonical_escape(letter) {
                        return None;
                    }
                }
                _ => return None,
            }
        }
    }

    /// Whether the escape whose letter was just passed is how serde_json writes that character.
    fn is_canonical_escape(&mut self, letter: u8) -> bool {
        match letter {
            b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't' => true,
            b'u' => {
                let code = self.body.get(self.at..self.at + 4);
                self.at += 4;
                match code {
                    Some([b'0', b'0', b'0', low]) => matches!(low, b'0'..=b'7' | b'b' | b'e' | b'f'),
                    Some([b'0', b'0', b'1', low]) => matches!(low, b'0'..=b'9' | b'a'..=b'f'),
                    _ => false,
                }
            }
            _ => false,
        }
    }

    fn literal(&mut self) -> Option<Found> {
        let rest = &self.body[self.at..];
        let end = rest.iter().position(|byte| matches!(byte, b',' | b']' | b'}'))?;
        let literal = &rest[..end];
        let range = self.at..self.at + end;
        self.at += end;
        match literal {
            b"null" => Some(Found::Null),
            b"true" | b"false" => Some(Found::Literal(range)),
            _ if self.ours || is_small_integer(literal) => Some(Found::Literal(range)),
            _ => None,
        }
    }

    /// Takes what a head needs; nothing where the body is not as it would be stored.
    fn note(&mut self, place: Place, key: Range<usize>, escaped: bool, found: &Found) -> Option<()> {
        let body = self.body;
        let name = &body[key.clone()];
        let is = |wanted: &str| matches!(found, Found::Text(text, false) if body[text.clone()] == *wanted.as_bytes());
        match (place, name) {
            (Place::Root, b"apiVersion") if !self.ours => self.named[0] = is(&self.resource.api_version()),
            (Place::Root, b"kind") if !self.ours => self.named[1] = is(&self.resource.kind),
            (Place::Metadata, b"resourceVersion") => return None,
            (Place::Metadata, b"name") => self.name = self.text(found)?,
            (Place::Metadata, b"namespace") => self.namespace = self.text(found)?,
            (Place::Metadata, b"uid") => self.uid = self.text(found)?,
            (Place::Metadata, b"generation") => self.generation = self.integer(found),
            // The key's closing quote and the colon stand between.
            (Place::Metadata, b"managedFields") if matches!(found, Found::Inner) => {
                self.managed = Span::of(key.end + 2..self.at)?;
            }
            (Place::Metadata, b"deletionTimestamp") => self.deleting = !matches!(found, Found::Null),
            (Place::Labels, _) => {
                let key = self.span(key, escaped)?;
                let value = self.text(found)?;
                self.labels.extend([key, value]);
            }
            _ => {}
        }
        Some(())
    }

    fn integer(&self, found: &Found) -> i64 {
        let Found::Literal(literal) = found else { return 0 };
        let literal = std::str::from_utf8(&self.body[literal.clone()]).unwrap_or_default();
        literal.parse().unwrap_or(0)
    }

    /// A text; the empty one where it is none.
    fn text(&mut self, found: &Found) -> Option<Span> {
        match found {
            Found::Text(text, escaped) => self.span(text.clone(), *escaped),
            _ => Some(Span::EMPTY),
        }
    }

    fn text_or_literal(&mut self, found: &Found) -> Option<Option<Span>> {
        match found {
            Found::Text(text, escaped) => self.span(text.clone(), *escaped).map(Some),
            Found::Literal(literal) => self.span(literal.clone(), false).map(Some),
            Found::Null | Found::Inner => Some(None),
        }
    }

    fn span(&mut self, range: Range<usize>, escaped: bool) -> Option<Span> {
        if !escaped {
            return Span::of(range);
        }
        let quoted = &self.body[range.start - 1..=range.end];
        self.owned.push(serde_json::from_slice::<String>(quoted).ok()?.into());
        Span::owned(self.owned.len() - 1)
    }
}

/// Whether this is a whole number, written as serde_json writes it, that every reader takes for one.
fn is_small_integer(literal: &[u8]) -> bool {
    let digits = literal.strip_prefix(b"-").unwrap_or(literal);
    match digits {
        [b'0'] => literal.len() == 1,
        [b'1'..=b'9', rest @ ..] => rest.len() < 18 && rest.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use crate::api::{Object, Resource, Revision, Scope, SelectableField};

    fn row() -> Arc<Resource> {
        let mut row = Resource::new("apps", "v1", "Thing", "things", Scope::Namespaced);
        row.selectable = vec![
            SelectableField::new("spec.on"),
            SelectableField::new("spec.count").otherwise("none"),
            SelectableField::new("spec.deep.er"),
            SelectableField::new("status"),
        ];
        Arc::new(row)
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i16>().prop_map(Value::from),
            prop_oneof![Just(u64::MAX), Just(0)].prop_map(Value::from),
            // serde_json reads every such fraction back as it was.
            any::<i16>().prop_map(|eighths| Value::from(f64::from(eighths) / 8.0)),
            "[a-z\"\\\\\u{0}-\u{20}\u{7f}é🦀]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-d\"\\\\é]{0,3}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn tree() -> impl Strategy<Value = Value> {
        let text =
            || prop::option::of(prop_oneof![4 => "[a-z\"\\\\\n]{0,5}".prop_map(Value::from), 1 => value()]);
        let labels = prop::option::of(prop_oneof![
            4 => prop::collection::btree_map("[a-z\"\\\\]{0,3}", "[a-z\"\\\\]{0,3}", 0..4).prop_map(|map| json!(map)),
            1 => value(),
        ]);
        let metadata = (text(), text(), text(), prop::option::of(value()), prop::option::of(value()), labels);
        (metadata, value(), value(), value(), prop::option::of(value()), value()).prop_map(
            |((name, namespace, uid, generation, gone, labels), on, count, deep, status, other)| {
                let mut tree = json!({
                    "metadata": {}, "spec": {"on": on, "count": count, "deep": {"er": deep}}, "other": other,
                });
                let fields = [
                    ("name", name),
                    ("namespace", namespace),
                    ("uid", uid),
                    ("generation", generation),
                    ("deletionTimestamp", gone),
                    ("labels", labels),
                ];
                for (field, value) in fields {
                    if let Some(value) = value {
                        tree["metadata"][field] = value;
                    }
                }
                if let Some(status) = status {
                    tree["status"] = status;
                }
                tree
            },
        )
    }

    /// The same facts, read from the tree.
    fn check(object: &Object, tree: &Value) {
        let metadata = &tree["metadata"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        assert_eq!(object.name(), text(&metadata["name"]));
        assert_eq!(object.key().namespace, text(&metadata["namespace"]));
        assert_eq!(object.uid(), text(&metadata["uid"]));
        assert_eq!(object.generation(), metadata["generation"].as_i64().unwrap_or(0));
        assert_eq!(object.is_deleting(), !metadata["deletionTimestamp"].is_null());
        let labels: Vec<_> =
            object.labels().iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let expected = metadata["labels"].as_object().into_iter().flatten();
        assert_eq!(labels, expected.map(|(key, value)| (key.clone(), text(value))).collect::<Vec<_>>());
        for field in &object.resource().selectable {
            assert_eq!(object.field(&field.name), Some(&*field.value(tree)), "{} of {tree}", field.name);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_read_from_the_bytes_is_what_the_tree_says(tree in tree()) {
            let object = Object::from_tree(row(), Revision(3), tree.clone()).unwrap();
            check(&object, &tree);
            let again = Object::from_body(row(), Revision(3), object.body()).unwrap();
            check(&again, &tree);
            prop_assert_eq!(again.body(), object.body());
            let mut encoded: Value = serde_json::from_slice(&object.encode()).unwrap();
            prop_assert_eq!(&encoded["metadata"]["resourceVersion"], "3");
            encoded["metadata"].as_object_mut().unwrap().remove("resourceVersion");
            prop_assert_eq!(serde_json::to_vec(&encoded).unwrap(), &object.body()[..]);
        }

        #[test]
        fn any_bytes_end_as_their_tree_would(
            tree in tree(), cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3)
        ) {
            let mut body = Object::from_tree(row(), Revision(3), tree).unwrap().body().to_vec();
            for (at, byte) in cuts {
                let at = at.index(body.len());
                body[at] = byte;
            }
            let decoded = serde_json::from_slice::<Value>(&body).ok();
            let by_tree = decoded.and_then(|tree| Object::from_tree(row(), Revision(3), tree).ok());
            let by_body = Object::from_body(row(), Revision(3), &Bytes::from(body)).ok();
            prop_assert_eq!(by_tree.as_ref().map(Object::body), by_body.as_ref().map(Object::body));
            if let Some(object) = by_body {
                check(&object, &serde_json::from_slice(object.body()).unwrap());
            }
        }
    }

    #[test]
    fn a_canonical_body_is_kept_and_another_is_written_anew() {
        let kept = |body: &str| {
            let body = Bytes::from(body.to_owned());
            Object::from_body(row(), Revision(1), &body).unwrap().body().as_ptr() == body.as_ptr()
        };
        let canonical =
            r#"{"apiVersion":"apps/v1","kind":"Thing","metadata":{"labels":{"a":"b"},"name":"x"}}"#;
        assert!(kept(canonical));
        for other in [
            &canonical.replace(",", ", "),
            &canonical.replace(r#""name":"x""#, r#""name":"x","resourceVersion":"5""#),
            &canonical.replace("apps/v1", "apps/v2"),
            &canonical.replace(r#","kind":"Thing""#, ""),
            &canonical.replace(r#""a":"b""#, r#""b":"c","a":"b""#),
            &canonical.replace(r#""a":"b""#, r#""a":"b","a":"b""#),
            &canonical.replace(r#""a":"b""#, r#""a":"\u0062""#),
            &canonical.replace(r#""name":"x""#, r#""name":"x"},"spec":{"a":1.50"#),
        ] {
            assert!(!kept(other), "{other}");
        }
    }
}
