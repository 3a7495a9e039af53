//! Reading protobuf: the other form in which clients send built-in objects.
//!
//! client-go's typed clients (and so `kubectl create`, `auth can-i`, `drain`) send
//! `application/vnd.kubernetes.protobuf`: four bytes of magic, then a `runtime.Unknown` that names
//! version and kind and holds the object's own message. The table knows every field's number, so
//! one decoder reads every type into the tree that the same object's JSON would be.
//!
//! gogo's encoders write every field that is no pointer, set or not. A zero therefore says that a
//! field is absent, except where the field is a pointer; `protobuf.txt` lists those, and the messages
//! that JSON inlines.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use base64::Engine;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::table::{self, Entry, Field, Scalar, Shape};

/// What every body starts with.
const MAGIC: &[u8] = b"k8s\0";
/// How deep messages may nest; JSON schemas, the deepest of types, nest no deeper in practice.
const DEPTH: usize = 100;

/// Bytes that are no object in protobuf.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtobufError {
    /// They end too early, or in the middle of something.
    #[error("unexpected EOF")]
    Truncated,
    /// They do not start as they must.
    #[error("provided data does not appear to be a protobuf message, expected prefix {MAGIC:?}")]
    NoMagic,
    /// They hold an object of a type that is not known.
    #[error("no kind {kind:?} is registered for version {api_version:?}")]
    UnknownKind {
        /// `apiVersion`.
        api_version: String,
        /// `kind`.
        kind: String,
    },
    /// A field's bytes are none of its type.
    #[error("{field}: malformed protobuf")]
    Malformed {
        /// The field's JSON name.
        field: &'static str,
    },
}

type Result<T> = std::result::Result<T, ProtobufError>;

