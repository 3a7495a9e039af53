//! Paths by which a definition names a field of its schema: `.spec.replicas`, `.spec['a.b']`.
//!
//! Source: `ValidFieldPath` of `k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel` (1.36).

use super::schema::{Additional, Schema};
use crate::api::field::Path;

/// The field that a path names, and its schema; none of what has none. Brackets only where `brackets`.
///
/// # Errors
///
/// Why the path names no field.
pub fn field_path<'a>(
    path: &str,
    schema: &'a Schema,
    brackets: bool,
) -> Result<(Path, Option<&'a Schema>), String> {
    let mut tokens = Tokens(path);
    let (mut place, mut schema) = (Path::root(), Some(schema));
    while let Some(token) = tokens.next() {
        let name = match token {
            "[" if !brackets => return Err("array notation is not allowed".to_owned()),
            "[" => {
                let quoted = tokens.next().ok_or("unexpected end of JSON path")?;
                let inside = quoted.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
                let inside =
                    inside.ok_or_else(|| format!("expected single quoted string but got {quoted}"))?;
                let name = unescape(inside)?;
                match tokens.next() {
                    Some("]") => {}
                    Some(other) => return Err(format!("expected ] but got {other}")),
                    None => return Err("unexpected end of JSON path".to_owned()),
                }
                name
            }
            "." => tokens.next().ok_or("unexpected end of JSON path")?.to_owned(),
            other => return Err(format!("expected [ or . but got: {other}")),
        };
        let nowhere = || "does not refer to a valid field".to_owned();
        let parent = schema.ok_or_else(nowhere)?;
        if !parent.properties.is_empty() {
            schema = Some(parent.properties.get(&name).ok_or_else(nowhere)?);
            place = place.child(&name);
        } else {
            schema = match &parent.additional {
                Some(Additional::Schema(schema)) => Some(schema),
                Some(Additional::Any(_)) => None,
                None => return Err(nowhere()),
            };
            place = place.key(&name);
        }
    }
    Ok((place, schema))
}

/// Delimiters, texts in quotes, and what stands between.
struct Tokens<'a>(&'a str);

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.0;
        if text.is_empty() {
            return None;
        }
        let end = if text.starts_with('\'') {
            let closing = text.match_indices('\'').skip(1).find(|(at, _)| !text[..*at].ends_with('\\'));
            closing.map_or(text.len(), |(at, _)| at + 1)
        } else {
            match text.find(['.', '[', ']']) {
                Some(0) => 1,
                Some(end) => end,
                None => text.len(),
            }
        };
        self.0 = &text[end..];
        Some(&text[..end])
    }
}

fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        let escaped = letters.next().unwrap_or('\\');
        out.push(match escaped {
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            '\'' | '\\' => escaped,
            _ => return Err(format!("invalid string literal: invalid escape char \\{escaped}")),
        });
    }
    Ok(out)
}
