"""The Python client's documented ways, against whatever server KUBECONFIG leads to.

Each function is a case: it asserts what it sees and is counted by the test that runs this file.
"""

import sys
import tempfile

import yaml
from kubernetes import client, config, dynamic, utils, watch
from kubernetes.client.rest import ApiException

NAMESPACE = "default"
GROUP = "stable.example.com"


def refused(status, reason, act):
    """What a refused call says; it must be refused in this way."""
    try:
        act()
    except ApiException as error:
        said = yaml.safe_load(error.body)
        assert (error.status, said["kind"], said["reason"]) == (status, "Status", reason), error
        return said
    raise AssertionError(f"not refused: {status} {reason}")


def config_map(name, **data):
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels={"made": "here"}), data=data)


def deployment(name, replicas=2):
    labels = {"app": name}
    container = client.V1Container(
        name="web",
        image="example/web:1",
        ports=[client.V1ContainerPort(container_port=8080)],
        env=[client.V1EnvVar(name="COLOUR", value="blue")],
    )
    template = client.V1PodTemplateSpec(
        metadata=client.V1ObjectMeta(labels=labels), spec=client.V1PodSpec(containers=[container])
    )
    spec = client.V1DeploymentSpec(
        replicas=replicas, selector=client.V1LabelSelector(match_labels=labels), template=template
    )
    return client.V1Deployment(metadata=client.V1ObjectMeta(name=name), spec=spec)


def version_and_discovery():
    version = client.VersionApi().get_code()
    assert (version.major, version.minor) == ("1", "36"), version
    groups = {group.name for group in client.ApisApi().get_api_versions().groups}
    assert {"apps", "batch", "apiextensions.k8s.io"} <= groups, groups
    names = {resource.name for resource in client.CoreV1Api().get_api_resources().resources}
    assert {"pods", "pods/log", "services"} <= names, names


def objects_are_made_read_changed_and_deleted():
    core = client.CoreV1Api()
    made = core.create_namespaced_config_map(NAMESPACE, config_map("one", key="value"))
    assert made.metadata.uid and made.metadata.creation_timestamp and made.data == {"key": "value"}
    refused(409, "AlreadyExists", lambda: core.create_namespaced_config_map(NAMESPACE, config_map("one")))
    refused(404, "NotFound", lambda: core.read_namespaced_config_map("none", NAMESPACE))
    made.data["key"] = "other"
    replaced = core.replace_namespaced_config_map("one", NAMESPACE, made)
    assert int(replaced.metadata.resource_version) > int(made.metadata.resource_version)
    refused(409, "Conflict", lambda: core.replace_namespaced_config_map("one", NAMESPACE, made))
    assert core.read_namespaced_config_map("one", NAMESPACE).data == {"key": "other"}
    said = refused(422, "Invalid", lambda: core.create_namespaced_config_map(NAMESPACE, config_map("No_Name")))
    assert said["details"]["causes"][0]["field"] == "metadata.name", said
    options = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid="another"))
    refused(409, "Conflict", lambda: core.delete_namespaced_config_map("one", NAMESPACE, body=options))
    assert core.delete_namespaced_config_map("one", NAMESPACE)["status"] == "Success"
    dry = core.create_namespaced_config_map(NAMESPACE, config_map("dry"), dry_run="All")
    assert dry.metadata.name == "dry"
    refused(404, "NotFound", lambda: core.read_namespaced_config_map("dry", NAMESPACE))


def lists_come_whole_selected_and_in_parts():
    core = client.CoreV1Api()
    for number in range(7):
        core.create_namespaced_config_map(NAMESPACE, config_map(f"part-{number}", number=str(number)))
    seen, token = [], None
    while True:
        part = core.list_namespaced_config_map(
            NAMESPACE, limit=3, _continue=token, label_selector="made=here"
        )
        assert len(part.items) <= 3
        seen += [item.metadata.name for item in part.items]
        token = part.metadata._continue
        if not token:
            break
    assert seen == [f"part-{number}" for number in range(7)], seen
    one = core.list_config_map_for_all_namespaces(field_selector="metadata.name=part-3")
    assert [item.data for item in one.items] == [{"number": "3"}]
    refused(400, "BadRequest", lambda: core.list_namespaced_config_map(NAMESPACE, label_selector="a=b=c"))
    core.delete_collection_namespaced_config_map(NAMESPACE, label_selector="made=here")
    assert core.list_namespaced_config_map(NAMESPACE, label_selector="made=here").items == []


