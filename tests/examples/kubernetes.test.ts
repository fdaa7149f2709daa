/**
 * The manifest for Kubernetes: valid by the schemas of Kubernetes, and what its parts promise each
 * other.
 */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { Deployment } from "kubernetes-models/apps/v1";
import { PodDisruptionBudget } from "kubernetes-models/policy/v1";
import { Service } from "kubernetes-models/v1";
import { parseAllDocuments } from "yaml";
import { common } from "../../examples/cluster.ts";
import { serveSettings } from "../../src/adapters/serve_options.ts";

const FILE = new URL("../../examples/kubernetes/mooring.yaml", import.meta.url);
/** How long a server takes to close after its `graceMs`, with room. */
const CLOSE_S = 2;

async function manifests() {
  const documents = parseAllDocuments(await readFile(FILE, "utf8"));
  for (const { errors, warnings } of documents) assert.deepEqual([...errors, ...warnings], []);
  const [deployment, service, budget] = documents.map((document) => document.toJS());
  assert.equal(documents.length, 3);
  return {
    deployment: new Deployment(deployment),
    service: new Service(service),
    budget: new PodDisruptionBudget(budget),
  };
}

describe("examples/kubernetes", () => {
  test("[ROL-3] each object is valid by Kubernetes' schema, and says what it is", async () => {
    const { deployment, service, budget } = await manifests();
    for (const each of [deployment, service, budget]) each.validate();
    assert.deepEqual([deployment.kind, service.kind, budget.kind], [
      "Deployment",
      "Service",
      "PodDisruptionBudget",
    ]);
    // What the schema refuses, so that it is known to look.
    const wrong = new Deployment(JSON.parse(JSON.stringify(deployment)));
    Object.assign(wrong.spec?.template.spec ?? {}, { terminationGracePeriodSeconds: "25" });
    assert.throws(() => wrong.validate(), /terminationGracePeriodSeconds must be integer/);
  });

  test("[ROL-3] labels, ports and the server's own times fit each other", async () => {
    const { deployment, service, budget } = await manifests();
    const { template, selector, strategy, replicas = 1 } = deployment.spec ?? assert.fail();
    const labels = template.metadata?.labels ?? {};
    assert.deepEqual(selector.matchLabels, labels);
    assert.deepEqual(service.spec?.selector, labels);
    assert.deepEqual(budget.spec?.selector?.matchLabels, labels);
    const [container = assert.fail()] = template.spec?.containers ?? [];
    const { ports: [port] = [], readinessProbe, livenessProbe, lifecycle, env = [] } = container;
    assert.equal(service.spec?.ports?.[0]?.targetPort, port?.name);
    for (const probe of [readinessProbe, livenessProbe]) {
      assert.equal(probe?.httpGet?.port, port?.name);
      assert.equal(probe?.httpGet?.path, "/health");
    }
    const value = (name: string) => env.find((each) => each.name === name);
    assert.equal(value("PORT")?.value, String(port?.containerPort));
    // An old node ends only after a new one serves.
    assert.equal(strategy?.rollingUpdate?.maxUnavailable, 0);
    assert.ok(replicas > 1);
    const waitS = lifecycle?.preStop?.sleep?.seconds ?? 0;
    const unready = (readinessProbe?.periodSeconds ?? 10) * (readinessProbe?.failureThreshold ?? 3);
    assert.ok(waitS > unready, `${waitS} s`);
    const graceS = serveSettings({ port: 0 }).graceMs / 1_000;
    const endS = template.spec?.terminationGracePeriodSeconds ?? 30;
    assert.ok(endS >= waitS + graceS + CLOSE_S, `${endS} s`);
    // The example's program asks for the rest by these names.
    await assert.rejects(common({}), /STATE_KEY/);
    for (const name of ["REDIS_URL", "STATE_KEY"]) assert.ok(value(name)?.valueFrom?.secretKeyRef);
  });
});
