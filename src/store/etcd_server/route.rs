//! From a path to its method.

use std::future::Future;
use std::sync::Arc;

use futures_core::Stream;
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use prost::Message;
use tonic::codec::{EncodeBody, SingleMessageCompressionOverride, Streaming};
use tonic::{Code, Status};

use super::codec::Messages;
use super::frame::{self, ResponseBody};
use super::watch::{Session, TellEncoder};
use super::{Shared, cluster, error, kv, lease, maintenance};

type Answer = Response<ResponseBody>;

/// Answers a request. The methods that everybody calls all the time come first; the others are
/// behind a box, so that these stay small.
pub(super) async fn respond(shared: Arc<Shared>, request: Request<Incoming>) -> Answer {
    if request.method() != Method::POST || !is_grpc(&request) {
        let mut refused = Response::new(ResponseBody::Empty);
        *refused.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return refused;
    }
    let limit = shared.options.max_message_bytes();
    match request.uri().path() {
        "/etcdserverpb.KV/Put" => match frame::read(request.into_body(), limit).await {
            Ok(read) => frame::answer(kv::put(&shared, read).await),
            Err(status) => frame::refuse(&status),
        },
        "/etcdserverpb.KV/Range" => match frame::read(request.into_body(), limit).await {
            Ok((message, _)) if kv::is_long(&message) => {
                // It runs beside the other requests of its connection, which would wait for it.
                let tasks = shared.env.tasks.clone();
                let answer = async move { frame::answer(kv::range(&shared, message).await) };
                let ended = tasks.spawn("etcd range", answer).join().await;
                ended.unwrap_or_else(|| frame::refuse(&error::STOPPED.into()))
            }
            Ok((message, _)) => frame::answer(kv::range(&shared, message).await),
            Err(status) => frame::refuse(&status),
        },
        "/etcdserverpb.KV/Txn" => match frame::read(request.into_body(), limit).await {
            Ok(read) => frame::answer(kv::txn(&shared, read).await),
            Err(status) => frame::refuse(&status),
        },
        _ => Box::pin(seldom(shared, request)).await,
    }
}