/// Reads an object.
///
/// # Errors
///
/// See [`ProtobufError`]; a caller answers 400.
pub fn decode_protobuf(bytes: &[u8]) -> Result<Value> {
    let mut rest = bytes.strip_prefix(MAGIC).ok_or(ProtobufError::NoMagic)?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    while let Some((number, wire)) = next(&mut rest)? {
        match (number, wire) {
            (1, Wire::Bytes(mut meta)) => {
                while let Some((number, wire)) = next(&mut meta)? {
                    match (number, wire) {
                        (1, Wire::Bytes(text)) => api_version = string(text, "apiVersion")?,
                        (2, Wire::Bytes(text)) => kind = string(text, "kind")?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(inner)) => raw = inner,
            _ => {}
        }
    }
    let Some(entry) = root(&api_version, &kind) else {
        return Err(ProtobufError::UnknownKind { api_version, kind });
    };
    let mut object = message(entry, raw, 0)?;
    object.insert("apiVersion".into(), api_version.into());
    object.insert("kind".into(), kind.into());
    Ok(Value::Object(object))
}

/// The type of this version and kind: Go packages are named for the first word of their group.
/// Options have their type in `meta.v1` whatever group they are sent to.
fn root(api_version: &str, kind: &str) -> Option<&'static Entry> {
    let (group, version) = api_version.split_once('/').unwrap_or(("core", api_version));
    let package = group.split('.').next().unwrap_or_default();
    let own = format!("{package}.{version}.{kind}");
    let shared = format!("meta.v1.{kind}");
    let named = |name: &str| {
        table::all().filter(|entry| entry.short() == kind).find(|entry| short_name(entry) == name)
    };
    named(&own).or_else(|| named(&shared))
}

fn message(entry: &'static Entry, bytes: &[u8], depth: usize) -> Result<Map<String, Value>> {
    let mut object = Map::new();
    fill(entry, &mut object, bytes, depth)?;
    Ok(object)
}

/// Reads the fields of a message into the object that it is.
fn fill(
    entry: &'static Entry,
    object: &mut Map<String, Value>,
    mut bytes: &[u8],
    depth: usize,
) -> Result<()> {
    if depth > DEPTH {
        return Err(ProtobufError::Truncated);
    }
    let short = short_name(entry);
    while let Some((number, wire)) = next(&mut bytes)? {
        if let Some((_, _, inlined)) = entry.get().inline.iter().find(|(_, own, _)| *own == number) {
            inline(entry, inlined, object, wire, depth)?;
        } else if let Some(field) = entry.fields().iter().find(|field| field.number == Some(number)) {
            put(field, optional(&short, field.name), object, wire, depth)?;
        }
    }
    Ok(())
}

/// Reads a message that JSON inlines: its fields are the outer object's.
fn inline(
    entry: &'static Entry,
    inlined: &str,
    object: &mut Map<String, Value>,
    wire: Wire<'_>,
    depth: usize,
) -> Result<()> {
    let Wire::Bytes(mut bytes) = wire else { return Ok(()) };
    if inlined == "string" {
        // A field whose protobuf name is written otherwise than its JSON name.
        if let Some(field) = entry.fields().iter().find(|field| field.inline) {
            put(field, false, object, wire, depth)?;
        }
        return Ok(());
    }
    let package = entry.name().strip_suffix(entry.short()).unwrap_or_default();
    let own = table::find(&format!("{package}{inlined}"));
    let short = short_of(package, inlined);
    let listed = facts().messages.get(short.as_str());
    while let Some((number, wire)) = next(&mut bytes)? {
        if let Some(nested) = own.and_then(|own| own.get().inline.iter().find(|(_, at, _)| *at == number)) {
            inline(entry, nested.2, object, wire, depth)?;
            continue;
        }
        let name = match (own, listed) {
            (Some(own), _) => {
                own.fields().iter().find(|field| field.number == Some(number)).map(|field| field.name)
            }
            (None, Some(listed)) => listed.get(&number).copied(),
            (None, None) => None,
        };
        // The shape is that of the outer type's field.
        if let Some(field) = name.and_then(|name| entry.field(name)) {
            put(field, optional(&short, field.name), object, wire, depth)?;
        }
    }
    Ok(())
}

/// Puts what one occurrence of a field says into the object.
fn put(
    field: &'static Field,
    pointer: bool,
    object: &mut Map<String, Value>,
    wire: Wire<'_>,
    depth: usize,
) -> Result<()> {
    let malformed = || ProtobufError::Malformed { field: field.name };
    match field.shape.resolved() {
        Shape::List(item) => {
            let list = object.entry(field.name).or_insert_with(|| Value::Array(Vec::new()));
            let list = list.as_array_mut().ok_or_else(malformed)?;
            match (item.resolved(), wire) {
                // Numbers may be packed.
                (Shape::Scalar(Scalar::Int32 | Scalar::Int64), Wire::Bytes(mut packed)) => {
                    while !packed.is_empty() {
                        list.push((varint(&mut packed)? as i64).into());
                    }
                }
                _ => list.push(value(item, field.name, wire, depth)?),
            }
        }
        Shape::Map(item) => {
            let Wire::Bytes(mut bytes) = wire else { return Err(malformed()) };
            let (mut key, mut found) = (String::new(), None);
            while let Some((number, wire)) = next(&mut bytes)? {
                match (number, wire) {
                    (1, Wire::Bytes(text)) => key = string(text, field.name)?,
                    (2, wire) => found = Some(value(item, field.name, wire, depth)?),
                    _ => {}
                }
            }
            let found = match found {
                Some(found) => found,
                None => empty(item),
            };
            let map = object.entry(field.name).or_insert_with(|| Value::Object(Map::new()));
            map.as_object_mut().ok_or_else(malformed)?.insert(key, found);
        }
        Shape::Named(entry) => {
            let Wire::Bytes(bytes) = wire else { return Err(malformed()) };
            // Occurrences of a message are merged, as protobuf wants it.
            let inner = object.entry(field.name).or_insert_with(|| Value::Object(Map::new()));
            fill(entry, inner.as_object_mut().ok_or_else(malformed)?, bytes, depth + 1)?;
        }
        Shape::Scalar(_) => {
            let found = value(&field.shape, field.name, wire, depth)?;
            let zero = match &found {
                Value::String(text) => text.is_empty(),
                Value::Bool(flag) => !flag,
                Value::Number(number) => number.as_f64() == Some(0.0),
                Value::Null => true,
                Value::Array(_) | Value::Object(_) => false,
            };
            let unset = zero && !pointer && !field.required;
            // A time, a quantity or raw JSON that says nothing is absent whatever the field is.
            if !unset && !found.is_null() {
                object.insert(field.name.into(), found);
            }
        }
    }
    Ok(())
}

/// One value.
fn value(shape: &Shape, field: &'static str, wire: Wire<'_>, depth: usize) -> Result<Value> {
    let malformed = || ProtobufError::Malformed { field };
    let scalar = match shape.resolved() {
        Shape::Named(entry) => {
            let Wire::Bytes(bytes) = wire else { return Err(malformed()) };
            return message(entry, bytes, depth + 1).map(Value::Object);
        }
        // A named list is a message around its items.
        Shape::List(item) => {
            let Wire::Bytes(mut bytes) = wire else { return Err(malformed()) };
            let mut items = Vec::new();
            while let Some((number, wire)) = next(&mut bytes)? {
                if number == 1 {
                    items.push(value(item, field, wire, depth + 1)?);
                }
            }
            return Ok(Value::Array(items));
        }
        Shape::Map(_) => return Err(malformed()),
        Shape::Scalar(scalar) => *scalar,
    };
    Ok(match (scalar, wire) {
        (Scalar::String, Wire::Bytes(text)) => string(text, field)?.into(),
        (Scalar::Bytes, Wire::Bytes(bytes)) => base64::engine::general_purpose::STANDARD.encode(bytes).into(),
        (Scalar::Bool, Wire::Varint(number)) => (number != 0).into(),
        (Scalar::Int32, Wire::Varint(number)) => (number as i32).into(),
        (Scalar::Int64, Wire::Varint(number)) => (number as i64).into(),
        (Scalar::Double, Wire::Fixed64(bits)) => f64::from_bits(bits).into(),
        (Scalar::Time, Wire::Bytes(bytes)) => time(bytes, false).ok_or_else(malformed)?,
        (Scalar::MicroTime, Wire::Bytes(bytes)) => time(bytes, true).ok_or_else(malformed)?,
        (Scalar::Quantity, Wire::Bytes(mut bytes)) => {
            let mut text = Value::Null;
            while let Some((number, wire)) = next(&mut bytes)? {
                if let (1, Wire::Bytes(found)) = (number, wire) {
                    text = string(found, field)?.into();
                }
            }
            text
        }
        (Scalar::IntOrString, Wire::Bytes(mut bytes)) => {
            let (mut is_text, mut number_value, mut text) = (false, 0, String::new());
            while let Some((number, wire)) = next(&mut bytes)? {
                match (number, wire) {
                    (1, Wire::Varint(kind)) => is_text = kind == 1,
                    (2, Wire::Varint(found)) => number_value = found as i32,
                    (3, Wire::Bytes(found)) => text = string(found, field)?,
                    _ => {}
                }
            }
            if is_text { text.into() } else { number_value.into() }
        }
        (Scalar::Any | Scalar::Object, Wire::Bytes(mut bytes)) => {
            let mut found = Value::Null;
            while let Some((number, wire)) = next(&mut bytes)? {
                if let (1, Wire::Bytes(json)) = (number, wire)
                    && !json.is_empty()
                {
                    found = serde_json::from_slice(json).map_err(|_| malformed())?;
                }
            }
            found
        }
        _ => return Err(malformed()),
    })
}

/// What an entry of a map is that was not written.
fn empty(shape: &Shape) -> Value {
    match shape.resolved() {
        Shape::Scalar(Scalar::String | Scalar::Bytes) => "".into(),
        Shape::Scalar(Scalar::Int32 | Scalar::Int64) => 0.into(),
        Shape::Scalar(Scalar::Bool) => false.into(),
        Shape::List(_) => Value::Array(Vec::new()),
        _ => Value::Object(Map::new()),
    }
}

/// Seconds and nanoseconds; null for the zero time.
fn time(mut bytes: &[u8], micro: bool) -> Option<Value> {
    let (mut seconds, mut nanos) = (0i64, 0i32);
    while let Some((number, wire)) = next(&mut bytes).ok()? {
        match (number, wire) {
            (1, Wire::Varint(found)) => seconds = found as i64,
            (2, Wire::Varint(found)) => nanos = found as i32,
            _ => {}
        }
    }
    if (seconds, nanos) == (0, 0) {
        return Some(Value::Null);
    }
    let time = Timestamp::new(seconds, if micro { nanos } else { 0 }).ok()?;
    Some(if micro { format!("{time:.6}") } else { format!("{time:.0}") }.into())
}

/// A field's value as it stands on the wire.
#[derive(Clone, Copy, Debug)]
enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32,
    Bytes(&'a [u8]),
}

/// The next field: its number and value; none at the end.
fn next<'a>(bytes: &mut &'a [u8]) -> Result<Option<(u32, Wire<'a>)>> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let tag = varint(bytes)?;
    let number = u32::try_from(tag >> 3).map_err(|_| ProtobufError::Truncated)?;
    let wire = match tag & 7 {
        0 => Wire::Varint(varint(bytes)?),
        1 => {
            let (eight, rest) = bytes.split_first_chunk::<8>().ok_or(ProtobufError::Truncated)?;
            *bytes = rest;
            Wire::Fixed64(u64::from_le_bytes(*eight))
        }
        2 => {
            let length = usize::try_from(varint(bytes)?).map_err(|_| ProtobufError::Truncated)?;
            let (inner, rest) = bytes.split_at_checked(length).ok_or(ProtobufError::Truncated)?;
            *bytes = rest;
            Wire::Bytes(inner)
        }
        5 => {
            let (_, rest) = bytes.split_first_chunk::<4>().ok_or(ProtobufError::Truncated)?;
            *bytes = rest;
            Wire::Fixed32
        }
        _ => return Err(ProtobufError::Truncated),
    };
    Ok(Some((number, wire)))
}

