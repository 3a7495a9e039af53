//! OpenAPI, version 3: an index of documents, one a group version.

use http::header::{CACHE_CONTROL, EXPIRES, HeaderValue, LOCATION, VARY};
use http::{HeaderMap, Response, StatusCode};
use jiff::SignedDuration;
use serde_json::{Map, json};

use super::encode::{Encoder, respond as response};
use super::fixed::{fingerprint, tagged};
use super::{ResponseBody, discovery};
use crate::api::{Scheme, Status, schema, status};
use crate::client::wire::Query;

/// `/openapi/v3` and what is below it.
pub(super) fn openapi(
    scheme: &Scheme,
    rest: &[&str],
    query: &Query,
    headers: &HeaderMap,
    encoder: &Encoder,
) -> Result<Response<ResponseBody>, Status> {
    let (group, version) = match rest {
        [] => {
            let mut paths = Map::new();
            for (group, versions) in discovery::groups(scheme) {
                for (version, _) in versions {
                    let path = match group.as_str() {
                        "" => format!("api/{version}"),
                        group => format!("apis/{group}/{version}"),
                    };
                    let tag = openapi_tag(scheme, &group, &version);
                    let url = format!("/openapi/v3/{path}?hash={tag}");
                    paths.insert(path, json!({ "serverRelativeURL": url }));
                }
            }
            return Ok(encoder.document(json!({ "paths": paths })));
        }
        ["api", version] => ("", *version),
        ["apis", group, version] if !group.is_empty() => (*group, *version),
        _ => return Err(status::no_such_resource()),
    };
    if !scheme.iter().any(|row| row.group == group && row.version == version) {
        return Err(status::no_such_resource());
    }
    let tag = openapi_tag(scheme, group, version);
    let asked = query.get("hash");
    if asked.is_some_and(|asked| asked != tag) {
        // What the caller knows is old: the document has another address now.
        let mut moved = response(
            StatusCode::MOVED_PERMANENTLY,
            HeaderValue::from_static("text/plain"),
            ResponseBody::empty(),
        );
        let url = format!("/openapi/v3/{}?hash={tag}", rest.join("/"));
        if let Ok(url) = HeaderValue::try_from(url) {
            moved.headers_mut().insert(LOCATION, url);
        }
        return Ok(moved);
    }
    let quoted = format!("\"{tag}\"");
    let mut found = tagged(&quoted, headers, || encoder.document(schema::openapi_v3(scheme, group, version)));
    if asked.is_some() {
        // What has this address never changes: it is good for a year, which is as long as may be said.
        let headers = found.headers_mut();
        headers.insert(VARY, HeaderValue::from_static("Accept"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
        let expires = encoder.clock.now() + SignedDuration::from_hours(365 * 24);
        if let Ok(expires) = HeaderValue::try_from(expires.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
        {
            headers.insert(EXPIRES, expires);
        }
    }
    Ok(found)
}

/// What changes when the rows of a version change.
fn openapi_tag(scheme: &Scheme, group: &str, version: &str) -> String {
    let rows = discovery::resource_list(scheme, group, version).unwrap_or_default();
    let schemas: Vec<_> = scheme
        .iter()
        .filter(|row| row.group == group && row.version == version)
        .map(|row| {
            let own = row.custom.as_ref().and_then(|version| version.open_api());
            (row.schema.as_deref().unwrap_or_default(), own.map(ToString::to_string), row.selectable.len())
        })
        .collect();
    fingerprint(&format!("{rows}{schemas:?}{}", env!("CARGO_PKG_VERSION"))).to_uppercase()
}
