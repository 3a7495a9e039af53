//! Requests of any method, path, query and body to a server: each is answered, and none with an internal error.
#![no_main]

use std::cell::RefCell;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use libfuzzer_sys::{Corpus, fuzz_target};
use tokio::runtime::{Builder, Runtime};
use tower_service::Service;
use windlass::client::Identity;
use windlass::server::ApiServer;
use windlass::store::MemoryStore;

const METHODS: [Method; 7] =
    [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD, Method::OPTIONS];
const MEDIA: [&str; 8] = [
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
    "text/plain",
];

/// What Kubernetes itself answers 500 to: a version on creation, and what cannot be applied by its schema.
const THEIRS: [&str; 2] = ["resourceVersion should not be set", "failed to create typed "];

/// So many requests, and the server is another: what they made would fill the memory.
const REQUESTS: usize = 5_000;

struct World {
    runtime: Runtime,
    server: ApiServer,
    left: usize,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::new());
}

impl World {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let server = ApiServer::builder().store(Arc::new(MemoryStore::new())).build();
        let server = runtime.block_on(server).expect("a server");
        Self { runtime, server, left: REQUESTS }
    }

    fn answer(&mut self, request: Request<Full<Bytes>>) -> (StatusCode, Bytes) {
        if self.left == 0 {
            self.runtime.block_on(self.server.shutdown());
            *self = Self::new();
        }
        self.left -= 1;
        self.runtime.block_on(async {
            let answer = self.server.service(Identity::admin()).call(request).await.expect("an answer");
            let code = answer.status();
            let body = Limited::new(answer.into_body(), 64 << 20).collect().await.expect("a body");
            (code, body.to_bytes())
        })
    }
}

fuzz_target!(|data: &[u8]| -> Corpus {
    let [kind, media, accept, rest @ ..] = data else { return Corpus::Reject };
    let Some([path, body]) = windlass_fuzz::parts(rest) else { return Corpus::Reject };
    // What is asked to wait would.
    if path.windows(5).any(|part| part.eq_ignore_ascii_case(b"watch") || part == b"follo") {
        return Corpus::Reject;
    }
    let at = |list: &[&'static str], byte: u8| list[usize::from(byte) % list.len()];
    let request = Request::builder()
        .method(METHODS[usize::from(*kind) % METHODS.len()].clone())
        .uri(path)
        .header("content-type", at(&MEDIA, *media))
        .header("accept", at(&MEDIA, *accept))
        .body(Full::new(Bytes::copy_from_slice(body)));
    let Ok(request) = request else { return Corpus::Reject };
    let (code, body) = WORLD.with_borrow_mut(|world| world.answer(request));
    let text = String::from_utf8_lossy(&body);
    let is_theirs = THEIRS.iter().any(|words| text.contains(words));
    assert!(code != StatusCode::INTERNAL_SERVER_ERROR || is_theirs, "{text}");
    Corpus::Keep
});
