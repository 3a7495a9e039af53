//! OpenAPI v2 in protobuf, which is all that client-go reads of it.
//!
//! Source: `openapiv2/OpenAPIv2.proto` of `github.com/google/gnostic-models` 0.7.

use serde_json::Value;

use crate::api::schema::protobuf::wire::{put_bytes, put_fixed64, put_varint};

/// How a field is written.
#[derive(Clone, Copy)]
enum Form {
    Text,
    Texts,
    Flag,
    Int,
    Number,
    /// Any JSON, as YAML.
    Any,
    Anys,
    /// A message.
    One(&'static Message),
    Each(&'static Message),
    /// The same as the first field of a message of its own: gnostic's way to say one of several.
    Item(&'static Message),
    /// A text as a list of texts in a message of its own.
    TextItem,
    /// A map: a message whose field of this number is a name and a message, each; the latter is that field of
    /// a message of its own where a second number says so.
    Names(u32, Option<u32>, &'static Message),
    /// A schema, or whether there may be any.
    SchemaOrFlag,
    Parameters,
    Security,
}

use Form::*;

/// Fields by their names in JSON, and the number of those whose names begin with `x-`.
struct Message {
    fields: &'static [(&'static str, u32, Form)],
    extensions: u32,
}

static DOCUMENT: Message = Message {
    fields: &[
        ("swagger", 1, Text),
        ("info", 2, One(&INFO)),
        ("schemes", 5, Texts),
        ("consumes", 6, Texts),
        ("produces", 7, Texts),
        ("paths", 8, Names(2, None, &PATH_ITEM)),
        ("definitions", 9, Names(1, None, &SCHEMA)),
        ("security", 12, Security),
        ("securityDefinitions", 13, Names(1, Some(2), &API_KEY)),
    ],
    extensions: 16,
};

static INFO: Message =
    Message { fields: &[("title", 1, Text), ("version", 2, Text), ("description", 3, Text)], extensions: 7 };

static PATH_ITEM: Message = Message {
    fields: &[
        ("get", 2, One(&OPERATION)),
        ("put", 3, One(&OPERATION)),
        ("post", 4, One(&OPERATION)),
        ("delete", 5, One(&OPERATION)),
        ("options", 6, One(&OPERATION)),
        ("head", 7, One(&OPERATION)),
        ("patch", 8, One(&OPERATION)),
        ("parameters", 9, Parameters),
    ],
    extensions: 10,
};

static OPERATION: Message = Message {
    fields: &[
        ("tags", 1, Texts),
        ("summary", 2, Text),
        ("description", 3, Text),
        ("operationId", 5, Text),
        ("produces", 6, Texts),
        ("consumes", 7, Texts),
        ("parameters", 8, Parameters),
        ("responses", 9, Names(1, Some(1), &RESPONSE)),
        ("schemes", 10, Texts),
        ("deprecated", 11, Flag),
        ("security", 12, Security),
    ],
    extensions: 13,
};

static RESPONSE: Message =
    Message { fields: &[("description", 1, Text), ("schema", 2, Item(&SCHEMA))], extensions: 5 };

static BODY: Message = Message {
    fields: &[
        ("description", 1, Text),
        ("name", 2, Text),
        ("in", 3, Text),
        ("required", 4, Flag),
        ("schema", 5, One(&SCHEMA)),
    ],
    extensions: 6,
};

static QUERY: Message = Message {
    fields: &[
        ("required", 1, Flag),
        ("in", 2, Text),
        ("description", 3, Text),
        ("name", 4, Text),
        ("type", 6, Text),
        ("format", 7, Text),
        ("uniqueItems", 20, Flag),
    ],
    extensions: 23,
};

static PATH: Message = Message {
    fields: &[
        ("required", 1, Flag),
        ("in", 2, Text),
        ("description", 3, Text),
        ("name", 4, Text),
        ("type", 5, Text),
        ("format", 6, Text),
        ("uniqueItems", 19, Flag),
    ],
    extensions: 22,
};

static API_KEY: Message = Message {
    fields: &[("type", 1, Text), ("name", 2, Text), ("in", 3, Text), ("description", 4, Text)],
    extensions: 5,
};

static SCHEMA: Message = Message {
    fields: &[
        ("$ref", 1, Text),
        ("format", 2, Text),
        ("title", 3, Text),
        ("description", 4, Text),
        ("default", 5, Any),
        ("multipleOf", 6, Number),
        ("maximum", 7, Number),
        ("exclusiveMaximum", 8, Flag),
        ("minimum", 9, Number),
        ("exclusiveMinimum", 10, Flag),
        ("maxLength", 11, Int),
        ("minLength", 12, Int),
        ("pattern", 13, Text),
        ("maxItems", 14, Int),
        ("minItems", 15, Int),
        ("uniqueItems", 16, Flag),
        ("maxProperties", 17, Int),
        ("minProperties", 18, Int),
        ("required", 19, Texts),
        ("enum", 20, Anys),
        ("additionalProperties", 21, SchemaOrFlag),
        ("type", 22, TextItem),
        ("items", 23, Item(&SCHEMA)),
        ("allOf", 24, Each(&SCHEMA)),
        ("properties", 25, Names(1, None, &SCHEMA)),
        ("example", 30, Any),
    ],
    extensions: 31,
};

/// Encodes an OpenAPI v2 document, such as [`openapi_v2`](super::openapi_v2) makes. What gnostic has no field
/// for is left out.
#[must_use]
pub fn encode_openapi_v2(document: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    message(document, &DOCUMENT, &mut out);
    out
}

fn message(value: &Value, kind: &Message, out: &mut Vec<u8>) {
    let Value::Object(map) = value else { return };
    for (name, number, form) in kind.fields {
        if let Some(value) = map.get(*name) {
            field(value, *number, *form, out);
        }
    }
    for (name, value) in map.iter().filter(|(name, _)| name.starts_with("x-")) {
        nested(kind.extensions, out, |out| {
            put_bytes(out, 1, name.as_bytes());
            any(2, value, out);
        });
    }
}

fn field(value: &Value, number: u32, form: Form, out: &mut Vec<u8>) {
    let items = || value.as_array().into_iter().flatten();
    match form {
        Text => put_bytes(out, number, value.as_str().unwrap_or_default().as_bytes()),
        Texts => items().for_each(|item| field(item, number, Text, out)),
        Flag => put_varint(out, number, u64::from(*value == true)),
        Int => put_varint(out, number, value.as_i64().unwrap_or_default().cast_unsigned()),
        Number => put_fixed64(out, number, value.as_f64().unwrap_or_default().to_bits()),
        Any => any(number, value, out),
        Anys => items().for_each(|item| any(number, item, out)),
        One(kind) => nested(number, out, |out| message(value, kind, out)),
        Each(kind) => items().for_each(|item| nested(number, out, |out| message(item, kind, out))),
        Item(kind) => nested(number, out, |out| field(value, 1, One(kind), out)),
        TextItem => nested(number, out, |out| field(value, 1, Text, out)),
        Names(each, within, kind) => nested(number, out, |out| {
            for (name, value) in value.as_object().into_iter().flatten() {
                nested(each, out, |out| {
                    put_bytes(out, 1, name.as_bytes());
                    match within {
                        None => field(value, 2, One(kind), out),
                        Some(inner) => nested(2, out, |out| field(value, inner, One(kind), out)),
                    }
                });
            }
        }),
        SchemaOrFlag => nested(number, out, |out| match value {
            Value::Bool(_) => field(value, 2, Flag, out),
            _ => field(value, 1, One(&SCHEMA), out),
        }),
        Parameters => items().for_each(|item| {
            nested(number, out, |out| nested(1, out, |out| parameter(item, out)));
        }),
        Security => items().for_each(|item| {
            nested(number, out, |out| {
                for (name, scopes) in item.as_object().into_iter().flatten() {
                    nested(1, out, |out| {
                        put_bytes(out, 1, name.as_bytes());
                        nested(2, out, |out| field(scopes, 1, Texts, out));
                    });
                }
            });
        }),
    }
}

/// One of the kinds of parameters.
fn parameter(value: &Value, out: &mut Vec<u8>) {
    match value["in"].as_str() {
        Some("body") => field(value, 1, One(&BODY), out),
        Some("path") => nested(2, out, |out| field(value, 4, One(&PATH), out)),
        _ => nested(2, out, |out| field(value, 3, One(&QUERY), out)),
    }
}

/// JSON is YAML, which is what gnostic keeps.
fn any(number: u32, value: &Value, out: &mut Vec<u8>) {
    nested(number, out, |out| put_bytes(out, 2, value.to_string().as_bytes()));
}

/// A field of bytes that `write` writes.
fn nested(number: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    write(&mut inner);
    put_bytes(out, number, &inner);
}
