//! The JSON paths of printer columns.
//!
//! The part of `k8s.io/client-go/util/jsonpath` (1.36) that column definitions use, without its
//! braces: `.spec.replicas`, `.metadata.labels['a.b/c']`, `.items[0]`, `.items[-1]`, `.items[*].name`,
//! `.status.conditions[?(@.type=="Ready")].status`, and a backslash before a dot that is part of a
//! name.

use serde_json::Value;

/// Everything that `path` finds in `tree`, in document order; nothing where the path cannot be read.
pub(crate) fn find<'a>(tree: &'a Value, path: &str) -> Vec<&'a Value> {
    let Some(steps) = parse(path) else { return Vec::new() };
    steps
        .iter()
        .fold(vec![tree], |found, step| found.into_iter().flat_map(|value| step.apply(value)).collect())
}

#[derive(Debug, PartialEq)]
enum Step {
    Field(String),
    Index(i64),
    All,
    /// Items whose field (a path) compares with this value.
    Filter {
        path: Vec<Step>,
        equal: bool,
        value: Value,
    },
}

impl Step {
    fn apply<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        match self {
            Self::Field(name) => value.get(name).into_iter().collect(),
            Self::Index(index) => {
                let Some(items) = value.as_array() else { return Vec::new() };
                let index = if *index < 0 { index + items.len() as i64 } else { *index };
                usize::try_from(index).ok().and_then(|index| items.get(index)).into_iter().collect()
            }
            Self::All => match value {
                Value::Array(items) => items.iter().collect(),
                Value::Object(fields) => fields.values().collect(),
                _ => Vec::new(),
            },
            Self::Filter { path, equal, value: wanted } => {
                let holds = |item: &&Value| {
                    let start: Vec<&Value> = vec![item];
                    let found = path.iter().fold(start, |found, step| {
                        found.into_iter().flat_map(|value| step.apply(value)).collect()
                    });
                    !found.is_empty() && found.contains(&wanted) == *equal
                };
                value.as_array().into_iter().flatten().filter(holds).collect()
            }
        }
    }
}

fn parse(path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = path.strip_prefix('$').unwrap_or(path);
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let end = closing(inside)?;
            steps.push(bracket(&inside[..end])?);
            rest = &inside[end + 1..];
            continue;
        }
        rest = rest.strip_prefix('.').unwrap_or(rest);
        let mut name = String::new();
        let mut letters = rest.char_indices();
        let mut end = rest.len();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '\\' => name.extend(letters.next().map(|(_, escaped)| escaped)),
                '.' | '[' => {
                    end = at;
                    break;
                }
                _ => name.push(letter),
            }
        }
        rest = &rest[end..];
        match name.as_str() {
            "" => {}
            "*" => steps.push(Step::All),
            _ => steps.push(Step::Field(name)),
        }
    }
    Some(steps)
}

/// Where the bracket ends that was just opened; brackets in quotes and nested ones are passed over.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0, None);
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(letter),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Some(at),
            (None, ']') => depth -= 1,
            _ => {}
        }
    }
    None
}

fn bracket(text: &str) -> Option<Step> {
    let text = text.trim();
    if text == "*" {
        return Some(Step::All);
    }
    if let Some(condition) = text.strip_prefix("?(").and_then(|text| text.strip_suffix(')')) {
        let (path, equal, value) = match (condition.split_once("=="), condition.split_once("!=")) {
            (Some((path, value)), _) => (path, true, value),
            (None, Some((path, value))) => (path, false, value),
            (None, None) => return None,
        };
        let path = parse(path.trim().strip_prefix('@')?)?;
        return Some(Step::Filter { path, equal, value: literal(value.trim())? });
    }
    if let Some(name) = quoted(text) {
        return Some(Step::Field(name.replace('\\', "")));
    }
    text.parse().ok().map(Step::Index)
}

fn literal(text: &str) -> Option<Value> {
    quoted(text).map_or_else(|| serde_json::from_str(text).ok(), |inside| Some(Value::from(inside)))
}

fn quoted(text: &str) -> Option<&str> {
    ['\'', '"'].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_of_columns() {
        let tree = json!({
            "metadata": {"labels": {"a.b/c": "d"}},
            "spec": {"replicas": 3, "hosts": ["x", "y"]},
            "status": {"conditions": [
                {"type": "Ready", "status": "False"},
                {"type": "Live", "status": "True"},
            ]},
        });
        let cases = [
            (".spec.replicas", json!([3])),
            ("spec.replicas", json!([3])),
            (".spec.hosts[0]", json!(["x"])),
            (".spec.hosts[-1]", json!(["y"])),
            (".spec.hosts[*]", json!(["x", "y"])),
            (".spec.hosts[7]", json!([])),
            (".metadata.labels['a.b/c']", json!(["d"])),
            (r".metadata.labels.a\.b/c", json!(["d"])),
            (r#".status.conditions[?(@.type=="Ready")].status"#, json!(["False"])),
            (r#".status.conditions[?(@.type != 'Ready')].status"#, json!(["True"])),
            (".status.conditions[*].type", json!(["Ready", "Live"])),
            (".spec.none.deeper", json!([])),
            (".spec[", json!([])),
        ];
        for (path, wanted) in cases {
            assert_eq!(json!(find(&tree, path)), wanted, "{path}");
        }
    }
}
