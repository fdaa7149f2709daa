/**
 * Programs that die of what they are asked, or die all the time.
 *
 * @module
 */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { gateway } from "../../src/gateway/gateway.ts";
import type { GatewayOptions } from "../../src/gateway/options.ts";
import type { Upstream } from "../../src/gateway/types.ts";
import { stdio, type StdioUpstreamOptions } from "../../src/gateway/upstreams/stdio.ts";
import { ErrorCode, McpError } from "../../src/protocol/errors.ts";
import type { McpEvent } from "../../src/protocol/events.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { FakeClock } from "../support/clock.ts";
import { runs } from "./children.ts";
import { ask, callOf, GatewayHost, sessionOf, textOf } from "./core_support.ts";
import { Session } from "./session.ts";

const FRAGILE = fileURLToPath(new URL("./fixtures/fragile.ts", import.meta.url));
let folder = "";
let files = 0;

before(() => {
  folder = mkdtempSync(join(tmpdir(), "mooring-"));
});
after(() => rmSync(folder, { recursive: true }));

/** A program, and what it was sent since its first start. */
function fragile(flags: readonly string[], options: Partial<StdioUpstreamOptions> = {}) {
  const log = join(folder, `${files++}.log`);
  const upstream = stdio({ ...runs(FRAGILE, log, ...flags), closeMs: 500, ...options });
  return {
    upstream,
    /** What it noted since the last call of this. */
    noted: (() => {
      let seen = 0;
      return (): string[] => {
        const lines = existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : [];
        return lines.slice(seen, seen = lines.length);
      };
    })(),
  };
}

const GREETED = ["initialize", "notifications/initialized"];

async function opensAndLists(upstream: Upstream): Promise<string> {
  await using session = await Session.open(upstream);
  const { tools } = await session.request("tools/list");
  assert.ok(Array.isArray(tools) && tools.length === 2);
  return session.session.facts.protocolVersion;
}

describe("a program that the probe of the era ends", () => {
  for (const flag of ["dies-of-strangers", "killed-by:server/discover"]) {
    test(`[GTW-16] is started again in the older era, and at once in that era the next time: ${flag}`, async () => {
      const { upstream, noted } = fragile([flag]);
      assert.equal(await opensAndLists(upstream), "2025-06-18");
      assert.deepEqual(noted(), ["start", "server/discover", "start", ...GREETED, "tools/list"]);
      assert.equal(await opensAndLists(upstream), "2025-06-18");
      assert.deepEqual(noted(), ["start", ...GREETED, "tools/list"]);
    });
  }

  test("[GTW-16] isn't started again where only one era is accepted", async () => {
    const { upstream, noted } = fragile(["dies-of-strangers"], { versions: ["2026-07-28"] });
    await assert.rejects(Session.open(upstream), /exited with 1/);
    assert.deepEqual(noted(), ["start", "server/discover"]);
  });
});

describe("a program that doesn't answer the probe of the era", () => {
  test("[GTW-16] is spoken to in the older era, and waited for once", async () => {
    const { upstream, noted } = fragile(["ignores:server/discover"], { probeTimeoutMs: 50 });
    assert.equal(await opensAndLists(upstream), "2025-06-18");
    assert.deepEqual(noted().slice(0, 4), ["start", "server/discover", ...GREETED]);
    assert.equal(await opensAndLists(upstream), "2025-06-18");
    assert.deepEqual(noted().slice(0, 3), ["start", ...GREETED]);
  });

  test("[GTW-16] nor anything after it, is opened without the probe the next time", async () => {
    const { upstream, noted } = fragile(["stuck-by:server/discover"], { probeTimeoutMs: 50 });
    const stop = new AbortController();
    const opening = Session.open(upstream, { signal: stop.signal });
    opening.catch(() => {});
    while (!noted().includes("initialize")) await new Promise((resolve) => setTimeout(resolve, 10));
    stop.abort(new Error("Enough"));
    await assert.rejects(opening, /Enough/);
    assert.equal(await opensAndLists(upstream), "2025-06-18");
  });

  test("[GTW-16] at once, but later, is a server of the newer era", async () => {
    const { upstream } = fragile(["modern-and-slow"], { probeTimeoutMs: 300 });
    assert.equal(await opensAndLists(upstream), "2026-07-28");
  });
});