fn is_grpc(request: &Request<Incoming>) -> bool {
    let kind = request.headers().get(CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
    kind.strip_prefix(b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// Reads a message and answers it.
async fn unary<Q, A, F>(shared: &Shared, body: Incoming, method: impl FnOnce(Q) -> F) -> Answer
where
    Q: Message + Default,
    A: Message,
    F: Future<Output = Result<A, Status>>,
{
    match frame::read(body, shared.options.max_message_bytes()).await {
        Ok((message, _)) => frame::answer(method(message).await),
        Err(status) => frame::refuse(&status),
    }
}

/// The messages of a request that has many.
fn messages<Q: Message + Default + 'static>(shared: &Shared, body: Incoming) -> Streaming<Q> {
    Streaming::new_request(Messages::new(), body, None, Some(shared.options.max_message_bytes()))
}

/// An answer of many messages.
fn streamed<E, S>(shared: &Shared, encoder: E, stream: S) -> Answer
where
    E: tonic::codec::Encoder<Error = Status> + Send + 'static,
    E::Item: Send + 'static,
    S: Stream<Item = Result<E::Item, Status>> + Send + 'static,
{
    let body = EncodeBody::new_server(
        encoder,
        shared.until_drained(stream),
        None,
        SingleMessageCompressionOverride::default(),
        Some(usize::MAX),
    );
    frame::response(ResponseBody::Stream(tonic::body::Body::new(body)))
}

async fn seldom(shared: Arc<Shared>, request: Request<Incoming>) -> Answer {
    let (parts, body) = request.into_parts();
    let shared = &shared;
    let Some((service, method)) = parts.uri.path().strip_prefix('/').and_then(|path| path.split_once('/'))
    else {
        return frame::refuse(&Status::unimplemented(format!(
            "malformed method name: {:?}",
            parts.uri.path()
        )));
    };
    let Some(service) = service.strip_prefix("etcdserverpb.") else {
        return frame::refuse(&Status::unimplemented(format!("unknown service {service}")));
    };
    let refuse = |known: error::Known| frame::refuse(&Status::from(known));
    match (service, method) {
        ("KV", "DeleteRange") => match frame::read(body, shared.options.max_message_bytes()).await {
            Ok(read) => frame::answer(kv::delete_range(shared, read).await),
            Err(status) => frame::refuse(&status),
        },
        ("KV", "Compact") => unary(shared, body, |request| kv::compact(shared, request)).await,

        ("Watch", "Watch") => {
            streamed(shared, TellEncoder, Session::new(shared.clone(), messages(shared, body)))
        }

        ("Lease", "LeaseGrant") => unary(shared, body, |request| lease::grant(shared, request)).await,
        ("Lease", "LeaseRevoke") => unary(shared, body, |request| lease::revoke(shared, request)).await,
        ("Lease", "LeaseTimeToLive") => {
            unary(shared, body, |request| lease::time_to_live(shared, request)).await
        }
        ("Lease", "LeaseLeases") => unary(shared, body, |()| lease::list(shared)).await,
        ("Lease", "LeaseKeepAlive") => {
            streamed(shared, Messages::new(), lease::keep_alive(shared.clone(), messages(shared, body)))
        }

        ("Maintenance", "Status") => unary(shared, body, |()| maintenance::status(shared)).await,
        ("Maintenance", "Alarm") => unary(shared, body, |request| maintenance::alarm(shared, request)).await,
        ("Maintenance", "Defragment") => unary(shared, body, |()| maintenance::defragment(shared)).await,
        ("Maintenance", "Snapshot") => match maintenance::snapshot(shared.clone()).await {
            Ok(stream) => streamed(shared, Messages::new(), stream),
            Err(status) => frame::refuse(&status),
        },
        ("Maintenance", "MoveLeader") => {
            unary(shared, body, |request| async move { maintenance::move_leader(shared, request) }).await
        }
        ("Maintenance", "Downgrade") => {
            unary(shared, body, |request| async move { Err::<(), _>(maintenance::downgrade(&request)) }).await
        }

        ("Cluster", "MemberList") => {
            unary(shared, body, |()| async { Ok(cluster::member_list(shared)) }).await
        }
        ("Cluster", "MemberAdd") => refuse(error::NOT_ENOUGH_STARTED),
        ("Cluster", "MemberRemove" | "MemberUpdate" | "MemberPromote") => {
            let known =
                if method == "MemberPromote" { error::MEMBER_NOT_LEARNER } else { error::NOT_ENOUGH_STARTED };
            unary(shared, body, |request| async move {
                Err::<(), _>(cluster::change_member(shared, request, known))
            })
            .await
        }

        ("Auth", "AuthStatus") => unary(shared, body, |()| cluster::auth_status(shared)).await,
        ("Auth", "AuthDisable" | "UserList" | "RoleList") => {
            unary(shared, body, |()| cluster::nothing(shared)).await
        }
        ("Auth", "AuthEnable") => refuse(error::ROOT_USER_NOT_EXIST),
        ("Auth", "Authenticate") => refuse(error::AUTH_NOT_ENABLED),
        ("Auth", "UserGet" | "UserDelete" | "UserChangePassword" | "UserGrantRole" | "UserRevokeRole") => {
            refuse(error::USER_NOT_FOUND)
        }
        ("Auth", "RoleGet" | "RoleDelete" | "RoleGrantPermission" | "RoleRevokePermission") => {
            refuse(error::ROLE_NOT_FOUND)
        }
        ("Auth", "UserAdd" | "RoleAdd") => frame::refuse(&error::unsupported("users and roles")),
        // Its hash would be of its own making: there is no other member to compare it with.
        ("Maintenance", "Hash" | "HashKV") => frame::refuse(&error::unsupported("hashes")),

        ("KV" | "Watch" | "Lease" | "Maintenance" | "Cluster" | "Auth", _) => frame::refuse(&Status::new(
            Code::Unimplemented,
            format!("unknown method {method} for service etcdserverpb.{service}"),
        )),
        _ => frame::refuse(&Status::unimplemented(format!("unknown service etcdserverpb.{service}"))),
    }
}
