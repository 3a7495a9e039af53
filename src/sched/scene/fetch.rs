//! A scene from an API server, at one revision.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use k8s_openapi::api::apps::v1::{ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{Namespace, Node, Pod, ReplicationController, Service};

use super::{Hears, Scene, hear};
use crate::api::Revision;
use crate::client::{Api, Client, Error, ListOptions, ResourceVersionMatch, Typed};
use crate::sched::snapshot::KindVisitor;
use crate::sched::{Catalogued, ObjectKind};

impl Scene {
    /// Reads the state of a cluster at a revision, or the newest one where none is given: all lists are of the
    /// same revision. A kind that the server does not serve has no objects.
    ///
    /// # Errors
    ///
    /// Those of lists; `Expired` where the server no longer knows the revision.
    ///
    /// # Cancel safety
    ///
    /// Nothing but reads: dropping it has no effect.
    pub async fn fetch(client: &Arc<dyn Client>, revision: Option<Revision>) -> Result<Self, Error> {
        let mut scene = Self::default();
        let (nodes, revision) = list::<Node>(client.clone(), revision).await?;
        nodes.into_iter().for_each(|node| scene.node(node, true));
        let at = Some(revision);
        for pod in list::<Pod>(client.clone(), at).await?.0 {
            scene.pod(pod, true);
        }
        for own in list::<Namespace>(client.clone(), at).await?.0 {
            hear::note_namespace(&mut scene.snapshot, &own, true);
        }
        for own in list::<Service>(client.clone(), at).await?.0 {
            hear::note_service(&mut scene.snapshot, &own, true);
        }
        for own in list::<ReplicationController>(client.clone(), at).await?.0 {
            hear::note_replication_controller(&mut scene.snapshot, &own, true);
        }
        for own in list::<ReplicaSet>(client.clone(), at).await?.0 {
            hear::note_replica_set(&mut scene.snapshot, &own, true);
        }
        for own in list::<StatefulSet>(client.clone(), at).await?.0 {
            hear::note_stateful_set(&mut scene.snapshot, &own, true);
        }
        for kind in ObjectKind::ALL {
            kind.visit(Fetch { client: client.clone(), at, scene: &mut scene }).await?;
        }
        Ok(scene)
    }
}

struct Fetch<'a> {
    client: Arc<dyn Client>,
    at: Option<Revision>,
    scene: &'a mut Scene,
}

impl<'a> KindVisitor for Fetch<'a> {
    type Output = BoxFuture<'a, Result<(), Error>>;

    fn visit<K: Catalogued>(self) -> Self::Output {
        Box::pin(async move {
            for object in list::<K>(self.client, self.at).await?.0 {
                self.scene.object(object, true);
            }
            Ok(())
        })
    }
}

/// All objects of a kind, and the revision that was read.
async fn list<K>(client: Arc<dyn Client>, at: Option<Revision>) -> Result<(Vec<Arc<K>>, Revision), Error>
where
    K: Typed + kube_core::Resource<DynamicType = ()>,
    K::Scope: 'static,
{
    let mut options = ListOptions {
        resource_version: at,
        resource_version_match: at.map(|_| ResourceVersionMatch::Exact),
        ..ListOptions::default()
    };
    let api = Api::<K>::all(client);
    let (mut items, mut revision) = (Vec::new(), at.unwrap_or(Revision::NONE));
    loop {
        let list = match api.list(options).await {
            Err(Error::NotFound(_)) => return Ok((items, revision)),
            list => list?,
        };
        revision = list.revision;
        items.extend(list.items.into_iter().map(Arc::new));
        if list.continue_token.is_none() {
            return Ok((items, revision));
        }
        options = ListOptions { continue_token: list.continue_token, ..ListOptions::default() };
    }
}
