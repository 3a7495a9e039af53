//! The API server on a port: TLS, who is calling, HTTP/1.1 and HTTP/2.
//!
//! [`Certificates`] makes an authority when a cluster starts, and from it the serving certificate and
//! client certificates; [`Authenticator`]s tell who a request is from; [`HttpsServer`] listens and
//! hands each request, with its caller, to the REST side. Sockets and TLS stay outside
//! simulation; their tasks belong to the server's environment all the same.

mod activity;
mod certificates;
mod listener;

pub use certificates::{CertificateError, Certificates, KeyPair};
pub use listener::{HttpsOptions, HttpsServer};

pub use super::authentication::{Authenticator, ClientCertificates, Credentials, Tokens, Unauthorized};
