//! What a token says, and whether it still holds. Pure.
//!
//! Source: `pkg/serviceaccount/claims.go` (1.36).

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use crate::server::authentication::Unauthorized;

/// By how much clocks may differ.
///
/// Source: `DefaultLeeway` of `gopkg.in/go-jose/go-jose.v2/jwt`.
pub(super) const LEEWAY_SECONDS: i64 = 60;

/// What a token says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    pub(super) iss: String,
    pub(super) sub: String,
    #[serde(default, deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub(super) aud: Vec<String>,
    /// In seconds of the epoch, as all times here; none is never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) exp: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) nbf: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) iat: Option<i64>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) jti: String,
    #[serde(default, rename = "kubernetes.io")]
    pub(super) kubernetes: Kubernetes,
}

/// Whom it speaks for, and what it is bound to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kubernetes {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) namespace: String,
    #[serde(default)]
    pub(super) serviceaccount: Reference,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pod: Option<Reference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) secret: Option<Reference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) node: Option<Reference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) warnafter: Option<i64>,
}

/// An object, and no other of its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reference {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) uid: String,
}

impl Claims {
    /// Whether the time is right.
    pub(super) fn check_time(&self, now: Timestamp) -> Result<(), Unauthorized> {
        let now = now.as_second();
        let early = |at: Option<i64>| at.is_some_and(|at| now + LEEWAY_SECONDS < at);
        if early(self.nbf) {
            return Err(Unauthorized::new("service account token is not valid yet"));
        }
        if self.exp.is_some_and(|at| now - LEEWAY_SECONDS > at) {
            return Err(Unauthorized::new("service account token has expired"));
        }
        if early(self.iat) {
            return Err(Unauthorized::new("service account token is issued in the future"));
        }
        Ok(())
    }

    /// For which of `wanted` the token is good; `own` where it names nobody.
    pub(super) fn check_audiences(
        &self,
        own: &[String],
        wanted: &[String],
    ) -> Result<Vec<String>, Unauthorized> {
        let named = if self.aud.is_empty() { own } else { &self.aud };
        let shared: Vec<String> = named.iter().filter(|name| wanted.contains(name)).cloned().collect();
        if shared.is_empty() && !own.is_empty() {
            let list =
                |list: &[String]| list.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(" ");
            return Err(Unauthorized::new(format!(
                "token audiences [{}] is invalid for the target audiences [{}]",
                list(named),
                list(wanted)
            )));
        }
        Ok(shared)
    }
}

/// One audience may stand by itself.
fn one_or_many<'de, D: Deserializer<'de>>(json: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Audience {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Audience::deserialize(json)? {
        Audience::One(one) => vec![one],
        Audience::Many(many) => many,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_its_time_give_or_take_a_minute() {
        let claims = Claims { exp: Some(2000), nbf: Some(1000), iat: Some(1000), ..Claims::default() };
        let cases = [
            (939, Some("service account token is not valid yet")),
            (940, None),
            (1500, None),
            (2060, None),
            (2061, Some("service account token has expired")),
        ];
        for (second, expected) in cases {
            let found = claims.check_time(Timestamp::from_second(second).unwrap());
            assert_eq!(found.err(), expected.map(Unauthorized::new), "{second}");
        }
    }

    #[test]
    fn audiences_are_shared_or_the_token_is_for_somebody_else() {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let own = list(&["api"]);
        let claims = |aud: &[&str]| Claims { aud: list(aud), ..Claims::default() };
        assert_eq!(claims(&["vault", "api"]).check_audiences(&own, &own), Ok(own.clone()));
        assert_eq!(claims(&[]).check_audiences(&own, &own), Ok(own.clone()));
        let wrong = claims(&["vault"]).check_audiences(&own, &own).unwrap_err();
        let expected = r#"token audiences ["vault"] is invalid for the target audiences ["api"]"#;
        assert_eq!(wrong.to_string(), expected);
        let one: Claims = serde_json::from_str(r#"{"iss": "", "sub": "", "aud": "api"}"#).unwrap();
        assert_eq!(one.aud, own);
    }
}
