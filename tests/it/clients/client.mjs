// The JavaScript client's documented ways, against whatever server KUBECONFIG leads to.
//
// Each function is a case: it asserts what it sees and is counted by the test that runs this file.

import assert from "node:assert/strict";

import * as k8s from "@kubernetes/client-node";

const NAMESPACE = "default";
const namespace = NAMESPACE;
const GROUP = "stable.example.com";

const config = new k8s.KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(k8s.CoreV1Api);
const apps = config.makeApiClient(k8s.AppsV1Api);

/** What a refused call says; it must be refused in this way. */
async function refused(code, reason, call) {
  try {
    await call();
  } catch (error) {
    const said = typeof error.body === "string" ? JSON.parse(error.body) : error.body;
    assert.deepEqual([error.code, said.kind, said.reason], [code, "Status", reason]);
    return said;
  }
  assert.fail(`not refused: ${code} ${reason}`);
}

const configMap = (name, data) => ({ metadata: { name, labels: { made: "here" } }, data });

async function objectsAreMadeReadChangedAndDeleted() {
  const made = await core.createNamespacedConfigMap({ namespace, body: configMap("one", { key: "value" }) });
  assert.ok(made.metadata.uid && made.metadata.creationTimestamp instanceof Date);
  await refused(409, "AlreadyExists", () => core.createNamespacedConfigMap({ namespace, body: configMap("one") }));
  await refused(404, "NotFound", () => core.readNamespacedConfigMap({ namespace, name: "none" }));
  made.data.key = "other";
  await core.replaceNamespacedConfigMap({ namespace, name: "one", body: made });
  await refused(409, "Conflict", () => core.replaceNamespacedConfigMap({ namespace, name: "one", body: made }));
  assert.deepEqual((await core.readNamespacedConfigMap({ namespace, name: "one" })).data, { key: "other" });
  await core.deleteNamespacedConfigMap({ namespace, name: "one" });
  await refused(404, "NotFound", () => core.readNamespacedConfigMap({ namespace, name: "one" }));
}

async function listsComeInParts() {
  for (let number = 0; number < 7; number += 1) {
    await core.createNamespacedConfigMap({ namespace, body: configMap(`part-${number}`) });
  }
  const seen = [];
  let _continue;
  do {
    const part = await core.listNamespacedConfigMap({ namespace, limit: 3, labelSelector: "made=here", _continue });
    seen.push(...part.items.map((item) => item.metadata.name));
    _continue = part.metadata._continue;
  } while (_continue);
  assert.equal(seen.length, 7);
  await core.deleteCollectionNamespacedConfigMap({ namespace, labelSelector: "made=here" });
  assert.equal((await core.listNamespacedConfigMap({ namespace, labelSelector: "made=here" })).items.length, 0);
}

async function everyKindOfPatch() {
  const labels = { app: "patched" };
  const containers = [{ name: "web", image: "example/web:1", env: [{ name: "COLOUR", value: "blue" }] }];
  const body = {
    metadata: { name: "patched" },
    spec: { replicas: 2, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { containers } } },
  };
  await apps.createNamespacedDeployment({ namespace, body });
  const patch = (type, change) =>
    apps.patchNamespacedDeployment(
      { namespace, name: "patched", body: change, fieldManager: "javascript", force: type.includes("apply") || undefined },
      k8s.setHeaderOptions("Content-Type", type),
    );
  const image = (name) => ({ spec: { template: { spec: { containers: [{ name: "web", image: name }] } } } });
  let after = await patch(k8s.PatchStrategy.StrategicMergePatch, image("example/web:2"));
  const [container] = after.spec.template.spec.containers;
  assert.deepEqual([container.image, container.env[0].value], ["example/web:2", "blue"]);
  after = await patch(k8s.PatchStrategy.JsonPatch, [{ op: "replace", path: "/spec/replicas", value: 5 }]);
  assert.equal(after.spec.replicas, 5);
  after = await patch(k8s.PatchStrategy.MergePatch, { metadata: { labels: { tier: "front" } } });
  assert.equal(after.metadata.labels.tier, "front");
  after = await patch(k8s.PatchStrategy.ServerSideApply, {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "patched", annotations: { applied: "yes" } },
    ...image("example/web:3"),
  });
  assert.equal(after.spec.template.spec.containers[0].image, "example/web:3");
  const mine = after.metadata.managedFields.find((entry) => entry.operation === "Apply");
  assert.deepEqual([mine.manager, mine.fieldsType], ["javascript", "FieldsV1"]);
  const scale = await apps.readNamespacedDeploymentScale({ namespace, name: "patched" });
  assert.equal(scale.spec.replicas, 5);
  await apps.deleteNamespacedDeployment({ namespace, name: "patched", propagationPolicy: "Background" });
}

