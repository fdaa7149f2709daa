/**
 * JSON that is deep, wide, doubled, huge, half a character, or named like what every object has: in
 * both eras, at an endpoint that serves both, and at one that serves only the newer.
 */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import * as fc from "fast-check";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandler } from "../../src/handler/types.ts";
import { MetaKey } from "../../src/protocol/envelope.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { METHODS } from "../../src/protocol/methods.ts";
import { McpServer } from "../../src/server/server.ts";
import { FakeClock } from "../support/clock.ts";
import { assertLinear } from "../support/growth.ts";
import { MODERN, ModernPeer } from "../support/modern.ts";
import { BOTH, Events, initialize, Peer, refused, URL_2025 } from "../support/wire.ts";
import { checkResponse, quiet } from "./invariants.ts";
import { property } from "./runs.ts";

const KIB = 1024;

/** Numbers, texts and names as they stand in JSON, each with something about it. */
const NUMBERS = [
  ..."0 -0 1 -1 0.0 1.0 1e0 1.5 -1e-7 1e400 -1e400 1E-400 9007199254740993 -9007199254740993".split(
    " ",
  ),
  "1".repeat(400),
  `0.${"0".repeat(400)}1`,
];
const TEXTS = [
  "",
  "\\ud800",
  "\\udfff\\ud800",
  "\\u0000",
  "\\u2028\\u2029",
  "\ud83d\ude00",
  "__proto__",
  "constructor",
  "tool",
  "prompt",
  "test://r",
  "test://t/1/2",
  "../../etc/passwd",
  "%00",
  "${7*7}",
  "\\r\\ndata: x\\n\\n",
  MODERN,
  "2025-11-25",
  "x".repeat(9_000),
];
const KEYS = [
  ..."__proto__ constructor prototype toString valueOf hasOwnProperty toJSON then length".split(
    " ",
  ),
  ..."jsonrpc id method params result error code message data name uri arguments a b".split(" "),
  ..."cursor level ref type argument context requestId reason protocolVersion".split(" "),
  ..."capabilities clientInfo version notifications resourceSubscriptions toolsListChanged".split(
    " ",
  ),
  ..."inputResponses requestState progressToken roots sampling elicitation _meta".split(" "),
  "Method",
  "METHOD",
  "method\\u0000",
  "\\u006dethod",
  "param\u017f",
  "",
  "\\ud800",
  MetaKey.ProtocolVersion,
  MetaKey.ClientCapabilities,
  MetaKey.ClientInfo,
  MetaKey.LogLevel,
];

const text = fc.oneof(
  fc.constantFrom(...TEXTS.map((each) => `"${each}"`)),
  fc.string({ unit: "binary" }).map((each) => JSON.stringify(each)),
);
const key = fc.constantFrom(...KEYS.map((each) => `"${each}"`));
const { value } = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    fc.constantFrom("null", "true", "false", "{}", "[]", '{"toString":1,"valueOf":1}'),
    fc.constantFrom(...NUMBERS),
    text,
    fc.array(tie("value"), { maxLength: 4 }).map((all) => `[${all}]`),
    fc.array(fc.tuple(key, tie("value")), { maxLength: 6 }).map(objectOf),
  ),
}));

/** An object of members, any of which may be there twice. */
function objectOf(members: readonly (readonly [string, string])[]): string {
  return `{${members.map(([name, each]) => `${name}:${each}`)}}`;
}