fn varint(bytes: &mut &[u8]) -> Result<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(ProtobufError::Truncated)?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(ProtobufError::Truncated)
}

fn string(bytes: &[u8], field: &'static str) -> Result<String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| ProtobufError::Malformed { field })
}

/// What `protobuf.txt` holds.
#[derive(Debug, Default)]
struct Facts {
    optional: BTreeMap<&'static str, Vec<&'static str>>,
    messages: BTreeMap<&'static str, BTreeMap<u32, &'static str>>,
}

fn facts() -> &'static Facts {
    static FACTS: OnceLock<Facts> = OnceLock::new();
    FACTS.get_or_init(|| {
        let mut facts = Facts::default();
        for line in include_str!("protobuf.txt").lines() {
            let mut words = line.split(' ');
            match (words.next(), words.next()) {
                (Some("optional"), Some(name)) => {
                    facts.optional.insert(name, words.collect());
                }
                (Some("message"), Some(name)) => {
                    let fields = words.filter_map(|word| word.split_once('='));
                    let fields =
                        fields.filter_map(|(field, number)| Some((number.parse().ok()?, field))).collect();
                    facts.messages.insert(name, fields);
                }
                _ => {}
            }
        }
        facts
    })
}

/// Whether a scalar field is a pointer.
fn optional(short: &str, field: &str) -> bool {
    facts().optional.get(short).is_some_and(|fields| fields.contains(&field))
}

