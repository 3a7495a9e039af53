//! Delete many.

use super::delete::delete_admitted;
use super::read::page;
use super::{Call, corrupt};
use crate::api::{Status, status, warnings};
use crate::client::{DeleteOptions, ListOptions, ObjectList, Response, Target};
use crate::server::Answer;

/// Deletes what a list selects, one by one; answers with what was deleted. What somebody else
/// deleted meanwhile is no failure.
pub(super) async fn delete_collection(
    call: &mut Call<'_>,
    list: &ListOptions,
    options: &DeleteOptions,
) -> Result<Answer, Status> {
    corrupt::refuse_collection(options)?;
    if call.target.name.is_some() {
        // On a wire this would be the deletion of one, whatever was selected.
        return Err(status::bad_request("a collection has no name"));
    }
    if options.propagation.is_none() {
        call.warn(warnings::delete(&call.row));
    }
    let ObjectList { resource, revision, items, continue_token, remaining } = page(call, list).await?;
    let mut deleted = Vec::with_capacity(items.len());
    for item in items {
        let target = Target {
            name: Some(item.name().into()),
            namespace: item.namespace().map(Into::into),
            ..call.target.clone()
        };
        let mut one = Call {
            asked: call.asked.clone(),
            ..Call::new(call.server, call.identity, call.row.clone(), &target)
        };
        let done = delete_admitted(&mut one, options).await;
        call.warn(one.warnings);
        call.annotations.append(&mut one.annotations);
        match done {
            Ok(gone) => deleted.push(gone.object),
            Err(status) if status.code == 404 => {}
            Err(status) => return Err(status),
        }
    }
    let list = ObjectList { resource, revision, items: deleted, continue_token, remaining };
    Ok(Response::List(list).into())
}
