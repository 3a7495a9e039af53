//! How a delete is meant: a body, or a query string.

use serde_json::{Value, json};

use super::query::{Query, bad, dry_run, not_a_number, refuse};
use crate::api::Status;
use crate::api::field::{self, Path};
use crate::client::{DeleteOptions, Preconditions, PropagationPolicy};

const IGNORE_READ_ERROR: &str = "ignoreStoreReadErrorWithClusterBreakingPotential";

/// How a delete is meant: by its body (a `DeleteOptions`), or where there is none by its query.
///
/// # Errors
///
/// The `Status` to answer: a value that cannot be read, or that does not go with the others.
pub fn decode_delete(query: &Query, body: Option<&Value>) -> Result<DeleteOptions, Box<Status>> {
    let from_query;
    let body = match body {
        Some(body) => body,
        None => {
            from_query = json!({
                "gracePeriodSeconds": query.int("gracePeriodSeconds")?,
                "propagationPolicy": query.get("propagationPolicy"),
                "orphanDependents": query.switch("orphanDependents"),
                "dryRun": query.all("dryRun").collect::<Vec<_>>(),
                IGNORE_READ_ERROR: query.switch(IGNORE_READ_ERROR),
            });
            &from_query
        }
    };
    let wrong = |field: &str, wanted: &str| {
        bad(format!("DeleteOptions.{field}: expected {wanted}, got {}", body[field]))
    };
    let text = |value: &Value, field: &str| match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        _ => Err(wrong(field, "a string")),
    };
    let switch = |field: &str| match &body[field] {
        Value::Null => Ok(None),
        value => value.as_bool().map(Some).ok_or_else(|| wrong(field, "a boolean")),
    };
    if !body.is_object() {
        return Err(bad("decoded object cannot be converted to DeleteOptions"));
    }
    if body.get("kind").is_some_and(|kind| kind != "DeleteOptions" && kind != "") {
        return Err(bad("decoded object cannot be converted to DeleteOptions"));
    }
    let mut errors = Vec::new();
    let grace_period_seconds = match &body["gracePeriodSeconds"] {
        Value::Null => None,
        value => Some(value.as_i64().ok_or_else(|| wrong("gracePeriodSeconds", "a whole number"))?),
    };
    let orphan = switch("orphanDependents")?;
    let policy = text(&body["propagationPolicy"], "propagationPolicy")?;
    let path = Path::new("propagationPolicy");
    if let (Some(_), Some(policy)) = (orphan, &policy) {
        let why = "orphanDependents and deletionPropagation cannot be both set";
        errors.push(field::Error::invalid(&path, policy.as_str(), why));
    }
    let propagation = match policy.as_deref() {
        Some("Orphan") => Some(PropagationPolicy::Orphan),
        Some("Background") => Some(PropagationPolicy::Background),
        Some("Foreground") => Some(PropagationPolicy::Foreground),
        Some(other) => {
            let allowed = ["Foreground", "Background", "Orphan", "nil"];
            errors.push(field::Error::not_supported(&path, other, &allowed));
            None
        }
        None => orphan
            .map(|orphan| if orphan { PropagationPolicy::Orphan } else { PropagationPolicy::Background }),
    };
    let runs: Vec<&str> = body["dryRun"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let dry_run = dry_run(runs.into_iter(), &mut errors);
    let ignores_read_error = switch(IGNORE_READ_ERROR)?.unwrap_or(false);
    if ignores_read_error {
        errors.extend(contradicted(&[
            ("dryRun", dry_run),
            ("propagationPolicy", policy.is_some()),
            ("orphanDependents", orphan.is_some()),
            ("gracePeriodSeconds", grace_period_seconds.is_some()),
            ("preconditions", !body["preconditions"].is_null()),
        ]));
    }
    refuse("DeleteOptions", &errors)?;
    let resource_version = text(&body["preconditions"]["resourceVersion"], "preconditions")?;
    let preconditions = Preconditions {
        uid: text(&body["preconditions"]["uid"], "preconditions")?,
        resource_version: resource_version
            .map(|text| text.parse().map_err(|_| bad(not_a_number("ParseUint", &text))))
            .transpose()?,
    };
    Ok(DeleteOptions {
        grace_period_seconds,
        preconditions,
        propagation,
        dry_run,
        ignore_store_read_error_with_cluster_breaking_potential: ignores_read_error,
    })
}

/// Whether options go together that were never written out; those that are read do.
///
/// # Errors
///
/// The `Status` to answer where they do not.
pub fn check_delete(options: &DeleteOptions) -> Result<(), Box<Status>> {
    if !options.ignore_store_read_error_with_cluster_breaking_potential {
        return Ok(());
    }
    let errors: Vec<_> = contradicted(&[
        ("dryRun", options.dry_run),
        ("propagationPolicy", options.propagation.is_some()),
        ("gracePeriodSeconds", options.grace_period_seconds.is_some()),
        ("preconditions", options.preconditions != Preconditions::default()),
    ])
    .collect();
    refuse("DeleteOptions", &errors)
}

