//! Field selectors: `status.phase=Running,spec.nodeName!=a`.
//!
//! Values escape `\`, `,` and `=` with a backslash, as `k8s.io/apimachinery/pkg/fields` (1.36) does.

use std::fmt;
use std::str::FromStr;

use super::SelectorError;
use crate::api::Object;

/// A field selector: every term must hold. The empty one matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FieldSelector {
    /// What must hold.
    pub terms: Vec<FieldTerm>,
}

/// One term of a field selector.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldTerm {
    /// The field.
    pub field: String,
    /// Its value, or what it must not be.
    pub value: String,
    /// Whether the field must have the value (`=`), or must not (`!=`).
    pub equal: bool,
}

impl FieldSelector {
    /// The selector of one field's value.
    #[must_use]
    pub fn equals(field: impl Into<String>, value: impl Into<String>) -> Self {
        Self::default().and(field, value)
    }

    /// This selector, and this value of a field.
    #[must_use]
    pub fn and(mut self, field: impl Into<String>, value: impl Into<String>) -> Self {
        self.terms.push(FieldTerm { field: field.into(), value: value.into(), equal: true });
        self
    }

    /// Whether it matches everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether an object matches; `None` when the object has no such field to select by.
    #[must_use]
    pub fn matches(&self, object: &Object) -> Option<bool> {
        let mut all = true;
        for term in &self.terms {
            all &= (object.field(&term.field)? == term.value) == term.equal;
        }
        Some(all)
    }

    /// The value that a field must have to match, if the selector names one.
    #[must_use]
    pub fn required(&self, field: &str) -> Option<&str> {
        self.terms.iter().find(|term| term.equal && term.field == field).map(|term| term.value.as_str())
    }
}

impl FromStr for FieldSelector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let mut terms = Vec::new();
        for part in split(text).into_iter().filter(|part| !part.is_empty()) {
            let (field, value, equal) = cut(part).ok_or_else(|| {
                SelectorError::new(format!("invalid selector: '{text}'; can't understand '{part}'"))
            })?;
            let value = unescape(value)?;
            // `=` alone selects nothing in particular.
            if !(field.is_empty() && value.is_empty()) {
                terms.push(FieldTerm { field: field.into(), value, equal });
            }
        }
        terms.sort();
        Ok(Self { terms })
    }
}

/// The terms, at the commas that no backslash stands before.
fn split(text: &str) -> Vec<&str> {
    let (mut terms, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                terms.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms
}

/// A term at its first operator.
fn cut(term: &str) -> Option<(&str, &str, bool)> {
    let at = term.find(['=', '!']).map(|first| {
        // An exclamation mark is an operator only before `=`.
        term[first..].find('=').map(|equal| {
            let equal = first + equal;
            if equal > 0 && term.as_bytes()[equal - 1] == b'!' { equal - 1 } else { equal }
        })
    })??;
    let (field, rest) = term.split_at(at);
    if let Some(value) = rest.strip_prefix("!=") {
        Some((field, value, false))
    } else {
        Some((field, rest.strip_prefix("==").or_else(|| rest.strip_prefix('='))?, true))
    }
}

fn unescape(text: &str) -> Result<String, SelectorError> {
    let mut value = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some(escaped @ ('\\' | ',' | '=')) => value.push(escaped),
                other => {
                    let sequence: String = std::iter::once('\\').chain(other).collect();
                    return Err(SelectorError::new(format!(
                        "invalid field selector: invalid escape sequence: {sequence}"
                    )));
                }
            },
            ',' | '=' => {
                return Err(SelectorError::new(format!(
                    "invalid field selector: unescaped character in value: {}",
                    u32::from(letter)
                )));
            }
            _ => value.push(letter),
        }
    }
    Ok(value)
}

impl fmt::Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, term) in self.terms.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let sign = if term.equal { "=" } else { "!=" };
            write!(f, "{comma}{}{sign}", term.field)?;
            for letter in term.value.chars() {
                if matches!(letter, '\\' | ',' | '=') {
                    f.write_str("\\")?;
                }
                write!(f, "{letter}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> FieldSelector {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn terms() {
        let selector = parse(r"metadata.name=a,status.phase!=Running,spec.x==b\,c\=\\");
        assert_eq!(selector.required("metadata.name"), Some("a"));
        assert_eq!(selector.required("status.phase"), None);
        assert_eq!(selector.required("spec.x"), Some(r"b,c=\"));
        assert_eq!(selector.to_string(), r"metadata.name=a,spec.x=b\,c\=\\,status.phase!=Running");
        assert!(parse("").is_empty() && parse(",,").is_empty() && parse("=").is_empty());
        assert_eq!(parse("a=").terms, FieldSelector::equals("a", "").terms);
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for (text, message) in [
            ("a", "invalid selector: 'a'; can't understand 'a'"),
            ("b=c,a!b", "invalid selector: 'b=c,a!b'; can't understand 'a!b'"),
            (r"a=\x", r"invalid field selector: invalid escape sequence: \x"),
            (r"a=b\", r"invalid field selector: invalid escape sequence: \"),
            ("a=b=c", "invalid field selector: unescaped character in value: 61"),
        ] {
            assert_eq!(text.parse::<FieldSelector>().unwrap_err().to_string(), message);
        }
    }

    proptest! {
        #[test]
        fn text_round_trips(terms in prop::collection::vec(("[a-z.]{1,8}", "[a-z=,\\\\! ]{0,6}", any::<bool>()), 0..4)) {
            let mut terms: Vec<_> = terms.into_iter().map(|(field, value, equal)| FieldTerm { field, value, equal }).collect();
            terms.sort();
            let selector = FieldSelector { terms };
            prop_assert_eq!(selector.to_string().parse::<FieldSelector>().unwrap(), selector);
        }
    }
}
