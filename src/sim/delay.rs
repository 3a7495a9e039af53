//! Seeded delays: other interleavings of the same cluster.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;

use crate::client::{Client, Error, Identity, Request, Response};
use crate::env::{Clock, Env, Stream};

/// A client whose calls and watch events take a random time, so that what races in a cluster is
/// decided differently from seed to seed.
pub struct Delayed {
    inner: Arc<dyn Client>,
    clock: Clock,
    stream: Stream,
    longest: Duration,
}

impl Delayed {
    /// Delays of up to `longest`, drawn from the stream of this name.
    #[must_use]
    pub fn new(inner: Arc<dyn Client>, env: &Env, name: &str, longest: Duration) -> Self {
        let stream = env.random.stream(&format!("delay/{name}"));
        Self { inner, clock: env.clock.clone(), stream, longest }
    }
}

#[async_trait]
impl Client for Delayed {
    async fn call(&self, request: Request) -> Result<Response, Error> {
        self.clock.sleep(self.longest.mul_f64(self.stream.unit())).await;
        let response = self.inner.call(request).await?;
        Ok(match response {
            Response::Watch(events) => {
                let (clock, stream, longest) = (self.clock.clone(), self.stream.clone(), self.longest);
                Response::Watch(Box::pin(events.then(move |event| {
                    let (clock, delay) = (clock.clone(), longest.mul_f64(stream.unit()));
                    async move {
                        clock.sleep(delay).await;
                        event
                    }
                })))
            }
            other => other,
        })
    }

    fn identity(&self) -> &Identity {
        self.inner.identity()
    }
}
