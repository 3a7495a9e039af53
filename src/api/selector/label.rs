//! Label selectors.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use k8s_openapi::apimachinery::pkg::apis::meta::v1;

use super::{SelectorError, integer, parse};
use crate::api::{Object, names};

/// A label selector: every requirement must hold. The empty one matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct LabelSelector {
    /// What must hold.
    pub requirements: Vec<Requirement>,
}

/// One requirement on one label.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Requirement {
    /// The label.
    pub key: String,
    /// What must hold of its value.
    pub operator: Operator,
}

/// What must hold of a label's value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// It is one of these.
    In(Vec<String>),
    /// It is none of these, or the label is absent.
    NotIn(Vec<String>),
    /// The label is there.
    Exists,
    /// The label is absent.
    DoesNotExist,
    /// It is a number above this one.
    GreaterThan(i64),
    /// It is a number below this one.
    LessThan(i64),
}

/// The key that [`LabelSelector::nothing`] names.
const NOTHING: &str = "nothing";

impl LabelSelector {
    /// The selector that matches nothing. Written as text it is a contradiction, so that it still
    /// matches nothing when it is read again.
    #[must_use]
    pub fn nothing() -> Self {
        let requirement = |operator| Requirement { key: NOTHING.into(), operator };
        Self { requirements: vec![requirement(Operator::Exists), requirement(Operator::DoesNotExist)] }
    }

    /// The selector of exactly these labels.
    #[must_use]
    pub fn of_labels(labels: &BTreeMap<String, String>) -> Self {
        let requirement = |(key, value): (&String, &String)| Requirement {
            key: key.clone(),
            operator: Operator::In(vec![value.clone()]),
        };
        Self { requirements: labels.iter().map(requirement).collect() }
    }

    /// The selector that an object's field holds: the empty one matches everything, an absent one
    /// nothing (`metav1.LabelSelectorAsSelector`).
    ///
    /// # Errors
    ///
    /// When a key, a value or an operator is none, or an operator has the wrong number of values.
    pub fn from_k8s(selector: Option<&v1::LabelSelector>) -> Result<Self, SelectorError> {
        let Some(selector) = selector else { return Ok(Self::nothing()) };
        let mut requirements = Vec::new();
        for (key, value) in selector.match_labels.iter().flatten() {
            requirements.push(Requirement::new(key, "In", std::slice::from_ref(value))?);
        }
        for term in selector.match_expressions.iter().flatten() {
            if !matches!(term.operator.as_str(), "In" | "NotIn" | "Exists" | "DoesNotExist") {
                return Err(SelectorError::new(format!(
                    "{:?} is not a valid label selector operator",
                    term.operator
                )));
            }
            requirements.push(Requirement::new(
                &term.key,
                &term.operator,
                term.values.as_deref().unwrap_or_default(),
            )?);
        }
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(Self { requirements })
    }

    /// Whether it matches everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether these labels match.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.requirements.iter().all(|requirement| requirement.matches(labels))
    }

    /// Whether an object's labels match.
    #[must_use]
    pub fn selects(&self, object: &Object) -> bool {
        let labels = object.labels();
        self.requirements.iter().all(|requirement| requirement.operator.holds(labels.get(&requirement.key)))
    }
}

