//! Webhooks over HTTPS.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::endpoint::Endpoint;
use super::pool::Pool;
use super::trust;
use crate::client::{Cluster, User, WebhookClient, WebhookTarget};
use crate::env::Env;

/// How large an answer may be, in bytes.
const MOST: usize = 64 << 20;
/// How many webhooks are kept connected to (client-go's size of that cache).
const KEPT: usize = 200;

/// Asks webhooks over HTTPS, by the certificates that vouch for each.
///
/// A webhook without certificates of its own is judged by [`HttpsWebhooks::trusting`]'s; without these it is
/// not asked.
pub struct HttpsWebhooks {
    env: Env,
    roots: Option<Vec<u8>>,
    pools: Mutex<BTreeMap<WebhookTarget, Arc<Pool>>>,
}

impl HttpsWebhooks {
    /// Webhooks that are vouched for one by one.
    #[must_use]
    pub fn new(env: &Env) -> Self {
        Self { env: env.clone(), roots: None, pools: Mutex::default() }
    }

    /// The same, with certificates in PEM for webhooks that bring none.
    #[must_use]
    pub fn trusting(self, pem: impl Into<Vec<u8>>) -> Self {
        Self { roots: Some(pem.into()), ..self }
    }

    fn pool(&self, target: &WebhookTarget) -> Result<Arc<Pool>, String> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(target) {
            return Ok(pool.clone());
        }
        let roots = target.ca_bundle.as_ref().or(self.roots.as_ref());
        let roots = roots
            .ok_or("tls: failed to verify certificate: x509: certificate signed by unknown authority")?;
        let cluster =
            Cluster { certificate_authority_data: Some(STANDARD.encode(roots)), ..Cluster::default() };
        let config = trust::config(&cluster, &User::default(), None, &self.env.clock)
            .map_err(|error| error.to_string())?;
        let named = Endpoint::parse(&target.url).map_err(|error| error.to_string())?;
        let name = ServerName::try_from(named.host().to_owned()).map_err(|error| error.to_string())?;
        let endpoint = match &target.address {
            Some(address) => {
                Endpoint::parse(&format!("https://{address}")).map_err(|error| error.to_string())?
            }
            None => named,
        };
        let connector = TlsConnector::from(Arc::new(config));
        let pool = Arc::new(Pool::new(endpoint, connector, name, self.env.clone()));
        if pools.len() >= KEPT {
            pools.clear();
        }
        pools.insert(target.clone(), pool.clone());
        Ok(pool)
    }
}

#[async_trait]
impl WebhookClient for HttpsWebhooks {
    async fn post(&self, target: &WebhookTarget, body: Bytes) -> Result<(u16, Bytes), String> {
        let pool = self.pool(target)?;
        let uri: Uri = target.url.parse().map_err(|error: http::uri::InvalidUri| error.to_string())?;
        let host = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
        let host = HeaderValue::try_from(host).map_err(|error| error.to_string())?;
        let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(HOST, host)
            .header(ACCEPT, "application/json, */*")
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, "kube-apiserver-admission")
            .body(Full::new(body))
            .map_err(|error| error.to_string())?;
        let (response, lease) = pool.send(request).await.map_err(|error| error.to_string())?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MOST).collect().await.map_err(|error| error.to_string())?;
        lease.give_back();
        Ok((head.status.as_u16(), body.to_bytes()))
    }
}
