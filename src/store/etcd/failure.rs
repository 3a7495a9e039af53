//! What a failed call means.
//!
//! etcd says what went wrong in words; its codes are shared by many of them. Three questions decide
//! what happens next: is the answer final, did the request get there at all, or is it unknown? Only a
//! request that certainly never got there is sent again when it writes.
//!
//! Source: `api/v3rpc/rpctypes/error.go`, `server/etcdserver/v3_server.go` and
//! `server/etcdserver/api/v3rpc/interceptor.go` (etcd 3.4 and 3.5).

use std::error::Error as StdError;

use tonic::Code;

use crate::store::{Error, Revision};

/// What a failed call means.
#[derive(Debug)]
pub(super) enum Failure {
    /// The revision is below the floor.
    Compacted,
    /// The revision has not happened.
    FutureRevision,
    /// A branch writes one key twice.
    DuplicateKey,
    /// The key is empty.
    EmptyKey,
    /// A write that keeps something names an absent key.
    KeyNotFound,
    /// There is no such lease.
    LeaseNotFound,
    /// There is such a lease already.
    LeaseExists,
    /// The time to live is too long.
    LeaseTtlTooLarge,
    /// The quota is used up.
    NoSpace,
    /// The members disagree about what is stored.
    Corrupt(String),
    /// Nothing happened, and nothing will.
    Refused(String),
    /// Nothing happened: the token is old, or there is none.
    LoggedOut(String),
    /// Nothing happened: the member was not reached, or has no leader. Another may be better off.
    NotSent(Source),
    /// It may or may not have happened.
    Lost(Source),
}

pub(super) type Source = Box<dyn StdError + Send + Sync>;

impl From<etcd_client::Error> for Failure {
    fn from(error: etcd_client::Error) -> Self {
        match error {
            etcd_client::Error::GRpcStatus(status) if never_connected(&status) => {
                Self::NotSent(Box::new(status))
            }
            etcd_client::Error::GRpcStatus(status) => {
                said(status.code(), status.message()).unwrap_or_else(|| Self::Lost(Box::new(status)))
            }
            // How the client says that a lease which is kept alive has no time to live.
            etcd_client::Error::LeaseKeepAliveError(why) if why == "lease not found" => Self::LeaseNotFound,
            etcd_client::Error::InvalidArgs(why) => Self::Refused(why),
            etcd_client::Error::InvalidUri(why) => Self::Refused(why.to_string()),
            error => Self::Lost(Box::new(error)),
        }
    }
}

