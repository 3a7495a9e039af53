//! What is written before a pod is bound, and what the next decision knows of it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;

use super::*;
use crate::api::{Object, Resource, Revision, Status, status};
use crate::client::{Error, Identity, Payload, Request, Response, Target};

/// Claims, each with its revision, and what else was asked for.
struct FakeServer {
    claims: Mutex<BTreeMap<String, (u64, Value)>>,
    asked: Mutex<Vec<String>>,
    /// How many writes are yet to meet a conflict.
    conflicts: Mutex<u32>,
    identity: Identity,
}

impl FakeServer {
    fn of(claims: &[Value]) -> Arc<Self> {
        let named =
            |claim: &Value| (claim["metadata"]["name"].as_str().unwrap().to_owned(), (1, claim.clone()));
        Arc::new(Self {
            claims: Mutex::new(claims.iter().map(named).collect()),
            asked: Mutex::default(),
            conflicts: Mutex::new(0),
            identity: Identity::admin(),
        })
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    fn get(&self, name: &str) -> ResourceClaim {
        let claims = self.claims.lock().unwrap();
        let (revision, tree) = &claims[name];
        let mut claim: ResourceClaim = serde_json::from_value(tree.clone()).unwrap();
        claim.metadata.resource_version = Some(revision.to_string());
        claim
    }

    /// Changes a claim as a driver would.
    fn change(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut claims = self.claims.lock().unwrap();
        let (revision, tree) = claims.get_mut(name).unwrap();
        *revision += 1;
        change(tree);
    }

    fn answer(&self, name: &str) -> Result<Response, Error> {
        let claims = self.claims.lock().unwrap();
        let missing =
            || Error::NotFound(Box::new(status::not_found("resource.k8s.io", "resourceclaims", name)));
        let (revision, tree) = claims.get(name).ok_or_else(missing)?;
        let row = Arc::new(Resource::of::<ResourceClaim>());
        Ok(Response::Object(Object::from_tree(row, Revision(*revision), tree.clone())?))
    }

    fn write(&self, target: &Target, written: &Value) -> Result<Response, Error> {
        let name = target.name.clone().unwrap();
        let mut conflicts = self.conflicts.lock().unwrap();
        let mut claims = self.claims.lock().unwrap();
        let (revision, tree) = claims.get_mut(&name).unwrap();
        let fresh = written["metadata"]["resourceVersion"].as_str() == Some(&revision.to_string());
        if *conflicts > 0 || !fresh {
            *conflicts = conflicts.saturating_sub(1);
            let conflict = status::conflict("resource.k8s.io", "resourceclaims", &name, "it changed");
            return Err(Error::Conflict(Box::new(conflict)));
        }
        *revision += 1;
        let part = if target.subresource.is_some() { "status" } else { "metadata" };
        tree[part] = written[part].clone();
        drop(claims);
        self.answer(&name)
    }
}

#[async_trait]
impl Client for FakeServer {
    async fn call(&self, request: Request) -> Result<Response, Error> {
        let note = |what: &str, target: &Target| {
            let part = target.subresource.as_ref().map(|part| format!("/{part}")).unwrap_or_default();
            let name = target.name.clone().unwrap_or_default();
            self.asked.lock().unwrap().push(format!("{what} {} {name}{part}", target.resource.resource));
        };
        match request {
            Request::Get { target, .. } => self.answer(&target.name.unwrap()),
            Request::Update { target, object: Payload::Tree(written), .. } => {
                note("update", &target);
                self.write(&target, &written)
            }
            Request::Create { target, object: Payload::Tree(mut written), .. } => {
                note("create", &target);
                written["metadata"]["name"] = "made".into();
                written["metadata"]["uid"] = "uid-made".into();
                self.claims.lock().unwrap().insert("made".into(), (1, written));
                self.answer("made")
            }
            Request::Patch { target, patch, .. } if target.resource.resource == "pods" => {
                note("patch", &target);
                let patch: Value = serde_json::from_slice(&patch.body).unwrap();
                self.asked.lock().unwrap().push(patch["status"].to_string());
                let row = Arc::new(Resource::of::<Pod>());
                let tree = json!({"metadata": {"name": target.name, "namespace": "ns"}});
                Ok(Response::Object(Object::from_tree(row, Revision(1), tree)?))
            }
            Request::Patch { target, patch, .. } => {
                note("patch", &target);
                let patch: Value = serde_json::from_slice(&patch.body).unwrap();
                self.asked.lock().unwrap().push(patch["status"].to_string());
                self.answer(&target.name.unwrap())
            }
            Request::Delete { target, .. } => {
                note("delete", &target);
                self.claims.lock().unwrap().remove(&target.name.unwrap());
                Ok(Response::Status(Box::new(Status::success())))
            }
            other => panic!("{other:?}"),
        }
    }

