//! Names of fields in expressions: what CEL cannot write is escaped, `my.field` as `my__dot__field`.
//!
//! Source: `pkg/cel/escaping.go` of `k8s.io/apiserver` (1.36).

use crate::api::names::is_cel_word;

const ESCAPES: [(&str, &str); 4] =
    [("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__")];

/// The name by which expressions reach a field; nothing where they cannot.
#[must_use]
pub fn escape(name: &str) -> Option<String> {
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if is_cel_word(name) {
        return Some(format!("__{name}__"));
    }
    let mut escaped = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(next) = rest.chars().next() {
        if let Some((plain, escape)) = ESCAPES.iter().find(|(plain, _)| rest.starts_with(plain)) {
            escaped.push_str(escape);
            rest = &rest[plain.len()..];
        } else if next.is_ascii_alphanumeric() || next == '_' {
            escaped.push(next);
            rest = &rest[1..];
        } else {
            return None;
        }
    }
    Some(escaped)
}

/// The name of the field that an expression reaches by this one; nothing where there is none such.
#[must_use]
pub fn unescape(escaped: &str) -> Option<String> {
    let mut name = String::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some(start) = rest.find("__") {
        let inside = &rest[start + 2..];
        let Some(end) = inside.find('_').filter(|end| *end > 0 && inside[*end..].starts_with("__")) else {
            // No word between pairs of underscores begins here; perhaps one does a character further on.
            name.push_str(&rest[..=start]);
            rest = &rest[start + 1..];
            continue;
        };
        name.push_str(&rest[..start]);
        let word = &inside[..end];
        match ESCAPES.iter().find(|(_, escape)| escape[2..].strip_suffix("__") == Some(word)) {
            Some((plain, _)) => name.push_str(plain),
            // A reserved word is escaped alone.
            None if is_cel_word(word) && word.len() + 4 == escaped.len() => name.push_str(word),
            None => return None,
        }
        rest = &inside[end + 2..];
    }
    name.push_str(rest);
    Some(name)
}
