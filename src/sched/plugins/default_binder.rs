//! DefaultBinder: writes the pod's binding.

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{Binding as ApiBinding, ObjectReference, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::client::Api;
use crate::sched::{Bind, BindError, Binding, Bound, Plugin};

/// Binds pods through their `binding` subresource.
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultBinder;

impl Plugin for DefaultBinder {
    fn name(&self) -> &'static str {
        "DefaultBinder"
    }

    fn as_bind(&self) -> Option<&dyn Bind> {
        Some(self)
    }
}

#[async_trait]
impl Bind for DefaultBinder {
    async fn bind(&self, binding: &Binding) -> Result<Bound, BindError> {
        let pod = &binding.pod;
        let target = ObjectReference {
            kind: Some("Node".into()),
            name: Some(binding.node.to_string()),
            ..ObjectReference::default()
        };
        let written = ApiBinding {
            metadata: ObjectMeta {
                name: Some(pod.key.name.clone()),
                namespace: Some(pod.key.namespace.clone()),
                // Should the pod be another by now, it must not be bound for this one.
                uid: Some(pod.uid.clone()),
                ..ObjectMeta::default()
            },
            target,
        };
        let pods = Api::<Pod>::namespaced(binding.client.clone(), &pod.key.namespace);
        pods.create_subresource(&pod.key.name, "binding", &written).await?;
        Ok(Bound::Done)
    }
}
