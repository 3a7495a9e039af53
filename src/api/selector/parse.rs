//! The grammar of label selectors, `a=b,c!=d,e in (f,g),!h,i>4`, read as
//! `k8s.io/apimachinery/pkg/labels` (1.36) reads it, with its errors.

use super::{LabelSelector, Operator, Requirement, SelectorError};
use crate::api::names;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    /// `in` or `notin`, which are words where a word is due.
    Keyword(&'a str),
    Symbol(&'a str),
    End,
}

impl<'a> Token<'a> {
    /// The token where `in` and `notin` are words like any other.
    fn as_word(self) -> Self {
        match self {
            Self::Keyword(text) => Self::Word(text),
            other => other,
        }
    }

    fn text(self) -> &'a str {
        match self {
            Self::Word(text) | Self::Keyword(text) | Self::Symbol(text) => text,
            Self::End => "",
        }
    }

    fn is(self, symbol: &'static str) -> bool {
        self == Self::Symbol(symbol)
    }
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
}

/// Parses a label selector.
pub(super) fn labels(text: &str) -> Result<LabelSelector, SelectorError> {
    let mut parser = Parser { tokens: scan(text), at: 0 };
    let mut requirements = Vec::new();
    loop {
        match parser.peek() {
            Token::Word(_) | Token::Symbol("!") => {}
            Token::End => break,
            other => {
                return Err(SelectorError::new(format!(
                    "found '{}', expected: !, identifier, or 'end of string'",
                    other.text()
                )));
            }
        }
        let requirement = parser
            .requirement()
            .map_err(|error| SelectorError::new(format!("unable to parse requirement: {error}")))?;
        requirements.push(requirement);
        match parser.next() {
            Token::End => break,
            Token::Symbol(",") => {
                let next = parser.peek();
                if !matches!(next, Token::Word(_)) && !next.is("!") {
                    return Err(SelectorError::new(format!(
                        "found '{}', expected: identifier after ','",
                        next.text()
                    )));
                }
            }
            other => {
                return Err(SelectorError::new(format!(
                    "found '{}', expected: ',' or 'end of string'",
                    other.text()
                )));
            }
        }
    }
    requirements.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(LabelSelector { requirements })
}

impl<'a> Parser<'a> {
    fn raw(&mut self) -> Token<'a> {
        let token = self.tokens.get(self.at).copied().unwrap_or(Token::End);
        self.at += 1;
        token
    }

    fn next(&mut self) -> Token<'a> {
        self.raw().as_word()
    }

    fn peek(&self) -> Token<'a> {
        self.tokens.get(self.at).copied().unwrap_or(Token::End).as_word()
    }

    fn requirement(&mut self) -> Result<Requirement, SelectorError> {
        let mut token = self.next();
        let negated = token.is("!");
        if negated {
            token = self.next();
        }
        let Token::Word(key) = token else {
            return Err(SelectorError::new(format!("found '{}', expected: identifier", token.text())));
        };
        // The path of a selector given as text is nobody's field: Kubernetes prints it so.
        check("<nil>", key, names::qualified_name)?;
        if negated || self.peek() == Token::End || self.peek().is(",") {
            let operator = if negated { Operator::DoesNotExist } else { Operator::Exists };
            return Ok(Requirement { key: key.into(), operator });
        }
        let operator = self.raw();
        let values = match operator {
            Token::Keyword(_) => self.values()?,
            Token::Symbol("=" | "==" | "!=" | ">" | "<") => vec![self.value()?],
            other => {
                return Err(SelectorError::new(format!(
                    "found '{}', expected: in, notin, =, ==, !=, gt, lt",
                    other.text()
                )));
            }
        };
        for (index, value) in values.iter().enumerate() {
            check(&format!("values[{index}][{key}]"), value, names::label_value)?;
        }
        let operator = match operator {
            Token::Symbol(sign @ (">" | "<")) => {
                let bound = values[0].parse().map_err(|_| {
                    SelectorError::new(format!(
                        "values[0]: Invalid value: {:?}: for 'Gt', 'Lt' operators, the value must be an integer",
                        values[0]
                    ))
                })?;
                if sign == ">" { Operator::GreaterThan(bound) } else { Operator::LessThan(bound) }
            }
            Token::Keyword("notin") | Token::Symbol("!=") => Operator::NotIn(values),
            _ => Operator::In(values),
        };
        Ok(Requirement { key: key.into(), operator })
    }

    /// `(a,b)`. An empty place between commas or parentheses is the empty value.
    fn values(&mut self) -> Result<Vec<String>, SelectorError> {
        let open = self.next();
        if !open.is("(") {
            return Err(SelectorError::new(format!("found '{}' expected: '('", open.text())));
        }
        let mut values = Vec::new();
        let mut pending = true;
        loop {
            let token = self.next();
            match token {
                Token::Word(text) if pending => {
                    values.push(text.to_owned());
                    pending = false;
                }
                Token::Symbol(sign @ ("," | ")")) => {
                    if pending {
                        values.push(String::new());
                    }
                    if sign == ")" {
                        break;
                    }
                    pending = true;
                }
                other => {
                    let expected = if values.is_empty() {
                        "',', ')' or identifier"
                    } else if pending {
                        "',', or identifier"
                    } else {
                        "',' or ')'"
                    };
                    return Err(SelectorError::new(format!(
                        "found '{}', expected: {expected}",
                        other.text()
                    )));
                }
            }
        }
        values.sort();
        values.dedup();
        Ok(values)
    }

    fn value(&mut self) -> Result<String, SelectorError> {
        if self.peek() == Token::End || self.peek().is(",") {
            return Ok(String::new());
        }
        match self.next() {
            Token::Word(text) => Ok(text.into()),
            other => Err(SelectorError::new(format!("found '{}', expected: identifier", other.text()))),
        }
    }
}

/// The problem of a key or value, worded as a field's error.
pub(super) fn check(field: &str, value: &str, check: names::Check) -> Result<(), SelectorError> {
    let problems = check(value);
    if problems.is_empty() {
        return Ok(());
    }
    Err(SelectorError::new(format!("{field}: Invalid value: {value:?}: {}", problems.join("; "))))
}

fn is_symbol(letter: char) -> bool {
    matches!(letter, '=' | '!' | '(' | ')' | ',' | '>' | '<')
}

fn is_space(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\r' | '\n')
}

fn scan(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start_matches(is_space);
    while let Some(first) = rest.chars().next() {
        let length = if is_symbol(first) {
            let known = ["==", "!=", "=", "!", "(", ")", ",", ">", "<"];
            let symbol = known.iter().find(|symbol| rest.starts_with(**symbol));
            symbol.map_or(first.len_utf8(), |symbol| symbol.len())
        } else {
            rest.find(|letter| is_symbol(letter) || is_space(letter)).unwrap_or(rest.len())
        };
        let (word, behind) = rest.split_at(length);
        tokens.push(match word {
            "in" | "notin" => Token::Keyword(word),
            _ if is_symbol(first) => Token::Symbol(word),
            _ => Token::Word(word),
        });
        rest = behind.trim_start_matches(is_space);
    }
    tokens
}
