/**
 * Random policies, users and upstreams, held against a reference: what may be used, what is listed and
 * what can be used are the same, and everything else is answered as what doesn't exist.
 */
import assert from "node:assert/strict";
import { describe } from "node:test";
import * as fc from "fast-check";
import { type Gateway, gateway } from "../../src/gateway/gateway.ts";
import { definitionDigest } from "../../src/gateway/policy/definition.ts";
import type { GatewayPolicy, PrincipalPolicy, UpstreamPolicy } from "../../src/gateway/mod.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandler } from "../../src/handler/types.ts";
import { ErrorCode, McpError } from "../../src/protocol/errors.ts";
import type { Principal } from "../../src/protocol/exchange.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import type { ProtocolVersion } from "../../src/protocol/versions.ts";
import { FakeUpstream } from "../gateway/core_support.ts";
import { ModernPeer } from "../support/modern.ts";
import { as, initialize, type Peer } from "../support/wire.ts";
import { property } from "./runs.ts";

/** The users, and what they are. */
const USERS: Readonly<Record<string, Principal>> = {
  ann: { id: "ann", scopes: ["read", "write"] },
  ben: { id: "ben", issuer: "https://login.example", scopes: ["read"] },
  eve: { id: "eve", clientId: "app" },
};
const UPSTREAMS = ["one", "two"] as const;
const NAMES = ["a", "b", "ab", "ba", "read_a", "read_b"];
/** Names of the same length that nothing has: only they differ in what is answered. */
const ABSENT: Readonly<Record<string, string>> = {
  a: "q",
  b: "q",
  ab: "qq",
  ba: "qq",
  read_a: "qqqqqq",
  read_b: "qqqqqq",
  other: "qqqqq",
};
const PATTERNS = [
  "*",
  "a",
  "b",
  "ab",
  "*b",
  "a*",
  "read_*",
  "*ea*_*",
  "none",
  "*://one/*",
  "*://*/a",
];

type Kind = "tools" | "prompts" | "resources" | "templates";
const KINDS: readonly Kind[] = ["tools", "prompts", "resources", "templates"];

/** What an upstream has, by name; a resource has the name in its URI. */
type Definitions = Readonly<Record<Kind, readonly string[]>>;

const uriOf = (upstream: string, name: string) => `res://${upstream}/${name}`;
const templateOf = (upstream: string, name: string) => `tpl-${name}://${upstream}/{x}`;
const madeUri = (upstream: string, name: string) => `tpl-${name}://${upstream}/a`;

/** The name by which an upstream knows something. */
function ownName(upstream: string, kind: Kind, name: string): string {
  if (kind === "resources") return uriOf(upstream, name);
  return kind === "templates" ? templateOf(upstream, name) : name;
}

function definition(upstream: string, kind: Kind, name: string): JsonObject {
  const own = ownName(upstream, kind, name);
  if (kind === "resources") return { uri: own, name };
  if (kind === "templates") return { uriTemplate: own, name };
  return kind === "tools" ? { name, inputSchema: { type: "object" } } : { name };
}

function upstreamOf(name: string, has: Definitions, version: ProtocolVersion): FakeUpstream {
  const list = (kind: Kind) => has[kind].map((each) => definition(name, kind, each));
  const isKnown = (uri: unknown) =>
    has.resources.some((each) => uriOf(name, each) === uri) ||
    has.templates.some((each) => madeUri(name, each) === uri);
  const checked = (known: boolean, result: JsonObject): JsonObject => {
    if (known) return result;
    throw new McpError(ErrorCode.InvalidParams, `Not found at ${name}`);
  };
  const named = (kind: Kind, params: JsonObject) => has[kind].includes(String(params.name));
  return new FakeUpstream({
    version,
    capabilities: { tools: {}, prompts: {}, resources: { subscribe: true }, completions: {} },
    answers: {
      "tools/list": () => ({ tools: list("tools") }),
      "prompts/list": () => ({ prompts: list("prompts") }),
      "resources/list": () => ({ resources: list("resources") }),
      "resources/templates/list": () => ({ resourceTemplates: list("templates") }),
      "tools/call": ({ params }) =>
        checked(named("tools", params), { content: [{ type: "text", text: `${params.name}` }] }),
      "prompts/get": ({ params }) =>
        checked(named("prompts", params), { messages: [], description: `${params.name}` }),
      "resources/read": ({ params: { uri } }) =>
        checked(isKnown(uri), { contents: [{ uri, text: "" }] }),
      "resources/subscribe": () => ({}),
      "completion/complete": () => ({ completion: { values: [] } }),
    },
  });
}

// What the reference makes of a policy

