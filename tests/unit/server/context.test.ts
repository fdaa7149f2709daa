import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import { MissingCapabilityError } from "../../../src/protocol/errors.ts";
import { LOG_LEVELS, type LogLevel } from "../../../src/protocol/shapes.ts";
import type { RequestContext } from "../../../src/server/types.ts";
import { FakeExchange, type FakeExchangeInit, FakeSession } from "../../support/exchange.ts";
import { dispatch } from "../../../src/protocol/route.ts";
import { makeServer, rejectsWith } from "./helpers.ts";

/** Runs a handler in a tool and returns what it returned, and its exchange. */
async function run<T>(
  handler: (ctx: RequestContext) => T,
  init: FakeExchangeInit & { readonly progressToken?: string | number } = {},
): Promise<{ readonly value: Awaited<T>; readonly exchange: FakeExchange }> {
  const server = makeServer();
  const { progressToken } = init;
  const _meta = progressToken === undefined ? {} : { progressToken };
  const exchange = new FakeExchange("tools/call", { name: "run", _meta }, init);
  const values: Awaited<T>[] = [];
  const errors: unknown[] = [];
  server.registerTool("run", {}, async (_args, ctx) => {
    try {
      values.push(await handler(ctx));
    } catch (error) {
      errors.push(error);
    }
    return "done";
  });
  await dispatch(server, exchange);
  for (const error of errors) throw error;
  const [value] = values;
  return { value: value as Awaited<T>, exchange };
}

describe("ctx", () => {
  test("[SRV-1] shows the exchange", async () => {
    const session = new FakeSession();
    const { value, exchange } = await run((ctx) => ctx, { session });
    assert.equal(value.signal, exchange.signal);
    assert.equal(value.principal, exchange.principal);
    assert.equal(value.session, session);
    assert.equal(value.request, exchange.request);
    assert.equal(value.protocolVersion, "2025-11-25");
    assert.equal(value.client, exchange.client);
    assert.equal((await run((ctx) => ctx.session)).value, undefined);
  });

  test("[MOV-3] has the request's _meta, and an empty one where the client sent none", async () => {
    const { value } = await run((ctx) => ctx._meta, { progressToken: "p" });
    assert.deepEqual(value, { progressToken: "p" });
    for (const _meta of [undefined, null, "text", 1]) {
      const server = makeServer();
      let seen: unknown;
      server.registerTool("look", {}, (_args, ctx) => `${seen = ctx._meta}`);
      await dispatch(server, new FakeExchange("tools/call", { name: "look", _meta }));
      assert.deepEqual(seen, {});
    }
  });

  test("its functions work when taken off it", async () => {
    const { exchange } = await run(({ notify, closeStream, progress, log }) => {
      notify({ method: "notifications/a", params: { b: 1 } });
      progress(1);
      log("info", "x");
      closeStream({ retryMs: 5 });
      closeStream();
    }, { progressToken: 0 });
    assert.deepEqual(exchange.notified.map(({ method }) => method), [
      "notifications/a",
      "notifications/progress",
      "notifications/message",
    ]);
    assert.deepEqual(exchange.closed, [{ retryMs: 5 }, undefined]);
  });
});

describe("ctx.progress()", () => {
  for (const progressToken of ["token", "", 0, 7]) {
    test(`[CAN-5] goes under the client's token ${JSON.stringify(progressToken)}`, async () => {
      const { exchange } = await run((ctx) => {
        ctx.progress(0);
        ctx.progress(1, 2);
        ctx.progress(2, 2, "Done");
      }, { progressToken });
      assert.deepEqual(
        exchange.notified,
        [
          { progress: 0 },
          { progress: 1, total: 2 },
          { progress: 2, total: 2, message: "Done" },
        ].map((params) => ({
          method: "notifications/progress",
          params: { progressToken, ...params },
        })),
      );
    });
  }

  test("[CAN-5] is not sent without a token", async () => {
    const { exchange } = await run((ctx) => ctx.progress(1));
    assert.deepEqual(exchange.notified, []);
  });

  test("refuses what is no number", async () => {
    for (const [value, total] of [[NaN, 1], [Infinity, 1], [1, Infinity]] as const) {
      await assert.rejects(run((ctx) => ctx.progress(value, total)), RangeError);
    }
  });
});

