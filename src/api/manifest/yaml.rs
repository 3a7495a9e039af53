//! YAML as `sigs.k8s.io/yaml` reads it.
//!
//! A parser's events carry lines, tags and anchors, which a tree no longer has; so the tree is built
//! here, with bounds on depth, size and on what aliases may grow into (CVE-2019-11253: nine short
//! lines that are a billion nodes).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use serde_json::{Map, Value};

use super::plain;

/// How deep a document may nest: as deep as its JSON may.
const MAX_DEPTH: usize = 100;
/// How long a text may be, in bytes.
const MAX_BYTES: usize = 16 << 20;
/// How much aliases may copy in one document, in nodes and in bytes of text.
const MAX_COPIED: Weight = Weight { nodes: 100_000, bytes: 8 << 20, height: 0 };

/// YAML that cannot be read, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("yaml: line {line}: {problem}")]
pub struct Error {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a YAML text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// It is no YAML, or YAML that JSON cannot say.
    Malformed(String),
    /// A key stands twice in a mapping.
    Duplicate(String),
    /// It nests deeper than 100 levels.
    TooDeep,
    /// Its aliases would grow beyond all bounds.
    ExcessiveAliasing,
    /// It is longer than 16 MiB.
    TooLong,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) => f.write_str(what),
            Self::Duplicate(key) => write!(f, "key {key:?} already set in map"),
            Self::TooDeep => write!(f, "exceeded max depth of {MAX_DEPTH}"),
            Self::ExcessiveAliasing => f.write_str("document contains excessive aliasing"),
            Self::TooLong => write!(f, "text is longer than {MAX_BYTES} bytes"),
        }
    }
}

/// Reads one document; of two equal keys none is taken.
///
/// # Errors
///
/// When the text is malformed, has duplicate keys or exceeds a bound.
pub fn parse(text: &str) -> Result<Value, Error> {
    let read = read_one(text)?;
    match read.duplicates.into_iter().next() {
        Some(duplicate) => Err(duplicate.into()),
        None => Ok(read.tree),
    }
}

/// A document, with all that its tree does not tell.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) tree: Value,
    /// The line of its first node.
    pub(crate) line: usize,
    /// The lines of the items of its `items`.
    pub(crate) item_lines: Vec<usize>,
    pub(crate) duplicates: Vec<Duplicate>,
}

/// A key that stood in its mapping already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Duplicate {
    line: usize,
    key: String,
}

impl From<Duplicate> for Error {
    fn from(duplicate: Duplicate) -> Self {
        Self { line: duplicate.line, problem: Problem::Duplicate(duplicate.key) }
    }
}

/// Duplicates as the one error that go-yaml makes of them.
pub(crate) fn duplicates_text(duplicates: &[Duplicate]) -> Option<String> {
    let lines: String = duplicates
        .iter()
        .map(|Duplicate { line, key }| format!("\n  line {line}: key {key:?} already set in map"))
        .collect();
    (!lines.is_empty()).then(|| format!("yaml: unmarshal errors:{lines}"))
}

/// Reads the first document; null where there is none.
pub(crate) fn read_one(text: &str) -> Result<Read, Error> {
    Documents::new(text).next().unwrap_or_else(|| Ok(Read::default()))
}

/// The documents of a text, one by one. After an error there is none more.
pub(crate) struct Documents<'a> {
    events: Option<Parser<'a, StrInput<'a>>>,
    too_long: bool,
}

impl<'a> Documents<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self { events: Some(Parser::new_from_str(text)), too_long: text.len() > MAX_BYTES }
    }
}

impl Iterator for Documents<'_> {
    type Item = Result<Read, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if std::mem::take(&mut self.too_long) {
            self.events = None;
            return Some(Err(Error { line: 1, problem: Problem::TooLong }));
        }
        let read = Builder::new(self.events.as_mut()?).document();
        if read.is_err() {
            self.events = None;
        }
        read.transpose()
    }
}

struct Builder<'p, 'a> {
    events: &'p mut Parser<'a, StrInput<'a>>,
    anchors: BTreeMap<usize, (Value, Weight)>,
    copied: Weight,
    read: Read,
}

