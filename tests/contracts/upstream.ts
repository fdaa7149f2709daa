/**
 * What every {@linkcode Upstream} must do, with the contract server behind it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Upstream, UpstreamCall, UpstreamSession } from "../../src/gateway/types.ts";
import { systemClock } from "../../src/internal/clock.ts";
import type { MaybePromise } from "../../src/internal/types.ts";
import { McpError } from "../../src/protocol/errors.ts";
import type { McpEvent } from "../../src/protocol/events.ts";
import type { Notification } from "../../src/protocol/exchange.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { soon } from "../support/wire.ts";
import { SERVER_NAME, THING } from "./upstream_servers.ts";

/** An upstream under test. */
export interface UpstreamUnderTest {
  readonly upstream: Upstream;
  /** Lets every session fail, as though the server went away. */
  cut?(): MaybePromise<void>;
  close(): MaybePromise<void>;
}

/** What is different about an upstream under test. */
export interface UpstreamTraits {
  /**
   * Whether the server has sessions. One of the 2026 era has none: it counts nothing, and asks by its
   * results.
   *
   * @default {true}
   */
  readonly sessions?: boolean;
  /**
   * Whether its tool `refuse` is there, which answers with an error.
   *
   * @default {true}
   */
  readonly refuses?: boolean;
}

/** Makes an upstream. */
export type MakeUpstream = () => MaybePromise<UpstreamUnderTest>;

/** One open session, with all that came out of it. */
export class Opened {
  readonly notified: Notification[] = [];
  readonly ended: unknown[] = [];
  readonly events: McpEvent[] = [];
  readonly session: UpstreamSession;

  private constructor(
    session: UpstreamSession,
    out: Pick<Opened, "notified" | "ended" | "events">,
  ) {
    this.session = session;
    this.notified = out.notified;
    this.ended = out.ended;
    this.events = out.events;
  }

  /** Opens a session as a client that can be asked. */
  static async open(upstream: Upstream, signal = new AbortController().signal): Promise<Opened> {
    const out: Pick<Opened, "notified" | "ended" | "events"> = {
      notified: [],
      ended: [],
      events: [],
    };
    const session = await upstream.open({
      name: "upstream",
      client: {
        info: { name: "contract-test", version: "1.0.0" },
        capabilities: { elicitation: {} },
      },
      principal: { id: "alice" },
      request: new Request("http://gateway.example/mcp", { method: "POST" }),
      downstream: {
        notified: (notification) => out.notified.push(notification),
        ask: (method, params) => answer(method, params),
        ended: (error) => out.ended.push(error),
      },
      signal,
      clock: systemClock,
      report: (event) => out.events.push(event),
    });
    return new Opened(session, out);
  }

  /** Sends a request. */
  request(method: string, params: JsonObject = {}, more: Partial<UpstreamCall> = {}) {
    return soon(
      this.session.request({
        method,
        params,
        signal: new AbortController().signal,
        principal: { id: "alice" },
        request: new Request("http://gateway.example/mcp", { method: "POST" }),
        notify: (notification) => this.notified.push(notification),
        ask: answer,
        ...more,
      }),
      method,
    );
  }

  /** Calls a tool; its text. */
  async call(name: string, args: JsonObject = {}, more: Partial<UpstreamCall> = {}) {
    const { content } = await this.request("tools/call", { name, arguments: args }, more);
    const [first] = Array.isArray(content) ? content : [];
    return isObject(first) ? first.text : undefined;
  }

  /** Waits until a notification has come. */
  async until(method: string): Promise<Notification> {
    for (let tries = 0; tries < 500; tries++) {
      const found = this.notified.find((each) => each.method === method);
      if (found !== undefined) return found;
      await pause();
    }
    throw new Error(`No ${method} came`);
  }
}

async function answer(method: string, params: JsonObject): Promise<JsonObject> {
  assert.equal(method, "elicitation/create");
  assert.equal(params.message, "Name?");
  return { action: "accept", content: { name: "Ada" } };
}

/** Lets other things happen. A process at the other end can't be waited for otherwise. */
function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 10));
}