def every_kind_of_patch():
    apps = client.AppsV1Api()
    apps.create_namespaced_deployment(NAMESPACE, deployment("patched"))
    # A dictionary is sent as a strategic merge patch: lists merge by their key.
    change = {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "example/web:2"}]}}}}
    after = apps.patch_namespaced_deployment("patched", NAMESPACE, change)
    [container] = after.spec.template.spec.containers
    assert (container.image, container.env[0].value) == ("example/web:2", "blue"), container
    # A list is sent as a JSON patch.
    after = apps.patch_namespaced_deployment(
        "patched", NAMESPACE, [{"op": "replace", "path": "/spec/replicas", "value": 5}]
    )
    assert (after.spec.replicas, after.metadata.generation) == (5, 3), after.metadata
    scale = apps.read_namespaced_deployment_scale("patched", NAMESPACE)
    assert scale.spec.replicas == 5 and scale.status.selector == "app=patched", scale
    scale.spec.replicas = 1
    assert apps.replace_namespaced_deployment_scale("patched", NAMESPACE, scale).spec.replicas == 1
    status = {"status": {"replicas": 1, "observedGeneration": 4}}
    after = apps.patch_namespaced_deployment_status("patched", NAMESPACE, status)
    assert (after.status.replicas, after.metadata.generation) == (1, 4), after
    said = refused(
        422, "Invalid", lambda: apps.patch_namespaced_deployment("patched", NAMESPACE, {"spec": {"replicas": -1}})
    )
    assert said["details"]["causes"][0]["field"] == "spec.replicas", said
    apps.delete_namespaced_deployment("patched", NAMESPACE, propagation_policy="Background")


def a_watch_tells_what_happens():
    core = client.CoreV1Api()
    start = core.list_namespaced_config_map(NAMESPACE).metadata.resource_version
    core.create_namespaced_config_map(NAMESPACE, config_map("watched"))
    core.patch_namespaced_config_map("watched", NAMESPACE, {"data": {"key": "value"}})
    core.delete_namespaced_config_map("watched", NAMESPACE)
    watcher, seen = watch.Watch(), []
    for event in watcher.stream(
        core.list_namespaced_config_map, NAMESPACE, resource_version=start, timeout_seconds=60
    ):
        seen.append((event["type"], event["object"].metadata.name, event["object"].data))
        if event["type"] == "DELETED":
            watcher.stop()
    assert seen == [
        ("ADDED", "watched", None),
        ("MODIFIED", "watched", {"key": "value"}),
        ("DELETED", "watched", {"key": "value"}),
    ], seen


def definition():
    """A namespaced kind with a status, a scale and two versions."""
    schema = {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "required": ["size"],
                "properties": {
                    "size": {"type": "integer", "minimum": 1},
                    "colour": {"type": "string", "default": "blue"},
                },
            },
            "status": {"type": "object", "properties": {"ready": {"type": "integer"}}},
        },
    }
    version = {
        "served": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {
            "status": {},
            "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.ready"},
        },
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"gadgets.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"plural": "gadgets", "singular": "gadget", "kind": "Gadget"},
            "versions": [
                {"name": "v1", "storage": True, **version},
                {"name": "v1beta1", "storage": False, **version},
            ],
        },
    }


def gadget(name, **spec):
    return {"apiVersion": f"{GROUP}/v1", "kind": "Gadget", "metadata": {"name": name}, "spec": spec}