/// What a value costs to copy.
#[derive(Clone, Copy, Debug, Default)]
struct Weight {
    nodes: usize,
    bytes: usize,
    height: usize,
}

impl Weight {
    fn of(value: &Value) -> Self {
        let mut sum = Self { nodes: 1, bytes: 0, height: 1 };
        let mut add = |value: &Value, key: usize| {
            let child = Self::of(value);
            sum.nodes += child.nodes;
            sum.bytes += child.bytes + key;
            sum.height = sum.height.max(child.height + 1);
        };
        match value {
            Value::Array(items) => items.iter().for_each(|item| add(item, 0)),
            Value::Object(map) => map.iter().for_each(|(key, value)| add(value, key.len())),
            Value::String(text) => sum.bytes = text.len(),
            _ => {}
        }
        sum
    }
}

impl<'p, 'a> Builder<'p, 'a> {
    fn new(events: &'p mut Parser<'a, StrInput<'a>>) -> Self {
        Self { events, anchors: BTreeMap::new(), copied: Weight::default(), read: Read::default() }
    }

    fn document(mut self) -> Result<Option<Read>, Error> {
        loop {
            match self.event()? {
                None | Some((Event::StreamEnd, _)) => return Ok(None),
                Some((
                    Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing,
                    _,
                )) => {}
                Some((event, span)) => {
                    self.read.line = span.start.line();
                    self.read.tree = self.value(event, span, 1, Place::Root)?;
                    return Ok(Some(self.read));
                }
            }
        }
    }

    fn event(&mut self) -> Result<Option<(Event<'a>, Span)>, Error> {
        self.events
            .next_event()
            .transpose()
            .map_err(|error: ScanError| malformed(error.marker().line(), error.info().to_owned()))
    }

    /// The next event where the document cannot end.
    fn inner(&mut self) -> Result<(Event<'a>, Span), Error> {
        self.event()?.ok_or_else(|| malformed(self.read.line, "unexpected end of stream".to_owned()))
    }

    fn value(&mut self, event: Event<'a>, span: Span, depth: usize, place: Place) -> Result<Value, Error> {
        let line = span.start.line();
        if depth > MAX_DEPTH {
            return Err(Error { line, problem: Problem::TooDeep });
        }
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar(&text, style, tag.as_deref()).map_err(|what| malformed(line, what))?;
                (value, anchor)
            }
            Event::SequenceStart(anchor, _) => (self.sequence(depth, place)?, anchor),
            Event::MappingStart(anchor, _) => (self.mapping(depth, place)?, anchor),
            Event::Alias(anchor) => return self.alias(anchor, line, depth),
            other => return Err(malformed(line, format!("unexpected {other:?}"))),
        };
        if anchor != 0 {
            let weight = Weight::of(&value);
            self.charge(weight, line)?;
            self.anchors.insert(anchor, (value.clone(), weight));
        }
        Ok(value)
    }

    fn alias(&mut self, anchor: usize, line: usize, depth: usize) -> Result<Value, Error> {
        let (_, weight) = self
            .anchors
            .get(&anchor)
            .ok_or_else(|| malformed(line, "anchor value contains itself".to_owned()))?;
        let weight = *weight;
        if depth + weight.height - 1 > MAX_DEPTH {
            return Err(Error { line, problem: Problem::TooDeep });
        }
        self.charge(weight, line)?;
        Ok(self.anchors[&anchor].0.clone())
    }

    /// Copying costs this much.
    fn charge(&mut self, weight: Weight, line: usize) -> Result<(), Error> {
        self.copied.nodes += weight.nodes;
        self.copied.bytes += weight.bytes;
        if self.copied.nodes > MAX_COPIED.nodes || self.copied.bytes > MAX_COPIED.bytes {
            return Err(Error { line, problem: Problem::ExcessiveAliasing });
        }
        Ok(())
    }

    fn sequence(&mut self, depth: usize, place: Place) -> Result<Value, Error> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.inner()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok(Value::Array(items));
            }
            if matches!(place, Place::Items) {
                self.read.item_lines.push(span.start.line());
            }
            items.push(self.value(event, span, depth + 1, Place::Elsewhere)?);
        }
    }

    fn mapping(&mut self, depth: usize, place: Place) -> Result<Value, Error> {
        let mut map = Map::new();
        // Keys that came from a merge may be overridden without being duplicates.
        let mut merged = BTreeSet::new();
        loop {
            let (event, span) = self.inner()?;
            let line = span.start.line();
            let key = match event {
                Event::MappingEnd => return Ok(Value::Object(map)),
                Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<" => None,
                event => {
                    let key = self.value(event, span, depth + 1, Place::Elsewhere)?;
                    Some(key_text(key).map_err(|what| malformed(line, what))?)
                }
            };
            let (event, span) = self.inner()?;
            let items = matches!(place, Place::Root) && key.as_deref() == Some("items");
            let place = if items { Place::Items } else { Place::Elsewhere };
            let value = self.value(event, span, depth + 1, place)?;
            match key {
                Some(key) => {
                    if map.contains_key(&key) && !merged.remove(&key) {
                        self.read.duplicates.push(Duplicate { line, key: key.clone() });
                    }
                    map.insert(key, value);
                }
                None => merge(&mut map, &mut merged, value).map_err(|what| malformed(line, what))?,
            }
        }
    }
}

