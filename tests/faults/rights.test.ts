/**
 * Random changes of rights between calls, on every way to a tool, held against a reference: what a call
 * may do is what its own user may do at that moment.
 */
import assert from "node:assert/strict";
import { describe } from "node:test";
import * as fc from "fast-check";
import { type Gateway, gateway, http, local } from "../../src/gateway/mod.ts";
import type { McpHandler } from "../../src/handler/types.ts";
import type { Dispatcher, Principal } from "../../src/protocol/exchange.ts";
import { isObject } from "../../src/protocol/jsonrpc.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import { McpServer } from "../../src/server/server.ts";
import { ModernPeer } from "../support/modern.ts";
import { as, initialize, type Peer, textOf } from "../support/wire.ts";
import { Rights } from "../gateway/rights_support.ts";
import { property } from "./runs.ts";

const USERS = ["ann", "ben"] as const;
type User = typeof USERS[number];

/** What each tool needs. */
const TOOLS: Readonly<Record<string, readonly string[]>> = {
  any: [],
  read: ["read"],
  write: ["read", "write"],
};

/** A server whose tools tell the rights of their call. */
function server(): McpServer {
  const made = new McpServer({ name: "n", version: "1.0.0" });
  for (const [name, scopes] of Object.entries(TOOLS)) {
    made.registerTool(name, { scopes }, (_args, { principal: { id, scopes = [] } }) => {
      return `${id} ${scopes.join(" ")}`;
    });
  }
  return made;
}

/** Reaches a server over HTTP, which judges the token that it gets, and lists by it. */
function overHttp(): ReturnType<typeof http> {
  const authenticate = ({ headers }: Request): Principal => {
    const [id = "", ...scopes] = String(headers.get("authorization")).slice(7).split("+");
    return { id, scopes };
  };
  const there = createMcpHandler(server(), {
    authenticate,
    authorize: ({ scopes = [] }, { method, params }) =>
      method !== "tools/call" || params.name !== "write" || scopes.includes("write"),
  });
  return http({
    url: "http://localhost/mcp",
    auth: ({ principal: { id, scopes = [] } }) => [id, ...scopes].join("+"),
    fetch: (url, init) => there(new Request(url, init)),
  });
}

/** A way to the tools. */
interface Way {
  readonly prefix: string;
  readonly make: () => { readonly served: Dispatcher; readonly gateways: readonly Gateway[] };
  /** Whether another server judges, whose scopes are not those of this endpoint. */
  readonly foreign?: boolean;
}

type Upstreams = NonNullable<Parameters<typeof gateway>[0]>["upstreams"];

function behind(
  prefix: string,
  upstreams: () => Upstreams,
  more: { readonly only?: string; readonly stateless?: "principal"; readonly foreign?: boolean } =
    {},
): Way {
  const { only, stateless = "request", foreign } = more;
  return {
    prefix,
    foreign,
    make() {
      const gw = gateway({ upstreams: upstreams(), stateless });
      return { served: only === undefined ? gw : gw.only(only), gateways: [gw] };
    },
  };
}

const WAYS: readonly Way[] = [
  { prefix: "", make: () => ({ served: server(), gateways: [] }) },
  behind("n__", () => ({ n: local(server()) })),
  behind("", () => ({ n: local(server()) }), { only: "n" }),
  behind("n__", () => ({ n: local(server()) }), { stateless: "principal" }),
  behind("o__n__", () => ({ o: local(gateway({ upstreams: { n: local(server()) } })) })),
  behind("n__", () => ({ n: overHttp() }), { foreign: true }),
  behind("n__", () => ({ n: overHttp() }), { foreign: true, stateless: "principal" }),
];

type Step =
  | { readonly do: "give"; readonly user: User; readonly scopes: readonly string[] }
  | { readonly do: "call"; readonly user: User; readonly modern: boolean; readonly tool: string }
  | { readonly do: "list"; readonly user: User; readonly modern: boolean };