/** What says that a request is of 2026, more or less. */
const envelope = fc.record({
  version: fc.oneof({ weight: 4, arbitrary: fc.constant(`"${MODERN}"`) }, value),
  capabilities: fc.oneof({ weight: 4, arbitrary: fc.constant("{}") }, value),
  more: fc.array(fc.tuple(key, value), { maxLength: 3 }),
}).map(({ version, capabilities, more }) =>
  objectOf([
    [`"${MetaKey.ProtocolVersion}"`, version],
    [`"${MetaKey.ClientCapabilities}"`, capabilities],
    ...more,
  ])
);
const meta = fc.oneof(value, envelope, envelope);
const params = fc.oneof(
  { weight: 1, arbitrary: value },
  {
    weight: 5,
    arbitrary: fc.array(
      fc.oneof(
        fc.tuple(key, value),
        fc.tuple(key, value),
        fc.tuple(fc.constant('"_meta"'), meta),
        fc.tuple(fc.constant('"name"'), fc.constantFrom('"tool"', '"prompt"')),
      ),
      { maxLength: 8 },
    ).map(objectOf),
  },
);
const method = fc.constantFrom(...Object.keys(METHODS).map((each) => `"${each}"`));
const message = fc.tuple(
  fc.oneof({ weight: 20, arbitrary: fc.constant('"2.0"') }, value),
  fc.oneof({ weight: 5, arbitrary: fc.integer().map(String) }, text, value),
  fc.oneof({ weight: 9, arbitrary: method }, value),
  params,
  fc.array(fc.tuple(key, value), { maxLength: 2 }),
  fc.boolean(),
).map(([jsonrpc, id, method, params, more, notification]) =>
  objectOf([
    ['"jsonrpc"', jsonrpc],
    ...notification ? [] : [['"id"', id] as const],
    ['"method"', method],
    ['"params"', params],
    ...more,
  ])
);
const body = fc.oneof(
  { weight: 8, arbitrary: message },
  { weight: 1, arbitrary: fc.array(message, { maxLength: 3 }).map((all) => `[${all}]`) },
  { weight: 1, arbitrary: value },
);

function everything(): McpServer {
  const server = new McpServer({ name: "faults", version: "1.0.0" });
  const inputSchema = { type: "object", properties: { a: { type: "number" } }, required: ["a"] };
  server.registerTool("tool", { inputSchema }, (args) => JSON.stringify(args));
  server.registerResource("r", "test://r", {}, () => "text");
  server.registerResource("t", "test://t/{a}/{b}", {}, (uri) => uri.href);
  server.registerPrompt("prompt", {}, () => "Hi");
  return server;
}

/** What every object, list, text and function has, so that a change of it shows. */
function prototypes(): string {
  return [Object, Array, String, Function, Promise, Map, Set, Response, Request, Headers]
    .map((made) => Reflect.ownKeys(made.prototype).map(String).join()).join("\n");
}

/** An endpoint, and who can speak to it. */
interface Target {
  readonly handler: McpHandler;
  readonly peer: Peer;
  readonly events: Events;
}

async function target(versions?: readonly [typeof MODERN]): Promise<Target> {
  const events = new Events();
  const handler = createMcpHandler(everything(), {
    clock: new FakeClock(),
    onEvent: events.onEvent,
    ...versions && { versions },
  });
  return { handler, events, peer: versions ? new Peer(handler) : await initialize(handler) };
}

/** What a text says as JSON, if it says anything. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Sends a body in one of the eras, and checks what comes back. */
async function send(to: Target, sent: string, modern: boolean): Promise<void> {
  const { handler, peer } = to;
  const asked = parsed(sent);
  const { method, params } = isObject(asked) ? asked : {};
  const named = isObject(params) ? params.name ?? params.uri : undefined;
  const header = (given: unknown) =>
    typeof given === "string" && /^[\x21-\x7e]{1,99}$/.test(given) ? given : "none";
  const headers = new Headers({ "content-type": "application/json", "accept": BOTH });
  if (modern) {
    headers.set("mcp-protocol-version", MODERN);
    headers.set("mcp-method", header(method));
    headers.set("mcp-name", header(named));
  } else if (peer.sessionId !== undefined) headers.set("mcp-session-id", peer.sessionId);
  const response = await handler(new Request(URL_2025, { method: "POST", headers, body: sent }));
  await checkResponse(response, [], sent);
  if (response.headers.get("content-type") === "text/event-stream") {
    // Only an open subscription streams here
    await response.body?.cancel();
    return;
  }
  const answer = await response.text();
  if (answer === "") return assert.ok(response.status === 202 || response.status === 204);
  const message = parsed(answer);
  assert.ok(isObject(message) && message.jsonrpc === "2.0", answer);
  assert.ok(("result" in message) !== ("error" in message), answer);
  // Of what it refuses, an answer repeats a few words
  if (isObject(message.error)) assert.ok(String(message.error.message).length < 1_000, answer);
  if (response.status === 200) {
    assert.ok(isObject(asked));
    assert.equal(JSON.stringify(message.id), JSON.stringify(asked.id));
  }
}