/// `core.v1.Pod`, for `io.k8s.api.core.v1.Pod`.
fn short_name(entry: &Entry) -> String {
    short_of(entry.name().strip_suffix(entry.short()).unwrap_or_default(), entry.short())
}

fn short_of(package: &str, name: &str) -> String {
    let mut parts = package.trim_end_matches('.').rsplit('.');
    let (version, group) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    format!("{group}.{version}.{name}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A field of bytes.
    fn bytes(number: u8, inner: &[u8]) -> Vec<u8> {
        let length = u8::try_from(inner.len()).unwrap();
        assert!(length < 128);
        [&[number << 3 | 2, length][..], inner].concat()
    }

    fn int(number: u8, value: u8) -> Vec<u8> {
        vec![number << 3, value]
    }

    fn envelope(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = [bytes(1, api_version.as_bytes()), bytes(2, kind.as_bytes())].concat();
        [MAGIC, &bytes(1, &meta), &bytes(2, raw)].concat()
    }

    #[test]
    fn an_object_is_the_tree_that_its_json_would_be() {
        // Unset strings and times are written by gogo; JSON leaves them out.
        let metadata = [
            bytes(1, b"web"),
            bytes(2, b""),
            bytes(8, b""),
            bytes(11, &[bytes(1, b"a"), bytes(2, b"b")].concat()),
        ];
        let data = bytes(2, &[bytes(1, b"k"), bytes(2, b"v")].concat());
        let raw = [bytes(1, &metadata.concat()), data].concat();
        assert_eq!(
            decode_protobuf(&envelope("v1", "ConfigMap", &raw)),
            Ok(json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": "v"},
                "metadata": {"name": "web", "labels": {"a": "b"}}}))
        );
    }

    #[test]
    fn a_zero_counts_where_the_field_is_a_pointer() {
        // replicas is a pointer, minReadySeconds is not.
        let spec = [int(1, 0), int(5, 0)].concat();
        let raw = bytes(2, &spec);
        let tree = decode_protobuf(&envelope("apps/v1", "Deployment", &raw)).unwrap();
        assert_eq!(tree["spec"], json!({"replicas": 0}));
    }

    #[test]
    fn an_inlined_message_is_part_of_its_outer_object() {
        // A probe: its handler is a message of its own, with an HTTP get in it.
        let port = [int(1, 0), vec![2 << 3, 0x90, 0x3f], bytes(3, b"")].concat();
        let handler = bytes(2, &[bytes(1, b"/ok"), bytes(2, &port)].concat());
        let probe = [bytes(1, &handler), int(2, 0), int(3, 7)].concat();
        let container = [bytes(1, b"web"), bytes(10, &probe)].concat();
        let raw = bytes(2, &bytes(2, &container));
        let tree = decode_protobuf(&envelope("v1", "Pod", &raw)).unwrap();
        assert_eq!(
            tree["spec"]["containers"],
            json!([{"name": "web", "livenessProbe": {"httpGet": {"path": "/ok", "port": 8080}, "timeoutSeconds": 7}}])
        );
    }

    #[test]
    fn what_is_no_object_is_refused() {
        assert_eq!(decode_protobuf(b"{}"), Err(ProtobufError::NoMagic));
        let whole = envelope("v1", "Pod", &bytes(1, &bytes(1, b"web")));
        let named = envelope("v1", "Pod", b"").len() - 2;
        for end in 5..whole.len() {
            // Cut off anywhere, it is malformed or has no kind yet; but right behind the kind it is empty.
            assert_eq!(decode_protobuf(&whole[..end]).is_err(), end != named, "{end}");
        }
        assert!(matches!(
            decode_protobuf(&envelope("v1", "Cake", b"")),
            Err(ProtobufError::UnknownKind { .. })
        ));
        assert!(decode_protobuf(&envelope("v1", "Pod", &bytes(1, &int(1, 3)))).is_err());
    }

    #[test]
    fn the_facts_name_types_and_fields_of_the_table() {
        let names: Vec<String> = table::all().map(short_name).collect();
        for (name, fields) in &facts().optional {
            let Some(at) = names.iter().position(|own| own == name) else {
                assert!(facts().messages.contains_key(name), "{name}");
                continue;
            };
            let entry = table::all().nth(at).unwrap();
            for field in fields {
                assert!(entry.field(field).is_some(), "{name}.{field}");
            }
        }
    }
}
