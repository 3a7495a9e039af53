//! Seeded delays: other interleavings of the same cluster.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::client::hooks::{Calls, Hooks};
use crate::client::{Client, Error, Identity, Request, Response};
use crate::env::Env;

/// A client whose calls and watch events take a random time, so that what races in a cluster is
/// decided differently from seed to seed. The shortest way to say so of everything; [`Hooks`] say more.
pub struct Delayed(Arc<dyn Client>);

impl Delayed {
    /// Delays of up to `longest`, drawn from the stream of this name.
    #[must_use]
    pub fn new(inner: Arc<dyn Client>, env: &Env, name: &str, longest: Duration) -> Self {
        let hooks = Hooks::of_stream(env, &format!("delay/{name}"));
        hooks.on(Calls::any()).delay_up_to(longest);
        hooks.events(Calls::any()).delay_up_to(longest);
        Self(hooks.client(inner))
    }
}

#[async_trait]
impl Client for Delayed {
    async fn call(&self, request: Request) -> Result<Response, Error> {
        self.0.call(request).await
    }

    fn identity(&self) -> &Identity {
        self.0.identity()
    }
}
