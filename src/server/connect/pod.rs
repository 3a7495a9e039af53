//! The pod that a stream is about.

use k8s_openapi::api::core::v1::Pod;

use crate::api::{Status, status};
use crate::client::{GetOptions, Identity, Request, Response, Target};
use crate::server::ApiServer;

/// What matters of a pod here.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) namespace: String,
    pub(super) name: String,
    node: String,
    /// Containers, those that run beside one another.
    containers: Vec<String>,
    /// The others: init containers and ephemeral ones.
    others: Vec<(Kind, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Init,
    Ephemeral,
}

/// Reads the pod of a target whose subresource is asked for.
pub(super) async fn find(server: &ApiServer, target: &Target) -> Result<Found, Status> {
    let target = Target { subresource: None, ..target.clone() };
    let object = read(server, target).await?;
    let pod = object.view::<Pod>().map_err(|error| status::internal(error.to_string()))?;
    let spec = pod.spec.as_ref();
    let names = |containers: &[k8s_openapi::api::core::v1::Container], kind| -> Vec<(Kind, String)> {
        containers.iter().map(|container| (kind, container.name.clone())).collect()
    };
    let mut others =
        names(spec.and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default(), Kind::Init);
    let ephemeral = spec.and_then(|spec| spec.ephemeral_containers.as_deref()).unwrap_or_default();
    others.extend(ephemeral.iter().map(|container| (Kind::Ephemeral, container.name.clone())));
    Ok(Found {
        namespace: object.namespace().unwrap_or_default().to_owned(),
        name: object.name().to_owned(),
        node: spec.and_then(|spec| spec.node_name.clone()).unwrap_or_default(),
        containers: spec
            .map(|spec| spec.containers.iter().map(|container| container.name.clone()).collect())
            .unwrap_or_default(),
        others,
    })
}

/// The server reads under its own name: who may exec need not be allowed to read.
pub(super) fn own_identity() -> Identity {
    Identity::user("system:apiserver").group("system:masters")
}

pub(super) async fn read(server: &ApiServer, target: Target) -> Result<crate::api::Object, Status> {
    match server
        .handle(&own_identity(), Request::Get { target, options: GetOptions::default() })
        .await?
        .response
    {
        Response::Object(object) => Ok(object),
        _ => Err(status::internal("a get was not answered with an object")),
    }
}

impl Found {
    /// The container of this name; the only one where none is named.
    pub(super) fn container(&self, name: Option<&str>) -> Result<String, Status> {
        let Self { name: pod, containers, others, .. } = self;
        if let Some(name) = name {
            let known = containers.iter().chain(others.iter().map(|(_, name)| name)).any(|own| own == name);
            return if known {
                Ok(name.to_owned())
            } else {
                Err(status::bad_request(format!("container {name} is not valid for pod {pod}")))
            };
        }
        match containers.as_slice() {
            [one] => Ok(one.clone()),
            [] => Err(status::bad_request(format!("a container name must be specified for pod {pod}"))),
            _ => {
                let of = |kind| others.iter().filter(move |(own, _)| *own == kind).map(|(_, name)| name);
                let all: Vec<&str> =
                    of(Kind::Init).chain(containers).chain(of(Kind::Ephemeral)).map(String::as_str).collect();
                Err(status::bad_request(format!(
                    "a container name must be specified for pod {pod}, choose one of: [{}]",
                    all.join(" ")
                )))
            }
        }
    }

    /// The node that the pod is on.
    pub(super) fn node(&self) -> Result<&str, Status> {
        if self.node.is_empty() {
            return Err(status::bad_request(format!("pod {} does not have a host assigned", self.name)));
        }
        Ok(&self.node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(containers: &[&str], init: &[&str]) -> Found {
        Found {
            name: "web".into(),
            containers: containers.iter().map(|name| (*name).into()).collect(),
            others: init.iter().map(|name| (Kind::Init, (*name).into())).collect(),
            ..Found::default()
        }
    }

    #[test]
    fn which_container() {
        let said = |pod: &Found, name| pod.container(name).map_err(|status| status.message);
        assert_eq!(said(&pod(&["a"], &["i"]), None), Ok("a".into()));
        assert_eq!(said(&pod(&["a"], &["i"]), Some("i")), Ok("i".into()));
        assert_eq!(
            said(&pod(&["a", "b"], &["i"]), None),
            Err("a container name must be specified for pod web, choose one of: [i a b]".into())
        );
        assert_eq!(said(&pod(&["a"], &[]), Some("x")), Err("container x is not valid for pod web".into()));
        assert_eq!(
            pod(&["a"], &[]).node().map_err(|status| status.message),
            Err("pod web does not have a host assigned".into())
        );
    }
}
