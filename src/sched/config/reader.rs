//! Reading typed values off a document, strictly.
//!
//! As `sigs.k8s.io/json` does: names are matched exactly, a null is an absent field, unknown and duplicate
//! fields are told of with their path, and the first value of a wrong type fails the whole. Code asks for
//! fields in the order it likes; what is wrong comes out in the order of the text.

use std::cell::RefCell;

use jiff::SignedDuration;

use super::FeatureGates;
use super::node::{Kind, Node};
use crate::api::duration;
use crate::api::schema;

/// Strict decoding stops counting here, as Kubernetes does.
const MOST_PROBLEMS: usize = 100;

/// What is known while one document is read.
pub(super) struct Scope {
    pub(super) gates: FeatureGates,
    issues: RefCell<Vec<(usize, Issue)>>,
}

enum Issue {
    /// Go gives up at once.
    Fatal(String),
    /// A value of a wrong type: Go goes on, and fails in the end.
    Mismatch(String),
    /// A field that is unknown, or there twice.
    Problem(String),
}

/// Reads a document. With the value come the strict decoder's objections.
///
/// # Errors
///
/// The first value that does not fit its field.
pub(super) fn read<T: Record>(node: &Node, gates: &FeatureGates) -> Result<(T, Vec<String>), String> {
    let scope = Scope { gates: *gates, issues: RefCell::default() };
    let at = At { node, path: String::new(), fields: String::new(), owner: None, scope: &scope };
    let value = if node.is_null() { Some(T::zero(&scope)) } else { T::decode(&at) };
    let mut issues = scope.issues.into_inner();
    issues.sort_by_key(|(at, _)| *at);
    let mut problems: Vec<String> = Vec::new();
    let mut mismatch = None;
    for (_, issue) in issues {
        match issue {
            Issue::Fatal(what) => return Err(what),
            Issue::Mismatch(what) => mismatch = mismatch.or(Some(what)),
            Issue::Problem(what) if problems.contains(&what) || problems.len() == MOST_PROBLEMS => {}
            Issue::Problem(what) => problems.push(what),
        }
    }
    match (mismatch, value) {
        (None, Some(value)) => Ok((value, problems)),
        (mismatch, _) => Err(mismatch.unwrap_or_default()),
    }
}

/// What an empty document is.
pub(super) fn empty<T: Record>(gates: &FeatureGates) -> T {
    T::zero(&Scope { gates: *gates, issues: RefCell::default() })
}

/// A type that a value of a document can have.
pub(super) trait Decode: Sized {
    /// Go's name of the type.
    fn go_type() -> String;

    /// The value of a node that is not null. `None` when it does not fit, and has been told of.
    fn decode(at: &At<'_>) -> Option<Self>;

    /// What a null in a list stands for.
    fn zero(scope: &Scope) -> Self;
}

/// A type with fields.
pub(super) trait Record: Sized {
    /// Go's name of the type.
    const GO: &'static str;

    /// Asks for every field that the type has; all others are unknown.
    fn read(fields: &mut Fields<'_>) -> Self;
}

/// A value and the way to it.
pub(super) struct At<'a> {
    pub(super) node: &'a Node,
    /// As problems show it: `profiles[0].plugins`.
    path: String,
    /// As mismatches show it: `profiles.plugins`, and the struct whose field is the last.
    fields: String,
    owner: Option<&'static str>,
    pub(super) scope: &'a Scope,
}

impl<'a> At<'a> {
    fn tell(&self, issue: Issue) {
        self.scope.issues.borrow_mut().push((self.node.at, issue));
    }

    /// The value does not fit.
    pub(super) fn mismatch<T>(&self, wanted: &str) -> Option<T> {
        self.mismatch_of(self.node.word(), wanted)
    }

    fn mismatch_of<T>(&self, found: &str, wanted: &str) -> Option<T> {
        self.tell(Issue::Mismatch(self.mismatch_text(found, wanted)));
        None
    }

    fn mismatch_text(&self, found: &str, wanted: &str) -> String {
        let place = match self.owner {
            Some(owner) => format!("struct field {owner}.{}", self.fields),
            None => "value".to_owned(),
        };
        format!("json: cannot unmarshal {found} into Go {place} of type {wanted}")
    }

    fn problem(&self, what: &str) {
        self.tell(Issue::Problem(format!("{what} {:?}", self.path)));
    }

    /// The value has a decoder of its own, which does not take it.
    pub(super) fn fatal<T>(&self, what: String) -> Option<T> {
        self.tell(Issue::Fatal(what));
        None
    }

    /// An item of this list.
    pub(super) fn item(&self, index: usize, node: &'a Node) -> At<'a> {
        At {
            node,
            path: format!("{}[{index}]", self.path),
            fields: self.fields.clone(),
            owner: self.owner,
            scope: self.scope,
        }
    }

    /// An entry of this map.
    pub(super) fn entry(&self, key: &str, node: &'a Node) -> At<'a> {
        At { path: joined(&self.path, key), ..self.item(0, node) }
    }

    /// A field of this struct.
    pub(super) fn field(&self, owner: &'static str, name: &str, node: &'a Node) -> At<'a> {
        At { fields: joined(&self.fields, name), owner: Some(owner), ..self.entry(name, node) }
    }

    pub(super) fn unknown(&self) {
        self.problem("unknown field");
    }

    pub(super) fn duplicate(&self) {
        self.problem("duplicate field");
    }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// The fields of an object, to be asked for one by one.
pub(super) struct Fields<'a> {
    entries: &'a [(String, Node)],
    /// The object; none where there is only its absence.
    object: Option<&'a At<'a>>,
    scope: &'a Scope,
    owner: &'static str,
    asked: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    pub(super) fn gates(&self) -> &FeatureGates {
        &self.scope.gates
    }

    fn find(&mut self, name: &'static str, embedded: Option<&'static str>) -> Option<At<'a>> {
        self.asked.push(name);
        let object = self.object?;
        let mut found: Option<At<'a>> = None;
        for (_, node) in self.entries.iter().filter(|(key, _)| key == name) {
            let mut at = object.field(self.owner, name, node);
            if let Some(embedded) = embedded {
                at.fields = joined(&joined(&object.fields, embedded), name);
            }
            if found.is_some() {
                at.duplicate();
            }
            found = Some(at);
        }
        found
    }

