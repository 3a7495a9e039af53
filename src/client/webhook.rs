//! Webhooks: programs elsewhere that the control plane asks.

use async_trait::async_trait;
use bytes::Bytes;

/// Where a webhook is, and how it proves to be it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct WebhookTarget {
    /// `https://host:port/path`.
    pub url: String,
    /// The host and port to connect to, where they are not the URL's: a service's address.
    pub address: Option<String>,
    /// Certificates in PEM of those who may vouch for the webhook; the client's own where there are none.
    pub ca_bundle: Option<Vec<u8>>,
}

impl WebhookTarget {
    /// A webhook at this URL.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), address: None, ca_bundle: None }
    }

    /// The same, reached at another host and port.
    #[must_use]
    pub fn address(self, address: impl Into<String>) -> Self {
        Self { address: Some(address.into()), ..self }
    }

    /// The same, vouched for by these certificates in PEM.
    #[must_use]
    pub fn ca_bundle(self, pem: impl Into<Vec<u8>>) -> Self {
        Self { ca_bundle: Some(pem.into()), ..self }
    }
}

/// A way to ask webhooks.
///
/// # Contract
///
/// `post` sends a JSON document and answers with the status code and the body of what the webhook says,
/// whatever the code is. It does not ask again. It does not bound how long it waits: its caller does, by
/// dropping it.
///
/// # Cancel safety
///
/// A call that is dropped may or may not have reached the webhook.
///
/// # Errors
///
/// One sentence of why there is no answer, such as `dial tcp 10.0.0.1:443: connect: connection refused`.
///
/// ```
/// use async_trait::async_trait;
/// use bytes::Bytes;
/// use windlass::client::{WebhookClient, WebhookTarget};
///
/// /// Nobody is there.
/// struct Unplugged;
///
/// #[async_trait]
/// impl WebhookClient for Unplugged {
///     async fn post(&self, target: &WebhookTarget, _body: Bytes) -> Result<(u16, Bytes), String> {
///         Err(format!("no route to {}", target.url))
///     }
/// }
/// ```
#[async_trait]
pub trait WebhookClient: Send + Sync + 'static {
    /// Sends a JSON document; the status code and body of the answer.
    async fn post(&self, target: &WebhookTarget, body: Bytes) -> Result<(u16, Bytes), String>;
}
