/**
 * Skills of upstreams behind a merged view: listed and read under addresses that say whose they are.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createMcpHandler, McpServer } from "../../mod.ts";
import { gateway, type GatewayOptions, http, local, type Upstream } from "../../src/gateway/mod.ts";
import { skills } from "../../src/skills/mod.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { ModernPeer } from "../support/modern.ts";
import { as, byToken, initialize } from "../support/wire.ts";

const SKILLS = "io.modelcontextprotocol/skills";

/** A server with the skills of these names, each with a second file. */
async function serverOf(...names: string[]): Promise<McpServer> {
  const server = new McpServer({ name: "skilled", version: "1.0.0" });
  const library = server.use(skills());
  for (const name of names) {
    await library.registerSkill({
      "SKILL.md": `---\nname: ${name}\ndescription: Does ${name}.\n---\n\nBegin.\n`,
      "letters/yes.md": `Yes, ${name}`,
    });
  }
  return server;
}

const KINDS: readonly (readonly [string, (server: McpServer) => Upstream])[] = [
  ["local", local],
  ["HTTP", (server) => {
    const handler = createMcpHandler(server);
    const fetch = (url: string | URL | Request, init?: RequestInit) =>
      handler(new Request(url, init));
    return http({ url: "http://far.example/mcp", fetch });
  }],
];

async function world(
  serve: (server: McpServer) => Upstream,
  options: Omit<GatewayOptions, "upstreams"> = {},
  authorize?: (method: string, uri: unknown) => boolean,
) {
  const [a, b] = [await serverOf("refunds", "letters"), await serverOf("refunds")];
  const plain = new McpServer({ name: "plain", version: "1.0.0" });
  plain.registerTool("say", {}, () => "said");
  const upstreams = { a: serve(a), b: serve(b), plain: local(plain) };
  const gw = gateway({ ...options, upstreams });
  const handler = createMcpHandler(gw, {
    authenticate: byToken,
    ...authorize && {
      authorize: (_principal, { method, params }) => authorize(method, params.uri),
    },
  });
  const peer = new ModernPeer(handler.fetch, { headers: as("ann") });
  const ask = async (method: string, params: JsonObject = {}): Promise<JsonObject> => {
    const headers = method === "resources/read" ? { "mcp-name": String(params.uri) } : {};
    return await (await peer.post(peer.message(method, params), { headers })).json();
  };
  const list = async (params?: JsonObject) => {
    const { result } = await ask("skills/list", params) as { result: JsonObject };
    return result.skills as JsonObject[];
  };
  const discovered = await peer.ask("server/discover");
  const close = async () => {
    await handler.close();
    await gw.close();
  };
  return { gw, handler, peer, ask, list, discovered, close };
}

