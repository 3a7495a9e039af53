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

/// What Go writes for a character within quotes, where that is a backslash and a letter or the character.
pub(in super::super) fn escape(c: char) -> Option<&'static str> {
    Some(match c {
        '\u{7}' => "\\a",
        '\u{8}' => "\\b",
        '\u{c}' => "\\f",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\u{b}' => "\\v",
        '\\' => "\\\\",
        '"' => "\\\"",
        _ => return None,
    })
}

/// Go's `%q`: other characters that cannot be seen are written as their numbers.
pub(in super::super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        let _ = match (escape(c), u32::from(c)) {
            (Some(escape), _) => quoted.write_str(escape),
            (None, number) if c.is_control() && number < 0x80 => write!(quoted, "\\x{number:02x}"),
            (None, number) if c.is_control() => write!(quoted, "\\u{number:04x}"),
            (None, _) => quoted.write_char(c),
        };
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn texts_are_quoted_as_go_quotes_them() {
        assert_eq!(quoted("a\u{7}\u{8}\u{c}\n\r\t\u{b}\\\"b"), r#""a\a\b\f\n\r\t\v\\\"b""#);
        assert_eq!(quoted("\u{1}\u{7f}\u{85}\u{e9}"), "\"\\x01\\x7f\\u0085\u{e9}\"");
    }
}
