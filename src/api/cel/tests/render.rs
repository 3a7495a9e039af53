//! Values as the recordings write them: without doubt about their types.

use super::super::{Type, Value};

pub(super) fn render(value: &Value<'_>) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Uint(number) => format!("{number}u"),
        Value::Double(number) => format!("double({})", super::super::value::double_text(*number)),
        Value::String(text) => quoted(text),
        Value::Bytes(octets) => {
            format!("bytes({})", octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>())
        }
        Value::Duration(nanoseconds) => format!("duration({nanoseconds})"),
        Value::Timestamp(time) => {
            let (seconds, fraction) = (time.seconds(), time.nanoseconds().rem_euclid(1_000_000_000));
            format!("timestamp({seconds}.{fraction:09})")
        }
        Value::Optional(None) => "optional.none".to_owned(),
        Value::Optional(Some(value)) => format!("optional({})", render(value)),
        Value::List(list) => {
            let parts = list.elements().map(|it| it.map_or_else(|fault| fault.to_string(), |it| render(&it)));
            format!("[{}]", parts.collect::<Vec<_>>().join(", "))
        }
        Value::Map(map) => {
            let entry = |(key, value): (Value<'_>, Result<Value<'_>, _>)| {
                let value =
                    value.map_or_else(|fault: super::Fault| fault.to_string(), |value| render(&value));
                format!("{}: {value}", render(&key))
            };
            let mut entries: Vec<String> = map.entries().into_iter().map(entry).collect();
            entries.sort();
            format!("{{{}}}", entries.join(", "))
        }
        Value::Object(object) => {
            let field =
                |(name, value): (&std::sync::Arc<str>, &Value<'_>)| format!("{name}: {}", render(value));
            let fields: Vec<String> = object.fields().iter().map(field).collect();
            format!("{}{{{}}}", object.name(), fields.join(", "))
        }
        Value::Type(kind) => format!(
            "type({})",
            match kind {
                Type::Null => "null_type",
                kind => kind.name(),
            }
        ),
        other => format!("{}({})", other.kind().name(), super::super::value::show(other)),
    }
}

/// Go's `%+q`: everything but ASCII is escaped.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        if let Some(escape) = super::super::value::escape(c) {
            quoted.push_str(escape);
            continue;
        }
        match (c, u32::from(c)) {
            (' '..='~', _) => quoted.push(c),
            (_, point @ 0..0x80) => quoted.push_str(&format!("\\x{point:02x}")),
            (_, point @ 0..0x1_0000) => quoted.push_str(&format!("\\u{point:04x}")),
            (_, point) => quoted.push_str(&format!("\\U{point:08x}")),
        }
    }
    quoted.push('"');
    quoted
}
