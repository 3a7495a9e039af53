//! What the options of a read must be, as query parameters: refusals in Kubernetes' words.
//!
//! Source: `ValidateListOptions` of `k8s.io/apimachinery/pkg/apis/meta/internalversion/validation` and of
//! `k8s.io/apiserver/pkg/storage`, and `endpoints/handlers/get.go` (1.36). Where a revision that is no number
//! is asked of a get or a watch, Kubernetes' cache lets the error through as 500; it is the caller's here.

use serde_json::json;

use crate::support::{get, server};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[tokio::test]
async fn options_that_are_wrong_are_refused_in_words() {
    let server = server().await;
    let invalid = |what: &str| format!("ListOptions.meta.k8s.io \"\" is invalid: {what}");
    let number = |text: &str, why: &str| {
        format!(r#"resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": {why}"#)
    };
    let syntax = "invalid syntax";
    let bad = |text: &str, why: &str| (400, format!("invalid resource version: {}", number(text, why)));
    let continued = "specifying resource version is not allowed when using continue".to_owned();
    let forbidden = |what: &str| (422, invalid(&format!("resourceVersionMatch: Forbidden: {what}")));
    let unsupported = |value: &str, supported: &str| {
        let what =
            format!("resourceVersionMatch: Unsupported value: \"{value}\": supported values: {supported}");
        (422, invalid(&what))
    };
    let largest = "18446744073709551616";
    let token = "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiJhIn0";
    let without = "resourceVersionMatch is forbidden unless resourceVersion is provided";
    let requires = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
    let rows = [
        ("?resourceVersion=abc".to_owned(), bad("abc", syntax)),
        ("?resourceVersion=-1".into(), bad("-1", syntax)),
        (format!("?resourceVersion={largest}"), bad(largest, "value out of range")),
        ("?resourceVersion=abc&resourceVersionMatch=NotOlderThan".into(), bad("abc", syntax)),
        ("?resourceVersion=abc&resourceVersionMatch=Exact&limit=1".into(), bad("abc", syntax)),
        ("/a?resourceVersion=abc".into(), bad("abc", syntax)),
        ("/a?resourceVersion=-1".into(), bad("-1", syntax)),
        ("?watch=1&resourceVersion=abc".into(), (422, invalid(&number("abc", syntax)))),
        (format!("?continue={token}&resourceVersion=1"), (400, continued.clone())),
        (format!("?continue={token}&resourceVersion=abc"), (400, continued)),
        (
            "?continue=nonsense!".into(),
            (
                400,
                "invalid continue token: continue key is not valid: illegal base64 data at input byte 8"
                    .into(),
            ),
        ),
        (
            format!("?continue={token}&resourceVersion=1&resourceVersionMatch=Exact"),
            forbidden("resourceVersionMatch is forbidden when continue is provided"),
        ),
        (
            "?resourceVersion=0&resourceVersionMatch=Invalid".into(),
            unsupported("Invalid", r#""Exact", "NotOlderThan", """#),
        ),
        (
            "?resourceVersion=1&resourceVersionMatch=exact".into(),
            unsupported("exact", r#""Exact", "NotOlderThan", """#),
        ),
        ("?resourceVersionMatch=Exact".into(), forbidden(without)),
        ("?resourceVersionMatch=NotOlderThan".into(), forbidden(without)),
        (
            "?resourceVersion=0&resourceVersionMatch=Exact".into(),
            forbidden(r#"resourceVersionMatch "exact" is forbidden for resourceVersion "0""#),
        ),
        (
            "?sendInitialEvents=true".into(),
            (422, invalid("sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list")),
        ),
        ("?watch=1&sendInitialEvents=true".into(), forbidden(requires)),
        ("?watch=1&sendInitialEvents=false".into(), forbidden(requires)),
        (
            "?watch=1&resourceVersionMatch=NotOlderThan".into(),
            forbidden("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"),
        ),
        ("?limit=x".into(), (400, "strconv.ParseInt: parsing \"x\": invalid syntax".into())),
        ("?fieldSelector=spec.colour%3Dred".into(), (400, "field label not supported: spec.colour".into())),
        ("/a%2Fb".into(), (400, r#"Name parameter invalid: "a/b": may not contain '/'"#.into())),
        ("/a%252Fb".into(), (400, r#"Name parameter invalid: "a%2Fb": may not contain '%'"#.into())),
        ("/%2E%2E".into(), (400, r#"Name parameter invalid: "..": may not be '..'"#.into())),
    ];
    for (query, (code, message)) in rows {
        let refused = get(&server, &format!("{MAPS}{query}"), &[]).await.failure();
        let reason = if code == 400 { "BadRequest" } else { "Invalid" };
        assert_eq!(refused, (code, reason.to_owned(), message), "{query}");
    }
    let named = "/api/v1/watch/namespaces/default/configmaps/a?fieldSelector=metadata.name%3Db";
    assert_eq!(
        get(&server, named, &[]).await.failure(),
        (400, "BadRequest".into(), "fieldSelector metadata.name doesn't match requested name".into())
    );
}

#[tokio::test(start_paused = true)]
async fn a_revision_that_has_not_happened_has_a_cause() {
    let server = server().await;
    for query in [
        "?resourceVersion=9000",
        "?resourceVersion=9000&resourceVersionMatch=Exact",
        "/a?resourceVersion=9000",
    ] {
        let refused = get(&server, &format!("{MAPS}{query}"), &[]).await;
        let (code, reason, message) = refused.failure();
        assert_eq!((code, reason.as_str()), (504, "Timeout"), "{query}");
        assert!(
            message.starts_with("Timeout: Too large resource version: 9000, current: "),
            "{query}: {message}"
        );
        let details = &refused.json()["details"];
        assert_eq!(
            (&details["causes"], &details["retryAfterSeconds"]),
            (
                &json!([{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]),
                &json!(1)
            ),
            "{query}"
        );
    }
}