describe("GATE: odd JSON", () => {
  const before = prototypes();
  const statuses = new Map<string, number>();
  after(() => assert.equal(prototypes(), before));

  for (const [name, versions] of [["both eras", undefined], ["2026 alone", [MODERN]]] as const) {
    property(
      `[GATE-9, GATE-10, SRV-2, ERA-1] at an endpoint of ${name}: no 5xx, nothing of the inside, nothing left`,
      fc.record({ body, modern: fc.boolean() }),
      { everyday: 2_500, long: 50_000 },
      async ({ body, modern }) => {
        const to = targets.get(name) ?? await target(versions);
        targets.set(name, to);
        await send(to, body, modern);
        assert.deepEqual(to.events.of("error").map(({ error }) => error), []);
        const { requests, questions } = to.handler.stats();
        assert.deepEqual({ requests, questions }, { requests: 0, questions: 0 });
        assert.equal(prototypes(), before);
        assert.equal(({} as JsonObject).polluted, undefined);
      },
    );
  }
  const targets = new Map<string, Target>();
  after(async () => {
    for (const { handler } of targets.values()) {
      await quiet();
      assert.equal(handler.stats().listens, 0);
      assert.equal(handler.stats().streams, 0);
      await handler.close({ graceMs: 0 });
    }
    statuses.clear();
  });
});

