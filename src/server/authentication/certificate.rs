//! Client certificates.

use async_trait::async_trait;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{Authenticator, Credentials, Unauthorized};
use crate::client::Identity;

/// The attribute of a subject that is the user's uid: of the arc that is Kubernetes'.
const UID: &str = "1.3.6.1.4.1.57683.2";

/// Client certificates: the common name is the user, organizations are groups.
///
/// Source: `CommonNameUserConversion` of `k8s.io/apiserver/pkg/authentication/request/x509` (1.36).
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientCertificates;

#[async_trait]
impl Authenticator for ClientCertificates {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Option<Identity>, Unauthorized> {
        let Some(der) = credentials.certificate else { return Ok(None) };
        let unreadable = |_| Unauthorized::new("the client's certificate cannot be read");
        let (_, certificate) = X509Certificate::from_der(der).map_err(unreadable)?;
        let subject = certificate.subject();
        let text = |attribute: &x509_parser::x509::AttributeTypeAndValue<'_>| {
            attribute.as_str().ok().map(str::to_owned)
        };
        let Some(user) = subject.iter_common_name().find_map(text).filter(|user| !user.is_empty()) else {
            return Ok(None);
        };
        let mut identity =
            subject.iter_organization().filter_map(text).fold(Identity::user(user), Identity::group);
        let uids: Vec<String> = subject
            .iter_attributes()
            .filter(|attribute| attribute.attr_type().to_id_string() == UID)
            .filter_map(text)
            .collect();
        match &uids[..] {
            [] => {}
            [uid] if !uid.is_empty() => identity.uid.clone_from(uid),
            [_] => return Err(Unauthorized::new("expected UID in certificate to be non-empty")),
            _ => return Err(Unauthorized::new("expected 1 UID in certificate")),
        }
        let digest = ring::digest::digest(&ring::digest::SHA256, der);
        let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let key = crate::server::service_accounts::CREDENTIAL_ID;
        identity.extra.insert(key.into(), vec![format!("X509SHA256={digest}")]);
        Ok(Some(identity))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use tokio_rustls::rustls::pki_types::CertificateDer;
    use tokio_rustls::rustls::pki_types::pem::PemObject;

    use super::*;
    use crate::env::Clock;
    use crate::server::https::Certificates;

    #[tokio::test]
    async fn a_certificate_names_user_and_group() {
        let made = Certificates::generate(&["localhost"], &Clock::system()).unwrap();
        let pair = made.client("user-a", Some("dev")).unwrap();
        let der = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
        let headers = HeaderMap::new();
        let credentials = Credentials { headers: &headers, certificate: Some(&der), path: "/" };
        let mut identity = ClientCertificates.authenticate(credentials).await.unwrap().unwrap();
        let id = std::mem::take(&mut identity.extra).into_values().flatten().next().unwrap();
        assert!(id.strip_prefix("X509SHA256=").is_some_and(|digest| digest.len() == 64), "{id}");
        assert_eq!(identity, Identity::user("user-a").group("dev"));
        let garbage = Credentials { certificate: Some(b"none"), ..credentials };
        assert!(ClientCertificates.authenticate(garbage).await.is_err());
    }
}
