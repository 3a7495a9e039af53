use super::*;

#[test]
fn what_is_given_to_a_pod_is_not_given_to_the_next() {
    let mut scene = Scene::of(&["a", "b"])
        .slice("pa", "a", named(&["a1", "a2"]))
        .slice("pb", "b", named(&["b1"]))
        .claim("c", some(2))
        .claim("d", some(1));
    assert_eq!(scene.said(pod("p")), ["skip"]);
    assert_eq!(scene.said(uses("p", &["c"])), ["fits", "cannot allocate all claims"]);
    assert_eq!(scene.devices(uses("p", &["c"]), "a"), ["r=a1", "r=a2"]);
    let info = scene.reserve(uses("p", &["c"]), "a");
    // It counts at once, and who shares the claim waits until it is written.
    assert_eq!(scene.fits(uses("q", &["d"])), "-+");
    let pending = "pod: resource claim ns/c is in the process of being allocated";
    assert_eq!(scene.said(uses("q", &["c", "d"])), [pending]);
    // What is not written after all is free again.
    scene.plugin.unreserve(&info, "a");
    assert_eq!(scene.fits(uses("q", &["d"])), "++");
}

#[test]
fn a_claim_that_has_its_devices_is_where_they_are() {
    let mut scene = Scene::of(&["a", "b"]).slice("pa", "a", named(&["a1"])).claim("c", some(1));
    let found = scene.found(uses("p", &["c"]), "a");
    let has = allocated(claim("c", some(1)), &found.given[0]);
    scene.put::<ResourceClaim>(has.clone());
    assert_eq!(scene.said(uses("p", &["c"])), ["fits", UNAVAILABLE]);
    let mut going = has;
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    scene.put::<ResourceClaim>(going);
    assert_eq!(scene.said(uses("p", &["c"])), ["pod: resourceclaim \"c\" is being deleted"]);
    assert_eq!(scene.said(uses("p", &["x"])), ["pod: could not find ResourceClaim \"ns/x\""]);
}

#[test]
fn claims_that_are_to_be_made_are_waited_for() {
    let mut scene = Scene::of(&["a"]);
    let wanted = json!([{"name": "c", "resourceClaimTemplateName": "t"}]);
    let info = scene.snapshot.read(pod("p").set("resourceClaims", wanted).make());
    let message = "pod \"ns/p\": ResourceClaim not created yet";
    assert_eq!(scene.plugin.pre_enqueue(&info), Verdict::unresolvable(message));
    let info = scene.snapshot.read(pod("p").make());
    assert_eq!(scene.plugin.pre_enqueue(&info), Verdict::Fits);
}

#[test]
fn claims_take_parts_of_a_device_that_they_share() {
    let policy = json!({"default": "1Gi", "validRange": {"min": "1Gi", "max": "6Gi", "step": "1Gi"}});
    let shared = json!([{"name": "g", "allowMultipleAllocations": true, "capacity": {
        "memory": {"value": "8Gi", "requestPolicy": policy}}}]);
    let part = |memory: &str| json!([exactly("r", json!({"capacity": {"requests": {"memory": memory}}}))]);
    let mut scene = Scene::of(&["a"])
        .slice("pa", "a", shared)
        .claim("six", part("5632Mi"))
        .claim("one", some(1))
        .claim("two", part("2Gi"))
        .claim("seven", part("7Gi"))
        .claim("other", json!([exactly("r", json!({"capacity": {"requests": {"cores": "1"}}}))]));
    let found = scene.found(uses("p", &["six"]), "a");
    let result = &results(&found.given[0])[0];
    // What is asked for is rounded up to a step.
    let amount = &result.consumed_capacity.as_ref().unwrap()["memory"];
    assert_eq!((amount.0.as_str(), result.share_id.is_some()), ("6Gi", true));
    assert_eq!(scene.fits(uses("p", &["seven"])), "-", "no more than the policy says");
    assert_eq!(scene.fits(uses("p", &["other"])), "-", "no such capacity");
    assert_eq!(scene.fits(uses("p", &["six", "two"])), "+");
    assert_eq!(scene.fits(uses("p", &["six", "one", "two"])), "-");
    scene.reserve(uses("p", &["six"]), "a");
    assert_eq!(scene.fits(uses("q", &["two"])), "+");
    assert_eq!(scene.fits(uses("q", &["one", "two"])), "-");
    // Where nothing is said, the default is meant.
    assert_eq!(scene.fits(uses("q", &["one"])), "+");
}

