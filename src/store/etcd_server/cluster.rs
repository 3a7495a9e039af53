//! The Cluster and Auth services: what clients must hear before they start.
//!
//! There is one member, which cannot be left, joined or changed, and nobody is asked who they are.

use tonic::Status;

use super::proto::{self, HeaderResponse};
use super::{Shared, error};
use crate::store::Revision;

pub(super) fn member_list(shared: &Shared) -> proto::MemberListResponse {
    let options = &shared.options;
    let member = proto::Member {
        id: options.member_id,
        name: options.name.clone(),
        peer_urls: Vec::new(),
        client_urls: shared.client_urls.clone(),
        is_learner: false,
    };
    // Of what is not about keys, etcd's headers name no revision.
    proto::MemberListResponse { header: Some(shared.header(Revision::NONE)), members: vec![member] }
}

/// To remove, to update, or (with the error for that) to promote a member.
pub(super) fn change_member(shared: &Shared, request: proto::MemberRequest, known: error::Known) -> Status {
    if request.id == shared.options.member_id { known } else { error::MEMBER_NOT_FOUND }.into()
}

/// Nobody is asked who they are; and there is no root user, without whom nobody can be.
pub(super) async fn auth_status(shared: &Shared) -> Result<proto::AuthStatusResponse, Status> {
    let header = Some(shared.header(shared.revision().await?));
    Ok(proto::AuthStatusResponse { header, enabled: false, auth_revision: 1 })
}

/// What is off, or empty, stays so.
pub(super) async fn nothing(shared: &Shared) -> Result<HeaderResponse, Status> {
    Ok(HeaderResponse { header: Some(shared.header(shared.revision().await?)) })
}
