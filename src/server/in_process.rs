//! A client in the server's own process: no bytes, no copies, the same rules.

use std::sync::Arc;

use async_trait::async_trait;

use super::ApiServer;
use crate::client::{Client, Error, Identity, Request, Response};

/// A client that hands its requests to the server as they are.
pub(super) struct InProcess {
    server: ApiServer,
    identity: Identity,
}

impl InProcess {
    pub(super) fn client(server: ApiServer, identity: Identity) -> Arc<dyn Client> {
        Arc::new(Self { server, identity })
    }
}

#[async_trait]
impl Client for InProcess {
    async fn call(&self, request: Request) -> Result<Response, Error> {
        let answer = self.server.handle(&self.identity, request).await;
        let warnings = match &answer {
            Ok(answer) => &answer.warnings,
            Err(refusal) => &refusal.warnings,
        };
        for warning in warnings {
            tracing::warn!(user = self.identity.user, warning, "the server warns");
        }
        Ok(answer?.response)
    }

    fn identity(&self) -> &Identity {
        &self.identity
    }
}
