//! Answers that are compressed: the large ones, to those who take them so.
//!
//! Source: `responsewriters/writers.go` of `k8s.io/apiserver/pkg/endpoints/handlers` (1.36).

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue, VARY};
use http::{HeaderMap, Response};

use super::ResponseBody;
use super::body::{Content, Pieces};

/// What is smaller is sent as it is.
const THRESHOLD: u64 = 128 * 1024;
/// How much is compressed before others get their turn.
const STEP: usize = 64 * 1024;
/// How large a piece is, about.
const PIECE: usize = 16 * 1024;

/// Whether the caller takes gzip: named as it is, without a quality, as Kubernetes reads it.
pub(super) fn is_accepted(headers: &HeaderMap) -> bool {
    let accepted = headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepted.split(',').any(|token| token.trim() == "gzip")
}

/// The same response, compressed where it is large enough.
pub(super) fn zip(response: Response<ResponseBody>) -> Response<ResponseBody> {
    let size = http_body::Body::size_hint(response.body()).exact();
    if size.is_none_or(|size| size <= THRESHOLD) || response.headers().contains_key(CONTENT_ENCODING) {
        return response;
    }
    let mut response = response.map(|body| {
        let encoder = Some(GzEncoder::new(Vec::with_capacity(PIECE + STEP), Compression::fast()));
        ResponseBody::pieces(Gzip { content: body.into_content(), encoder })
    });
    let headers = response.headers_mut();
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    response
}

struct Gzip {
    content: Content,
    /// None once the end has been written.
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl Gzip {
    fn plain(&mut self) -> Option<Bytes> {
        match &mut self.content {
            Content::Whole(bytes) if bytes.is_empty() => None,
            Content::Whole(bytes) => Some(bytes.split_to(bytes.len().min(STEP))),
            Content::Pieces(pieces) => pieces.next(),
            // One with a size is no stream.
            Content::Stream(_) => None,
        }
    }
}

impl Pieces for Gzip {
    fn next(&mut self) -> Option<Bytes> {
        while self.encoder.as_ref()?.get_ref().len() < PIECE {
            let Some(plain) = self.plain() else {
                // To write into memory does not fail.
                let rest = self.encoder.take()?.finish().unwrap_or_default();
                return Some(rest.into());
            };
            let _ = self.encoder.as_mut()?.write_all(&plain);
        }
        let full = self.encoder.as_mut()?.get_mut();
        Some(std::mem::replace(full, Vec::with_capacity(PIECE + STEP)).into())
    }

    fn left(&self) -> Option<u64> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use futures_util::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn what_is_large_comes_in_pieces_and_is_the_same() {
        let text: String =
            (0..100_000).map(|number: u32| format!("{}", number.wrapping_mul(2_654_435_761))).collect();
        let response = zip(Response::new(ResponseBody::whole(text.clone())));
        assert_eq!(response.headers()[CONTENT_ENCODING], "gzip");
        assert_eq!(response.headers()[VARY], "Accept-Encoding");
        let pieces: Vec<Bytes> = crate::client::Body::from(response.into_body()).try_collect().await.unwrap();
        assert!(
            pieces.len() > 3 && pieces.iter().all(|piece| piece.len() < PIECE + STEP),
            "{}",
            pieces.len()
        );
        let mut read = String::new();
        GzDecoder::new(&*pieces.concat()).read_to_string(&mut read).unwrap();
        assert_eq!(read, text);
    }

    #[test]
    fn what_is_small_stays_as_it_is() {
        let small = vec![b'a'; THRESHOLD as usize];
        assert!(zip(Response::new(ResponseBody::whole(small))).headers().is_empty());
        assert!(zip(Response::new(ResponseBody::stream(futures_util::stream::empty()))).headers().is_empty());
    }

    #[test]
    fn gzip_is_taken_where_it_is_named() {
        for (accepted, taken) in [("gzip", true), ("br, gzip", true), ("gzip;q=0.5", false), ("*", false)] {
            let headers = [(ACCEPT_ENCODING, HeaderValue::from_static(accepted))].into_iter().collect();
            assert_eq!(is_accepted(&headers), taken, "{accepted}");
        }
    }
}