    fn identity(&self) -> &Identity {
        &self.identity
    }
}

/// A scene whose claims a server has, and whose plugin acts.
fn running(mut scene: Scene, claims: &[Value]) -> (Scene, Arc<FakeServer>, Env) {
    let (server, env) = (FakeServer::of(claims), Env::simulated(1));
    for claim in claims {
        scene.put::<ResourceClaim>(claim.clone());
    }
    let client: Arc<dyn Client> = server.clone();
    scene.plugin.start(&client, &env);
    (scene, server, env)
}

async fn pre_bind(scene: &Scene, server: &Arc<FakeServer>, pod: &Arc<PodInfo>) -> Result<(), String> {
    let (client, env) = (server.clone(), Env::simulated(1));
    let binding = Binding { pod: pod.clone(), node: "a".into(), client, env };
    let bound = async {
        scene.plugin.pre_bind(&binding).await?;
        scene.plugin.ready(&binding).await
    };
    bound.await.map_err(|error: BindError| error.to_string())
}

fn one(devices: Value) -> (Scene, Arc<FakeServer>, Env) {
    running(Scene::of(&["a"]).slice("p", "a", devices), &[claim("c", some(1)), claim("d", some(1))])
}

#[tokio::test(start_paused = true)]
async fn what_was_decided_is_written_and_counts_until_it_is_seen() {
    let (mut scene, server, _env) = one(named(&["x"]));
    let info = scene.reserve(uses("p", &["c"]), "a");
    pre_bind(&scene, &server, &info).await.unwrap();
    assert_eq!(server.asked(), ["update resourceclaims c", "update resourceclaims c/status"]);
    let written = server.get("c");
    assert_eq!(written.metadata.finalizers.clone().unwrap(), ["resource.kubernetes.io/delete-protection"]);
    let status = written.status.clone().unwrap();
    assert_eq!(status.reserved_for.as_ref().unwrap()[0].uid, "uid-p");
    let given = status.allocation.unwrap();
    assert_eq!(results(&given)[0].device, "x");
    assert_eq!(given.allocation_timestamp.unwrap().0.as_second(), 1_577_836_800);
    // The informer does not show it yet: the device is taken all the same, and others may share the claim.
    assert_eq!(scene.fits(uses("q", &["d"])), "-");
    assert_eq!(scene.fits(uses("q", &["c"])), "+");
    let second = scene.reserve(uses("q", &["c"]), "a");
    pre_bind(&scene, &server, &second).await.unwrap();
    assert_eq!(server.asked(), ["update resourceclaims c/status"]);
    // It is seen, and what is seen then counts.
    let mut seen = server.get("c");
    scene.snapshot.set_object(Arc::new(seen.clone()));
    assert_eq!(scene.fits(uses("r", &["d"])), "-");
    seen.metadata.resource_version = Some("99".into());
    seen.status = None;
    scene.snapshot.set_object(Arc::new(seen));
    assert_eq!(scene.fits(uses("r", &["d"])), "+");
}

#[tokio::test(start_paused = true)]
async fn a_conflict_is_tried_again_and_what_others_did_is_not_undone() {
    let (mut scene, server, _env) = one(named(&["x"]));
    let info = scene.reserve(uses("p", &["c"]), "a");
    *server.conflicts.lock().unwrap() = 2;
    server.change("c", |tree| tree["metadata"]["labels"] = json!({"a": "b"}));
    pre_bind(&scene, &server, &info).await.unwrap();
    assert_eq!(server.get("c").metadata.labels.unwrap()["a"], "b");
    let (mut scene, server, _env) = one(named(&["x"]));
    let info = scene.reserve(uses("p", &["c"]), "a");
    server.change("c", |tree| tree["status"] = json!({"allocation": {}}));
    let error = pre_bind(&scene, &server, &info).await.unwrap_err();
    assert_eq!(error, "claim ns/c got allocated elsewhere in the meantime");
    scene.plugin.unreserve(&info, "a");
    assert_eq!(scene.fits(uses("q", &["d"])), "+");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_not_bound_gives_its_claims_up() {
    let (mut scene, server, env) = one(named(&["x"]));
    let info = scene.reserve(uses("p", &["c"]), "a");
    pre_bind(&scene, &server, &info).await.unwrap();
    server.asked();
    scene.plugin.unreserve(&info, "a");
    env.clock.sleep(Duration::from_secs(1)).await;
    let gone = json!({"reservedFor": [{"$patch": "delete", "uid": "uid-p"}]}).to_string();
    assert_eq!(server.asked(), ["patch resourceclaims c/status".to_owned(), gone]);
    // The claim keeps its device until somebody needs that.
    assert_eq!(scene.fits(uses("q", &["d"])), "-");
}

#[tokio::test(start_paused = true)]
async fn devices_that_must_be_prepared_are_waited_for() {
    let late = json!([{"name": "x", "bindingConditions": ["ready"], "bindingFailureConditions": ["broken"]}]);
    let condition = |kind: &str| {
        let told = json!({"type": kind, "status": "True", "reason": "R", "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        json!([{"driver": "d.com", "pool": "p", "device": "x", "conditions": [told]}])
    };
    for (kind, expected) in [
        ("ready", Ok(())),
        ("broken", Err("device binding failed: claim=c, reason=R, message=\"m\"".to_owned())),
        ("other", Err("device binding timeout: context deadline exceeded".to_owned())),
    ] {
        let (mut scene, server, env) = one(late.clone());
        let info = scene.reserve(uses("p", &["c"]), "a");
        let start = env.clock.instant();
        let driver = async {
            env.clock.sleep(Duration::from_secs(12)).await;
            server.change("c", |tree| tree["status"]["devices"] = condition(kind));
        };
        let (result, ()) = tokio::join!(pre_bind(&scene, &server, &info), driver);
        assert_eq!(result, expected);
        let took = (env.clock.instant() - start).as_secs();
        assert_eq!(took, if kind == "other" { 600 } else { 15 }, "{kind}");
        // One whose devices are never ready cannot be used, and gives them up.
        scene.plugin.unreserve(&info, "a");
        let claim = server.get("c");
        scene.snapshot.set_object(Arc::new(claim));
        let said = if kind == "ready" { "fits" } else { UNAVAILABLE };
        assert_eq!(scene.said(uses("p", &["c"])), [said], "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_is_made_for_extended_resources_and_deleted_if_it_is_of_no_use() {
    let class = json!({"metadata": {"name": "gpu"}, "spec": {"extendedResourceName": "example.com/gpu"}});
    let scene = Scene::of(&["a"]).with::<DeviceClass>(class).slice("p", "a", named(&["x", "y"]));
    let (mut scene, server, env) = running(scene, &[claim("d", some(2))]);
    let info = scene.reserve(pod("p").asks("example.com/gpu", "1"), "a");
    pre_bind(&scene, &server, &info).await.unwrap();
    let mapping = json!({"containerName": "c", "resourceName": "example.com/gpu", "requestName": "container-0-request-0"});
    let status =
        json!({"extendedResourceClaimStatus": {"requestMappings": [mapping], "resourceClaimName": "made"}});
    let asked = server.asked();
    assert_eq!(
        asked[..4],
        [
            "create resourceclaims ",
            "update resourceclaims made",
            "update resourceclaims made/status",
            "patch pods p/status",
        ]
    );
    assert_eq!(serde_json::from_str::<Value>(&asked[4]).unwrap(), status);
    let made = server.get("made");
    assert_eq!(results(made.status.as_ref().unwrap().allocation.as_ref().unwrap()).len(), 1);
    assert_eq!(made.metadata.owner_references.unwrap()[0].uid, "uid-p");
    assert_eq!(scene.fits(uses("q", &["d"])), "-");
    scene.plugin.unreserve(&info, "a");
    scene.snapshot.unplace("uid-p");
    env.clock.sleep(Duration::from_secs(1)).await;
    assert_eq!(server.asked(), ["update resourceclaims made", "delete resourceclaims made"]);
    assert_eq!(scene.fits(uses("q", &["d"])), "+");
}

#[tokio::test(start_paused = true)]
async fn a_claim_in_the_way_gives_its_devices_up() {
    let mut has = claim("c", some(1));
    let selector =
        json!({"nodeSelectorTerms": [{"matchExpressions": [{"key": "gone", "operator": "Exists"}]}]});
    has["status"] = json!({"allocation": {"nodeSelector": selector}});
    let (mut scene, server, env) = running(Scene::of(&["a"]), &[has]);
    let info = scene.snapshot.read(uses("p", &["c"]).make());
    let mut cycle = Cycle::new(&info, &scene.snapshot);
    assert_eq!(scene.plugin.pre_filter(&mut cycle), PreFiltered::Run);
    let node = scene.snapshot.find("a").unwrap();
    assert_eq!(scene.plugin.filter(&cycle, node), Verdict::unresolvable(UNAVAILABLE));
    scene.plugin.post_filter(&cycle, &Diagnosis::default());
    env.clock.sleep(Duration::from_secs(1)).await;
    assert_eq!(server.asked(), ["update resourceclaims c/status"]);
    assert_eq!(server.get("c").status.unwrap_or_default(), Default::default());
}
