/**
 * Opens sessions with upstreams, and keeps what they say.
 *
 * @module
 */
import { systemClock } from "../../src/internal/clock.ts";
import type { McpEvent } from "../../src/protocol/events.ts";
import type { ClientFacts, Notification } from "../../src/protocol/exchange.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { soon } from "../support/wire.ts";
import type { OpenInit, Upstream, UpstreamCall, UpstreamSession } from "../../src/gateway/types.ts";

/** A client that can be asked everything. */
export const CAPABLE: ClientFacts = {
  info: { name: "gateway-test", version: "1.0.0" },
  capabilities: {
    roots: { listChanged: true },
    sampling: {},
    elicitation: { form: {}, url: {} },
  },
};

/** A question, and what it was answered. */
export interface Question {
  readonly method: string;
  readonly params: JsonObject;
  readonly signal?: AbortSignal;
}

/** How a test client answers. */
export type Answering = (question: Question) => JsonObject | Promise<JsonObject>;

/** What everything of a session goes to. */
export class Recorder {
  readonly notifications: Notification[] = [];
  readonly questions: Question[] = [];
  readonly events: McpEvent[] = [];
  readonly ends: unknown[] = [];
  answer: Answering = () => ({});

  /** What a session is begun with. */
  init(over: Partial<OpenInit> = {}): OpenInit {
    return {
      name: "test",
      client: CAPABLE,
      principal: { id: "alice" },
      request: new Request("https://gateway.example/mcp", { method: "POST" }),
      signal: new AbortController().signal,
      clock: systemClock,
      report: (event) => this.events.push(event),
      downstream: {
        notified: (notification) => this.notifications.push(notification),
        ask: async (method, params, signal) => {
          const question = { method, params, signal };
          this.questions.push(question);
          return await this.answer(question);
        },
        ended: (error) => this.ends.push(error),
      },
      ...over,
    };
  }

  /** The lines that were reported. */
  get output(): string[] {
    return this.events.flatMap((event) => event.type === "upstream-output" ? [event.text] : []);
  }

  /** Waits until something has been recorded. */
  async until(found: () => boolean, what: string, ms = 10_000): Promise<void> {
    const end = Date.now() + ms;
    while (!found()) {
      if (Date.now() > end) throw new Error(`Not in time: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

/** A session whose calls need no more than their parameters. */
export class Session {
  readonly session: UpstreamSession;
  readonly recorder: Recorder;

  constructor(session: UpstreamSession, recorder: Recorder) {
    this.session = session;
    this.recorder = recorder;
  }

  /** Begins a session. */
  static async open(upstream: Upstream, over?: Partial<OpenInit>): Promise<Session> {
    const recorder = new Recorder();
    return new Session(await upstream.open(recorder.init(over)), recorder);
  }

  /** Sends a request. */
  request(
    method: string,
    params: JsonObject = {},
    over: Partial<UpstreamCall> = {},
  ): Promise<JsonObject> {
    return soon(
      this.session.request({
        method,
        params,
        signal: new AbortController().signal,
        principal: { id: "alice" },
        request: new Request("https://gateway.example/mcp", { method: "POST" }),
        notify: (notification) => this.recorder.notifications.push(notification),
        ask: async (asked, about) => {
          const question = { method: asked, params: about };
          this.recorder.questions.push(question);
          return await this.recorder.answer(question);
        },
        ...over,
      }),
      method,
    );
  }

  /** Calls a tool. */
  call(
    name: string,
    args: JsonObject = {},
    meta?: JsonObject,
    over?: Partial<UpstreamCall>,
  ): Promise<JsonObject> {
    return this.request(
      "tools/call",
      { name, arguments: args, ...meta && { _meta: meta } },
      over,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.session.close();
  }
}

/** The first text that a tool answered. */
export function textOf(result: JsonObject): string {
  const [first] = result.content as { text?: string }[]; // a tool's result has content
  return first?.text ?? "";
}
