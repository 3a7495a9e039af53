//! Writing YAML that readers of YAML 1.1 and of 1.2 take for the same.
//!
//! A writer that only minds YAML 1.2 leaves the text `yes` bare, and Kubernetes' readers take it for
//! a boolean. So what is bare here is what [`plain`] takes for text, and nothing doubtful.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::plain;

/// A key that is longer, in bytes as it is written, is marked as one: without a mark readers look for its colon
/// in 1,024 characters, and no further (YAML 1.2, 7.4.2).
const LONGEST_KEY: usize = 1000;

/// A tree as block style YAML, keys in the tree's order.
#[must_use]
pub fn write(tree: &Value) -> String {
    let mut out = String::new();
    match tree {
        Value::Object(map) if !map.is_empty() => object(map, 0, &mut out),
        Value::Array(items) if !items.is_empty() => list(items, 0, &mut out),
        scalar => {
            inline(scalar, 0, &mut out);
            out.push('\n');
        }
    }
    out
}

fn object(map: &Map<String, Value>, indent: usize, out: &mut String) {
    for (index, (key, value)) in map.iter().enumerate() {
        // The first key of a list's item stands behind its dash.
        if index > 0 || !out.ends_with("- ") {
            pad(indent, out);
        }
        let start = out.len();
        text(key, None, out);
        if out.len() - start > LONGEST_KEY {
            out.insert_str(start, "? ");
            out.push('\n');
            pad(indent, out);
        }
        out.push(':');
        match value {
            Value::Object(map) if !map.is_empty() => {
                out.push('\n');
                object(map, indent + 2, out);
            }
            Value::Array(items) if !items.is_empty() => {
                out.push('\n');
                list(items, indent, out);
            }
            scalar => {
                out.push(' ');
                inline(scalar, indent + 2, out);
                out.push('\n');
            }
        }
    }
}

fn list(items: &[Value], indent: usize, out: &mut String) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 || !out.ends_with("- ") {
            pad(indent, out);
        }
        out.push_str("- ");
        match item {
            Value::Object(map) if !map.is_empty() => object(map, indent + 2, out),
            Value::Array(items) if !items.is_empty() => list(items, indent + 2, out),
            scalar => {
                inline(scalar, indent + 2, out);
                out.push('\n');
            }
        }
    }
}

/// A scalar, or something empty.
fn inline(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::String(value) => text(value, Some(indent), out),
        other => {
            let _ = write!(out, "{other}");
        }
    }
}

/// A text: bare, or as a block where it has lines and may be one, or quoted as JSON quotes.
fn text(value: &str, block: Option<usize>, out: &mut String) {
    if is_bare(value) {
        out.push_str(value);
    } else if let Some(indent) = block.filter(|_| is_block(value)) {
        out.push_str(if value.ends_with('\n') { "|" } else { "|-" });
        for line in value.strip_suffix('\n').unwrap_or(value).split('\n') {
            out.push('\n');
            if !line.is_empty() {
                pad(indent, out);
                out.push_str(line);
            }
        }
    } else {
        out.push_str(&Value::from(value).to_string());
    }
}

fn is_bare(text: &str) -> bool {
    let Some(first) = text.chars().next() else { return false };
    let number_like = first.is_ascii_digit() || matches!(first, '+' | '.');
    let doubtful = number_like && (text.contains([':', '_']) || text.get(4..5) == Some("-"));
    matches!(plain::resolve(text), Ok(Value::String(_)))
        && !doubtful
        && !"-?:,[]{}#&*!|>'\"%@`=<~ .".contains(first)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && text.chars().all(|c| c.is_ascii_graphic() || c == ' ' || c.is_alphanumeric())
}

/// Whether a text of several lines can stand as a block without an indentation that must be told.
fn is_block(text: &str) -> bool {
    text.contains('\n')
        && !text.starts_with([' ', '\n'])
        && !text.ends_with("\n\n")
        && text.chars().all(|c| matches!(c, '\n' | ' ') || c.is_ascii_graphic() || c.is_alphanumeric())
}

fn pad(indent: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', indent));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::manifest::yaml::parse;

    #[test]
    fn a_key_may_be_longer_than_readers_look_for_its_colon() {
        for value in
            [json!(1), json!({"a": {"b": 1}}), json!([1, {"c": 2}]), json!("two\nlines\n"), json!({})]
        {
            let (long, odd) = ("k".repeat(3_000), "\u{15}".repeat(200));
            let tree =
                json!({"a": 1, &long: value, "list": [{&odd: value, "z": 2}], "nested": {&odd: value}});
            assert_eq!(parse(&write(&tree)).unwrap(), tree, "{}", write(&tree));
        }
    }

    #[test]
    fn what_is_written_reads_as_kubernetes_would_write_it() {
        let tree = json!({"kind": "Pod", "empty": {}, "none": [], "spec": {"containers": [
            {"args": ["-x", "yes", "a b"], "name": "c"}, {"name": "d"}], "n": 1, "text": "a\n b\n\nc\n"}});
        let written = "empty: {}\nkind: Pod\nnone: []\nspec:\n  containers:\n  - args:\n    - \"-x\"\n    - \"yes\"\n    \
            - a b\n    name: c\n  - name: d\n  \"n\": 1\n  text: |\n    a\n     b\n\n    c\n";
        assert_eq!(write(&tree), written);
        assert_eq!(parse(written).unwrap(), tree);
    }

    #[test]
    fn doubtful_texts_stay_texts() {
        for text in [
            "yes",
            "y",
            "N",
            "on",
            "Off",
            "null",
            "~",
            "",
            "0644",
            "0o7",
            "1_000",
            "08",
            "0x1",
            "0b1",
            "1e3",
            ".5",
            "+1",
            ".inf",
            "1:30",
            "2001-01-01",
            "<<",
            "- a",
            "a: b",
            "#x",
            "true",
            " x ",
            "a\nb",
            "a\n\n",
            "\n",
            " a\nb",
            "=",
            "-",
            "1.",
            "a:",
            "a #b",
            "é",
            "---",
            "...",
            "\t",
            "a\tb\nc",
            "a\r\nb",
        ] {
            let tree = json!({"a": text, text: [text, [text, {text: text}]]});
            let written = write(&tree);
            assert_eq!(parse(&written).unwrap(), tree, "{written}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_text_reads_as_it_was(text in "[ab01:,&*!?<>|{}\\[\\]'\"#%@`~ \n\t.é-]{0,12}") {
            let tree = json!({"a": [text, {"b": text}]});
            proptest::prop_assert_eq!(parse(&write(&tree)).unwrap(), tree);
        }
    }
}
