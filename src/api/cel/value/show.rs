//! Values as messages show them.

use std::fmt::Write;

use super::Value;
use super::convert::{double_text, duration_text};

/// The most characters of a value that a message shows.
const SHOWN: usize = 1_000;

/// Go's `%v`, roughly: the whole of a simple value, and the beginning of a large one.
pub(in super::super) fn show(value: &Value<'_>) -> String {
    let mut text = String::new();
    write(&mut text, value);
    text
}

fn write(text: &mut String, value: &Value<'_>) {
    if text.len() > SHOWN {
        return;
    }
    let _ = match value {
        Value::Null => text.write_str("null"),
        Value::Bool(truth) => write!(text, "{truth}"),
        Value::Int(number) => write!(text, "{number}"),
        Value::Uint(number) => write!(text, "{number}"),
        Value::Double(number) => text.write_str(&double_text(*number)),
        Value::String(it) => it.chars().take(SHOWN).try_for_each(|c| text.write_char(c)),
        Value::Bytes(octets) => write!(text, "{:?}", &octets[..octets.len().min(SHOWN)]),
        Value::Duration(it) => text.write_str(&duration_text(*it)),
        Value::Timestamp(time) => write!(text, "{time}"),
        Value::List(list) => {
            text.push('[');
            for (index, value) in list.iter().enumerate().take_while(|(index, _)| *index < SHOWN) {
                let _ = text.write_str(if index == 0 { "" } else { ", " });
                if let Ok(value) = value {
                    write(text, &value);
                }
            }
            text.write_char(']')
        }
        Value::Optional(None) => text.write_str("optional.none()"),
        Value::Optional(Some(value)) => {
            text.push_str("optional(");
            write(text, value);
            text.write_char(')')
        }
        Value::Type(kind) => text.write_str(kind.name()),
        Value::Url(url) => text.write_str(&url.text()),
        Value::Ip(address) => write!(text, "{address}"),
        Value::Cidr(address, prefix) => write!(text, "{address}/{prefix}"),
        Value::Quantity(quantity) => write!(text, "{quantity}"),
        Value::Semver(version) => write!(text, "{version}"),
        Value::Format(format) => text.write_str(format.name),
        Value::Map(_) | Value::Object(_) | Value::Preserved(_) => text.write_str(value.kind().name()),
    };
}

/// Go's `%q`.
pub(in super::super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            '\\' | '"' => {
                quoted.push('\\');
                quoted.push(c);
            }
            c if c.is_control() && u32::from(c) < 0x80 => {
                let _ = write!(quoted, "\\x{:02x}", u32::from(c));
            }
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