#[test]
fn parts_share_the_counters_of_their_pool() {
    let part = |name: &str, memory: &str| {
        json!({"name": name, "consumesCounters": [
        {"counterSet": "s", "counters": {"memory": {"value": memory}}}]})
    };
    let pool = json!({"name": "p", "generation": 1, "resourceSliceCount": 2});
    let counters = json!({"nodeName": "a", "pool": pool, "sharedCounters": [
        {"name": "s", "counters": {"memory": {"value": "10"}}}]});
    let parts = |list: Value| json!({"nodeName": "a", "pool": pool, "devices": list});
    let mut scene = Scene::of(&["a", "b"])
        .with::<ResourceSlice>(slice("p-0", counters))
        .with::<ResourceSlice>(slice("p-1", parts(json!([part("x", "8"), part("y", "5"), part("z", "5")]))))
        .claim("one", some(1))
        .claim("two", some(2))
        .claim("three", some(3));
    // The first one would leave too little for another, so it is put back, and its counters with it.
    assert_eq!(scene.devices(uses("p", &["two"]), "a"), ["r=y", "r=z"]);
    assert_eq!(scene.fits(uses("p", &["three"])), "--");
    assert_eq!(scene.devices(uses("p", &["one"]), "a"), ["r=x"]);
    scene.reserve(uses("p", &["one"]), "a");
    assert_eq!(scene.fits(uses("q", &["two"])), "--");
    // A counter that is not there spoils its pool.
    let wrong = json!([{"name": "x", "consumesCounters": [{"counterSet": "t", "counters": {}}]}]);
    scene.put::<ResourceSlice>(slice("p-1", parts(wrong)));
    let invalid = "invalid resource pools were encountered";
    assert_eq!(scene.said(uses("q", &["two"]))[0], invalid);
}