/** Runs the suite against the upstreams that `make` makes. */
export function upstreamContract(
  name: string,
  make: MakeUpstream,
  { sessions = true, refuses = true }: UpstreamTraits = {},
): void {
  async function using(
    run: (open: () => Promise<Opened>, made: UpstreamUnderTest) => Promise<void>,
  ): Promise<void> {
    const made = await make();
    const all: Opened[] = [];
    const open = async () => {
      const opened = await Opened.open(made.upstream);
      all.push(opened);
      return opened;
    };
    try {
      await run(open, made);
    } finally {
      await Promise.all(all.map(({ session }) => session.close()));
      await made.close();
    }
  }

  describe(name, () => {
    test("[GTW-4] an upstream says what it is, and always the same", () =>
      using(async (open, { upstream }) => {
        const { identity } = upstream;
        assert.notEqual(identity, "");
        const { session: { facts } } = await open();
        assert.equal(facts.serverInfo.name, SERVER_NAME);
        assert.ok(isObject(facts.capabilities.tools));
        assert.equal(upstream.identity, identity);
      }));

    if (sessions) {
      test("[GTW-1] two sessions share nothing", () =>
        using(async (open) => {
          const [a, b] = await Promise.all([open(), open()]);
          for (let n = 1; n <= 5; n++) assert.equal(await a.call("count"), `${n}`);
          for (let n = 1; n <= 3; n++) assert.equal(await b.call("count"), `${n}`);
        }));
    }

    test("[GTW-8] many calls at a time get each their own answer", () =>
      using(async (open) => {
        const opened = await open();
        const texts = Array.from({ length: 40 }, (_, n) => `text ${n}`);
        const answers = await Promise.all(texts.map((text) => opened.call("echo", { text })));
        assert.deepEqual(answers, texts);
      }));

    test("[GTW-8] progress comes in order, before the result, under the call's own token", () =>
      using(async (open) => {
        const opened = await open();
        // Two calls of one session may well have been given the same token.
        const run = async (steps: number) => {
          const seen: unknown[] = [];
          const notify = ({ method, params }: Notification) => {
            if (method !== "notifications/progress") return;
            assert.equal(params?.progressToken, "token");
            seen.push(params?.progress);
          };
          const _meta = { progressToken: "token" };
          const params = { name: "progress", arguments: { steps }, _meta };
          await opened.request("tools/call", params, { notify });
          return seen;
        };
        assert.deepEqual(await Promise.all([run(2), run(4)]), [[1, 2], [1, 2, 3, 4]]);
      }));

    test("[GTW-8] a call that is aborted rejects at once with the reason, and its tool stops", () =>
      using(async (open) => {
        const opened = await open();
        const stop = new AbortController();
        const waiting = opened.call("wait", {}, { signal: stop.signal });
        await opened.call("echo", { text: "The call before has arrived" });
        await pause();
        stop.abort(new Error("Enough"));
        await assert.rejects(waiting, /^Error: Enough$/);
        let stopped: unknown;
        for (let tries = 0; tries < 300 && stopped !== "1"; tries++) {
          await pause();
          stopped = await opened.call("stopped");
        }
        assert.equal(stopped, "1");
        assert.deepEqual(opened.ended, []);
      }));

    test("[GTW-2] errors of tools are answers, and the session goes on", () =>
      using(async (open) => {
        const opened = await open();
        const { isError } = await opened.request("tools/call", { name: "fail" });
        assert.equal(isError, true);
        const misfit = { name: "echo", arguments: { text: 7 } };
        const told = await opened.request("tools/call", misfit);
        assert.equal(told.isError, true);
        assert.match(JSON.stringify(told.content), /text.*string/);
        await assert.rejects(opened.request("no/such/method"), (error) => {
          assert.ok(error instanceof McpError);
          assert.equal(error.code, -32601);
          return true;
        });
        if (refuses) {
          await assert.rejects(opened.call("refuse"), (error) => {
            assert.ok(error instanceof McpError);
            assert.equal(error.code, -32602);
            assert.deepEqual(error.data, { why: "because" });
            return true;
          });
        }
        assert.equal(await opened.call("echo", { text: "still here" }), "still here");
        assert.deepEqual(opened.ended, []);
      }));

    test("[GTW-8] a question in the middle of a call reaches the client, and the answer the tool", () =>
      using(async (open) => {
        const opened = await open();
        if (!sessions) {
          const result = await opened.request("tools/call", { name: "ask" });
          assert.equal(result.resultType, "input_required");
          const inputResponses = { name: { action: "accept", content: { name: "Ada" } } };
          const { requestState } = result;
          const retry = { name: "ask", inputResponses, requestState };
          const { content } = await opened.request("tools/call", retry);
          assert.match(JSON.stringify(content), /Ada/);
          return;
        }
        assert.equal(
          await opened.call("ask"),
          JSON.stringify({ action: "accept", content: { name: "Ada" } }),
        );
      }));

    test("[GTW-8] log messages are handed on", () =>
      using(async (open) => {
        const opened = await open();
        const _meta = sessions ? {} : { "io.modelcontextprotocol/logLevel": "debug" };
        await opened.request("tools/call", { name: "log", _meta });
        const { params } = await opened.until("notifications/message");
        assert.equal(params?.data, "logged");
      }));

    test("[GTW-8] that a list changed is handed on, where it is promised", () =>
      using(async (open) => {
        const opened = await open();
        const { tools } = opened.session.facts.capabilities;
        if (!isObject(tools) || tools.listChanged !== true) return;
        await opened.call("change");
        await opened.until("notifications/tools/list_changed");
      }));

    test("[GTW-8] a resource that is subscribed to tells when it changes", () =>
      using(async (open) => {
        const opened = await open();
        const { resources } = opened.session.facts.capabilities;
        if (!isObject(resources) || resources.subscribe !== true) return;
        await opened.request("resources/subscribe", { uri: THING });
        await opened.call("touch");
        const { params } = await opened.until("notifications/resources/updated");
        assert.equal(params?.uri, THING);
      }));

    test("[GTW-3] closing settles every call, can be done twice, and nothing is heard after", () =>
      using(async (open) => {
        const opened = await open();
        const waiting = assert.rejects(
          opened.call("wait"),
          (error) => !(error instanceof McpError),
        );
        await opened.call("echo", { text: "The call before has arrived" });
        await Promise.all([opened.session.close(), opened.session.close()]);
        await waiting;
        await assert.rejects(opened.call("echo", { text: "late" }));
        assert.deepEqual(opened.ended, []);
      }));

    test("[GTW-4] opening can be aborted, and the next session is none the worse", () =>
      using(async (open, { upstream }) => {
        const aborted = AbortSignal.abort(new Error("Not wanted"));
        await assert.rejects(soon(Opened.open(upstream, aborted), "open"), /Not wanted/);
        const opened = await open();
        assert.equal(await opened.call("echo", { text: "fine" }), "fine");
      }));

    test("[GTW-2] a server that goes away fails its calls and ends its session, once", () =>
      using(async (open, made) => {
        if (made.cut === undefined) return;
        const opened = await open();
        const waiting = assert.rejects(
          opened.call("wait"),
          (error) => !(error instanceof McpError),
        );
        await opened.call("echo", { text: "The call before has arrived" });
        await made.cut();
        await waiting;
        assert.equal(opened.ended.length, 1);
        await assert.rejects(opened.call("echo", { text: "late" }));
      }));
  });
}
