//! The server as a tower service.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::{BodyError, ResponseBody, upgrade};
use crate::client::Identity;
use crate::server::ApiServer;

/// An [`ApiServer`] as a tower service; see [`ApiServer::service`].
#[derive(Clone, Debug)]
pub struct RestService {
    server: ApiServer,
    identity: Identity,
}

impl RestService {
    pub(crate) fn new(server: ApiServer, identity: Identity) -> Self {
        Self { server, identity }
    }
}

impl<B> Service<Request<B>> for RestService
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BodyError>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Self { server, identity } = self.clone();
        Box::pin(async move {
            Ok(if upgrade::needs_a_pipe(&request) {
                upgrade::over_a_pipe(&server, &identity, request).await
            } else {
                super::respond(&server, &identity, request).await
            })
        })
    }
}