#[test]
fn what_a_claim_gets_says_where_it_can_be_used_and_how_it_is_set_up() {
    let opaque = |driver: &str| json!({"opaque": {"driver": driver, "parameters": {}}});
    let zone = json!({"nodeSelectorTerms": [{"matchExpressions": [{"key": "name", "operator": "In", "values": ["a", "b"]}]}]});
    let mut own = claim(
        "c",
        json!([exactly("r", json!({"tolerations": [{"operator": "Exists"}]})), exactly("s", json!({}))]),
    );
    let mut config = opaque("d.com");
    config["requests"] = json!(["s"]);
    own["spec"]["devices"]["config"] = json!([config, opaque("e.com")]);
    let mut scene = Scene::of(&["a", "b", "c"])
        .with::<DeviceClass>(json!({"metadata": {"name": "gpu"}, "spec": {"config": [opaque("f.com")]}}))
        .with::<ResourceSlice>(slice("p", json!({"nodeSelector": zone, "devices": named(&["x", "y"])})))
        .with::<ResourceClaim>(own);
    assert_eq!(scene.fits(uses("p", &["c"])), "++-");
    let given = scene.found(uses("p", &["c"]), "b").given;
    let tree = serde_json::to_value(&given[0]).unwrap();
    assert_eq!(tree["nodeSelector"], zone);
    let from = |source: &str, driver: &str, requests: Value| {
        let mut config = opaque(driver);
        config["source"] = source.into();
        if !requests.is_null() {
            config["requests"] = requests;
        }
        config
    };
    assert_eq!(
        tree["devices"]["config"],
        json!([
            from("FromClass", "f.com", json!(["r", "s"])),
            from("FromClaim", "d.com", json!(["s"])),
            from("FromClaim", "e.com", json!(null)),
        ])
    );
    assert_eq!(tree["devices"]["results"][0]["tolerations"], json!([{"operator": "Exists"}]));
    // A device that binds to its node is used on the node for which it was taken.
    let local = json!([{"name": "x", "bindsToNode": true}, {"name": "y"}]);
    scene.put::<ResourceSlice>(slice("p", json!({"allNodes": true, "devices": local})));
    let given = scene.found(uses("p", &["c"]), "c").given;
    let here = json!({"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["c"]}]}]});
    assert_eq!(serde_json::to_value(&given[0]).unwrap()["nodeSelector"], here);
}

#[test]
fn a_node_may_take_no_longer_than_is_said() {
    let devices: Value = (0..40)
        .map(|number| json!({"name": format!("g{number}"), "attributes": {"n": {"int": number % 7}}}))
        .collect();
    let requests: Value = (0..8).map(|number| exactly(&format!("r{number}"), json!({}))).collect();
    let mut own = claim("c", requests);
    own["spec"]["devices"]["constraints"] = json!([{"matchAttribute": "d.com/n"}]);
    let mut scene = Scene::of(&["a"]).slice("p", "a", devices).with::<ResourceClaim>(own);
    // Eight of six that are alike cannot be had, and there are many ways to find that out.
    scene.plugin.looks = Some(1000);
    assert_eq!(scene.said(uses("p", &["c"])), ["error: node a: timed out trying to allocate devices"]);
    scene.plugin.looks = None;
    assert_eq!(scene.said(uses("p", &["c"])), ["cannot allocate all claims"]);
}

#[test]
fn who_is_rejected_for_devices_in_the_way_is_told_what_is_done_about_it() {
    let mut scene =
        Scene::of(&["a", "b"]).slice("pa", "a", named(&["a1"])).claim("c", some(1)).claim("d", some(9));
    let after = |scene: &mut Scene, story: PodStory| {
        let info = scene.snapshot.read(story.make());
        let mut cycle = Cycle::new(&info, &scene.snapshot);
        if scene.plugin.pre_filter(&mut cycle) == PreFiltered::Run {
            scene.snapshot.nodes().iter().for_each(|node| drop(scene.plugin.filter(&cycle, *node)));
        }
        match scene.plugin.post_filter(&cycle, &Diagnosis::default()) {
            PostFiltered::Message(message) => message,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(after(&mut scene, pod("p")), "no new claims to deallocate");
    assert_eq!(after(&mut scene, uses("p", &["d"])), "still not schedulable");
    let found = scene.found(uses("p", &["c"]), "a");
    let mut has = allocated(claim("c", some(1)), &found.given[0]);
    scene.put::<ResourceClaim>(has.clone());
    assert_eq!(after(&mut scene, uses("p", &["c"])), "deallocation of ResourceClaim completed");
    let user = |name: &str| json!({"resource": "pods", "name": name, "uid": format!("uid-{name}")});
    has["status"]["reservedFor"] = json!([user("p")]);
    scene.put::<ResourceClaim>(has.clone());
    assert_eq!(after(&mut scene, uses("p", &["c"])), "deallocation of ResourceClaim completed");
    assert_eq!(after(&mut scene, uses("q", &["c"])), "still not schedulable");
    has["status"]["reservedFor"] = json!([user("p"), user("q")]);
    scene.put::<ResourceClaim>(has);
    assert_eq!(after(&mut scene, uses("p", &["c"])), "still not schedulable");
}

#[cfg(not(feature = "cel"))]
#[test]
fn selectors_need_the_feature_cel_and_say_so() {
    let selects = exactly("r", json!({"selectors": [{"cel": {"expression": "true"}}]}));
    let mut scene = Scene::of(&["a"]).slice("p", "a", named(&["x"])).claim("c", json!([selects]));
    let said = "error: claim ns/c: selector #0: CEL cannot be evaluated: windlass was built without the feature \"cel\"";
    assert_eq!(scene.said(uses("p", &["c"])), [said]);
}