/// What cannot be read is deleted as it is, and no option makes a difference: one error for each that is
/// there.
///
/// Source: `ValidateIgnoreStoreReadError` of `k8s.io/apimachinery/pkg/apis/meta/v1/validation` (1.36).
fn contradicted(others: &[(&str, bool)]) -> impl Iterator<Item = field::Error> {
    others.iter().filter(|(_, there)| *there).map(|(name, _)| {
        let why = format!("cannot be set together with .{name}");
        field::Error::invalid(&Path::new(IGNORE_READ_ERROR), true, why)
    })
}

/// The body of a delete.
#[must_use]
pub fn encode_delete(options: &DeleteOptions) -> Value {
    let mut body = json!({"kind": "DeleteOptions", "apiVersion": "v1"});
    if let Some(seconds) = options.grace_period_seconds {
        body["gracePeriodSeconds"] = seconds.into();
    }
    if let Some(policy) = options.propagation {
        body["propagationPolicy"] = format!("{policy:?}").into();
    }
    if let Some(uid) = &options.preconditions.uid {
        body["preconditions"]["uid"] = uid.as_str().into();
    }
    if let Some(revision) = options.preconditions.resource_version {
        body["preconditions"]["resourceVersion"] = revision.to_string().into();
    }
    if options.dry_run {
        body["dryRun"] = json!(["All"]);
    }
    if options.ignore_store_read_error_with_cluster_breaking_potential {
        body[IGNORE_READ_ERROR] = true.into();
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Revision;

    fn from_query(text: &str) -> Result<DeleteOptions, Box<Status>> {
        decode_delete(&Query::parse(text), None)
    }

    fn from_body(body: Value) -> Result<DeleteOptions, Box<Status>> {
        decode_delete(&Query::default(), Some(&body))
    }

    #[test]
    fn what_is_written_is_read_back() {
        let with = |change: fn(&mut DeleteOptions)| {
            let mut options = DeleteOptions::default();
            change(&mut options);
            options
        };
        let all = [
            with(|_| {}),
            with(|options| {
                options.grace_period_seconds = Some(0);
                options.propagation = Some(PropagationPolicy::Foreground);
                options.dry_run = true;
                options.preconditions =
                    Preconditions { uid: Some("u".into()), resource_version: Some(Revision(4)) };
            }),
            with(|options| options.ignore_store_read_error_with_cluster_breaking_potential = true),
        ];
        for options in all {
            let read = from_body(encode_delete(&options)).unwrap();
            assert_eq!(format!("{read:?}"), format!("{options:?}"));
        }
    }

    #[test]
    fn what_is_no_such_options_is_refused() {
        for body in [json!([]), json!({"kind": "Pod"}), json!({IGNORE_READ_ERROR: "yes"})] {
            assert_eq!(from_body(body).unwrap_err().code, 400);
        }
    }

    #[test]
    fn to_ignore_read_errors_goes_with_nothing_else() {
        let ignores =
            |options: DeleteOptions| options.ignore_store_read_error_with_cluster_breaking_potential;
        assert!(ignores(from_query("ignoreStoreReadErrorWithClusterBreakingPotential=true").unwrap()));
        assert!(!ignores(from_query("ignoreStoreReadErrorWithClusterBreakingPotential=false").unwrap()));
        assert!(!ignores(from_query("").unwrap()));
        let refused = from_body(json!({
            IGNORE_READ_ERROR: true,
            "dryRun": ["All"],
            "orphanDependents": false,
            "gracePeriodSeconds": 0,
            "preconditions": {},
        }));
        let refused = refused.unwrap_err();
        let error = |name: &str| {
            format!("{IGNORE_READ_ERROR}: Invalid value: true: cannot be set together with .{name}")
        };
        let errors =
            ["dryRun", "orphanDependents", "gracePeriodSeconds", "preconditions"].map(error).join(", ");
        let expected = format!("DeleteOptions.meta.k8s.io \"\" is invalid: [{errors}]");
        assert_eq!((refused.code, refused.message), (422, expected));
        // Off, it is nothing at all.
        assert!(from_body(json!({IGNORE_READ_ERROR: false, "dryRun": ["All"]})).is_ok());
        let mut options = DeleteOptions {
            ignore_store_read_error_with_cluster_breaking_potential: true,
            ..DeleteOptions::default()
        };
        assert!(check_delete(&options).is_ok());
        options.propagation = Some(PropagationPolicy::Orphan);
        let refused = check_delete(&options).unwrap_err();
        let expected = format!("DeleteOptions.meta.k8s.io \"\" is invalid: {}", error("propagationPolicy"));
        assert_eq!((refused.code, refused.message), (422, expected));
    }
}
