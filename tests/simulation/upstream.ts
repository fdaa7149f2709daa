/**
 * Upstreams of simulated gateways: servers that are reached over HTTP and die, and those in the node's own
 * process.
 *
 * @module
 */
import { McpServer as SdkServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { z } from "zod";
import { type Gateway, gateway, http, local, sdk, type Upstream } from "../../src/gateway/mod.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandler } from "../../src/handler/types.ts";
import { byToken } from "../support/wire.ts";
import type { SimulatedNode, Surroundings } from "./node.ts";
import type { UpstreamPlan } from "./plan.ts";
import { SimulatedProcess } from "./process.ts";
import { toolServer } from "./tools.ts";
import type { WebServer } from "./web.ts";

/** The time after which a gateway ends the upstream sessions of a client without a session, in milliseconds. */
const IDLE_MS = 20_000;
/** The time for which a gateway waits for an upstream that says nothing, in milliseconds. */
const SILENT_MS = 60_000;
const VERSIONS = { "2025": ["2025-11-25"], "2026": ["2026-07-28"] } as const;

/** An upstream that is reached over HTTP: one process after the other. */
export class SimulatedUpstream implements WebServer {
  readonly plan: UpstreamPlan;
  readonly #around: Surroundings;
  #count = 0;
  process: SimulatedProcess | undefined;
  handler: McpHandler | undefined;

  constructor(plan: UpstreamPlan, around: Surroundings) {
    this.plan = plan;
    this.#around = around;
    this.#start();
  }

  get name(): string {
    return this.plan.name;
  }

  get url(): string {
    return `https://${this.name}.example/mcp`;
  }

  #start(): void {
    const process = new SimulatedProcess(
      `${this.name}${this.#count++}`,
      this.#around.environment,
    );
    const clock = process.clock();
    this.process = process;
    this.handler = createMcpHandler(toolServer(process, this.#around, clock), {
      clock,
      authenticate: byToken,
      requests: { stateKeys: ["a secret of the upstream that is long enough"] },
    });
  }

  /** Dies, and is there again after a time. */
  kill(ms: number): void {
    this.process?.kill();
    this.process = undefined;
    this.#around.environment.after(ms, () => this.#start());
  }

  async answer(request: Request): Promise<Response> {
    if (this.handler === undefined) throw new TypeError("Nobody answers");
    return await this.handler(request);
  }
}

/** Makes the gateway of a node. */
export function gatewayOf(node: SimulatedNode, around: Surroundings): Gateway {
  const clock = node.clock();
  const upstreams = (around.plan.gateway ?? []).map((plan): [string, Upstream] => {
    if (plan.kind === "local") return [plan.name, local(toolServer(node, around, clock))];
    if (plan.kind === "sdk") return [plan.name, sdk(() => hosted(node, around))];
    const server = around.upstreams.find(({ name }) => name === plan.name);
    if (server === undefined) throw new TypeError(`No upstream: ${plan.name}`);
    return [
      plan.name,
      http({
        url: server.url,
        auth: ({ principal }) => principal.id,
        fetch: (url, init) => around.web.fetch(node, server, url, init),
        timeoutMs: SILENT_MS,
        ...plan.era !== undefined && { versions: VERSIONS[plan.era] },
      }),
    ];
  });
  return gateway({
    upstreams: Object.fromEntries(upstreams),
    principalIdleMs: IDLE_MS,
    clock,
  });
}

/** Makes a server of the official SDK, with the tool `work` alone. */
function hosted(node: SimulatedNode, around: Surroundings): SdkServer {
  const server = new SdkServer({ name: "hosted", version: "1.0.0" });
  const inputSchema = {
    ...{ call: z.string(), steps: z.number(), stepMs: z.number(), ask: z.boolean() },
  };
  server.registerTool("work", { inputSchema }, async ({ call, steps, stepMs }, extra) => {
    const { signal, _meta } = extra;
    if (node.dead) await new Promise(() => {});
    const run = {
      ...{ call, node, begun: around.environment.now, effect: true },
      ended: undefined as number | undefined,
    };
    around.runs.push(run);
    around.note(`${node.name} hosts ${call}`);
    around.onRun(run);
    const { clientId = "" } = extra.authInfo ?? {};
    if (!call.startsWith(clientId)) around.fail(`${call} ran for ${clientId}`);
    try {
      for (let progress = 1; progress <= steps; progress++) {
        const progressToken = _meta?.progressToken;
        if (progressToken !== undefined) {
          const params = { progressToken, progress };
          await extra.sendNotification({ method: "notifications/progress", params });
        }
        await node.sleep(stepMs, signal);
      }
      return { content: [{ type: "text", text: `${call} ` }] };
    } finally {
      run.ended = around.environment.now;
      around.note(`${node.name} has hosted ${call}`);
    }
  });
  return server;
}