/** A gateway with one program, and what it reports. */
function over(upstream: Upstream, options: GatewayOptions = {}) {
  const clock = new FakeClock();
  const gw = gateway({ upstreams: { up: upstream }, clock, ...options });
  const host = new GatewayHost();
  const events: McpEvent[] = [];
  host.report = (event) => void events.push(event);
  gw.attach?.(host);
  const call = (name: string, user = "alice"): Promise<JsonObject> =>
    ask(gw, callOf(`up__${name}`, sessionOf(user), { principal: { id: user } }));
  const crashed = () => events.filter(({ type }) => type === "upstream-crashed");
  return { clock, gw, call, crashed, events };
}

/** What a call failed with. */
async function failure(call: Promise<JsonObject>): Promise<McpError> {
  const error = await call.then(() => undefined, (error) => error);
  assert.ok(error instanceof McpError, `Not an error: ${error}`);
  return error;
}

describe("a program that crashes", () => {
  test("[GTW-17] is started again at the next call", async () => {
    const { gw, call, crashed } = over(fragile([]).upstream);
    const first = textOf(await call("pid"));
    assert.match((await failure(call("die"))).message, /"up" can't be used now \(closed\)/);
    const second = textOf(await call("pid"));
    assert.notEqual(first, second);
    assert.equal(textOf(await call("pid")), second);
    assert.deepEqual(crashed(), []);
    await gw.close();
  });

  test("[GTW-17] at every start is started less and less often, and the third time everybody concerned is told", async () => {
    const { upstream, noted } = fragile(["crash"], { versions: ["2025-06-18"] });
    const { clock, gw, call, crashed, events } = over(upstream);
    await failure(call("pid"));
    await failure(call("pid"));
    assert.deepEqual([noted().length, crashed().length], [2, 0]);
    // The third start waits for a second at least.
    const third = failure(call("pid"));
    await clock.advance(999);
    assert.deepEqual(noted(), []);
    await clock.advance(251);
    const { code, message, data } = await third;
    assert.equal(code, ErrorCode.InternalError);
    assert.match(message, /operator.*"up".*3 times in a row \(it exited with 7\)/);
    assert.doesNotMatch(message + JSON.stringify(data), /hush/);
    assert.deepEqual(noted(), ["start"]);
    assert.equal(crashed().length, 1);
    assert.doesNotMatch(JSON.stringify(crashed()), /hush/);
    assert.ok(events.some((event) => event.type === "upstream-output" && /hush/.test(event.text)));
    // From now on nobody waits.
    const refused = await failure(call("pid"));
    assert.deepEqual([refused.message, noted()], [message, []]);
    await clock.advance(2500);
    assert.match((await failure(call("pid"))).message, /4 times/);
    assert.equal(crashed().length, 2);
    // Another user's programs have nothing to do with it.
    await failure(call("pid", "bob"));
    assert.deepEqual(noted(), ["start", "start"]);
    await gw.close();
  });

  test("[GTW-17] isn't held up any more once it has answered a call, or ran for a minute", async () => {
    const { clock, gw, call, crashed } = over(fragile([]).upstream, { probeAfterMs: 600_000 });
    for (let n = 0; n < 4; n++) {
      await failure(call("die"));
      await call("pid");
    }
    for (let n = 0; n < 4; n++) {
      await ask(gw, callOf("up__pid", sessionOf("alice"), { principal: { id: "alice" } }));
      await clock.advance(60_000);
      await failure(call("die"));
    }
    assert.deepEqual(crashed(), []);
    await gw.close();
  });
});

test("[GTW-17] a program that a probe for life ends is started again, and not probed any more", async () => {
  const { upstream, noted } = fragile(["dies-of:ping"], { versions: ["2025-06-18"] });
  const { clock, gw, call } = over(upstream);
  const first = textOf(await call("pid"));
  await clock.advance(60_000);
  const second = textOf(await call("pid"));
  assert.notEqual(first, second);
  await clock.advance(60_000);
  assert.equal(textOf(await call("pid")), second);
  assert.equal(noted().filter((line) => line === "ping").length, 1);
  await gw.close();
});