impl Requirement {
    /// The requirement with an operator named as objects name it: `In`, `NotIn`, `Exists`,
    /// `DoesNotExist`, `Gt`, `Lt`.
    ///
    /// # Errors
    ///
    /// When the key, a value or the operator is none, or the operator has the wrong number of values.
    pub fn new(key: &str, operator: &str, values: &[String]) -> Result<Self, SelectorError> {
        parse::check("key", key, names::qualified_name)?;
        let wrong = |what: &str| {
            let values = serde_json::Value::from(values);
            Err(SelectorError::new(format!("values: Invalid value: {values}: {what}")))
        };
        let sorted = || {
            let mut values = values.to_vec();
            values.sort();
            values.dedup();
            values
        };
        let operator = match (operator, values) {
            ("In" | "NotIn", []) => return wrong("for 'in', 'notin' operators, values set can't be empty"),
            ("In", _) => Operator::In(sorted()),
            ("NotIn", _) => Operator::NotIn(sorted()),
            ("Exists", []) => Operator::Exists,
            ("DoesNotExist", []) => Operator::DoesNotExist,
            ("Exists" | "DoesNotExist", _) => {
                return wrong("values set must be empty for exists and does not exist");
            }
            ("Gt" | "Lt", [value]) => {
                let Some(bound) = integer(value) else {
                    return Err(SelectorError::new(format!(
                        "values[0]: Invalid value: {value:?}: for 'Gt', 'Lt' operators, the value must be an integer"
                    )));
                };
                if operator == "Gt" { Operator::GreaterThan(bound) } else { Operator::LessThan(bound) }
            }
            ("Gt" | "Lt", _) => return wrong("for 'Gt', 'Lt' operators, exactly one value is required"),
            _ => {
                return Err(SelectorError::new(format!(
                    "operator: Unsupported value: {operator:?}: supported values: \"in\", \"notin\", \"=\", \"==\", \
                     \"!=\", \"gt\", \"lt\", \"exists\", \"!\""
                )));
            }
        };
        for (index, value) in values.iter().enumerate() {
            parse::check(&format!("values[{index}][{key}]"), value, names::label_value)?;
        }
        Ok(Self { key: key.into(), operator })
    }

    /// Whether these labels meet it.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.operator.holds(labels.get(&self.key).map(String::as_str))
    }
}

impl Operator {
    /// Whether it holds of a value, or of an absent one.
    #[must_use]
    pub fn holds(&self, value: Option<&str>) -> bool {
        let listed = |values: &[String]| value.is_some_and(|value| values.iter().any(|one| one == value));
        match self {
            Self::In(values) => listed(values),
            Self::NotIn(values) => !listed(values),
            Self::Exists => value.is_some(),
            Self::DoesNotExist => value.is_none(),
            Self::GreaterThan(bound) => value.and_then(integer).is_some_and(|number| number > *bound),
            Self::LessThan(bound) => value.and_then(integer).is_some_and(|number| number < *bound),
        }
    }
}

