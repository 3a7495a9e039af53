//! Unmodified kubectl, as the administrator of some server.

use std::ops::Deref;

use super::tool::Tool;
pub(crate) use super::tool::text;

/// Two pods that answer at a port.
pub(crate) const DEPLOYMENT: &str = r"
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {app: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: example/web:1
        ports: [{containerPort: 8080}]
";

/// kubectl with a home of its own.
pub(crate) struct Kubectl(Tool);

impl Kubectl {
    /// The kubectl to test with: what `WINDLASS_KUBECTL` names, or the one on the path. Where there
    /// is none, `test` is skipped.
    pub(crate) fn find(test: &str) -> Option<Self> {
        Tool::find(test, "WINDLASS_KUBECTL", "kubectl").map(Self)
    }
}

impl Deref for Kubectl {
    type Target = Tool;

    fn deref(&self) -> &Tool {
        &self.0
    }
}