describe("GATE: large JSON", () => {
  const LIMIT = 1024 * KIB;
  const wide: Readonly<Record<string, readonly [number, (size: number) => string]>> = {
    "an array of numbers": [400_000, (size) => `[${Array.from({ length: size }, () => 1)}]`],
    "an array of arrays": [300_000, (size) => `[${Array.from({ length: size }, () => "[]")}]`],
    "an object of many keys": [
      60_000,
      (size) => objectOf(Array.from({ length: size }, (_, n) => [`"key${n}"`, "1"])),
    ],
    "one key many times": [
      80_000,
      (size) => objectOf(Array.from({ length: size }, () => ['"a"', "1"])),
    ],
    "one text": [900 * KIB, (size) => `"${"x".repeat(size)}"`],
    "one number": [900 * KIB, (size) => "1".repeat(size)],
    "brackets in a text": [400 * KIB, (size) => `"${"[{".repeat(size)}"`],
    "escapes": [150_000, (size) => `"${"\\u0061".repeat(size)}"`],
  };
  const places: Readonly<Record<string, (json: string) => readonly [string, string]>> = {
    "an argument": (json) => ["tools/call", `{"name":"tool","arguments":{"a":${json}}}`],
    "the arguments": (json) => ["tools/call", `{"name":"tool","arguments":${json}}`],
    "a name": (json) => ["tools/call", `{"name":${json}}`],
    "a URI": (json) => ["resources/read", `{"uri":${json}}`],
    "a cursor": (json) => ["tools/list", `{"cursor":${json}}`],
    "the capabilities": (json) => [
      "initialize",
      `{"protocolVersion":"2025-11-25","capabilities":${json},"clientInfo":{"name":"a","version":"1"}}`,
    ],
    "a reference": (json) => ["completion/complete", `{"ref":${json},"argument":${json}}`],
    "a cancellation": (json) => ["notifications/cancelled", `{"requestId":${json}}`],
    "a filter": (
      json,
    ) => ["subscriptions/listen", `{"notifications":{"resourceSubscriptions":${json}}}`],
  };
  const marks = objectOf([
    [`"${MetaKey.ProtocolVersion}"`, `"${MODERN}"`],
    [`"${MetaKey.ClientCapabilities}"`, "{}"],
  ]);
  for (const [what, [size, json]] of Object.entries(wide)) {
    test(`[GATE-8, GATE-9, SRV-2] ${what} costs no more than its length, wherever it stands`, async () => {
      const to = await target();
      for (const [where, place] of Object.entries(places)) {
        for (const modern of [false, true]) {
          const bodyOf = (size: number) => {
            const [method, params] = place(json(size));
            const full = modern ? `${params.slice(0, -1)},"_meta":${marks}}` : params;
            return `{"jsonrpc":"2.0","id":1,"method":"${method}","params":${full}}`;
          };
          // A reference repeats it
          const most = bodyOf(size).length > LIMIT ? Math.floor(size / 2) : size;
          assert.ok(bodyOf(most).length <= LIMIT);
          const bodies = new Map<number, string>();
          await assertLinear(`${where}, ${modern ? "2026" : "2025"}`, most, (size) => {
            const body = bodies.get(size) ?? bodyOf(size);
            bodies.set(size, body);
            return send(to, body, modern);
          });
        }
      }
      await to.handler.close({ graceMs: 0 });
    });
  }

  for (const levels of [64, 65, 1_000, 500_000]) {
    test(`[GATE-9] ${levels} levels, of lists, of objects and of both`, async () => {
      const { handler, peer } = await target();
      const forms = [["[", "]"], ['{"a":', "}"], ['[{"a":', "}]"]] as const;
      for (const [open, close] of forms) {
        const each = open.length > 2 && open.startsWith("[") ? 2 : 1;
        const count = Math.floor(Math.min(levels, 1_000_000 / (open + close).length) / each);
        // What stands around it makes two levels, or three
        const inner = `${open.repeat(count - 1)}1${close.repeat(count - 1)}`;
        const around = `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":${inner}}}`;
        const depth = 2 + (count - 1) * each;
        const headers = { "content-type": "application/json", "accept": BOTH };
        const response = await peer.send("POST", headers, around);
        if (depth <= 64) await peer.result(response);
        else await refused(response, 400, -32700);
      }
      await handler.close({ graceMs: 0 });
    });
  }

  test("[ERA-3, SRV-2] arguments that a header should repeat, and that are nothing it could say", async () => {
    const inputSchema = {
      type: "object",
      properties: { a: { type: "string", "x-mcp-header": "A" } },
    };
    const server = new McpServer({ name: "faults", version: "1.0.0" });
    server.registerTool("tool", { inputSchema }, () => "ran");
    const handler = createMcpHandler(server);
    const peer = new ModernPeer(handler);
    for (const a of [{ toString: 1, valueOf: 1 }, {}, ["x"], [], ["x", "y"], [["x"]]]) {
      for (const header of ["x", "[object Object]", "", "x,y"]) {
        const response = await peer.call("tool", { a }, {}, { headers: { "mcp-param-a": header } });
        const { status, code } = await peer.error(response);
        assert.deepEqual({ status, code }, { status: 400, code: -32020 }, JSON.stringify(a));
      }
    }
    await handler.close();
  });

  test("[SRV-2] what a request calls its method is told, answered and reported in a few words", async () => {
    const to = await target();
    for (const method of ["x".repeat(900 * KIB), `${"\ud83d\ude00".repeat(200 * KIB)}`]) {
      for (const modern of [false, true]) {
        const params = modern
          ? { _meta: { [MetaKey.ProtocolVersion]: MODERN, [MetaKey.ClientCapabilities]: {} } }
          : {};
        for (const id of [{ id: 1 }, {}]) {
          to.events.all.length = 0;
          await send(to, JSON.stringify({ jsonrpc: "2.0", ...id, method, params }), modern);
          const told = JSON.stringify(to.events.all);
          assert.ok(told.length < 1_000, `${told.length} characters`);
        }
      }
    }
    await to.handler.close({ graceMs: 0 });
  });

  test("[SRV-2] a level of log messages that is no text", async () => {
    const { handler, peer, events } = await target();
    for (const level of [{ toString: 1, valueOf: 1 }, {}, [], null, 1, "x".repeat(5_000)]) {
      const { error } = await peer.json(await peer.request(1, "logging/setLevel", { level }));
      assert.ok(isObject(error) && error.code === -32602);
      assert.ok(String(error.message).length < 300 && !String(error.message).includes("[object"));
    }
    assert.deepEqual(events.of("error"), []);
    await handler.close();
  });

  test("[ERA-1, SRV-2] versions that are no texts are named as such, not looked into", async () => {
    const odd = ['{"toString":1,"valueOf":1}', "[[]]", "1e400", "null", `"${"x".repeat(5_000)}"`];
    for (const versions of [undefined, [MODERN] as const]) {
      const to = await target(versions);
      for (const version of odd) {
        const meta = `{"${MetaKey.ProtocolVersion}":${version}}`;
        for (const method of ["initialize", "tools/list", "notifications/initialized"]) {
          const id = method.startsWith("notifications") ? "" : '"id":1,';
          for (const params of [`{"protocolVersion":${version}}`, `{"_meta":${meta}}`]) {
            for (const modern of [false, true]) {
              const body = `{"jsonrpc":"2.0",${id}"method":"${method}","params":${params}}`;
              await send(to, body, modern);
            }
          }
        }
      }
      await to.handler.close({ graceMs: 0 });
    }
  });
});