const glob = (pattern: string) =>
  new RegExp(
    `^${pattern.split("*").map((part) => part.replace(/[^\w]/g, "\\$&")).join(".*")}$`,
    "s",
  );

function fits({ id, issuer, clientId, scopes = [] }: Principal, given: PrincipalPolicy["for"]) {
  const { ids, issuers, clientIds, scopes: needed = [] } = given ?? {};
  return (ids?.includes(id) ?? true) && (issuers?.includes(issuer ?? "") ?? true) &&
    (clientIds?.includes(clientId ?? "") ?? true) && needed.every((one) => scopes.includes(one));
}

function layersFor(policy: GatewayPolicy, user: Principal, upstream: string): UpstreamPolicy[] {
  const sets = [
    ...policy.upstreams === undefined ? [] : [policy.upstreams],
    ...(policy.principals ?? []).filter((each) =>
      fits(user, each.for) && !(each.except && fits(user, each.except))
    ).map(({ upstreams }) => upstreams),
  ];
  return sets.flatMap((set) => set[upstream] ?? (upstream in set ? [false as const] : [])).concat(
    sets.flatMap((set) => upstream in set ? [] : "*" in set ? [set["*"] ?? false] : []),
  );
}

/** Whether a user may use something by the name that its upstream gives. */
function mayUse(policy: GatewayPolicy, user: Principal, upstream: string, kind: Kind, own: string) {
  return layersFor(policy, user, upstream).every((rules) => {
    if (rules === false) return false;
    const { allow, deny = [] } = rules[kind] ?? {};
    return !deny.some((each) => glob(each).test(own)) &&
      (allow === undefined || allow.some((each) => glob(each).test(own)));
  });
}

/** The names that a user sees, by those of the upstream. */
function shownTo(
  policy: GatewayPolicy,
  user: Principal,
  upstream: string,
  kind: Kind,
  has: readonly string[],
): ReadonlyMap<string, string> {
  const renames: Record<string, string> = {};
  const sets = [
    policy.upstreams ?? {},
    ...(policy.principals ?? []).map(({ upstreams }) => upstreams),
  ];
  for (const [index, set] of sets.entries()) {
    const principal = policy.principals?.[index - 1];
    const counts = principal === undefined ||
      fits(user, principal.for) && !(principal.except && fits(user, principal.except));
    const rules = upstream in set ? set[upstream] : set["*"];
    if (!counts || rules === undefined || rules === false) continue;
    if (kind === "tools" || kind === "prompts") Object.assign(renames, rules[kind]?.rename);
  }
  const pins = kind === "resources" ? undefined : policy.pins?.[upstream]?.[kind];
  const seen = new Map<string, string>();
  for (const name of has) {
    const own = ownName(upstream, kind, name);
    const shown = renames[own] ?? own;
    const taken = Object.entries(renames).some(([other, to]) => other !== own && to === shown);
    const pinned = pins === undefined ||
      pins[own] === definitionDigest(definition(upstream, kind, name));
    if (taken || !pinned || !mayUse(policy, user, upstream, kind, own)) continue;
    seen.set(name, shown);
  }
  return seen;
}

// Random ones

const patterns = fc.subarray(PATTERNS, { maxLength: 3 });
const entryRules = fc.record({ allow: patterns, deny: patterns }, { requiredKeys: [] });
/** One new name at most: who gets a name that two rules give is not for the reference. */
const namedRules = fc.record({
  allow: patterns,
  deny: patterns,
  rename: fc.constantFrom<Record<string, string>[]>({}, { a: "new" }, { a: "b" }, { ab: "ba" }, {
    a: "b",
    b: "a",
  }),
}, { requiredKeys: [] });
const upstreamPolicy: fc.Arbitrary<UpstreamPolicy> = fc.oneof(
  { weight: 1, arbitrary: fc.constant(false as const) },
  {
    weight: 8,
    arbitrary: fc.record({
      tools: namedRules,
      prompts: namedRules,
      resources: entryRules,
      templates: entryRules,
    }, { requiredKeys: [] }),
  },
);
/** Rules for single users give no new names. */
const plainPolicy: fc.Arbitrary<UpstreamPolicy> = fc.record({
  tools: entryRules,
  prompts: entryRules,
  resources: entryRules,
  templates: entryRules,
}, { requiredKeys: [] });
const upstreamsWith = (one: fc.Arbitrary<UpstreamPolicy>) =>
  fc.dictionary(fc.constantFrom("one", "two", "*", "three"), one, {
    maxKeys: 3,
    noNullPrototype: true,
  });
