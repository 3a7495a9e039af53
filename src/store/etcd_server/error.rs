//! etcd's errors, to the letter: clients tell them apart by their text.
//!
//! Source: `api/v3rpc/rpctypes/error.go` and `server/etcdserver/api/v3rpc/util.go` of etcd (3.5).

use tonic::{Code, Status};

use crate::store::Error;

/// An error that etcd has a name for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known(Code, &'static str);

pub(super) const EMPTY_KEY: Known = Known(Code::InvalidArgument, "etcdserver: key is not provided");
pub(super) const KEY_NOT_FOUND: Known = Known(Code::InvalidArgument, "etcdserver: key not found");
pub(super) const VALUE_PROVIDED: Known = Known(Code::InvalidArgument, "etcdserver: value is provided");
pub(super) const LEASE_PROVIDED: Known = Known(Code::InvalidArgument, "etcdserver: lease is provided");
pub(super) const TOO_MANY_OPS: Known =
    Known(Code::InvalidArgument, "etcdserver: too many operations in txn request");
pub(super) const DUPLICATE_KEY: Known =
    Known(Code::InvalidArgument, "etcdserver: duplicate key given in txn request");
pub(super) const REQUEST_TOO_LARGE: Known = Known(Code::InvalidArgument, "etcdserver: request is too large");
pub(super) const COMPACTED: Known =
    Known(Code::OutOfRange, "etcdserver: mvcc: required revision has been compacted");
pub(super) const FUTURE_REVISION: Known =
    Known(Code::OutOfRange, "etcdserver: mvcc: required revision is a future revision");
pub(super) const NO_SPACE: Known =
    Known(Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded");
pub(super) const LEASE_NOT_FOUND: Known = Known(Code::NotFound, "etcdserver: requested lease not found");
pub(super) const LEASE_EXISTS: Known = Known(Code::FailedPrecondition, "etcdserver: lease already exists");
pub(super) const LEASE_TTL_TOO_LARGE: Known = Known(Code::OutOfRange, "etcdserver: too large lease TTL");
pub(super) const MEMBER_NOT_FOUND: Known = Known(Code::NotFound, "etcdserver: member not found");
pub(super) const MEMBER_NOT_LEARNER: Known =
    Known(Code::FailedPrecondition, "etcdserver: can only promote a learner member");
pub(super) const NOT_ENOUGH_STARTED: Known =
    Known(Code::FailedPrecondition, "etcdserver: re-configuration failed due to not enough started members");
pub(super) const BAD_LEADER_TRANSFEREE: Known =
    Known(Code::FailedPrecondition, "etcdserver: bad leader transferee");
pub(super) const ROOT_USER_NOT_EXIST: Known =
    Known(Code::FailedPrecondition, "etcdserver: root user does not exist");
pub(super) const USER_NOT_FOUND: Known = Known(Code::FailedPrecondition, "etcdserver: user name not found");
pub(super) const ROLE_NOT_FOUND: Known = Known(Code::FailedPrecondition, "etcdserver: role name not found");
pub(super) const AUTH_NOT_ENABLED: Known =
    Known(Code::FailedPrecondition, "etcdserver: authentication is not enabled");
pub(super) const CORRUPT: Known = Known(Code::DataLoss, "etcdserver: corrupt cluster");
pub(super) const STOPPED: Known = Known(Code::Unavailable, "etcdserver: server stopped");
pub(super) const INVALID_DOWNGRADE_TARGET: Known =
    Known(Code::InvalidArgument, "etcdserver: invalid downgrade target version");
pub(super) const NO_INFLIGHT_DOWNGRADE: Known =
    Known(Code::FailedPrecondition, "etcdserver: no inflight downgrade job");

impl Known {
    /// Its text, which watches give as a reason.
    pub(super) fn text(self) -> &'static str {
        self.1
    }
}

impl From<Known> for Status {
    fn from(known: Known) -> Self {
        Self::new(known.0, known.1)
    }
}

/// What a client is told of a store's error.
pub(super) fn status(error: &Error) -> Status {
    let known = match error {
        Error::Compacted { .. } => COMPACTED,
        Error::FutureRevision { .. } => FUTURE_REVISION,
        Error::DuplicateKey { .. } => DUPLICATE_KEY,
        Error::EmptyKey => EMPTY_KEY,
        Error::KeyNotFound => KEY_NOT_FOUND,
        Error::LeaseNotFound { .. } => LEASE_NOT_FOUND,
        Error::LeaseExists { .. } => LEASE_EXISTS,
        Error::LeaseTtlTooLarge => LEASE_TTL_TOO_LARGE,
        Error::NoSpace => NO_SPACE,
        Error::Corrupt { what } => {
            tracing::error!(%what, "the store is corrupt");
            CORRUPT
        }
        Error::Unreadable { .. } | Error::UnreadableDeleted { .. } => {
            tracing::error!(%error, "the store is corrupt");
            CORRUPT
        }
        Error::Stopped { why } => {
            tracing::error!(%why, "the store has stopped");
            STOPPED
        }
        Error::Refused { why } => return Status::invalid_argument(format!("etcdserver: {why}")),
        // Trying again may help, which is what this code says.
        Error::Unavailable { .. } => return Status::unavailable(format!("etcdserver: {error}")),
    };
    known.into()
}

/// The store cannot do what was asked.
pub(super) fn unsupported(what: &str) -> Status {
    Status::unimplemented(format!("etcdserver: this store has no {what}"))
}
