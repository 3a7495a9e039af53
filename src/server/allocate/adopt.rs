//! Services that a kube-apiserver has left in the store: what they hold is held here, too.
//!
//! A kube-apiserver keeps the node ports that are taken in one object of bits, and, before 1.33, the
//! addresses in another. It finds out what is wrong with its bits from the services themselves, whenever it
//! starts; so nothing here keeps them, and the same is done the other way round.
//!
//! Source: `pkg/registry/core/service/{portallocator,ipallocator}/controller/repair*.go` (1.36).

use super::{addresses, cluster_ip, held_ports, node_port};
use crate::api::Status;
use crate::client::{Identity, Target};
use crate::server::ApiServer;
use crate::server::registry::{Call, Change, store_error};
use crate::store::cached::ListQuery;

/// Where a kube-apiserver keeps its bits.
const BITS: [&str; 2] = ["/registry/ranges/servicenodeports", "/registry/ranges/serviceips"];

impl ApiServer {
    /// Reserves what services hold and nobody has reserved, where a kube-apiserver has been here.
    pub(crate) async fn adopt_services(&self) -> Result<(), Status> {
        let mut foreign = false;
        for key in BITS {
            let found = self.cached().store().get(key.as_bytes()).await;
            foreign |= found.map_err(|error| store_error(&error))?.is_some();
        }
        let Some(row) = self.row("", "v1", "services").filter(|_| foreign) else { return Ok(()) };
        let page =
            self.cached().list(&row, &ListQuery::default()).await.map_err(|error| store_error(&error))?;
        let identity = Identity::user("system:apiserver").group("system:masters");
        let target = Target::all(&row);
        let call = Call::new(self, &identity, row, &target);
        for service in &page.items {
            let tree = service.tree();
            for port in held_ports(&tree) {
                self.reserve(node_port::claim(port)).await?;
            }
            for address in addresses(&tree) {
                if cluster_ip::find(&call, address).await?.is_none() {
                    self.reserve(Change::Create(cluster_ip::object(&call, &tree, address)?)).await?;
                }
            }
        }
        Ok(())
    }

    /// What is reserved already stays so.
    async fn reserve(&self, change: Change) -> Result<(), Status> {
        self.cached().commit(vec![change]).await.map(|_| ()).map_err(|error| store_error(&error))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::api::schema::encode_protobuf;
    use crate::env::Env;
    use crate::store::{KeyRange, ListOptions, MemoryStore, ObjectStore, ObjectStoreExt};

    #[tokio::test(start_paused = true)]
    async fn what_services_hold_is_reserved_where_a_kube_apiserver_was() {
        let service = encode_protobuf(&json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"namespace": "default", "name": "web", "uid": "u-1"},
            "spec": {"type": "NodePort", "clusterIP": "10.96.0.20", "clusterIPs": ["10.96.0.20"],
                "ports": [{"port": 80, "nodePort": 30080}]}}))
        .unwrap();
        for foreign in [true, false] {
            let store = MemoryStore::new();
            store.put("/registry/services/specs/default/web", service.clone()).await.unwrap();
            if foreign {
                store.put(BITS[0], "k8s\0").await.unwrap();
            }
            let builder = ApiServer::builder().store(Arc::new(store.clone())).env(Env::simulated(1));
            builder.build().await.unwrap();
            let held = async |prefix: &str| {
                let page = store.list(KeyRange::prefix(prefix.to_owned()), ListOptions::default()).await;
                page.unwrap().items.len()
            };
            assert_eq!(held("/registry/ranges/servicenodeports/").await, usize::from(foreign));
            assert_eq!(held("/registry/ipaddresses/10.96.0.20").await, usize::from(foreign));
        }
    }
}