const filter = fc.record({
  ids: fc.subarray(Object.keys(USERS)),
  issuers: fc.constant(["https://login.example"]),
  clientIds: fc.constant(["app"]),
  scopes: fc.subarray(["read", "write"]),
}, { requiredKeys: [] });
const definitions: fc.Arbitrary<Definitions> = fc.record({
  tools: fc.subarray(NAMES),
  prompts: fc.subarray(NAMES),
  resources: fc.subarray(NAMES),
  templates: fc.subarray(["a", "b"]),
});
const world = fc.record({
  one: definitions,
  two: definitions,
  versions: fc.tuple(
    fc.constantFrom<ProtocolVersion>("2025-11-25", "2026-07-28"),
    fc.constantFrom<ProtocolVersion>("2025-11-25", "2026-07-28"),
  ),
  upstreams: fc.option(upstreamsWith(upstreamPolicy), { nil: undefined }),
  principals: fc.array(
    fc.record({ for: filter, except: filter, upstreams: upstreamsWith(plainPolicy) }, {
      requiredKeys: ["upstreams"],
    }),
    { maxLength: 3 },
  ),
  pinned: fc.option(fc.record({ names: fc.subarray(NAMES), stale: fc.subarray(NAMES) }), {
    nil: undefined,
    freq: 3,
  }),
  user: fc.constantFrom(...Object.keys(USERS)),
  modern: fc.boolean(),
});

/** What was answered, without the id that a request has. */
interface Answer {
  readonly status: number;
  readonly text: string;
  readonly message: JsonObject;
}

/** One user of a gateway, in one of the eras. */
class User {
  readonly #handler: McpHandler;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #modern: boolean;
  #peer: Peer | undefined;

  constructor(handler: McpHandler, id: string, modern: boolean) {
    this.#handler = handler;
    this.#headers = as(id);
    this.#modern = modern;
  }

  async send(method: string, params: JsonObject): Promise<Answer> {
    const response = await this.#response(method, params);
    const text = await response.text();
    const message: unknown = JSON.parse(text);
    assert.ok(isObject(message));
    return { status: response.status, text, message };
  }

  async #response(method: string, params: JsonObject): Promise<Response> {
    if (this.#modern) {
      const peer = new ModernPeer(this.#handler, { headers: this.#headers });
      return await peer.post(peer.message(method, params, 1));
    }
    this.#peer ??= await initialize(this.#handler, { headers: this.#headers });
    return await this.#peer.request(1, method, params);
  }

  async names(method: string, field: string, id: string): Promise<unknown[]> {
    const { message: { result } } = await this.send(method, {});
    assert.ok(isObject(result));
    const entries = result[field];
    assert.ok(Array.isArray(entries));
    return entries.map((entry) => entry[id]);
  }
}

/** A request for something, with the name in it. */
type Ask = (name: string) => readonly [method: string, params: JsonObject];

/** What can be asked about a tool, a prompt and a URI; the first of each uses it. */
const ASKS: Readonly<Record<"tools" | "prompts" | "uri", readonly Ask[]>> = {
  tools: [
    (name) => ["tools/call", { name, arguments: {} }],
    (name) => ["tools/call", { name, arguments: {}, task: { ttl: 60_000 } }],
  ],
  prompts: [
    (name) => ["prompts/get", { name }],
    (name) => ["completion/complete", {
      ref: { type: "ref/prompt", name },
      argument: { name: "x", value: "" },
    }],
  ],
  uri: [
    (uri) => ["resources/read", { uri }],
    (uri) => ["resources/subscribe", { uri }],
    (uri) => ["completion/complete", {
      ref: { type: "ref/resource", uri },
      argument: { name: "x", value: "" },
    }],
  ],
};

/** Checks that something is answered as something of the same length that doesn't exist. */
async function assertUnknown(user: User, asks: readonly Ask[], name: string, absent: string) {
  for (const [index, ask] of asks.entries()) {
    const denied = await user.send(...ask(name));
    const unknown = await user.send(...ask(absent));
    // Some servers accept subscriptions to anything
    assert.ok(index > 0 || isObject(denied.message.error), denied.text);
    assert.equal(denied.status, unknown.status);
    assert.equal(denied.text.replaceAll(name, absent), unknown.text);
  }
}

async function assertUsable(user: User, [use]: readonly Ask[], name: string): Promise<void> {
  const { message, text } = await user.send(...(use ?? assert.fail())(name));
  assert.ok(isObject(message.result), `${name}: ${text}`);
}

