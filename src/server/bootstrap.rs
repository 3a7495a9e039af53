//! What must exist before a server serves: its namespaces, the system's priorities and its
//! own service.

use serde_json::{Value, json};

use super::registry::{Call, create_tree, store_error};
use super::{ApiServer, managed};
use crate::api::priority::SYSTEM_PRIORITY_CLASSES;
use crate::api::{Status, status};
use crate::client::{Identity, Target, WriteOptions};
use crate::store;

const CORE: &str = "";

const SCHEDULING: &str = "scheduling.k8s.io";

const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

impl ApiServer {
    /// Makes what is missing; what is there stays as it is.
    pub(super) async fn bootstrap(&self) -> Result<(), Status> {
        self.adopt_services().await?;
        for name in NAMESPACES {
            self.ensure(CORE, "namespaces", "", json!({"metadata": {"name": name}})).await?;
        }
        for class in SYSTEM_PRIORITY_CLASSES {
            let tree = json!({
                "metadata": {"name": class.name},
                "value": class.value,
                "description": class.description,
            });
            self.ensure(SCHEDULING, "priorityclasses", "", tree).await?;
        }
        let ranges = self.ranges();
        let first = ranges.addresses.nth(1).ok_or_else(|| status::internal("the service range is empty"))?;
        let service = json!({
            "metadata": {"name": "kubernetes", "labels": {"component": "apiserver", "provider": "kubernetes"}},
            "spec": {
                "type": "ClusterIP",
                "clusterIP": first.to_string(),
                "ports": [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": 6443}],
            },
        });
        self.ensure(CORE, "services", "default", service).await
    }

    async fn ensure(&self, group: &str, plural: &str, namespace: &str, tree: Value) -> Result<(), Status> {
        let Some(row) = self.row(group, "v1", plural) else { return Ok(()) };
        let identity = Identity::user("system:apiserver").group("system:masters").agent(managed::SERVER);
        let target = Target::all(&row).namespace(namespace);
        let name = tree["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let named = target.clone().name(name);
        let mut call = Call::new(self, &identity, row, &named);
        match self.cached().get(&call.row, &call.key()).await {
            Ok(None) => {}
            // One that cannot be read is there all the same, and only who serves can repair it.
            Ok(Some(_)) | Err(store::Error::Unreadable { .. }) => return Ok(()),
            Err(error) => return Err(store_error(&error)),
        }
        call.target = &target;
        match create_tree(&mut call, tree, &WriteOptions::default()).await {
            // Another server of the same store was faster.
            Err(status) if status.reason == "AlreadyExists" => Ok(()),
            Err(status) => Err(status),
            Ok(_) => Ok(()),
        }
    }
}
