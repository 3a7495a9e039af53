//! Which calls.

use serde::Deserialize;

use crate::api::names;
use crate::client::{Identity, Payload, Request, Target};

/// Which calls, or which watches' events: all that is said must hold.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    verbs: Vec<String>,
    group: Option<String>,
    plural: Option<String>,
    subresource: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    user: Option<String>,
    agent: Option<String>,
    from: u64,
    count: Option<u64>,
}

impl Calls {
    /// All.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Those about a resource, by its plural name, of any group; with `/` and its name, a subresource
    /// (`pods/status`), else none.
    #[must_use]
    pub fn to(resource: &str) -> Self {
        let (plural, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        Self { plural: Some(plural.into()), subresource: Some(subresource.into()), ..Self::default() }
    }

    /// Of them, those in an API group; empty is the core group.
    #[must_use]
    pub fn group(mut self, group: &str) -> Self {
        self.group = Some(group.into());
        self
    }

    /// Of them, those of a verb: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`,
    /// `deletecollection` or `connect`.
    #[must_use]
    pub fn verb(self, verb: &str) -> Self {
        self.verbs([verb])
    }

    /// Of them, those of any of these verbs.
    #[must_use]
    pub fn verbs<'a>(mut self, verbs: impl IntoIterator<Item = &'a str>) -> Self {
        self.verbs = verbs.into_iter().map(str::to_owned).collect();
        self
    }

    /// Of them, those in a namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Of them, those about the object of this name. A creation is about the name that its object says.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Of them, those of a user.
    #[must_use]
    pub fn user(mut self, user: &str) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Of them, those of a program whose user agent begins so.
    #[must_use]
    pub fn agent(mut self, agent: &str) -> Self {
        self.agent = Some(agent.into());
        self
    }

    /// Of them, the one that comes at this place, counted from 1 when the hook is hung up.
    #[must_use]
    pub fn nth(self, place: u64) -> Self {
        self.after(place.saturating_sub(1)).times(1)
    }

    /// Of them, those behind the first so many.
    #[must_use]
    pub fn after(mut self, count: u64) -> Self {
        self.from = count;
        self
    }

    /// Of them, only so many.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.count = Some(count);
        self
    }

    /// Whether a call is of these, whenever it comes.
    pub(super) fn cover(&self, about: &About) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
        (self.verbs.is_empty() || self.verbs.iter().any(|verb| *verb == about.verb))
            && is(&self.group, &about.group)
            && is(&self.plural, &about.plural)
            && is(&self.subresource, &about.subresource)
            && is(&self.namespace, &about.namespace)
            && is(&self.name, &about.name)
            && is(&self.user, &about.user)
            && self.agent.as_ref().is_none_or(|agent| about.agent.starts_with(agent))
    }

    /// Whether the one that comes behind `before` others is of these.
    pub(super) fn cover_place(&self, before: u64) -> bool {
        before >= self.from && self.count.is_none_or(|count| before - self.from < count)
    }
}

/// What a call is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct About {
    pub(super) verb: &'static str,
    pub(super) group: String,
    pub(super) plural: String,
    pub(super) subresource: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) user: String,
    pub(super) agent: String,
}

impl About {
    pub(super) fn of(identity: &Identity, request: &Request) -> Self {
        let (verb, target, made) = match request {
            Request::Get { target, .. } => ("get", target, None),
            Request::List { target, .. } => ("list", target, None),
            Request::Watch { target, .. } => ("watch", target, None),
            Request::Create { target, object, .. } => ("create", target, name_of(object)),
            Request::Update { target, .. } => ("update", target, None),
            Request::Patch { target, .. } => ("patch", target, None),
            Request::Delete { target, .. } => ("delete", target, None),
            Request::DeleteCollection { target, .. } => ("deletecollection", target, None),
            Request::Connect { target, .. } => ("connect", target, None),
            Request::Raw(_) => {
                let (user, agent) = (identity.user.clone(), identity.agent.clone());
                return Self { verb: "raw", user, agent, ..Self::default() };
            }
        };
        let Target { resource, namespace, name, subresource } = target.clone();
        Self {
            verb,
            group: resource.group,
            plural: resource.resource,
            subresource: subresource.unwrap_or_default(),
            namespace: namespace.unwrap_or_default(),
            name: name.or(made).unwrap_or_default(),
            user: identity.user.clone(),
            agent: identity.agent.clone(),
        }
    }
}