describe("policy against a reference", () => {
  property(
    "[POL-1, POL-2] what may be used, what is listed and what can be used are the same, in both eras",
    world,
    { everyday: 50, long: 5_000 },
    async ({ one, two, versions, upstreams, principals, pinned, user: id, modern }) => {
      const has: Readonly<Record<string, Definitions>> = { one, two };
      const pins = pinned && {
        one: {
          tools: Object.fromEntries(pinned.names.map((name) => [
            name,
            pinned.stale.includes(name)
              ? definitionDigest({ name, inputSchema: { type: "object" }, description: "Before" })
              : definitionDigest(definition("one", "tools", name)),
          ])),
        },
      };
      const policy: GatewayPolicy = {
        principals,
        ...upstreams !== undefined && { upstreams },
        ...pins !== undefined && { pins },
      };
      const fakes = {
        one: upstreamOf("one", one, versions[0]),
        two: upstreamOf("two", two, versions[1]),
      };
      const gw: Gateway = gateway({ upstreams: fakes, policy });
      const principal = USERS[id] ?? assert.fail();
      const handler = createMcpHandler(gw, { authenticate: () => principal });
      const user = new User(handler, id, modern);
      const seen = (upstream: string, kind: Kind) =>
        shownTo(policy, principal, upstream, kind, has[upstream]?.[kind] ?? []);

      const lists = {
        tools: await user.names("tools/list", "tools", "name"),
        prompts: await user.names("prompts/list", "prompts", "name"),
        resources: await user.names("resources/list", "resources", "uri"),
        templates: await user.names("resources/templates/list", "resourceTemplates", "uriTemplate"),
      };
      for (const kind of KINDS) {
        const prefix = kind === "tools" || kind === "prompts";
        const expected = UPSTREAMS.flatMap((upstream) =>
          [...seen(upstream, kind).values()].map((name) => prefix ? `${upstream}__${name}` : name)
        );
        assert.deepEqual(lists[kind], expected, kind);
      }

      for (const upstream of UPSTREAMS) {
        for (const kind of ["tools", "prompts"] as const) {
          const usable = [...seen(upstream, kind).values()];
          const restricts = layersFor(policy, principal, upstream).some((rules) => {
            const { allow, deny = [], rename = {} } = rules === false
              ? { allow: [] }
              : rules[kind] ?? {};
            return allow !== undefined || deny.length + Object.keys(rename).length > 0;
          }) || policy.pins?.[upstream]?.[kind] !== undefined;
          for (const name of [...NAMES, "other"]) {
            const shown = `${upstream}__${name}`;
            if (usable.includes(name)) await assertUsable(user, ASKS[kind], shown);
            // Where everything is open, an upstream answers for itself
            else if (restricts) {
              await assertUnknown(user, ASKS[kind], shown, `${upstream}__${ABSENT[name]}`);
            }
          }
          if (usable.includes("new")) await assertUsable(user, ASKS[kind], `${upstream}__new`);
        }
        const resources = seen(upstream, "resources");
        const templates = seen(upstream, "templates");
        const hides = UPSTREAMS.some((each) =>
          layersFor(policy, principal, each).some((rules) =>
            rules === false ||
            [rules.resources, rules.templates].some((own) =>
              own?.allow !== undefined || (own?.deny ?? []).length > 0
            )
          )
        );
        for (const name of NAMES) {
          const uri = uriOf(upstream, name);
          if (resources.has(name)) await assertUsable(user, ASKS.uri, uri);
          else if (hides) {
            await assertUnknown(user, ASKS.uri, uri, `res://${upstream}/${ABSENT[name]}`);
          }
        }
        for (const name of ["a", "b"]) {
          const uri = madeUri(upstream, name);
          const own = mayUse(policy, principal, upstream, "resources", uri);
          if (templates.has(name) && own) await assertUsable(user, ASKS.uri, uri);
          else if (hides) {
            await assertUnknown(user, ASKS.uri, uri, `tpl-q://${upstream}/a`);
          }
        }
      }

      // Tasks aren't passed on: one is as unknown as any other, whatever its tool is
      for (const method of ["tasks/get", "tasks/result", "tasks/cancel"]) {
        await assertUnknown(user, [(taskId) => [method, { taskId }]], "one__a", "qqq__q");
      }

      // Nothing that is denied has reached an upstream
      for (const [name, fake] of Object.entries(fakes)) {
        for (const { calls } of fake.sessions) {
          for (const { method, params } of calls) {
            if (method === "tools/call") {
              assert.ok(mayUse(policy, principal, name, "tools", String(params.name)));
            }
            if (method === "prompts/get") {
              assert.ok(mayUse(policy, principal, name, "prompts", String(params.name)));
            }
            if (method === "resources/read") {
              assert.ok(mayUse(policy, principal, name, "resources", String(params.uri)));
            }
          }
        }
      }
      await handler.close();
      await gw.close();
    },
  );
});
