//! gRPC's framing of one message each way.
//!
//! A message is a byte that says whether it is compressed, its length in four bytes, and itself. The
//! server never offers compression, so nobody may compress. What a message holds is copied out of
//! the connection's buffers, once and to its exact size: a stored value must not keep a whole buffer
//! alive.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use prost::Message;
use tonic::Status;

/// What stands before a message.
const PREFIX: usize = 5;
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// An answer on its way.
pub(super) enum ResponseBody {
    /// One message, then that all went well.
    Message(Option<Bytes>),
    /// Nothing: the headers have said it all.
    Empty,
    /// As many messages as come; it brings its own trailers.
    Stream(tonic::body::Body),
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match &mut *self {
            Self::Message(message) => Poll::Ready(Some(Ok(match message.take() {
                Some(message) => Frame::data(message),
                None => {
                    *self = Self::Empty;
                    Frame::trailers(HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static("0"))]))
                }
            }))),
            Self::Empty => Poll::Ready(None),
            Self::Stream(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Message(_) => false,
            Self::Empty => true,
            Self::Stream(body) => body.is_end_stream(),
        }
    }
}

/// An answer's head.
pub(super) fn response(body: ResponseBody) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

/// An answer of one message, or of none and the reason why.
pub(super) fn answer<M: Message>(result: Result<M, Status>) -> Response<ResponseBody> {
    match result {
        Ok(message) => match encode(&message) {
            Ok(bytes) => response(ResponseBody::Message(Some(bytes))),
            Err(status) => refuse(&status),
        },
        Err(status) => refuse(&status),
    }
}

/// An answer without a message.
pub(super) fn refuse(status: &Status) -> Response<ResponseBody> {
    let mut refused = response(ResponseBody::Empty);
    if status.add_header(refused.headers_mut()).is_err() {
        // Its text is none that a header can carry, which none of ours is.
        refused.headers_mut().insert(GRPC_STATUS, HeaderValue::from_static("13"));
    }
    refused
}

fn encode<M: Message>(message: &M) -> Result<Bytes, Status> {
    let length = message.encoded_len();
    let Some(prefix) = i32::try_from(length).ok().map(i32::cast_unsigned) else {
        return Err(Status::resource_exhausted(format!(
            "grpc: trying to send message larger than max ({length} vs. {})",
            i32::MAX
        )));
    };
    let mut buffer = BytesMut::with_capacity(PREFIX + length);
    buffer.put_u8(0);
    buffer.put_u32(prefix);
    message.encode_raw(&mut buffer);
    Ok(buffer.freeze())
}

/// Reads the one message of a request, which may be `limit` bytes long; answers its length too.
///
/// # Errors
///
/// As grpc-go words them: the client's message is too long, compressed, cut short or not what the
/// method takes.
pub(super) async fn read<M: Message + Default>(
    mut body: Incoming,
    limit: usize,
) -> Result<(M, usize), Status> {
    let mut first = Bytes::new();
    // Most messages come in one piece.
    let mut whole = BytesMut::new();
    loop {
        let held = if whole.is_empty() { &first[..] } else { &whole[..] };
        if let Some(message) = complete(held, limit)? {
            return M::decode(message)
                .map(|decoded| (decoded, message.len()))
                .map_err(|error| Status::internal(format!("grpc: error unmarshalling request: {error}")));
        }
        let Some(frame) = body.frame().await else {
            return Err(Status::internal("grpc: the request ended before its message"));
        };
        let frame = frame.map_err(|error| Status::cancelled(format!("reading the request: {error}")))?;
        if let Ok(data) = frame.into_data() {
            if first.is_empty() && whole.is_empty() {
                first = data;
            } else {
                if whole.is_empty() {
                    whole.extend_from_slice(&first);
                }
                whole.extend_from_slice(&data);
            }
        }
    }
}

/// The message in `held`, once it is there in full.
fn complete(held: &[u8], limit: usize) -> Result<Option<&[u8]>, Status> {
    let Some((prefix, rest)) = held.split_at_checked(PREFIX) else { return Ok(None) };
    if prefix[0] != 0 {
        return Err(Status::unimplemented("grpc: compressed messages are not supported"));
    }
    let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
    if length > limit {
        return Err(Status::resource_exhausted(format!(
            "grpc: received message larger than max ({length} vs. {limit})"
        )));
    }
    Ok(rest.get(..length))
}
