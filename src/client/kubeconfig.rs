//! Kubeconfig files: where a cluster is and who one is there.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// A kubeconfig, as kubectl reads and writes it. Fields that are not known here are kept out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[non_exhaustive]
pub struct Kubeconfig {
    /// The context that counts where none is named.
    pub current_context: String,
    /// Clusters, by name.
    pub clusters: Vec<NamedCluster>,
    /// Users, by name.
    pub users: Vec<NamedUser>,
    /// Contexts, by name.
    pub contexts: Vec<NamedContext>,
}

/// A cluster's name and how to reach it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NamedCluster {
    /// Name.
    pub name: String,
    /// How to reach it.
    pub cluster: Cluster,
}

/// How to reach a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[non_exhaustive]
pub struct Cluster {
    /// `https://host:port`.
    pub server: String,
    /// Base64 of the PEM of the authority that signs the server's certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_authority_data: Option<String>,
    /// A file with that PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_authority: Option<String>,
    /// The name to expect in the server's certificate instead of the host's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_server_name: Option<String>,
}

/// A user's name and credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NamedUser {
    /// Name.
    pub name: String,
    /// Credentials.
    pub user: User,
}

/// Credentials.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[non_exhaustive]
pub struct User {
    /// Base64 of the PEM of a client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate_data: Option<String>,
    /// A file with that PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<String>,
    /// Base64 of the PEM of its private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_key_data: Option<String>,
    /// A file with that PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_key: Option<String>,
    /// A bearer token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// A file with a bearer token.
    #[serde(rename = "tokenFile", skip_serializing_if = "Option::is_none")]
    pub token_file: Option<String>,
}

/// A context's name and what it joins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NamedContext {
    /// Name.
    pub name: String,
    /// What it joins.
    pub context: Context,
}

/// A cluster and a user there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Context {
    /// The cluster's name.
    pub cluster: String,
    /// The user's name.
    pub user: String,
    /// The namespace that counts where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// A kubeconfig that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KubeconfigError {
    /// It is no kubeconfig.
    #[error("cannot read the kubeconfig: {0}")]
    Syntax(#[from] serde_yaml::Error),
    /// It names something that it does not hold.
    #[error("the kubeconfig has no {what} {name:?}")]
    Missing {
        /// Context, cluster or user.
        what: &'static str,
        /// The name.
        name: String,
    },
}

impl Kubeconfig {
    /// A cluster at `url`, and a user without credentials.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        let (cluster, user) = ("windlass".to_owned(), "user".to_owned());
        Self {
            current_context: cluster.clone(),
            clusters: vec![NamedCluster {
                name: cluster.clone(),
                cluster: Cluster { server: url.into(), ..Cluster::default() },
            }],
            users: vec![NamedUser { name: user.clone(), user: User::default() }],
            contexts: vec![NamedContext {
                name: cluster.clone(),
                context: Context { cluster, user, namespace: None },
            }],
        }
    }

    /// The same, where this authority (PEM) signs the servers' certificates.
    #[must_use]
    pub fn authority(mut self, pem: impl AsRef<[u8]>) -> Self {
        for named in &mut self.clusters {
            named.cluster.certificate_authority_data = Some(STANDARD.encode(pem.as_ref()));
        }
        self
    }

    /// The same, as the user of this certificate and key (PEM).
    #[must_use]
    pub fn client_certificate(
        self,
        name: &str,
        certificate: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
    ) -> Self {
        self.user(
            name,
            User {
                client_certificate_data: Some(STANDARD.encode(certificate.as_ref())),
                client_key_data: Some(STANDARD.encode(key.as_ref())),
                ..User::default()
            },
        )
    }

    /// The same, as the bearer of this token.
    #[must_use]
    pub fn token(self, name: &str, token: impl Into<String>) -> Self {
        self.user(name, User { token: Some(token.into()), ..User::default() })
    }

    fn user(mut self, name: &str, user: User) -> Self {
        self.users = vec![NamedUser { name: name.into(), user }];
        for named in &mut self.contexts {
            named.context.user = name.into();
        }
        self
    }

    /// Reads a kubeconfig.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, KubeconfigError> {
        Ok(serde_yaml::from_str(text)?)
    }

    /// The kubeconfig as YAML. It holds secrets: write it where only its owner reads.
    ///
    /// # Errors
    ///
    /// Never, for what this crate made.
    pub fn to_yaml(&self) -> Result<String, KubeconfigError> {
        Ok(format!("apiVersion: v1\nkind: Config\n{}", serde_yaml::to_string(self)?))
    }

    /// The cluster, the user and the namespace of a context; of the current one where none is named.
    ///
    /// # Errors
    ///
    /// When the context, or what it names, is not there.
    pub fn resolve(
        &self,
        context: Option<&str>,
    ) -> Result<(&Cluster, &NamedUser, Option<&str>), KubeconfigError> {
        let missing =
            |what: &'static str, name: &str| KubeconfigError::Missing { what, name: name.to_owned() };
        let name = context.unwrap_or(&self.current_context);
        let context = &self
            .contexts
            .iter()
            .find(|named| named.name == name)
            .ok_or_else(|| missing("context", name))?
            .context;
        let cluster = self
            .clusters
            .iter()
            .find(|named| named.name == context.cluster)
            .ok_or_else(|| missing("cluster", &context.cluster))?;
        let user = self
            .users
            .iter()
            .find(|named| named.name == context.user)
            .ok_or_else(|| missing("user", &context.user))?;
        Ok((&cluster.cluster, user, context.namespace.as_deref()))
    }
}

/// Without secrets.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field(
                "certificate",
                &(self.client_certificate_data.is_some() || self.client_certificate.is_some()),
            )
            .field("token", &(self.token.is_some() || self.token_file.is_some()))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let made = Kubeconfig::new("https://127.0.0.1:1").authority("CA").token("admin", "secret");
        let text = made.to_yaml().unwrap();
        assert!(text.contains("current-context: windlass"), "{text}");
        assert!(text.contains("certificate-authority-data: Q0E="), "{text}");
        let read = Kubeconfig::parse(&text).unwrap();
        assert_eq!(read, made);
        let (cluster, user, namespace) = read.resolve(None).unwrap();
        assert_eq!(
            (cluster.server.as_str(), user.name.as_str(), namespace),
            ("https://127.0.0.1:1", "admin", None)
        );
        assert!(!format!("{made:?}").contains("secret"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut made = Kubeconfig::new("https://127.0.0.1:1");
        made.users.clear();
        assert_eq!(made.resolve(None).unwrap_err().to_string(), r#"the kubeconfig has no user "user""#);
        assert_eq!(made.resolve(Some("x")).unwrap_err().to_string(), r#"the kubeconfig has no context "x""#);
    }
}