async function aWatchTellsWhatHappens() {
  const start = (await core.listNamespacedConfigMap({ namespace })).metadata.resourceVersion;
  await core.createNamespacedConfigMap({ namespace, body: configMap("watched") });
  await core.deleteNamespacedConfigMap({ namespace, name: "watched" });
  const seen = [];
  await new Promise((resolve, reject) => {
    const path = `/api/v1/namespaces/${NAMESPACE}/configmaps`;
    const tell = (type, object) => {
      seen.push([type, object.metadata.name]);
      if (type === "DELETED") request.then((controller) => controller.abort());
    };
    const request = new k8s.Watch(config).watch(path, { resourceVersion: start }, tell, (error) =>
      error && error.name !== "AbortError" ? reject(error) : resolve(),
    );
    request.catch(reject);
  });
  assert.deepEqual(seen, [["ADDED", "watched"], ["DELETED", "watched"]]);
}

async function anInformerKeepsUp() {
  const list = () => core.listNamespacedConfigMap({ namespace, labelSelector: "made=here" });
  const informer = k8s.makeInformer(config, `/api/v1/namespaces/${NAMESPACE}/configmaps`, list, "made=here");
  const next = (verb) => new Promise((resolve) => informer.on(verb, (object) => resolve(object.metadata.name)));
  const [added, updated, deleted] = [next("add"), next("update"), next("delete")];
  await informer.start();
  await core.createNamespacedConfigMap({ namespace, body: configMap("informed") });
  assert.equal(await added, "informed");
  const made = await core.readNamespacedConfigMap({ namespace, name: "informed" });
  await core.replaceNamespacedConfigMap({ namespace, name: "informed", body: { ...made, data: { key: "value" } } });
  assert.equal(await updated, "informed");
  await core.deleteNamespacedConfigMap({ namespace, name: "informed" });
  assert.equal(await deleted, "informed");
  await informer.stop();
}

async function customResources() {
  const extensions = config.makeApiClient(k8s.ApiextensionsV1Api);
  const custom = config.makeApiClient(k8s.CustomObjectsApi);
  const openAPIV3Schema = {
    type: "object",
    properties: {
      spec: {
        type: "object",
        properties: { size: { type: "integer", minimum: 1 }, colour: { type: "string", _default: "blue" } },
      },
    },
  };
  const name = `widgets.${GROUP}`;
  await extensions.createCustomResourceDefinition({
    body: {
      metadata: { name },
      spec: {
        group: GROUP,
        scope: "Namespaced",
        names: { plural: "widgets", singular: "widget", kind: "Widget" },
        versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema } }],
      },
    },
  });
  await new Promise((resolve, reject) => {
    const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    const tell = (type, object) => {
      const conditions = object.status?.conditions ?? [];
      if (object.metadata.name === name && conditions.some((one) => one.type === "Established" && one.status === "True")) {
        request.then((controller) => controller.abort());
      }
    };
    const request = new k8s.Watch(config).watch(path, {}, tell, (error) =>
      error && error.name !== "AbortError" ? reject(error) : resolve(),
    );
    request.catch(reject);
  });
  const where = { group: GROUP, version: "v1", namespace, plural: "widgets" };
  const widget = (own, size) => ({ apiVersion: `${GROUP}/v1`, kind: "Widget", metadata: { name: own }, spec: { size } });
  const made = await custom.createNamespacedCustomObject({ ...where, body: widget("one", 3) });
  assert.deepEqual(made.spec, { size: 3, colour: "blue" });
  await refused(422, "Invalid", () => custom.createNamespacedCustomObject({ ...where, body: widget("two", 0) }));
  const after = await custom.patchNamespacedCustomObject(
    { ...where, name: "one", body: [{ op: "replace", path: "/spec/size", value: 4 }] },
    k8s.setHeaderOptions("Content-Type", k8s.PatchStrategy.JsonPatch),
  );
  assert.equal(after.spec.size, 4);
  await extensions.deleteCustomResourceDefinition({ name });
}

async function anyObjectByItsKind() {
  const objects = k8s.KubernetesObjectApi.makeApiClient(config);
  const body = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "by-kind", namespace } };
  assert.ok((await objects.create(body)).metadata.uid);
  assert.equal((await objects.read(body)).metadata.name, "by-kind");
  const change = { ...body, metadata: { ...body.metadata, labels: { changed: "yes" } } };
  assert.equal((await objects.patch(change)).metadata.labels.changed, "yes");
  await objects.delete(body);
}

const cases = [
  objectsAreMadeReadChangedAndDeleted,
  listsComeInParts,
  everyKindOfPatch,
  aWatchTellsWhatHappens,
  anInformerKeepsUp,
  customResources,
  anyObjectByItsKind,
];

for (const run of cases) {
  await run();
  console.log(run.name);
}
process.exit(0);
