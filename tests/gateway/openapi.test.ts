/**
 * An API with an OpenAPI document as an upstream: its calls, credentials, answers, errors and ends.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ClientCredentialsProvider } from "@modelcontextprotocol/client";
import { createMcpHandler, McpError } from "../../mod.ts";
import { gateway, openapi, type OpenApiOptions, UpstreamError } from "../../src/gateway/mod.ts";
import { openApiReport } from "../../src/gateway/upstreams/openapi.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { connect } from "../../src/testing/mod.ts";
import { FakeClock } from "../support/clock.ts";
import { Gate } from "../support/wire.ts";
import { type Handler, listen } from "./servers.ts";
import { Session, textOf } from "./session.ts";

const TEXT = { type: "string" };
const NOTE = {
  type: "object",
  required: ["title"],
  properties: { title: TEXT, count: { type: "integer" } },
};

function ok(schema: unknown, type = "application/json"): JsonObject {
  return { "200": { description: "", content: { [type]: { schema } } } };
}

function operation(operationId: string, more: JsonObject = {}): JsonObject {
  return { operationId, responses: {}, ...more };
}

const ID = { name: "id", in: "path", required: true, schema: TEXT };
const PATHS: JsonObject = {
  "/notes/{id}": {
    parameters: [ID],
    get: operation("get", { responses: ok(NOTE) }),
    put: operation("put", {
      requestBody: { content: { "application/json": { schema: NOTE } } },
      responses: { "204": { description: "" } },
    }),
    delete: operation("remove"),
  },
  "/notes": {
    get: operation("list", {
      parameters: [{ name: "tag", in: "query", schema: { type: "array", items: TEXT } }],
      responses: ok({ type: "array", items: NOTE }),
    }),
    post: operation("create"),
  },
  "/file": { get: operation("file", { responses: ok({}, "application/pdf") }) },
};

function documentOf(paths: JsonObject, more: JsonObject = {}): JsonObject {
  const info = { title: "Notes", version: "2.0.0", description: "Keeps notes." };
  return { openapi: "3.1.0", info, paths, servers: [{ url: "https://notes.example/v1" }], ...more };
}

/** What a test's API was asked. */
interface Asked {
  readonly url: string;
  readonly method: string | undefined;
  readonly headers: Headers;
  readonly body: unknown;
  readonly signal: AbortSignal | null | undefined;
}

type Answer = (asked: Asked) => Response | Promise<Response>;

/** An API without a network. */
function api(answer: Answer, options: Partial<OpenApiOptions> = {}) {
  const asked: Asked[] = [];
  const upstream = openapi({
    document: documentOf(PATHS),
    fetch: async (url, { method, headers, body, signal } = {}) => {
      const one = { url, method, headers: new Headers(headers), body, signal };
      asked.push(one);
      return await answer(one);
    },
    ...options,
  });
  return { asked, upstream, open: (over = {}) => Session.open(upstream, over) };
}

/** Calls a tool of an API that gives one answer. */
async function called(answer: Answer, name: string, args: JsonObject = {}, options = {}) {
  const { open, asked } = api(answer, options);
  await using session = await open();
  return { result: await session.call(name, args), asked };
}