describe("skills of upstreams", () => {
  for (const [kind, serve] of KINDS) {
    test(`[EXT-11] are listed and read under addresses of their own (${kind})`, async () => {
      const { ask, list, discovered, close } = await world(serve);
      const { extensions } = discovered.capabilities as JsonObject;
      assert.deepEqual(extensions, { [SKILLS]: { directoryRead: true } });
      const all = await list();
      assert.deepEqual(all.map(({ uri }) => uri), [
        "skill://a__/refunds/SKILL.md",
        "skill://a__/letters/SKILL.md",
        "skill://b__/refunds/SKILL.md",
      ]);
      for (const skill of all) {
        const { frontmatter, uri, resources } = skill as Record<string, JsonObject>;
        // The directory has the skill's name, as the extension wants it
        assert.equal(String(uri).split("/").at(-2), frontmatter?.name);
        for (const file of resources as unknown as JsonObject[]) {
          const { result } = await ask("resources/read", { uri: file.uri }) as {
            result: JsonObject;
          };
          const [content] = result.contents as JsonObject[];
          assert.equal(content?.uri, file.uri);
          assert.equal(new TextEncoder().encode(String(content?.text)).length, file.size);
        }
        const { result } = await ask("skills/get", { uri }) as { result: JsonObject };
        assert.deepEqual(result.skill, skill);
        const directory = String(uri).replace("/SKILL.md", "");
        const read = await ask("resources/directory/read", { uri: directory });
        const { resources: children } = read.result as { resources: JsonObject[] };
        assert.ok(children.some((child) => child.uri === uri), JSON.stringify(read));
      }
      await close();
    });
  }

  test("[EXT-11] files are in the list of resources under the same addresses, in both eras", async () => {
    const { handler, peer, list, close } = await world(local);
    const files = (await list()).flatMap(({ resources }) =>
      (resources as JsonObject[]).map(({ uri }) => uri)
    );
    const modern = await peer.ask("resources/list");
    const legacy = await initialize(handler.fetch, { headers: as("ann") });
    const old = await legacy.result(await legacy.request(1, "resources/list"));
    for (const { resources } of [modern, old] as { resources: JsonObject[] }[]) {
      assert.deepEqual(resources.map(({ uri }) => uri).toSorted(), files.toSorted());
    }
    const unknown = await (await legacy.request(2, "skills/list", {})).json();
    assert.equal(unknown.error.code, -32601, "clients of 2025 have no skills");
    await close();
  });

  test("[EXT-11] pages have a cursor of the gateway's own", async () => {
    const { gw, close } = await world(local);
    const handler = createMcpHandler(gw, { authenticate: byToken, limits: { page: 2 } });
    const peer = new ModernPeer(handler.fetch, { headers: as("ann") });
    const page = async (params: JsonObject = {}): Promise<JsonObject> =>
      (await (await peer.request("skills/list", params)).json()).result;
    const first = await page();
    assert.equal((first.skills as unknown[]).length, 2);
    const second = await page({ cursor: first.nextCursor });
    assert.equal((second.skills as unknown[]).length, 1);
    assert.equal(second.nextCursor, undefined);
    const { error } = await (await peer.request("skills/list", { cursor: "x" })).json();
    assert.equal(error.code, -32602);
    await handler.close();
    await close();
  });

  test("[EXT-12] what the policy or authorize hides is unknown", async () => {
    const hides = [
      { policy: { upstreams: { a: { resources: { deny: ["skill://refunds/*"] } } } } },
      { authorize: (uri: unknown) => !String(uri).startsWith("skill://a__/refunds/") },
    ] as const;
    for (const hide of hides) {
      const { ask, list, close } = await world(
        local,
        "policy" in hide ? { policy: hide.policy } : {},
        "authorize" in hide
          ? (method, uri) => method !== "resources/read" || hide.authorize(uri)
          : undefined,
      );
      assert.deepEqual((await list()).map(({ uri }) => uri), [
        "skill://a__/letters/SKILL.md",
        "skill://b__/refunds/SKILL.md",
      ]);
      for (const method of ["skills/get", "resources/directory/read"]) {
        const of = async (name: string) => {
          const end = method === "skills/get" ? "/SKILL.md" : "";
          const { error } = await ask(method, { uri: `skill://a__/${name}${end}` });
          assert.ok(isObject(error), `${method} ${name}`);
          return JSON.stringify(error).replaceAll(name, "NAME");
        };
        assert.equal(await of("refunds"), await of("unknown"));
      }
      await close();
    }
  });

  test("[EXT-12] an upstream that the policy closes has none, and without any there is no method", async () => {
    const { ask, list, close } = await world(local, {
      policy: { upstreams: { a: false } },
    });
    assert.deepEqual((await list()).map(({ uri }) => uri), ["skill://b__/refunds/SKILL.md"]);
    const get = (uri: string) => ask("skills/get", { uri });
    const hidden = JSON.stringify((await get("skill://a__/refunds/SKILL.md")).error);
    const none = JSON.stringify((await get("skill://x__/refunds/SKILL.md")).error);
    assert.equal(hidden.replace("a__", "x__"), none);
    await close();
    const without = await world(local, { policy: { upstreams: { a: false, b: false } } });
    const { error } = await without.ask("skills/list");
    assert.equal((error as JsonObject).code, -32601);
    assert.equal((without.discovered.capabilities as JsonObject).extensions, undefined);
    await without.close();
  });
});