describe("ctx.log()", () => {
  const sent = ({ notified }: FakeExchange) => notified.map(({ params }) => params?.level);
  const logAll = (ctx: RequestContext) => {
    for (const level of LOG_LEVELS) ctx.log(level, `a ${level} message`);
  };

  test("[SRV-6] sends what is at or above the level asked for, and nothing below", async () => {
    for (const [rank, level] of LOG_LEVELS.entries()) {
      const session = new FakeSession();
      session.logLevel = level;
      const { exchange } = await run(logAll, { session });
      assert.deepEqual(sent(exchange), LOG_LEVELS.slice(rank));
    }
  });

  test("[SRV-6] builds nothing for a message below the level", async () => {
    const data = {
      toJSON() {
        throw new Error("built");
      },
      get text(): string {
        throw new Error("built");
      },
    };
    const { exchange } = await run((ctx) => ctx.log("debug", data));
    assert.deepEqual(exchange.notified, []);
  });

  test("[SRV-6] sends from info on until the client asks for a level", async () => {
    for (const session of [undefined, new FakeSession()]) {
      const { exchange } = await run(logAll, { session });
      assert.deepEqual(sent(exchange), LOG_LEVELS.slice(1));
    }
  });

  test("[SRV-1] carries any data, and the logger's name", async () => {
    const { exchange } = await run((ctx) => {
      ctx.log("error", { a: [1] }, "db");
      ctx.log("info", null);
    });
    assert.deepEqual(exchange.notified, [
      {
        method: "notifications/message",
        params: { level: "error", logger: "db", data: { a: [1] } },
      },
      { method: "notifications/message", params: { level: "info", data: null } },
    ]);
  });

  test("refuses a level that is none", async () => {
    await assert.rejects(run((ctx) => ctx.log("loud" as LogLevel, "x")), TypeError);
  });

  test("[SRV-1] sends nothing where logging is switched off", async () => {
    const server = makeServer({ logging: false });
    server.registerTool("run", {}, (_args, ctx) => {
      ctx.log("emergency", "x");
      return "done";
    });
    const exchange = new FakeExchange("tools/call", { name: "run" });
    await dispatch(server, exchange);
    assert.deepEqual(exchange.notified, []);
  });
});

const accept = (content: object) => ({ answer: () => ({ action: "accept", content }) });
const form = { elicitation: {} };