    /// A field; none where it is absent or does not fit.
    pub(super) fn get<T: Decode>(&mut self, name: &'static str) -> Option<T> {
        self.find(name, None).filter(|at| !at.node.is_null()).and_then(|at| T::decode(&at))
    }

    /// A field of a struct that Go embeds in this one.
    pub(super) fn embedded<T: Decode>(&mut self, part: &'static str, name: &'static str) -> Option<T> {
        self.find(name, Some(part)).filter(|at| !at.node.is_null()).and_then(|at| T::decode(&at))
    }

    /// A field that Go leaves zero where it is absent: text, number or list.
    pub(super) fn plain<T: Decode + Default>(&mut self, name: &'static str) -> T {
        self.get(name).unwrap_or_default()
    }

    /// A duration that is no pointer in Go. Its decoder is asked of a null, too, and takes it for no text.
    pub(super) fn duration(&mut self, name: &'static str) -> SignedDuration {
        self.find(name, None).and_then(|at| SignedDuration::decode(&at)).unwrap_or_default()
    }

    /// A field that is read later, if at all.
    pub(super) fn raw(&mut self, name: &'static str) -> Option<Node> {
        self.find(name, None).map(|at| at.node.clone()).filter(|node| !node.is_null())
    }

    /// The head that a document may have and of which more need not be known.
    pub(super) fn head(&mut self) {
        self.find("apiVersion", None);
        self.find("kind", None);
    }

    fn finish(self) {
        for (key, node) in self.entries {
            if let (Some(object), false) = (self.object, self.asked.contains(&key.as_str())) {
                object.entry(key, node).unknown();
            }
        }
    }
}

impl<T: Record> Decode for T {
    fn go_type() -> String {
        T::GO.to_owned()
    }

    fn decode(at: &At<'_>) -> Option<Self> {
        let Kind::Object(entries) = &at.node.kind else { return at.mismatch(T::GO) };
        let owner = T::GO.rsplit('.').next().unwrap_or(T::GO);
        let mut fields = Fields { entries, object: Some(at), scope: at.scope, owner, asked: Vec::new() };
        let value = T::read(&mut fields);
        fields.finish();
        Some(value)
    }

    fn zero(scope: &Scope) -> Self {
        T::read(&mut Fields { entries: &[], object: None, scope, owner: T::GO, asked: Vec::new() })
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn go_type() -> String {
        format!("[]{}", T::go_type())
    }

    fn decode(at: &At<'_>) -> Option<Self> {
        let Kind::List(items) = &at.node.kind else { return at.mismatch(&Self::go_type()) };
        let item = |(index, node): (usize, &Node)| {
            if node.is_null() { Some(T::zero(at.scope)) } else { T::decode(&at.item(index, node)) }
        };
        Some(items.iter().enumerate().filter_map(item).collect())
    }

    fn zero(_: &Scope) -> Self {
        Self::new()
    }
}

macro_rules! plain {
    ($($type:ty, $go:literal: $at:ident => $decode:expr;)*) => {$(
        impl Decode for $type {
            fn go_type() -> String {
                $go.to_owned()
            }

            fn decode($at: &At<'_>) -> Option<Self> {
                $decode
            }

            fn zero(_: &Scope) -> Self {
                Self::default()
            }
        }
    )*};
}

plain! {
    bool, "bool": at => match at.node.kind {
        Kind::Bool(flag) => Some(flag),
        _ => at.mismatch("bool"),
    };
    String, "string": at => match &at.node.kind {
        Kind::Text(text) => Some(text.clone()),
        _ => at.mismatch("string"),
    };
    i32, "int32": at => integer(at, "int32");
    i64, "int64": at => integer(at, "int64");
    f32, "float32": at => match &at.node.kind {
        Kind::Number(number) => number
            .as_f64()
            .map(|number| number as f32)
            .filter(|number| number.is_finite())
            .or_else(|| at.mismatch_of(&format!("number {number}"), "float32")),
        _ => at.mismatch("float32"),
    };
    SignedDuration, "v1.Duration": at => match &at.node.kind {
        Kind::Null => at.fatal("time: invalid duration \"\"".to_owned()),
        Kind::Text(text) => duration::parse_go(text).or_else(|wrong| at.fatal(wrong).ok_or(())).ok(),
        _ => at.fatal(at.mismatch_text(at.node.word(), "string")),
    };
    Base64, "[]uint8": at => match &at.node.kind {
        Kind::Text(text) => match schema::decode_base64(text) {
            Ok(bytes) => Some(Self(bytes)),
            Err(wrong) => {
                at.tell(Issue::Mismatch(wrong));
                None
            }
        },
        _ => at.mismatch("[]uint8"),
    };
}

/// Bytes that are written in base64.
#[derive(Default)]
pub(super) struct Base64(pub(super) Vec<u8>);

fn integer<T: TryFrom<i64>>(at: &At<'_>, wanted: &str) -> Option<T> {
    let Kind::Number(number) = &at.node.kind else { return at.mismatch(wanted) };
    let fits = number.as_i64().and_then(|number| T::try_from(number).ok());
    fits.or_else(|| at.mismatch_of(&format!("number {number}"), wanted))
}
