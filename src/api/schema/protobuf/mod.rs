//! Protobuf: the other form in which built-in objects are sent and stored.
//!
//! client-go's typed clients (and so `kubectl create`, `auth can-i`, `drain`) send and ask for
//! `application/vnd.kubernetes.protobuf`, and a kube-apiserver stores it: four bytes of magic, then a
//! `runtime.Unknown` that names version and kind and holds the object's own message. The table knows
//! every field's number, so one reader and one writer serve every type.
//!
//! Custom resources have no protobuf.

use std::borrow::Borrow;

use serde_json::{Map, Value};

use self::wire::{nested, next, put_bytes};

mod message;
mod read;
pub(in crate::api::schema) mod wire;
mod write;

pub(super) use message::{is_omitted, zeros};

/// What every body starts with.
pub(crate) const MAGIC: &[u8] = b"k8s\0";

/// Bytes that are no object in protobuf, or an object that has none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtobufError {
    /// They end too early.
    #[error("unexpected EOF")]
    Truncated,
    /// They do not start as they must.
    #[error("provided data does not appear to be a protobuf message, expected prefix {MAGIC:?}")]
    NoMagic,
    /// Nothing follows the start.
    #[error("empty body")]
    Empty,
    /// A number is longer than any.
    #[error("proto: integer overflow")]
    Overflow,
    /// A length is longer than any.
    #[error("proto: negative length found during unmarshaling")]
    NegativeLength,
    /// A field has a number that none has.
    #[error("proto: illegal tag {number} (wire type {tag})")]
    IllegalTag {
        /// The number.
        number: i32,
        /// The tag that it is from.
        tag: u64,
    },
    /// A field is written in a way that does not exist.
    #[error("proto: illegal wireType {wire}")]
    IllegalWireType {
        /// The way.
        wire: u8,
    },
    /// A field is written as its type is not.
    #[error("proto: wrong wireType = {wire} for field {field}")]
    WrongWireType {
        /// How it is written.
        wire: u8,
        /// The field's JSON name.
        field: &'static str,
    },
    /// Messages nest deeper than JSON may.
    #[error("{field}: exceeded max depth")]
    TooDeep {
        /// The JSON name of the field that goes too deep.
        field: &'static str,
    },
    /// The object is of a type that is not known, or has no protobuf.
    #[error("no kind {kind:?} is registered for version {api_version:?}")]
    UnknownKind {
        /// `apiVersion`.
        api_version: String,
        /// `kind`.
        kind: String,
    },
    /// A field's value is none of its type.
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
    decode_stored_protobuf(bytes, |_, _| None)
}

/// The same of what is stored: a type that is not known, by its version and kind, is read as its kind of the
/// version that is written like it.
pub(crate) fn decode_stored_protobuf(
    bytes: &[u8],
    alike: impl FnOnce(&str, &str) -> Option<String>,
) -> Result<Value> {
    let mut rest = bytes.strip_prefix(MAGIC).ok_or(ProtobufError::NoMagic)?;
    if rest.is_empty() {
        return Err(ProtobufError::Empty);
    }
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    while let Some((number, wire)) = next(&mut rest)? {
        match number {
            1 => {
                let mut meta = wire.bytes("typeMeta")?;
                while let Some((number, wire)) = next(&mut meta)? {
                    match number {
                        1 => api_version = read::string(wire, "apiVersion")?,
                        2 => kind = read::string(wire, "kind")?,
                        _ => {}
                    }
                }
            }
            2 => raw = wire.bytes("raw")?,
            _ => {}
        }
    }
    let known = message::root(&api_version, &kind);
    let known = known.or_else(|| message::root(&alike(&api_version, &kind)?, &kind));
    let Some(known) = known else {
        return Err(ProtobufError::UnknownKind { api_version, kind });
    };
    let mut object = Map::new();
    read::fill(known.message(), &mut object, raw, 0)?;
    if !api_version.is_empty() {
        object.insert("apiVersion".into(), api_version.into());
    }
    object.insert("kind".into(), kind.into());
    Ok(Value::Object(object))
}

/// Writes an object, as its `apiVersion` and `kind` say, in the very bytes that Kubernetes writes.
///
/// # Errors
///
/// [`ProtobufError::UnknownKind`] for a custom resource or a kind that has no protobuf, such as
/// `Table`; [`ProtobufError::Malformed`] where the tree does not fit its type.
pub fn encode_protobuf(tree: &Value) -> Result<Vec<u8>> {
    let text = |name| tree.get(name).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let known = known(api_version, kind)?;
    let object = tree.as_object().ok_or(ProtobufError::Malformed { field: "kind" })?;
    envelope(api_version, kind, |out| write::message(known.message(), object, out))
}

/// Writes a list of objects of this version and kind: an answer to a client, without a tree of it all.
///
/// # Errors
///
/// As [`encode_protobuf`].
pub fn encode_protobuf_list<T: Borrow<Value>>(
    api_version: &str,
    item_kind: &str,
    metadata: &Value,
    items: impl Iterator<Item = T>,
) -> Result<Vec<u8>> {
    let item = known(api_version, item_kind)?;
    let meta = message::meta("ListMeta").ok_or(ProtobufError::Malformed { field: "metadata" })?;
    let nothing = Map::new();
    // Lists of metadata once had none of their own, which has the other number since.
    let late = (api_version, item_kind) == ("meta.k8s.io/v1beta1", "PartialObjectMetadata");
    let metadata = |out: &mut Vec<u8>| {
        let metadata = metadata.as_object().unwrap_or(&nothing);
        nested(out, if late { 2 } else { 1 }, |out| write::message(meta.message(), metadata, out))
    };
    envelope(api_version, &format!("{item_kind}List"), |out| {
        if !late {
            metadata(out)?;
        }
        for object in items {
            let object = object.borrow().as_object().unwrap_or(&nothing);
            nested(out, if late { 1 } else { 2 }, |out| write::message(item.message(), object, out))?;
        }
        if late { metadata(out) } else { Ok(()) }
    })
}

/// Writes one event of a watch, such as `ADDED`: its length in four bytes, then a `WatchEvent`, in which
/// the object stands as [`encode_protobuf`] has written it.
///
/// # Errors
///
/// [`ProtobufError::Malformed`] for one of more than 4 GiB.
pub fn encode_protobuf_event(kind: &str, object: &[u8]) -> Result<Vec<u8>> {
    let mut out = vec![0; 4];
    put_bytes(&mut out, 1, kind.as_bytes());
    nested(&mut out, 2, |out| {
        put_bytes(out, 1, object);
        Ok(())
    })?;
    let length = u32::try_from(out.len() - 4).map_err(|_| ProtobufError::Malformed { field: "object" })?;
    out[..4].copy_from_slice(&length.to_be_bytes());
    Ok(out)
}

/// The magic and a `runtime.Unknown` around an object's own message.
fn envelope(api_version: &str, kind: &str, raw: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<Vec<u8>> {
    let mut out = MAGIC.to_vec();
    nested(&mut out, 1, |out| {
        put_bytes(out, 1, api_version.as_bytes());
        put_bytes(out, 2, kind.as_bytes());
        Ok(())
    })?;
    nested(&mut out, 2, raw)?;
    // Content encoding and content type, which are said of other content only.
    put_bytes(&mut out, 3, &[]);
    put_bytes(&mut out, 4, &[]);
    Ok(out)
}

fn known(api_version: &str, kind: &str) -> Result<&'static message::Known> {
    message::root(api_version, kind).ok_or_else(|| ProtobufError::UnknownKind {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
    })
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_filled;
#[cfg(test)]
mod tests_typed;