describe("ctx.elicit() with a form", () => {
  const schema = z.object({ name: z.string(), age: z.number().int().default(30) });

  test("[SRV-1] asks with the form's schema and gives back what was filled in, checked", async () => {
    const { value, exchange } = await run(
      (ctx) => ctx.elicit("who", { message: "Who?", schema }),
      { capabilities: form, ...accept({ name: "Ada" }) },
    );
    assert.deepEqual(value, { action: "accept", content: { name: "Ada", age: 30 } });
    const [asked] = exchange.asked;
    assert.equal(asked?.method, "elicitation/create");
    const { requestedSchema, ...rest } = asked.params;
    assert.deepEqual(rest, { mode: "form", message: "Who?" });
    assert.deepEqual(Object.keys(requestedSchema as object), ["type", "properties", "required"]);
  });

  test("takes a plain JSON Schema, without its dialect, and every kind of flat field", async () => {
    const properties = {
      text: { type: "string", format: "email", default: "a@b.c" },
      number: { type: "number" },
      integer: { type: "integer", minimum: 1 },
      yes: { type: "boolean", default: true },
      one: { type: "string", enum: ["a", "b"], enumNames: ["A", "B"] },
      titled: { type: "string", oneOf: [{ const: "a", title: "A" }] },
      many: { type: "array", items: { type: "string", enum: ["a", "b"] } },
      manyTitled: { type: "array", items: { anyOf: [{ const: "a", title: "A" }] } },
    };
    const { exchange, value } = await run((ctx) =>
      ctx.elicit("all", {
        message: "All?",
        schema: {
          $schema: "https://json-schema.org/draft/2020-12/schema",
          type: "object",
          properties,
        },
      }), { capabilities: form, ...accept({ many: ["a"], titled: "a" }) });
    assert.deepEqual(exchange.asked[0]?.params.requestedSchema, { type: "object", properties });
    assert.deepEqual(value.content, { many: ["a"], titled: "a" });
  });

  test("leaves the mode out for versions that don't know it", async () => {
    const { exchange } = await run((ctx) => ctx.elicit("who", { message: "Who?", schema }), {
      capabilities: form,
      protocolVersion: "2025-06-18",
      ...accept({ name: "Ada" }),
    });
    assert.deepEqual(Object.keys(exchange.asked[0]?.params ?? {}), ["message", "requestedSchema"]);
  });

  for (const action of ["decline", "cancel"]) {
    test(`[SRV-1] tells of a "${action}" without content`, async () => {
      const answer = () => ({ action, content: { name: "Ada" } });
      const { value } = await run((ctx) => ctx.elicit("who", { message: "Who?", schema }), {
        capabilities: form,
        answer,
      });
      assert.deepEqual(value, { action });
    });
  }

  test("refuses an answer that doesn't fit what was asked", async () => {
    const elicit = (answer: object) =>
      run((ctx) => ctx.elicit("who", { message: "Who?", schema }), {
        capabilities: form,
        answer: () => ({ ...answer }),
      });
    await rejectsWith(
      -32602,
      /^The client's answer doesn't fit: "name": /,
      () => elicit({ action: "accept" }),
    );
    await rejectsWith(
      -32602,
      /^The client's answer doesn't fit: "name": /,
      () => elicit({ action: "accept", content: { name: 1 } }),
    );
    await rejectsWith(-32602, /action/, () => elicit({ action: "yes", content: { name: "Ada" } }));
    await rejectsWith(-32602, /action/, () => elicit({}));
  });

  test("[ASK-2] is never sent to a client that can't show forms", async () => {
    const elicit = (init: FakeExchangeInit) => {
      return run((ctx) => ctx.elicit("who", { message: "Who?", schema }), init);
    };
    const cases: readonly [string, FakeExchangeInit][] = [
      ["elicitation", { capabilities: {} }],
      ["elicitation", { capabilities: form, protocolVersion: "2025-03-26" }],
      ["elicitation.form", { capabilities: { elicitation: { url: {} } } }],
    ];
    for (const [capability, init] of cases) {
      await assert.rejects(elicit(init), (error) => {
        assert.ok(error instanceof MissingCapabilityError);
        assert.equal(error.capability, capability);
        return true;
      });
    }
    const both = { elicitation: { form: {}, url: {} } };
    await elicit({ capabilities: both, ...accept({ name: "Ada" }) });
  });

  test("refuses what can't be asked", async () => {
    const refused = async (key: string, schema: object, message = "Who?") => {
      await assert.rejects(
        run((ctx) => ctx.elicit(key, { message, schema: { ...schema } }), { capabilities: form }),
        TypeError,
      );
    };
    const flat = { type: "object", properties: {} };
    await refused("", flat);
    await refused(7 as unknown as string, flat);
    await refused("a", flat, 7 as unknown as string);
    await refused("a", { type: "string" });
    for (
      const field of [{ type: "object" }, { type: "array", items: { type: "string" } }, {}, true]
    ) {
      await refused("a", { type: "object", properties: { field } });
    }
    await refused("a", { a: z.string().nullable() });
  });

  test("passes on why there is no answer", async () => {
    const error = new Error("no stream");
    const answer = () => Promise.reject(error);
    await assert.rejects(
      run((ctx) => ctx.elicit("who", { message: "Who?", schema }), { capabilities: form, answer }),
      error,
    );
  });
});