const user = fc.constantFrom(...USERS);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("give" as const),
      user,
      scopes: fc.subarray(["read", "write", "more"]),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("call" as const),
      user,
      modern: fc.boolean(),
      tool: fc.constantFrom(...Object.keys(TOOLS)),
    }),
  },
  fc.record({ do: fc.constant("list" as const), user, modern: fc.boolean() }),
);

/** The users of one endpoint, and what each of them may do. */
class Trial {
  readonly #way: Way;
  readonly #rights = new Rights({ ann: [], ben: [] });
  readonly #scopes: Record<User, readonly string[]> = { ann: [], ben: [] };
  readonly #handler: McpHandler;
  readonly #gateways: readonly Gateway[];
  readonly #sessions = new Map<User, Peer>();

  constructor(way: Way) {
    this.#way = way;
    const { served, gateways } = way.make();
    this.#gateways = gateways;
    this.#handler = this.#rights.serve(served);
  }

  async take(step: Step): Promise<void> {
    if (step.do === "give") {
      this.#scopes[step.user] = step.scopes;
      return this.#rights.give(step.user, ...step.scopes);
    }
    if (step.do === "list") return await this.#list(step.user, step.modern);
    return await this.#call(step.user, step.modern, step.tool);
  }

  async close(): Promise<void> {
    assert.equal(this.#handler.stats().requests, 0);
    await this.#handler.close();
    for (const gw of this.#gateways) await gw.close();
  }

  /** The one session of a user, which outlives all changes. */
  async #session(user: User): Promise<Peer> {
    let peer = this.#sessions.get(user);
    if (peer === undefined) {
      peer = await initialize(this.#handler, { headers: as(user) });
      this.#sessions.set(user, peer);
    }
    return peer;
  }

  async #send(user: User, modern: boolean, method: string, params: object): Promise<Response> {
    if (!modern) return await (await this.#session(user)).request(1, method, { ...params });
    const peer = new ModernPeer(this.#handler, { headers: as(user) });
    return await peer.post(peer.message(method, { ...params }, 1));
  }

  async #call(user: User, modern: boolean, tool: string): Promise<void> {
    const { prefix, foreign = false } = this.#way;
    const name = `${prefix}${tool}`;
    const response = await this.#send(user, modern, "tools/call", { name, arguments: {} });
    const message: unknown = await response.json();
    assert.ok(isObject(message));
    const own = this.#scopes[user];
    const needed = TOOLS[tool] ?? [];
    const allowed = needed.every((scope) => own.includes(scope));
    const challenge = response.headers.get("www-authenticate");
    if (allowed) {
      assert.equal(textOf(message.result), `${user} ${own.join(" ")}`);
      assert.equal(challenge, null);
    } else if (foreign) {
      // Its upstream refuses it, which says nothing about the client's own token
      assert.ok(isObject(message.error));
      assert.equal(challenge, null);
    } else {
      const scopes = [...new Set([...needed, ...own])].join(" ");
      assert.equal(response.status, 403);
      assert.equal(challenge, `Bearer error="insufficient_scope", scope="${scopes}"`);
    }
  }

  async #list(user: User, modern: boolean): Promise<void> {
    const { prefix, foreign = false } = this.#way;
    const { result } = await (await this.#send(user, modern, "tools/list", {})).json();
    const names = result.tools.map(({ name }: { readonly name: string }) => name);
    const hidden = foreign && !this.#scopes[user].includes("write");
    const expected = Object.keys(TOOLS).filter((tool) => !hidden || tool !== "write");
    assert.deepEqual(names, expected.map((tool) => `${prefix}${tool}`));
  }
}

describe("rights against a reference", () => {
  property(
    "[AUTH-6, AUTH-7] what a call may do is what its user may do at that moment, on every way to a tool",
    fc.record({
      way: fc.nat(WAYS.length - 1),
      steps: fc.array(step, { minLength: 5, maxLength: 30, size: "max" }),
    }),
    { everyday: 60, long: 3_000 },
    async ({ way, steps }) => {
      const made = WAYS[way];
      assert.ok(made);
      const trial = new Trial(made);
      for (const step of steps) await trial.take(step);
      await trial.close();
    },
  );
});