describe("openapi()", () => {
  test("[OAPI-7] lists tools, and calls them over HTTP", async () => {
    const seen: string[] = [];
    const handler: Handler = async (request) => {
      const { pathname, search } = new URL(request.url);
      seen.push(`${request.method} ${pathname}${search} ${await request.text()}`);
      if (request.method === "PUT") return new Response(null, { status: 204 });
      const list = pathname.endsWith("/notes");
      return Response.json(list ? [{ title: "one" }] : { title: "one", count: 1 });
    };
    const server = await listen(handler);
    const upstream = openapi({ document: documentOf(PATHS), baseUrl: new URL("/v1", server.url) });
    assert.equal(upstream.kind, "openapi");
    const gw = gateway({ upstreams: { notes: upstream } });
    const endpoint = createMcpHandler(gw);
    const client = await connect(endpoint);
    const tools = await client.listTools();
    assert.deepEqual(
      tools.map(({ name }) => name),
      ["get", "put", "remove", "list", "create", "file"].map((name) => `notes__${name}`),
    );
    const get = await client.callTool("notes__get", { id: "a/b" });
    assert.deepEqual(get.structuredContent, { title: "one", count: 1 });
    assert.equal(textOf({ ...get }), '{"title":"one","count":1}');
    const list = await client.callTool("notes__list", { tag: ["x", "y"] });
    assert.deepEqual(list.structuredContent, { result: [{ title: "one" }] });
    const put = await client.callTool("notes__put", { id: "1", body: { title: "t" } });
    assert.equal(textOf({ ...put }), "204 No Content");
    assert.deepEqual(seen, [
      "GET /v1/notes/a%2Fb ",
      "GET /v1/notes?tag=x&tag=y ",
      'PUT /v1/notes/1 {"title":"t"}',
    ]);
    const wrong = await client.callTool("notes__put", { id: "1", body: { title: 1 } });
    assert.deepEqual([wrong.isError, textOf({ ...wrong })], [
      true,
      'Fix "body.title": Expected string, received number',
    ]);
    await client.close();
    await endpoint.close();
    await gw.close();
    await server.close();
  });

  test("[OAPI-1] options are checked at once, and the document when it is needed", async () => {
    const document = documentOf(PATHS);
    const wrong: readonly (readonly [JsonObject, RegExp])[] = [
      [
        { document, baseURL: "x" },
        /Unknown option "baseURL" of openapi\(\): did you mean "baseUrl"/,
      ],
      [{ document, limits: { bytes: 1 } }, /Unknown option "limits\.bytes"/],
      [{ document: 7 }, /Give a file, a URL or an object as "document": number/],
      [{ document, baseUrl: "ftp://a.example" }, /Give an http: or https: URL as "baseUrl": ftp:/],
      [{ document, baseUrl: "https://a.example?b" }, /without a query/],
      [
        { document: "https://user:hush@a.example/x" },
        /Give credentials as "auth", not in the "document"/,
      ],
      [{ document, auth: 7 }, /as "auth": number/],
      [{ document, auth: { schemes: { a: {} } } }, /as "auth": object/],
      [{ document, auth: { schemes: {}, more: 1 } }, /Unknown option "auth\.more"/],
      [{ document, auth: "t", headers: { authorization: "t" } }, /either "auth" or/],
      [{ document, headers: { host: "x" } }, /out of "headers": host/],
      [{ document, timeoutMs: 0 }, /timeoutMs/],
    ];
    for (const [options, message] of wrong) {
      assert.throws(() => openapi(options as unknown as OpenApiOptions), (error) => {
        assert.ok(error instanceof TypeError || error instanceof RangeError);
        assert.match(error.message, message);
        assert.ok(!error.message.includes("hush"));
        return true;
      });
    }
    let reads = 0;
    const upstream = openapi({
      document: "https://notes.example/openapi.json",
      fetch: async () =>
        ++reads === 1 ? new Response("no", { status: 503 }) : Response.json(document),
    });
    await assert.rejects(Session.open(upstream), { kind: "upstream" });
    // What failed is read again, and what was read is kept.
    for (const _ of [1, 2]) {
      await using session = await Session.open(upstream);
      assert.deepEqual(session.session.facts.serverInfo, { name: "Notes", version: "2.0.0" });
      assert.equal(session.session.facts.instructions, "Keeps notes.");
    }
    assert.equal(reads, 2);
    const same = (options: Partial<OpenApiOptions> = {}) =>
      openapi({ document, ...options }).identity;
    assert.equal(same(), same());
    assert.notEqual(same(), same({ auth: "other" }));
  });

  test("[OAPI-1] a session has tools only, and says what was left out once", async () => {
    const paths = { ...PATHS, "/bad": { get: { parameters: [7] } } };
    const { upstream } = api(() => Response.json({}), { document: documentOf(paths) });
    await using session = await Session.open(upstream);
    await assert.rejects(session.request("prompts/list"), McpError);
    await assert.rejects(session.call("toString"), /Unknown tool: "toString"/);
    assert.deepEqual(await session.request("ping"), {});
    assert.deepEqual(session.recorder.events.map((event) => event.type), [
      "upstream-entries-dropped",
    ]);
    await using other = await Session.open(upstream);
    assert.deepEqual(other.recorder.events, []);
  });
});