impl FromStr for LabelSelector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        parse::labels(text)
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.requirements.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{requirement}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        match &self.operator {
            Operator::Exists => f.write_str(key),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::GreaterThan(bound) => write!(f, "{key}>{bound}"),
            Operator::LessThan(bound) => write!(f, "{key}<{bound}"),
            Operator::In(values) => match &values[..] {
                [value] => write!(f, "{key}={value}"),
                values => write!(f, "{key} in ({})", values.join(",")),
            },
            Operator::NotIn(values) => match &values[..] {
                [value] => write!(f, "{key}!={value}"),
                values => write!(f, "{key} notin ({})", values.join(",")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn parse(text: &str) -> LabelSelector {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn labels(text: &str) -> BTreeMap<String, String> {
        let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn selectors_match_labels() {
        for (selector, own, matches) in [
            ("", "a=b", true),
            ("", "", true),
            ("a=b", "a=b,c=d", true),
            ("a==b", "a=c", false),
            ("a!=b", "", true),
            ("a!=b", "a=b", false),
            ("a", "a=", true),
            ("!a", "a=", false),
            ("!a", "b=", true),
            ("a in (b,c)", "a=c", true),
            ("a in (b,c)", "", false),
            ("a notin (b, c)", "a=c", false),
            ("a notin (b, c)", "", true),
            ("a in ()", "a=", true),
            ("a in (,b)", "a=", true),
            ("a=,b", "a=,b=1", true),
            ("a>3", "a=10", true),
            ("a>3", "a=3", false),
            ("a<3", "a=x", false),
            ("a<3", "", false),
            ("x=a,y=b", "x=a,y=c", false),
            ("a=in,b=notin", "a=in,b=notin", true),
            ("in in (in)", "in=in", true),
        ] {
            assert_eq!(parse(selector).matches(&labels(own)), matches, "{selector:?} of {own:?}");
        }
    }

    #[test]
    fn text_is_normalised() {
        for (text, shown) in [
            (" b = c , a ", "a,b=c"),
            ("x in (b,a,b)", "x in (a,b)"),
            ("x in (a)", "x=a"),
            ("x notin (a,,b)", "x notin (,a,b)"),
            ("example.com/x==1,!y,z!=2", "example.com/x=1,!y,z!=2"),
        ] {
            assert_eq!(parse(text).to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_selector_is_refused_in_kubernetes_words() {
        let name = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with \
                    an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation \
                    is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
        for (text, message) in [
            ("a=b,", "found '', expected: identifier after ','"),
            (",", "found ',', expected: !, identifier, or 'end of string'"),
            ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
            ("a=b c", "found 'c', expected: ',' or 'end of string'"),
            ("!a=b", "found '=', expected: ',' or 'end of string'"),
            ("!", "unable to parse requirement: found '', expected: identifier"),
            ("a in b", "unable to parse requirement: found 'b' expected: '('"),
            ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
            ("a=(", "unable to parse requirement: found '(', expected: identifier"),
            ("-a", &format!("unable to parse requirement: <nil>: Invalid value: \"-a\": {name}")),
            (
                "a>b",
                "unable to parse requirement: values[0]: Invalid value: \"b\": for 'Gt', 'Lt' operators, the value must \
                 be an integer",
            ),
        ] {
            assert_eq!(text.parse::<LabelSelector>().unwrap_err().to_string(), message, "{text}");
        }
    }

    #[test]
    fn an_objects_selector_may_be_empty_or_absent() {
        assert!(!LabelSelector::from_k8s(None).unwrap().matches(&labels("a=b")));
        assert!(LabelSelector::from_k8s(Some(&v1::LabelSelector::default())).unwrap().is_empty());
        let nothing = LabelSelector::nothing();
        assert_eq!(parse(&nothing.to_string()), nothing);
        assert!(!nothing.matches(&labels("nothing=1")) && !nothing.matches(&BTreeMap::new()));
    }

    #[test]
    fn an_objects_selector_has_labels_and_expressions() {
        let read = |tree| {
            let selector: v1::LabelSelector = serde_json::from_value(tree).unwrap();
            LabelSelector::from_k8s(Some(&selector)).map(|selector| selector.to_string())
        };
        assert_eq!(
            read(json!({"matchLabels": {"b": "1"}, "matchExpressions": [
                {"key": "a", "operator": "NotIn", "values": ["y", "x"]}, {"key": "c", "operator": "Exists"}]})),
            Ok("a notin (x,y),b=1,c".to_owned())
        );
        for (term, message) in [
            (
                json!({"key": "a", "operator": "Gt", "values": ["1"]}),
                r#""Gt" is not a valid label selector operator"#,
            ),
            (
                json!({"key": "a", "operator": "In", "values": []}),
                "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty",
            ),
            (
                json!({"key": "a", "operator": "Exists", "values": ["x"]}),
                r#"values: Invalid value: ["x"]: values set must be empty for exists and does not exist"#,
            ),
        ] {
            assert_eq!(read(json!({"matchExpressions": [term]})).unwrap_err().to_string(), message);
        }
    }

    proptest! {
        #[test]
        fn text_round_trips(text in "[a-c]( in \\((a|b|,){1,4}\\)|!=[a-b]?|=[a-b]?|>[1-9]|)(,![d-f])?") {
            if let Ok(selector) = text.parse::<LabelSelector>() {
                prop_assert_eq!(selector.to_string().parse::<LabelSelector>().unwrap(), selector);
            }
        }
    }
}