def custom_resources():
    extensions, custom = client.ApiextensionsV1Api(), client.CustomObjectsApi()
    extensions.create_custom_resource_definition(definition())
    watcher = watch.Watch()
    for event in watcher.stream(extensions.list_custom_resource_definition, timeout_seconds=60):
        conditions = event["object"].status.conditions or []
        if any(one.type == "Established" and one.status == "True" for one in conditions):
            watcher.stop()
    where = (GROUP, "v1", NAMESPACE, "gadgets")
    made = custom.create_namespaced_custom_object(*where, gadget("one", size=3))
    assert made["spec"] == {"size": 3, "colour": "blue"}, made
    refused(422, "Invalid", lambda: custom.create_namespaced_custom_object(*where, gadget("two", size=0)))
    after = custom.patch_namespaced_custom_object(*where, "one", {"spec": {"colour": "red"}})
    assert (after["spec"]["colour"], after["metadata"]["generation"]) == ("red", 2), after
    after = custom.patch_namespaced_custom_object_status(*where, "one", {"status": {"ready": 2}})
    assert (after["status"], after["metadata"]["generation"]) == ({"ready": 2}, 2), after
    scale = custom.get_namespaced_custom_object_scale(*where, "one")
    assert (scale["spec"]["replicas"], scale["status"]["replicas"]) == (3, 2), scale
    other = custom.get_namespaced_custom_object(GROUP, "v1beta1", NAMESPACE, "gadgets", "one")
    assert other["apiVersion"] == f"{GROUP}/v1beta1" and other["spec"] == after["spec"], other
    listed = custom.list_cluster_custom_object(GROUP, "v1", "gadgets")
    assert [item["metadata"]["name"] for item in listed["items"]] == ["one"]
    custom.delete_namespaced_custom_object(*where, "one")
    refused(404, "NotFound", lambda: custom.get_namespaced_custom_object(*where, "one"))


def the_dynamic_client():
    with tempfile.NamedTemporaryFile() as cache:
        found = dynamic.DynamicClient(client.ApiClient(), cache_file=cache.name + ".json")
        api = found.resources.get(api_version="v1", kind="Service")
        body = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "front"},
            "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80}]},
        }
        made = api.create(body=body, namespace=NAMESPACE)
        assert made.spec.clusterIP and made.spec.type == "ClusterIP", made
        body["spec"]["ports"].append({"name": "metrics", "port": 9090})
        applied = api.server_side_apply(
            body=body, namespace=NAMESPACE, name="front", field_manager="python", force_conflicts=True
        )
        assert [port.port for port in applied.spec.ports] == [80, 9090], applied.spec.ports
        [mine] = [one for one in applied.metadata.managedFields if one.manager == "python"]
        assert (mine.operation, mine.fieldsType) == ("Apply", "FieldsV1"), mine
        del body["spec"]["ports"][0]
        try:
            api.server_side_apply(body=body, namespace=NAMESPACE, name="front", field_manager="another")
        except dynamic.exceptions.ConflictError:
            raise AssertionError("what another sets alike is no conflict")
        api.delete(name="front", namespace=NAMESPACE)
        gadgets = found.resources.get(api_version=f"{GROUP}/v1", kind="Gadget")
        gadgets.create(body=gadget("dynamic", size=1), namespace=NAMESPACE)
        for event in gadgets.watch(namespace=NAMESPACE, timeout=60):
            assert (event["type"], event["object"].spec.colour) == ("ADDED", "blue"), event
            break
        gadgets.delete(name="dynamic", namespace=NAMESPACE)


def manifests_in_yaml():
    text = "\n---\n".join(
        yaml.safe_dump({"apiVersion": "v1", "kind": kind, "metadata": {"name": "from-yaml"}})
        for kind in ("ServiceAccount", "ConfigMap")
    )
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        utils.create_from_yaml(client.ApiClient(), file.name)
    core = client.CoreV1Api()
    assert core.read_namespaced_service_account("from-yaml", NAMESPACE).metadata.uid
    core.delete_namespaced_config_map("from-yaml", NAMESPACE)
    core.delete_namespaced_service_account("from-yaml", NAMESPACE)


def who_may():
    review = client.V1SelfSubjectAccessReview(
        spec=client.V1SelfSubjectAccessReviewSpec(
            resource_attributes=client.V1ResourceAttributes(verb="create", resource="pods", namespace=NAMESPACE)
        )
    )
    assert client.AuthorizationV1Api().create_self_subject_access_review(review).status.allowed


CASES = [
    version_and_discovery,
    objects_are_made_read_changed_and_deleted,
    lists_come_whole_selected_and_in_parts,
    every_kind_of_patch,
    a_watch_tells_what_happens,
    custom_resources,
    the_dynamic_client,
    manifests_in_yaml,
    who_may,
]

if __name__ == "__main__":
    config.load_kube_config()
    for case in CASES:
        case()
        print(case.__name__, flush=True)
    sys.exit(0)
