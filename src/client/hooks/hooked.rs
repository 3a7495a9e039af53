//! A client with hooks.

use std::sync::Arc;

use async_trait::async_trait;

use super::Hooks;
use crate::client::{Client, Error, Identity, Request, Response};

/// A client whose calls hooks apply to.
pub(super) struct Hooked {
    inner: Arc<dyn Client>,
    hooks: Hooks,
}

impl Hooked {
    pub(super) fn new(inner: Arc<dyn Client>, hooks: Hooks) -> Self {
        Self { inner, hooks }
    }
}

#[async_trait]
impl Client for Hooked {
    async fn call(&self, request: Request) -> Result<Response, Error> {
        let begun = self.hooks.begin(self.inner.identity(), &request).await.map_err(|status| *status)?;
        let response = self.inner.call(request).await?;
        Ok(self.hooks.end(begun, response).map_err(|status| *status)?)
    }

    fn identity(&self) -> &Identity {
        self.inner.identity()
    }
}