describe("ctx.elicit() with a page", () => {
  const url = "https://app.example/pay";
  const both = { elicitation: { url: {} } };
  const visit = (init: FakeExchangeInit, target: string | URL = url) => {
    return run((ctx) => ctx.elicit("pay", { message: "Pay", url: target }), init);
  };

  test("[SRV-1] sends the user there under an id of its own", async () => {
    const ids = new Set<unknown>();
    for (const target of [url, new URL(url)]) {
      const { value, exchange } = await visit({ capabilities: both, ...accept({}) }, target);
      assert.deepEqual(value, { action: "accept" });
      const { elicitationId, ...params } = exchange.asked[0]?.params ?? {};
      assert.deepEqual(params, { mode: "url", message: "Pay", url });
      assert.match(String(elicitationId), /^[\w-]{22}$/);
      ids.add(elicitationId);
    }
    assert.equal(ids.size, 2);
  });

  test("[ASK-2] is never sent to a client that can't open pages", async () => {
    const cases: FakeExchangeInit[] = [
      { capabilities: {} },
      { capabilities: { elicitation: {} } },
      { capabilities: { elicitation: { form: {} } } },
      { capabilities: both, protocolVersion: "2025-06-18" },
    ];
    for (const init of cases) {
      await assert.rejects(visit(init), (error) => {
        assert.ok(error instanceof MissingCapabilityError);
        assert.equal(error.capability, "elicitation.url");
        return true;
      });
    }
  });

  test("refuses what is no URL", async () => {
    await assert.rejects(visit({ capabilities: both }, "/pay"), TypeError);
  });
});

describe("ctx.sample()", () => {
  const params = {
    messages: [{ role: "user" as const, content: { type: "text", text: "Hi" } }],
    maxTokens: 100,
  };
  const result = { role: "assistant", content: { type: "text", text: "Ho" }, model: "m" };

  test("[SRV-1] asks the client's model", async () => {
    const { value, exchange } = await run((ctx) => ctx.sample("greet", params), {
      capabilities: { sampling: {} },
      answer: () => result,
    });
    assert.deepEqual(value, result);
    assert.deepEqual(exchange.asked, [{ method: "sampling/createMessage", params }]);
  });

  test("[ASK-2] is never sent to a client without a model, nor tools to one without tools", async () => {
    await assert.rejects(run((ctx) => ctx.sample("greet", params)), { capability: "sampling" });
    const withTools = { ...params, tools: [] };
    const sample = (sampling: object) =>
      run((ctx) => ctx.sample("greet", withTools), {
        capabilities: { sampling: { ...sampling } },
        answer: () => result,
      });
    await assert.rejects(sample({}), { capability: "sampling.tools" });
    await sample({ tools: {} });
  });

  test("refuses an empty key, and an answer that is none", async () => {
    const capabilities = { sampling: {} };
    await assert.rejects(run((ctx) => ctx.sample("", params), { capabilities }), TypeError);
    await rejectsWith(-32602, /^The client answered without/, () => {
      return run((ctx) => ctx.sample("greet", params), { capabilities, answer: () => ({}) });
    });
  });
});

describe("ctx.roots()", () => {
  const roots = [{ uri: "file:///a", name: "A" }, { uri: "file:///b" }];

  test("[SRV-1] asks for the folders that the client works on", async () => {
    const { value, exchange } = await run((ctx) => ctx.roots(), {
      capabilities: { roots: {} },
      answer: () => ({ roots }),
    });
    assert.deepEqual(value, roots);
    assert.deepEqual(exchange.asked, [{ method: "roots/list", params: {} }]);
  });

  test("[ASK-2] is never sent to a client without folders", async () => {
    await assert.rejects(run((ctx) => ctx.roots()), { capability: "roots" });
  });

  test("refuses an empty key, and an answer that is none", async () => {
    const capabilities = { roots: {} };
    await assert.rejects(run((ctx) => ctx.roots(""), { capabilities }), TypeError);
    for (const answer of [{}, { roots: {} }, { roots: [{}] }]) {
      await rejectsWith(-32602, /^The client answered without/, () => {
        return run((ctx) => ctx.roots(), { capabilities, answer: () => ({ ...answer }) });
      });
    }
  });
});

describe("an exchange that a handler asks nothing of", () => {
  test("has no signal made for it, and nothing sent", async () => {
    const { exchange } = await run(() => "x", { capabilities: form, progressToken: 1 });
    assert.equal(exchange.watched, false);
    assert.deepEqual(exchange.notified, []);
    assert.deepEqual(exchange.asked, []);
  });
});