/// Whether the connection itself failed.
fn never_connected(status: &tonic::Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<tonic::ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// What etcd's words mean; none where they leave open whether anything happened.
pub(super) fn said(code: Code, message: &str) -> Option<Failure> {
    // A watch that is cancelled quotes the error as Go prints it.
    let etcd = message.split_once("etcdserver: ").map(|(_, words)| words);
    Some(match etcd {
        Some("mvcc: required revision has been compacted") => Failure::Compacted,
        Some("mvcc: required revision is a future revision") => Failure::FutureRevision,
        Some("duplicate key given in txn request") => Failure::DuplicateKey,
        Some("key is not provided") => Failure::EmptyKey,
        Some("key not found") => Failure::KeyNotFound,
        Some("requested lease not found") => Failure::LeaseNotFound,
        Some("lease already exists") => Failure::LeaseExists,
        Some("too large lease TTL") => Failure::LeaseTtlTooLarge,
        Some("mvcc: database space exceeded") => Failure::NoSpace,
        Some("corrupt cluster") => Failure::Corrupt(message.to_owned()),
        Some("invalid auth token" | "revision of auth store is old" | "user name is empty") => {
            Failure::LoggedOut(message.to_owned())
        }
        // Said before anything is proposed.
        Some("no leader" | "too many requests" | "not capable" | "rpc not supported for learner") => {
            Failure::NotSent(message.into())
        }
        Some(_) if refuses(code) => Failure::Refused(message.to_owned()),
        Some(_) => return None,
        None if message.contains("received message larger than max") => Failure::Refused(message.to_owned()),
        None => match code {
            Code::Unauthenticated => Failure::LoggedOut(message.to_owned()),
            Code::PermissionDenied | Code::Unimplemented => Failure::Refused(message.to_owned()),
            _ => return None,
        },
    })
}

/// Whether etcd uses the code for what it will not do.
fn refuses(code: Code) -> bool {
    matches!(
        code,
        Code::InvalidArgument
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::NotFound
            | Code::AlreadyExists
            | Code::OutOfRange
            | Code::Unimplemented
    )
}

impl Failure {
    /// Whether it is that the cluster has no authentication.
    pub(super) fn wants_no_login(&self) -> bool {
        matches!(self, Self::Refused(why) if why.ends_with("authentication is not enabled"))
    }

    /// What the store's callers are told. What needs looking up (the floor, the newest revision, the
    /// lease) is the caller's; these are stand-ins where it cannot.
    pub(super) fn into_error(self, operation: &'static str) -> Error {
        match self {
            Self::Compacted => Error::Compacted { oldest: Revision::NONE },
            Self::FutureRevision => Error::FutureRevision { newest: Revision::NONE },
            Self::DuplicateKey => Error::DuplicateKey { key: bytes::Bytes::new() },
            Self::EmptyKey => Error::EmptyKey,
            Self::KeyNotFound => Error::KeyNotFound,
            Self::LeaseNotFound => Error::LeaseNotFound { id: 0 },
            Self::LeaseExists => Error::LeaseExists { id: 0 },
            Self::LeaseTtlTooLarge => Error::LeaseTtlTooLarge,
            Self::NoSpace => Error::NoSpace,
            Self::Corrupt(what) => Error::Corrupt { what: what.into() },
            Self::Refused(why) | Self::LoggedOut(why) => Error::Refused { why: why.into() },
            Self::NotSent(source) | Self::Lost(source) => Error::Unavailable { operation, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etcds_words_are_understood() {
        let cases = [
            (Code::OutOfRange, "etcdserver: mvcc: required revision has been compacted", "Compacted"),
            (Code::InvalidArgument, "etcdserver: too many operations in txn request", "Refused"),
            (Code::InvalidArgument, "etcdserver: request is too large", "Refused"),
            (Code::ResourceExhausted, "grpc: received message larger than max (3 vs. 2)", "Refused"),
            (Code::PermissionDenied, "etcdserver: permission denied", "Refused"),
            (Code::Unauthenticated, "etcdserver: invalid auth token", "LoggedOut"),
            (Code::InvalidArgument, "etcdserver: revision of auth store is old", "LoggedOut"),
            (Code::Unavailable, "etcdserver: no leader", "NotSent"),
            (Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded", "NoSpace"),
            // What a cancelled watch says.
            (
                Code::Unknown,
                "rpc error: code = PermissionDenied desc = etcdserver: permission denied",
                "Lost, unless the caller knows better",
            ),
        ];
        for (code, message, expected) in cases {
            let shown = said(code, message).map(|failure| format!("{failure:?}"));
            match shown {
                Some(shown) => assert!(shown.starts_with(expected), "{message}: {shown}"),
                None => assert!(expected.starts_with("Lost"), "{message}"),
            }
        }
    }

    #[test]
    fn a_write_whose_fate_is_unknown_is_lost() {
        for message in [
            "etcdserver: request timed out",
            "etcdserver: request timed out, possibly due to previous leader failure",
            "etcdserver: leader changed",
            "etcdserver: server stopped",
            "transport is closing",
            "trying to send message larger than max (3 vs. 2)",
        ] {
            for code in [Code::Unavailable, Code::Unknown, Code::ResourceExhausted] {
                assert!(said(code, message).is_none(), "{code:?} {message}");
            }
        }
    }
}