/// Where a node stands, as far as somebody will ask for its line.
#[derive(Clone, Copy)]
enum Place {
    Root,
    /// The value of the root's `items`.
    Items,
    Elsewhere,
}

/// A merge key (`<<`): of several mappings the first that has a field gives it.
fn merge(map: &mut Map<String, Value>, merged: &mut BTreeSet<String>, value: Value) -> Result<(), String> {
    let sources = match value {
        Value::Array(sources) => sources,
        source => vec![source],
    };
    for source in sources.into_iter().rev() {
        let Value::Object(source) = source else {
            return Err("map merge requires map or sequence of maps as the value".to_owned());
        };
        for (key, value) in source {
            merged.insert(key.clone());
            map.insert(key, value);
        }
    }
    Ok(())
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    let plain =
        |text| plain::resolve(text).map_err(|plain::NotFinite(what)| format!("unsupported value: {what}"));
    let Some(tag) = tag else {
        return if style == ScalarStyle::Plain { plain(text) } else { Ok(text.into()) };
    };
    if !tag.is_yaml_core_schema() {
        return Ok(text.into());
    }
    let value = match tag.suffix.as_str() {
        "bool" | "int" | "float" | "null" => plain(text)?,
        "binary" => binary(text)?,
        _ => return Ok(text.into()),
    };
    let fits = match (tag.suffix.as_str(), &value) {
        ("bool", Value::Bool(_)) | ("null", Value::Null) | ("binary", _) | ("float", Value::Number(_)) => {
            true
        }
        ("int", Value::Number(number)) => !number.is_f64(),
        _ => false,
    };
    if fits { Ok(value) } else { Err(format!("cannot decode `{text}` as a !!{}", tag.suffix)) }
}

fn binary(text: &str) -> Result<Value, String> {
    use base64::Engine as _;
    let joined: String = text.split_whitespace().collect();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(joined)
        .map_err(|_| "!!binary value contains invalid base64 data".to_owned())?;
    String::from_utf8(bytes).map(Value::from).map_err(|_| "!!binary value is not UTF-8".to_owned())
}

/// A key as JSON writes it.
fn key_text(key: Value) -> Result<String, String> {
    match key {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Null => Err("unsupported map key: null".to_owned()),
        Value::Array(_) | Value::Object(_) => Err("invalid map key: not a scalar".to_owned()),
    }
}

