//! How to speak to the API server.

use super::reader::{Fields, Record};
use crate::api::field::{Error, Path};

/// How to speak to the API server.
///
/// Source: `k8s.io/component-base/config/v1alpha1` (1.36).
#[derive(Clone, Debug, PartialEq)]
pub struct ClientConnection {
    /// The path of a kubeconfig; empty for none.
    pub kubeconfig: String,
    /// The `Accept` header; empty for the client's own.
    pub accept_content_types: String,
    /// How bodies are written.
    pub content_type: String,
    /// Requests a second.
    pub qps: f32,
    /// How many more may be sent at once.
    pub burst: i32,
}

impl Record for ClientConnection {
    const GO: &'static str = "v1alpha1.ClientConnectionConfiguration";

    fn read(fields: &mut Fields<'_>) -> Self {
        let content_type: String = fields.plain("contentType");
        let (qps, burst) = (fields.plain("qps"), fields.plain("burst"));
        Self {
            kubeconfig: fields.plain("kubeconfig"),
            accept_content_types: fields.plain("acceptContentTypes"),
            content_type: if content_type.is_empty() {
                "application/vnd.kubernetes.protobuf".to_owned()
            } else {
                content_type
            },
            qps: if qps == 0.0 { 50.0 } else { qps },
            burst: if burst == 0 { 100 } else { burst },
        }
    }
}

impl ClientConnection {
    /// Source: `k8s.io/component-base/config/validation/validation.go` (1.36).
    pub(super) fn validate(&self, path: &Path, errors: &mut Vec<Error>) {
        if self.burst < 0 {
            errors.push(Error::invalid(&path.child("burst"), self.burst, "must be non-negative"));
        }
    }
}