describe("GATE: bytes that are no text", () => {
  const BAD: Readonly<Record<string, readonly number[]>> = {
    "a lone continuation": [0x80],
    "a byte that never stands": [0xff],
    "a null of two bytes": [0xc0, 0x80],
    "a bracket of two bytes": [0xc1, 0xbb],
    "two bytes, cut": [0xc3],
    "three bytes, cut": [0xe2, 0x82],
    "four bytes, cut after two": [0xf0, 0x9f],
    "four bytes, cut after three": [0xf0, 0x9f, 0x98],
    "half a pair": [0xed, 0xa0, 0xbd],
    "past the last character": [0xf4, 0x90, 0x80, 0x80],
    "five bytes": [0xf8, 0x88, 0x80, 0x80, 0x80],
  };
  const encoder = new TextEncoder();
  const REAL = encoder.encode("\ufffd");
  const MARK = [0xef, 0xbb, 0xbf];

  for (const [what, bytes] of Object.entries(BAD)) {
    test(`[GATE-9] ${what} is refused, wherever it stands and whatever stands beside it`, async () => {
      const { handler, peer } = await target();
      const [before, after] = ['{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":"', '"}}'];
      const post = async (content: readonly number[], mark: boolean, declared: boolean) => {
        const body = Uint8Array.from([
          ...mark ? MARK : [],
          ...encoder.encode(before),
          ...content,
          ...encoder.encode(after),
        ]);
        const headers = new Headers({ "content-type": "application/json", "accept": BOTH });
        headers.set("mcp-session-id", String(peer.sessionId));
        if (declared) headers.set("content-length", `${body.length}`);
        return await handler(new Request(URL_2025, { method: "POST", headers, body }));
      };
      for (const mark of [false, true]) {
        for (const declared of [false, true]) {
          // A replacement character that its sender meant is a character like any other
          await peer.result(await post([...REAL], mark, declared));
          // Where a length is declared this one is as long as the replacement that it becomes
          if (declared && what === "four bytes, cut after three") continue;
          for (const beside of [[], [...REAL], [0x41, 0xf0, 0x9f, 0x98, 0x80]]) {
            for (const content of [[...bytes, ...beside], [...beside, ...bytes]]) {
              await refused(await post(content, mark, declared), 400, -32700);
            }
          }
        }
      }
      await handler.close({ graceMs: 0 });
    });
  }
});