describe("[OAPI-6] credentials", () => {
  const schemes = {
    bearer: { type: "http", scheme: "Bearer" },
    basic: { type: "http", scheme: "basic" },
    oauth: { type: "oauth2", flows: {} },
    header: { type: "apiKey", in: "header", name: "X-Key" },
    query: { type: "apiKey", in: "query", name: "api key" },
    cookie: { type: "apiKey", in: "cookie", name: "sid" },
    digest: { type: "http", scheme: "digest" },
    mtls: { type: "mutualTLS" },
  };
  const only = (...names: (keyof typeof schemes)[]) => ({
    securitySchemes: Object.fromEntries(names.map((name) => [name, schemes[name]])),
  });
  const document = (names: (keyof typeof schemes)[], security: unknown, own?: unknown) =>
    documentOf({
      "/a": { get: operation("a", own === undefined ? {} : { security: own }) },
    }, { components: only(...names), ...security !== undefined && { security } });
  const sent = async (options: Partial<OpenApiOptions>) => {
    const { asked: [asked] } = await called(() => Response.json({}), "a", {}, options);
    assert.ok(asked !== undefined);
    const { authorization, cookie, "x-key": key } = Object.fromEntries(asked.headers);
    return [authorization ?? cookie ?? key, new URL(asked.url).search].join("");
  };

  test("go where the document's scheme says", async () => {
    for (
      const [name, auth, expected] of [
        ["bearer", "token", "Bearer token"],
        ["oauth", "token", "Bearer token"],
        ["basic", "ada:pass word é", `Basic ${btoa("ada:pass word \u00c3\u00a9")}`],
        ["header", "key", "key"],
        ["query", "k&y", "?api%20key=k%26y"],
        ["cookie", "key", "sid=key"],
      ] as const
    ) {
      const security = [{ [name]: [] }];
      assert.equal(await sent({ document: document([name], security), auth }), expected);
      const given = { schemes: { [name]: () => auth } };
      const several = document(["bearer", "basic", "oauth", "header", "query", "cookie"], security);
      assert.equal(await sent({ document: several, auth: given }), expected);
    }
    // A document without schemes gets a bearer token.
    assert.equal(await sent({ document: document([], undefined), auth: "token" }), "Bearer token");
  });

  test("are sent to the operations that need them", async () => {
    const auth = { schemes: { header: "key-123", bearer: "token" } };
    const names = ["header", "bearer", "basic"] as const;
    const get = (security: unknown, own?: unknown) =>
      sent({ document: document([...names], security, own), auth });
    assert.equal(await get([{ header: [] }]), "key-123");
    assert.equal(await get([{ header: [] }], [{ bearer: [] }]), "Bearer token");
    assert.equal(await get([{ header: [] }], []), "");
    assert.equal(await get([{ basic: [] }, { bearer: [] }]), "Bearer token");
    assert.equal(await get([{}, { header: [] }]), "key-123");
    assert.equal(await get([{ basic: [], header: [] }]), "");
  });

  test("that fit no scheme are refused by name", async () => {
    const open = async (names: (keyof typeof schemes)[], auth: OpenApiOptions["auth"]) => {
      const { upstream } = api(() => Response.json({}), {
        document: document(names, undefined),
        auth,
      });
      await using _ = await Session.open(upstream);
    };
    const provider = { token: async () => "t" };
    for (
      const [names, auth, message] of [
        [["digest"], "token", /scheme "digest": the HTTP authentication "digest" isn't supported/],
        [["mtls"], "token", /the scheme "mtls": the type "mutualTLS" isn't supported/],
        [["mtls"], { schemes: { mtls: "x" } }, /"mtls": the type "mutualTLS" isn't supported/],
        [["header", "query"], "key", /Give "auth" as \{ "schemes": … \}.*"header", "query"/],
        [["header"], { schemes: { heder: "x" } }, /the document has "header": "heder"/],
        [["header"], provider, /the scheme "header" takes no provider/],
        [["basic"], "no-password", /Give "user:password"/],
        [["bearer"], "a b", /without blanks/],
      ] as const
    ) {
      await assert.rejects(open([...names], auth), (error) => {
        assert.ok(error instanceof UpstreamError);
        assert.match(error.message, message);
        return true;
      });
    }
  });

  test("[OAPI-19] that are missing are named, with where they would go", async () => {
    const complaints = async (names: (keyof typeof schemes)[], auth?: OpenApiOptions["auth"]) => {
      const security = [Object.fromEntries(names.map((name) => [name, []]))];
      const given = document([...new Set([...names, "bearer" as const])], security);
      const report = await openApiReport({ document: given, ...auth !== undefined && { auth } });
      return report.complaints.map(({ text }) => text);
    };
    const missing = (names: string) => [
      `1 operation needs the credential of ${names}, which "auth" doesn't have`,
    ];
    for (
      const [names, text] of [
        [["bearer"], '"bearer" (bearer)'],
        [["basic"], '"basic" (basic)'],
        [["oauth"], '"oauth" (bearer)'],
        [["header"], '"header" (the header "x-key")'],
        [["query", "cookie"], '"query" (the query "api key") and "cookie" (the cookie "sid")'],
        [["digest"], '"digest" (the HTTP authentication "digest" isn\'t supported)'],
        [["mtls"], '"mtls" (the type "mutualTLS" isn\'t supported)'],
      ] as const
    ) {
      assert.deepEqual(await complaints([...names]), missing(text));
    }
    const schemeOnly = { schemes: { bearer: "token" } };
    assert.deepEqual(
      await complaints(["header"], schemeOnly),
      missing('"header" (the header "x-key")'),
    );
    assert.deepEqual(await complaints(["bearer"], schemeOnly), []);
    const options = { document: document(["header"], [{ header: [] }]) };
    const refuse = () => new Response("no", { status: 401 });
    const { result } = await called(refuse, "a", {}, options);
    assert.equal(
      textOf(result),
      "The API answered 401 (the gateway sent none of the document's credentials): no",
    );
  });

  test("are each caller's own, and asked for again when they are refused", async () => {
    const tokens: string[] = [];
    const { open } = api(({ headers }) => {
      const token = headers.get("authorization") ?? "";
      return token.endsWith("-2") ? Response.json({ token }) : new Response(null, { status: 401 });
    }, {
      document: document(["bearer"], [{ bearer: [] }]),
      auth: ({ principal, request }) => {
        const token = `${principal.id}-${request.headers.get("x-kind")}-${tokens.length % 2 + 1}`;
        tokens.push(token);
        return token;
      },
    });
    await using session = await open();
    for (const id of ["ada", "bob"]) {
      const request = new Request("http://localhost", { headers: { "x-kind": "human" } });
      const result = await session.call("a", {}, undefined, { principal: { id }, request });
      // It repeats the token, which isn't shown.
      assert.deepEqual(result.structuredContent, { token: "[secret]" });
    }
    assert.deepEqual(tokens, ["ada-human-1", "ada-human-2", "bob-human-1", "bob-human-2"]);
  });

  test("of OAuth come from a provider of the official client", async () => {
    const issuer = "https://login.example";
    let tokens = 0;
    const { result } = await called(
      ({ url, headers }) => {
        const { origin, pathname } = new URL(url);
        if (pathname.startsWith("/.well-known/oauth-protected-resource")) {
          return Response.json({
            resource: "https://notes.example/v1",
            authorization_servers: [issuer],
          });
        }
        if (origin === issuer && pathname.startsWith("/.well-known/")) {
          return Response.json({
            issuer,
            authorization_endpoint: `${issuer}/authorize`,
            token_endpoint: `${issuer}/token`,
            response_types_supported: ["code"],
            grant_types_supported: ["client_credentials"],
            token_endpoint_auth_methods_supported: ["client_secret_basic"],
          });
        }
        if (origin === issuer) {
          return Response.json({ access_token: `token-${++tokens}`, token_type: "bearer" });
        }
        const isIn = headers.get("authorization") === `Bearer token-${tokens}`;
        return isIn ? Response.json({ in: true }) : new Response(null, {
          status: 401,
          headers: { "www-authenticate": "Bearer" },
        });
      },
      "a",
      {},
      {
        document: document(["oauth"], [{ oauth: [] }]),
        auth: new ClientCredentialsProvider({ clientId: "gateway", clientSecret: "hush" }),
      },
    );
    assert.deepEqual(result.structuredContent, { in: true });
    assert.equal(tokens, 1);
  });

  test("are in no result, error or event, also if the API repeats them", async () => {
    for (const name of ["bearer", "basic", "header", "query", "cookie"] as const) {
      const auth = name === "basic" ? "ada:hush-hush-123" : "hush-hush-123";
      const options = { document: document([name], [{ [name]: [] }]), auth };
      const echo = ({ url, headers }: Asked) => JSON.stringify({ url, headers: [...headers] });
      for (const status of [200, 400, 302]) {
        const { result } = await called(
          (asked) =>
            new Response(echo(asked), {
              status,
              headers: { "content-type": "application/json", location: asked.url },
            }),
          "a",
          {},
          options,
        );
        const text = JSON.stringify(result);
        assert.ok(!text.includes("hush-hush-123") && !text.includes(btoa(auth)), `${name} ${text}`);
      }
      const { result } = await called(
        (asked) => {
          throw new TypeError(`error sending request for url (${asked.url})`);
        },
        "a",
        {},
        options,
      );
      assert.ok(!JSON.stringify(result).includes("hush"));
    }
    const failing = () => {
      throw new Error("hush");
    };
    const options = { document: document(["header"], [{ header: [] }]), auth: failing };
    const { result, asked } = await called(() => Response.json({}), "a", {}, options);
    assert.equal(asked.length, 0);
    assert.equal(result.isError, true);
    assert.ok(!JSON.stringify(result).includes("hush"));
  });

  test("[OAPI-5] stay with the origin when the API redirects", async () => {
    const first = (status: number, location: string): Answer => ({ url }) =>
      url.endsWith("/notes/1")
        ? new Response(null, { status, headers: { location } })
        : Response.json({ title: "moved" });
    const go = (status: number, to: string, tool: string) =>
      called(first(status, to), tool, { id: "1" }, { auth: "token" });
    const followed = await go(302, "/v1/notes/2", "get");
    assert.deepEqual(followed.result.structuredContent, { title: "moved" });
    assert.deepEqual(followed.asked.map(({ url }) => url), [
      "https://notes.example/v1/notes/1",
      "https://notes.example/v1/notes/2",
    ]);
    const kept = await go(307, "/v1/notes/2", "remove");
    assert.deepEqual(kept.asked.map(({ method }) => method), ["DELETE", "DELETE"]);
    const seeOther = await go(303, "/v1/notes/2", "remove");
    assert.deepEqual(seeOther.asked.map(({ method }) => method), ["DELETE", "GET"]);
    for (
      const [status, to, tool] of [
        [302, "https://elsewhere.example/x", "get"],
        [307, "http://notes.example/v1/notes/2", "get"],
        [301, "/v1/notes/2", "remove"],
      ] as const
    ) {
      const { result, asked } = await go(status, to, tool);
      assert.equal(asked.length, 1);
      assert.match(textOf(result), /points to another address, which isn't followed: /);
      assert.equal(result.isError, true);
    }
    const { result, asked } = await called(
      () => new Response(null, { status: 302, headers: { location: "/v1/notes/1" } }),
      "get",
      { id: "1" },
    );
    assert.deepEqual([result.isError, asked.length], [true, 4]);
  });

  test("of the client are forwarded only where that is asked for", async () => {
    const request = new Request("http://localhost", {
      headers: { authorization: "Bearer client", cookie: "a=b", "x-request-id": "7" },
    });
    const { open, asked } = api(() => Response.json([]), {
      forwardHeaders: ["x-request-id"],
      headers: { "X-Tenant": "acme" },
    });
    await using session = await open();
    await session.call("list", {}, undefined, { request });
    assert.deepEqual(Object.fromEntries(asked[0]?.headers ?? []), {
      accept: "application/json, */*;q=0.5",
      "x-request-id": "7",
      "x-tenant": "acme",
    });
  });
});

describe("[OAPI-7] answers", () => {
  const bytes = new Uint8Array([37, 80, 68, 70, 0, 255]);
  const typed = (body: BodyInit, type: string, more = {}) =>
    new Response(body, { headers: { "content-type": type, ...more } });

  test("are data, text, or a file", async () => {
    const get = async (answer: Response, tool = "create") =>
      (await called(() => answer, tool)).result;
    assert.deepEqual(await get(Response.json(7)), {
      content: [{ type: "text", text: "7" }],
      structuredContent: { result: 7 },
    });
    assert.deepEqual((await get(typed('{"a":1}', "application/hal+json"))).structuredContent, {
      a: 1,
    });
    assert.equal(textOf(await get(typed("Hello", "text/plain; charset=utf-8"))), "Hello");
    assert.equal(textOf(await get(typed("<a/>", "application/xml"))), "<a/>");
    assert.equal(textOf(await get(typed("{", "application/json"))), "{");
    assert.equal(textOf(await get(new Response(null, { status: 202 }))), "202");
    assert.deepEqual((await get(typed(bytes, "image/png"))).content, [
      { type: "image", data: "JVBERgD/", mimeType: "image/png" },
    ]);
    const disposition = { "content-disposition": 'attachment; filename="../a b.pdf"' };
    assert.deepEqual((await get(typed(bytes, "application/pdf", disposition), "file")).content, [{
      type: "resource",
      resource: {
        uri: "openapi://file/..%2Fa%20b.pdf",
        mimeType: "application/pdf",
        blob: "JVBERgD/",
      },
    }]);
    const link = '<https://notes.example/v1/notes?page=2>; rel="next"';
    const page = await get(typed("[]", "application/json", { link }), "list");
    assert.deepEqual(page.content, [{ type: "text", text: "[]" }, {
      type: "text",
      text: `Link: ${link}`,
    }]);
  });

  test("that aren't as the document says are told as such, with what came", async () => {
    for (
      const [answer, problem] of [
        [
          Response.json({ title: 7 }),
          /data isn't as its document says \(Fix "title".*\): \{"title":7\}$/,
        ],
        [
          typed("Hello", "text/plain"),
          /^The API did what was asked \(200\), but not with the data/,
        ],
        [new Response(null, { status: 204 }), /but not with the data/],
        [typed(bytes, "application/pdf"), /answered with a file: application\/pdf/],
      ] as const
    ) {
      const { result } = await called(() => answer, "get", { id: "1" });
      assert.deepEqual([result.isError, result.structuredContent], [true, undefined]);
      assert.match(textOf(result), problem);
    }
    // More than the document says is no fault.
    const { result } = await called(() => Response.json({ title: "a", more: true }), "get", {
      id: "1",
    });
    assert.deepEqual(result.structuredContent, { title: "a", more: true });
  });

  test("are bounded, whether or not they say their length", async () => {
    const limits = { responseBytes: 1000 };
    let pulled = 0;
    const endless = () =>
      new ReadableStream<Uint8Array>({
        pull: (to) => {
          pulled++;
          to.enqueue(new Uint8Array(400));
        },
      });
    for (const body of [endless(), "x".repeat(1001)]) {
      for (const status of [200, 500]) {
        const answer = new Response(typeof body === "string" ? body : endless(), { status });
        const { result } = await called(() => answer, "create", {}, { limits });
        assert.equal(result.isError, true);
        assert.match(
          textOf(result),
          status === 200 ? /more than 1000 bytes.*ask for less/ : /answered 500/,
        );
      }
    }
    assert.ok(pulled < 20, String(pulled));
    const exact = await called(() => typed("x".repeat(1000), "text/plain"), "create", {}, {
      limits,
    });
    assert.equal(exact.result.isError, undefined);
    const big = { id: "1", body: { title: "x".repeat(2000) } };
    const { result, asked } = await called(() => Response.json({}), "put", big, {
      limits: { requestBytes: 1000 },
    });
    assert.deepEqual([asked.length, textOf(result)], [
      0,
      'Give a smaller "body": at most 1000 bytes are sent',
    ]);
  });
});

describe("[OAPI-8] what goes wrong", () => {
  test("is a result that a model can act on", async () => {
    const failed = async (answer: Answer, tool = "get") => {
      const { result } = await called(answer, tool, { id: "1" });
      assert.equal(result.isError, true);
      return textOf(result);
    };
    const reply = (status: number, body: string, headers = {}) => () =>
      new Response(body, { status, statusText: "Status", headers });
    assert.equal(
      await failed(
        reply(422, '{"title":"is blank"}', { "content-type": "application/problem+json" }),
      ),
      'The API answered 422 Status: {"title":"is blank"}',
    );
    assert.equal(
      await failed(reply(429, "", { "retry-after": "7" })),
      "The API answered 429 Status (try again after 7 seconds)",
    );
    assert.match(
      await failed(reply(401, "no")),
      /401 Status \(the gateway sent none of the document's credentials\): no/,
    );
    assert.match(await failed(reply(403, "")), /don't allow this/);
    assert.ok((await failed(reply(500, "x".repeat(100_000)))).length < 5000);
    const lost = (code: string) => () => {
      throw Object.assign(new TypeError("fetch failed"), { cause: { code } });
    };
    assert.match(
      await failed(lost("ECONNREFUSED")),
      /the connection was refused \(https:\/\/notes\.example\)/,
    );
    assert.equal(
      await failed(lost("UND_ERR_SOCKET")),
      "https://notes.example closed the connection",
    );
    assert.match(
      await failed(lost("UND_ERR_SOCKET"), "remove"),
      /closed the connection\. What was asked may have been done: look before you ask again$/,
    );
    const broken = new ReadableStream({ pull: (to) => to.error(new Error("reset")) });
    assert.match(await failed(() => new Response(broken)), /closed the connection/);
  });

  test("a slow answer ends at the time limit, also one whose body is slow", async () => {
    for (const isBody of [false, true]) {
      const clock = new FakeClock();
      const reached = new Gate();
      const { open, asked } = api(async () => {
        reached.open();
        if (!isBody) return await new Promise<never>(() => {});
        return new Response(new ReadableStream({ pull: () => new Promise<never>(() => {}) }));
      }, { timeoutMs: 1234 });
      await using session = await open({ clock });
      const result = session.call("remove", { id: "1" });
      await reached.promise;
      await clock.advance(1233);
      assert.equal(asked[0]?.signal?.aborted, false);
      await clock.advance(1);
      assert.match(
        textOf(await result),
        /^No answer from https:\/\/notes\.example in 1234 ms\. What was/,
      );
      assert.equal(asked[0]?.signal?.aborted, true);
    }
  });

  test("a cancelled call ends its request, and so does the session's end", async () => {
    const arrived = new Gate();
    const gone = new Gate();
    const server = await listen((request) =>
      new Promise<Response>(() => {
        request.signal.addEventListener("abort", () => gone.open());
        arrived.open();
      })
    );
    const upstream = openapi({ document: documentOf(PATHS), baseUrl: server.url });
    await using session = await Session.open(upstream);
    const stop = new AbortController();
    const result = session.call("create", {}, undefined, { signal: stop.signal });
    await arrived.promise;
    stop.abort(new Error("Enough"));
    await assert.rejects(result, /Enough/);
    await gone.promise;
    const { open, asked } = api(() => new Promise<never>(() => {}));
    const other = await open();
    const pending = other.call("create");
    const rejected = assert.rejects(pending, UpstreamError);
    await new Promise((resolve) => setTimeout(resolve, 0));
    await other.session.close();
    await rejected;
    assert.equal(asked[0]?.signal?.aborted, true);
    await assert.rejects(other.call("create"), UpstreamError);
    await server.close();
  });
});

describe("[OAPI-10] behind a gateway", () => {
  test("policy, fixed arguments, names and tool search apply", async () => {
    const { upstream, asked } = api(() => Response.json({ title: "x" }));
    const gw = gateway({
      upstreams: { notes: upstream },
      policy: {
        upstreams: {
          notes: {
            tools: {
              deny: ["remove", "put"],
              fix: { get: { id: "7" } },
              rename: { create: "write" },
            },
          },
        },
      },
    });
    const handler = createMcpHandler(gw);
    const client = await connect(handler);
    const tools = await client.listTools();
    assert.deepEqual(
      tools.map(({ name }) => name),
      ["notes__get", "notes__list", "notes__write", "notes__file"],
    );
    await assert.rejects(client.callTool("notes__remove", { id: "1" }), /Unknown tool/);
    await client.callTool("notes__get", {});
    assert.equal(asked.at(-1)?.url, "https://notes.example/v1/notes/7");
    await client.close();
    await handler.close();
    const search = createMcpHandler(gw.view({ toolSearch: true }));
    const finder = await connect(search);
    const found = await finder.callTool("search_tools", { query: "list" });
    assert.match(JSON.stringify(found), /notes__list/);
    const called = await finder.callTool("call_tool", { name: "notes__get", arguments: {} });
    assert.deepEqual(called.structuredContent, { title: "x" });
    await finder.close();
    await search.close();
    const alone = createMcpHandler(gw.only("notes"));
    const single = await connect(alone);
    assert.ok((await single.listTools()).some(({ name }) => name === "list"));
    await single.close();
    await alone.close();
    await gw.close();
  });

  test("[OAPI-21] a thousand operations are found by a question's words, and read once for all", async () => {
    const verbs = ["List", "Create", "Archive", "Export", "Share"];
    const nouns = ["invoice", "customer", "shipment", "refund", "coupon", "warehouse", "contract"];
    const places = Array.from({ length: 29 }, (_, at) => `region${at}`);
    const paths: JsonObject = {};
    for (const [at, place] of places.entries()) {
      for (const noun of nouns) {
        for (const verb of verbs) {
          const id = `${verb.toLowerCase()}_${noun}_${at}`;
          const summary = `${verb} ${noun}s of ${place}`;
          const get = operation(id, { summary, responses: ok(NOTE) });
          Object.assign(paths, { [`/${place}/${noun}s/${verb.toLowerCase()}`]: { get } });
        }
      }
    }
    let reads = 0;
    const { upstream } = api(({ url }) => {
      if (!url.endsWith("/openapi.json")) return Response.json({ title: "x" });
      reads++;
      return Response.json(documentOf(paths));
    }, { document: "https://notes.example/openapi.json" });
    const gw = gateway({ upstreams: { shop: upstream } });
    const handler = createMcpHandler(gw.view({ toolSearch: true }));
    for (let nth = 0; nth < 5; nth++) {
      const client = await connect(handler);
      assert.deepEqual((await client.listTools()).map(({ name }) => name), [
        "search_tools",
        "call_tool",
      ]);
      for (
        const [query, name] of [
          ["archive the contracts of region7", "shop__archive_contract_7"],
          ["how do I export shipments in region28?", "shop__export_shipment_28"],
          ["share a customer, region3", "shop__share_customer_3"],
        ] as const
      ) {
        const found = await client.callTool("search_tools", { query });
        const text = JSON.stringify(found);
        assert.ok(text.includes(`${name}\\"`) || text.includes(`"${name}"`), `${query} ${text}`);
        assert.ok(text.length < 20_000, `${text.length} characters`);
        const args = { name, arguments: {} };
        const { structuredContent } = await client.callTool("call_tool", args);
        assert.deepEqual(structuredContent, { title: "x" });
      }
      await client.close();
    }
    assert.equal(Object.keys(paths).length, 1015);
    assert.equal(reads, 1);
    await handler.close();
    await gw.close();
  });

  test("a document that can't be read fails its calls with what to change, and nothing else", async () => {
    const gw = gateway({
      upstreams: {
        good: openapi({
          document: documentOf(PATHS),
          fetch: async () => Response.json({ title: "x" }),
        }),
        bad: openapi({ document: { swagger: "2.0" } }),
      },
    });
    const handler = createMcpHandler(gw);
    const client = await connect(handler);
    const tools = await client.listTools();
    assert.ok(tools.length > 0 && tools.every(({ name }) => name.startsWith("good__")));
    const { structuredContent } = await client.callTool("good__get", { id: "1" });
    assert.ok(isObject(structuredContent));
    await client.close();
    await handler.close();
    await gw.close();
  });
});

test("[OAPI-12] a call is one request, and its steps don't grow with the document", async () => {
  const steps = async (operations: number): Promise<number> => {
    const paths: JsonObject = { ...PATHS };
    for (let at = 0; at < operations; at++) {
      Object.assign(paths, { [`/p${at}/{id}`]: { parameters: [ID], get: operation(`p${at}`) } });
    }
    const answer = Response.json({ title: "x" });
    const { open, asked } = api(() => answer.clone(), { document: documentOf(paths) });
    await using session = await open();
    await session.call("get", { id: "1" });
    let turns = 0;
    let done = false;
    const result = session.call("get", { id: "2" }).finally(() => done = true);
    // Each turn of the microtasks is a step that waits for another.
    while (!done && turns < 10_000) {
      turns++;
      await Promise.resolve();
      if (turns % 500 === 0) await new Promise((resolve) => setTimeout(resolve, 0));
    }
    await result;
    assert.equal(asked.length, 2);
    return turns;
  };
  const [small, large] = [await steps(1), await steps(1000)];
  assert.ok(small < 500, `${small} steps`);
  assert.equal(large, small);
});
