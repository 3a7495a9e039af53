//! Continue tokens: where a list goes on, and at which revision.
//!
//! The form is Kubernetes' own, to the byte (`k8s.io/apiserver/pkg/storage/continue.go`, 1.36): base64 of
//! `{"v":"meta.k8s.io/v1","rv":7,"start":"name\u0000"}`, where `rv` -1 is the newest revision. The start is
//! a key below the prefix of the list: `name` in one namespace or in cluster scope, `namespace/name` over all
//! namespaces. The list goes on with this key, and where it ends in a NUL, behind the object it names.

use base64::alphabet::URL_SAFE;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use base64::{DecodeError, Engine as _};
use serde::{Deserialize, Serialize};

use crate::api::Revision;

const VERSION: &str = "meta.k8s.io/v1";

/// As lenient as Go's towards the bits behind the last byte.
const BASE64: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, NO_PAD.with_decode_allow_trailing_bits(true));

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Token {
    v: String,
    rv: i64,
    start: String,
}

/// What can be wrong with a token, in Kubernetes' words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("continue key is not valid: {0}")]
    Malformed(String),
    #[error("continue key is not valid: server does not recognize this encoded version {0}")]
    Version(String),
    #[error("continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)")]
    Revision,
    #[error("continue key is not valid: encoded start key empty (version meta.k8s.io/v1)")]
    NoStart,
}

/// A token that goes on from `start`, at `revision`; without one, at whatever is newest then.
pub(crate) fn encode(revision: Option<Revision>, start: &str) -> String {
    let rv = revision.map_or(-1, |revision| i64::try_from(revision.0).unwrap_or(i64::MAX));
    let token = Token { v: VERSION.into(), rv, start: start.into() };
    let mut json = serde_json::to_string(&token).expect("texts and a number are JSON");
    // Go writes these so, and names may have them.
    for letter in ['<', '>', '&', '\u{2028}', '\u{2029}'] {
        if json.contains(letter) {
            json = json.replace(letter, &format!("\\u{:04x}", u32::from(letter)));
        }
    }
    BASE64.encode(json)
}

/// The revision (none for the newest) and the start key of a token.
pub(crate) fn decode(token: &str) -> Result<(Option<Revision>, String), TokenError> {
    let bytes = BASE64.decode(token).map_err(|error| TokenError::Malformed(not_base64(&error, token)))?;
    let Token { v, rv, start } =
        serde_json::from_slice(&bytes).map_err(|error| TokenError::Malformed(error.to_string()))?;
    if v != VERSION {
        return Err(TokenError::Version(v));
    }
    if rv == 0 {
        return Err(TokenError::Revision);
    }
    if start.is_empty() {
        return Err(TokenError::NoStart);
    }
    let key = start.strip_prefix('/').unwrap_or(&start);
    if !is_clean(key) {
        return Err(TokenError::Malformed(start));
    }
    Ok((u64::try_from(rv).ok().map(Revision), key.to_owned()))
}

/// Whether a path stays as it is when its dots and slashes are resolved, so that it cannot lead out of the
/// list's prefix.
fn is_clean(path: &str) -> bool {
    path.is_empty() || path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// Go's words for a text that is no base64.
fn not_base64(error: &DecodeError, token: &str) -> String {
    let at = match error {
        DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _) => *at,
        DecodeError::InvalidLength(_) | DecodeError::InvalidPadding => token.len().saturating_sub(1),
    };
    format!("illegal base64 data at input byte {at}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_what_a_kube_apiserver_would_hand_out() {
        // Base64 of what Go writes as JSON.
        let cases = [
            (
                Some(Revision(7)),
                "bar\0",
                "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6Nywic3RhcnQiOiJiYXJcdTAwMDAifQ",
            ),
            (
                Some(Revision(1234)),
                "default/bar\0",
                "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MTIzNCwic3RhcnQiOiJkZWZhdWx0L2Jhclx1MDAwMCJ9",
            ),
            (
                None,
                "a&<b>\0",
                "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTEsInN0YXJ0IjoiYVx1MDAyNlx1MDAzY2JcdTAwM2VcdTAwMDAifQ",
            ),
        ];
        for (revision, start, token) in cases {
            assert_eq!(encode(revision, start), token, "{start:?}");
            assert_eq!(decode(token), Ok((revision, start.to_owned())), "{start:?}");
        }
    }

    #[test]
    fn tokens_are_read_and_refused_as_by_kubernetes() {
        let malformed = |what: &str| Err(TokenError::Malformed(what.into()));
        let cases = [
            ("valid", VERSION, 1, "key", Ok((Some(Revision(1)), "key"))),
            ("behind a key", VERSION, 1, "ns/key\0", Ok((Some(Revision(1)), "ns/key\0"))),
            ("a slash before it", VERSION, 1, "/ns/key", Ok((Some(Revision(1)), "ns/key"))),
            ("root path", VERSION, 1, "/", Ok((Some(Revision(1)), ""))),
            ("newest", VERSION, -1, "key", Ok((None, "key"))),
            ("newest, whatever is negative", VERSION, -7, "key", Ok((None, "key"))),
            ("dots in a name", VERSION, 1, "..a/b..", Ok((Some(Revision(1)), "..a/b.."))),
            ("empty version", "", 1, "key", Err(TokenError::Version(String::new()))),
            ("invalid version", "v1", 1, "key", Err(TokenError::Version("v1".into()))),
            ("invalid RV", VERSION, 0, "key", Err(TokenError::Revision)),
            ("no start key", VERSION, 1, "", Err(TokenError::NoStart)),
            ("path traversal - parent", VERSION, 1, "../key", malformed("../key")),
            ("path traversal - local", VERSION, 1, "./key", malformed("./key")),
            ("path traversal - double parent", VERSION, 1, "./../key", malformed("./../key")),
            ("path traversal - after parent", VERSION, 1, "key/../..", malformed("key/../..")),
            ("parent alone", VERSION, 1, "..", malformed("..")),
            ("two slashes", VERSION, 1, "//", malformed("//")),
            ("an empty step", VERSION, 1, "ns//key", malformed("ns//key")),
            ("a slash at the end", VERSION, 1, "ns/", malformed("ns/")),
        ];
        for (story, v, rv, start, expected) in cases {
            let token = Token { v: v.into(), rv, start: start.into() };
            let read = decode(&BASE64.encode(serde_json::to_vec(&token).unwrap()));
            assert_eq!(read, expected.map(|(revision, start)| (revision, start.to_owned())), "{story}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let cases = [
            ("nonsense!", "continue key is not valid: illegal base64 data at input byte 8"),
            ("?", "continue key is not valid: illegal base64 data at input byte 0"),
            ("abcde", "continue key is not valid: illegal base64 data at input byte 4"),
            ("e30", "continue key is not valid: server does not recognize this encoded version "),
        ];
        for (token, said) in cases {
            assert_eq!(decode(token).unwrap_err().to_string(), said, "{token}");
        }
        assert!(matches!(decode("Zm9v"), Err(TokenError::Malformed(_))), "`foo` is no JSON");
    }
}