fn malformed(line: usize, what: String) -> Error {
    Error { line, problem: Problem::Malformed(what) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problem(text: &str) -> Problem {
        parse(text).unwrap_err().problem
    }

    #[test]
    fn styles_and_tags_decide_what_a_scalar_is() {
        let text = "a: 0644\nb: '0644'\nc: \"yes\"\nd: yes\ne: |\n  1\nf: !!str 1\ng: !!float 1\n\
                    h: !!binary aGk=\ni: !foo 1\nj: !!int \"3\"\nk:\nl: !!null ''\n";
        assert_eq!(
            parse(text).unwrap(),
            json!({"a": 420, "b": "0644", "c": "yes", "d": true, "e": "1\n", "f": "1", "g": 1,
                   "h": "hi", "i": "1", "j": 3, "k": null, "l": null})
        );
        assert!(matches!(problem("a: !!int x"), Problem::Malformed(_)));
        assert!(matches!(problem("a: .inf"), Problem::Malformed(_)));
    }

    #[test]
    fn keys_are_texts() {
        assert_eq!(parse("1: a\nyes: b\n0x10: c\n").unwrap(), json!({"1": "a", "true": "b", "16": "c"}));
        for text in ["~: a", "[a]: b", "? {a: b}\n: c\n"] {
            assert!(matches!(problem(text), Problem::Malformed(_)), "{text}");
        }
    }

    #[test]
    fn duplicate_keys_are_told_with_their_line() {
        let error = parse("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n").unwrap_err();
        assert_eq!(error.to_string(), r#"yaml: line 5: key "c" already set in map"#);
        let read = read_one("a: 1\na: 2\na: 3\n").unwrap();
        assert_eq!(read.tree, json!({"a": 3}));
        assert_eq!(read.duplicates.len(), 2);
    }

    #[test]
    fn anchors_and_merge_keys_copy() {
        let text = "base: &b {a: 1, b: 2}\nx:\n  <<: *b\n  b: 3\nw:\n  <<: [{a: 9}, *b]\nz: *b\n";
        assert_eq!(
            parse(text).unwrap(),
            json!({"base": {"a": 1, "b": 2}, "x": {"a": 1, "b": 3}, "w": {"a": 9, "b": 2},
                   "z": {"a": 1, "b": 2}})
        );
        assert!(matches!(problem("<<: 1"), Problem::Malformed(_)));
        assert!(matches!(problem("a: &a [*a]"), Problem::Malformed(_)));
        assert!(matches!(problem("a: *nowhere"), Problem::Malformed(_)));
    }

    #[test]
    fn a_bomb_of_aliases_is_refused() {
        let mut text = "a: &a [_,_,_,_,_,_,_,_,_]\n".to_owned();
        for (name, before) in "bcdefghi".chars().zip("abcdefgh".chars()) {
            text += &format!("{name}: &{name} [{}]\n", vec![format!("*{before}"); 9].join(","));
        }
        assert_eq!(problem(&text), Problem::ExcessiveAliasing);
        // One long text instead of many nodes.
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 16), vec!["*a"; 200].join(","));
        assert_eq!(problem(&long), Problem::ExcessiveAliasing);
    }

    #[test]
    fn depth_is_bounded_through_flow_blocks_and_aliases() {
        assert_eq!(problem(&"[".repeat(120)), Problem::TooDeep);
        assert_eq!(problem(&format!("{}a", "- ".repeat(5000))), Problem::TooDeep);
        let mut text = "a0: &a0 [[[[[[[[[[1]]]]]]]]]]\n".to_owned();
        for level in 1..12 {
            text += &format!("a{level}: &a{level} [[[[[[[[[[*a{}]]]]]]]]]]\n", level - 1);
        }
        assert_eq!(problem(&text), Problem::TooDeep);
        assert!(parse(&format!("{}1{}", "[".repeat(90), "]".repeat(90))).is_ok());
    }

    #[test]
    fn a_text_beyond_the_size_is_refused_unread() {
        assert_eq!(problem(&"#".repeat(MAX_BYTES + 1)), Problem::TooLong);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "[ab01:,&*!?<>|{}\\[\\]'\"#%@`~ \\n\\t.-]{0,40}") {
            if let Ok(read) = read_one(&text) {
                proptest::prop_assert!(Weight::of(&read.tree).height <= MAX_DEPTH);
            }
        }

        #[test]
        fn json_is_yaml(value in proptest::collection::btree_map("[a-z:# -]{1,6}", "\\PC{0,12}", 0..4)) {
            let tree = serde_json::to_value(&value).unwrap();
            proptest::prop_assert_eq!(parse(&tree.to_string()).unwrap(), tree);
        }
    }
}
