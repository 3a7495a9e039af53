//! Subresources that are acts: binding a pod to a node, evicting it, asking for a token.

mod binding;
mod conditions;
mod eviction;

pub(super) use binding::bind;
pub(super) use eviction::evict;

use super::Answer;
use super::registry::Call;
use crate::api::{Resource, Scope, Status, schema};
use crate::client::{Payload, Response};

/// Gives out a token for a service account.
pub(super) async fn token(call: &mut Call<'_>, payload: Payload) -> Result<Answer, Status> {
    let row = body_row("authentication.k8s.io", "v1", "TokenRequest", "tokenrequests");
    super::service_accounts::token(call, payload, row).await
}

/// A row for what subresources take and answer, and nobody stores.
pub(super) fn body_row(
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
) -> Resource {
    let mut row = Resource::new(group, version, kind, plural, Scope::Namespaced);
    row.schema = schema::name_of(group, version, kind).map(Into::into);
    row
}

fn success(code: u16) -> Response {
    let mut answer = Status::success();
    answer.code = code;
    Response::Status(Box::new(answer))
}