/// The name that an object says on its way; none where it is to be generated, or cannot be read.
fn name_of(object: &Payload) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    struct Metadata {
        name: String,
    }
    let name = match object {
        Payload::Object(object) => object.name().to_owned(),
        Payload::Tree(tree) => tree["metadata"]["name"].as_str()?.to_owned(),
        Payload::Bytes { media_type, bytes } if media_type.contains("json") => {
            serde_json::from_slice::<Named>(bytes).ok()?.metadata.name
        }
        Payload::Bytes { bytes, .. } => serde_yaml::from_slice::<Named>(bytes).ok()?.metadata.name,
    };
    Some(name).filter(|name| names::path_segment(name).is_empty())
}

#[cfg(test)]
mod tests {
    use kube_core::GroupVersionResource;
    use serde_json::json;

    use super::*;
    use crate::client::{GetOptions, WriteOptions};

    fn create(object: Payload) -> About {
        let target = Target {
            resource: GroupVersionResource::gvr("batch", "v1", "jobs"),
            namespace: Some("a".into()),
            name: None,
            subresource: None,
        };
        let request = Request::Create { target, object, options: WriteOptions::default() };
        About::of(&Identity::user("user-a").agent("operator/1.2"), &request)
    }

    #[test]
    fn a_creation_is_about_the_name_that_its_object_says() {
        let bytes = |media_type: &str, text: &'static str| Payload::Bytes {
            media_type: media_type.into(),
            bytes: bytes::Bytes::from_static(text.as_bytes()),
        };
        for object in [
            Payload::Tree(json!({"metadata": {"name": "x"}})),
            bytes("application/json", r#"{"metadata": {"name": "x"}, "spec": {}}"#),
            bytes("application/yaml", "spec: {}\nmetadata:\n  name: x\n"),
        ] {
            assert_eq!(create(object).name, "x");
        }
        assert_eq!(create(Payload::Tree(json!({"metadata": {"generateName": "x-"}}))).name, "");
        assert_eq!(create(bytes("application/json", "{")).name, "");
    }

    #[test]
    fn all_that_is_said_must_hold() {
        let about = create(Payload::Tree(json!({"metadata": {"name": "x"}})));
        let cases = [
            (Calls::any(), true),
            (Calls::to("jobs"), true),
            (Calls::to("jobs/status"), false),
            (Calls::to("jobs").verb("create").namespace("a").name("x"), true),
            (Calls::to("jobs").name("y"), false),
            (Calls::any().group(""), false),
            (Calls::any().group("batch").user("user-a").agent("operator/"), true),
            (Calls::any().verbs(["get", "list"]), false),
        ];
        for (calls, expected) in cases {
            assert_eq!(calls.cover(&about), expected, "{calls:?}");
        }
        let target = Target {
            name: Some("x".into()),
            ..Target::all(&crate::api::Resource::of::<k8s_openapi::api::core::v1::Pod>())
        };
        let get = Request::Get { target: target.subresource("status"), options: GetOptions::default() };
        assert!(Calls::to("pods/status").name("x").cover(&About::of(&Identity::admin(), &get)));
    }

    #[test]
    fn places_are_counted() {
        let covered = |calls: Calls| (0..5).filter(|before| calls.cover_place(*before)).collect::<Vec<_>>();
        assert_eq!(covered(Calls::any()), [0, 1, 2, 3, 4]);
        assert_eq!(covered(Calls::any().nth(2)), [1]);
        assert_eq!(covered(Calls::any().times(2)), [0, 1]);
        assert_eq!(covered(Calls::any().after(1).times(3)), [1, 2, 3]);
    }
}
