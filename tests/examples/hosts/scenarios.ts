/**
 * What the official clients do with the example of every host. Nothing here is judged by the clock: a
 * host that holds events back lets a call that never ends by itself wait forever, and the test fails.
 *
 * @module
 */
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import type { ClientInit, ClientKind, Connected } from "../../clients/client.ts";
import { sdkV1 } from "../../clients/sdk_v1.ts";
import { sdkV2, sdkV2Auto } from "../../clients/sdk_v2.ts";

/** The time within which each scenario must end, in milliseconds. */
const LIMIT_MS = 20_000;

/** An example that runs. */
export interface Host {
  readonly url: string;
  /** Headers of a user whom the example knows as `ada`. Without, it knows no users. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether it keeps sessions. `true` by default. */
  readonly sessions?: boolean;
  /** Whether a client that goes away is noticed. `true` by default. */
  readonly noticesEnd?: boolean;
}

/** One thing that must hold; throws if it doesn't. */
export interface HostScenario {
  readonly name: string;
  run(host: Host): Promise<void>;
}

async function connected(
  kind: ClientKind,
  { url, headers }: ClientInit,
  use: (client: Connected) => Promise<void>,
): Promise<void> {
  const client = await kind.connect({ url, headers });
  try {
    await use(client);
  } finally {
    await client.close();
  }
}

/** Waits until a count doesn't run any more. */
async function ended(client: Connected, name: string): Promise<void> {
  for (;;) {
    const { text } = await client.call("running");
    const names: unknown = JSON.parse(text);
    assert.ok(Array.isArray(names));
    if (!names.includes(name)) return;
    await pause(20);
  }
}

function scenariosOf(kind: ClientKind, legacy: boolean): HostScenario[] {
  return [
    {
      name: `[HOST-5] ${kind.name} lists tools, calls one, and is who it is`,
      run: (host) =>
        connected(kind, host, async (client) => {
          assert.equal(client.serverName, "hosted");
          assert.equal(client.protocolVersion, legacy ? "2025-11-25" : "2026-07-28");
          assert.equal(client.sessionId !== undefined, legacy && host.sessions !== false);
          assert.deepEqual(await client.tools(), ["add", "count", "running", "whoami"]);
          const { text } = await client.call("add", { a: 2, b: 3 });
          assert.deepEqual(JSON.parse(text), { sum: 5 });
          // A declared length over 64 KiB is read in pieces.
          const long = await client.call("count", { name: "ä".repeat(60_000), to: 1, ms: 1 });
          assert.equal(long.text, "Counted to 1");
          if (host.headers === undefined) return;
          assert.equal((await client.call("whoami")).text, "You are ada");
        }),
    },
    {
      name: `[HOST-3, HOST-5] ${kind.name} sees progress as it happens, and cancels`,
      run: (host) =>
        connected(kind, host, async (client) => {
          const name = crypto.randomUUID();
          const abort = new AbortController();
          const seen: number[] = [];
          const call = client.call("count", { name, to: 10_000, ms: 50 }, {
            signal: abort.signal,
            timeoutMs: LIMIT_MS,
            onProgress(progress) {
              seen.push(progress);
              if (progress === 3) abort.abort(new Error("Seen enough"));
            },
          });
          await assert.rejects(call, /Seen enough|abort/i);
          assert.deepEqual(seen.slice(0, 3), [1, 2, 3]);
          // Without sessions, a call of 2025 can't be found to cancel it.
          if (host.noticesEnd !== false && (!legacy || host.sessions !== false)) {
            await ended(client, name);
          }
        }),
    },
    ...legacy ? [endsSession(kind)] : [],
  ];
}

function endsSession(kind: ClientKind): HostScenario {
  return {
    name: `[HOST-5] ${kind.name} ends its session`,
    async run(host) {
      await connected(kind, host, async (client) => {
        const { sessionId = "" } = client;
        await client.terminate();
        const headers = { ...host.headers, "mcp-session-id": sessionId };
        const again = await fetch(host.url, { method: "DELETE", headers });
        assert.equal(again.status, 404);
      });
    },
  };
}

const SCENARIOS: readonly HostScenario[] = [
  ...scenariosOf(sdkV1, true),
  ...scenariosOf(sdkV2, true),
  ...scenariosOf(sdkV2Auto, false),
  {
    name: "[HOST-5, GATE-2] refuses a page of another origin",
    async run({ url, headers }) {
      for (const method of ["POST", "DELETE"]) {
        const response = await fetch(url, {
          method,
          headers: {
            ...headers,
            "origin": "https://evil.example",
            "content-type": "application/json",
          },
          ...method === "POST" && { body: '{"jsonrpc":"2.0","id":1,"method":"ping"}' },
        });
        const { error } = await response.json();
        assert.equal(response.status, 403);
        assert.match(error.message, /allowedOrigins/);
      }
    },
  },
  {
    name: "[HOST-4, HOST-5] refuses who is nobody",
    async run({ url }) {
      const response = await fetch(url, { method: "DELETE" });
      await response.body?.cancel();
      assert.equal(response.status, 401);
    },
  },
];

/** Lists what is to be tried with an example. */
export function hostScenarios(host: Omit<Host, "url">): HostScenario[] {
  const { sessions = true, headers } = host;
  return SCENARIOS.filter(({ name }) =>
    (sessions || !name.includes("session")) &&
    (headers !== undefined || !name.includes("nobody"))
  ).map((scenario) => ({ ...scenario, run: (host) => inTime(scenario, host) }));
}

async function inTime({ name, run }: HostScenario, host: Host): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new Error(`Not done in ${LIMIT_MS} ms: ${name}`)),
    LIMIT_MS,
  );
  try {
    await Promise.race([run(host), promise]);
  } finally {
    clearTimeout(timer);
  }
}
