/**
 * Upstreams that do what a test tells them, and requests for gateways without HTTP.
 *
 * @module
 */
import type { OpenInit, Upstream, UpstreamCall, UpstreamSession } from "../../src/gateway/types.ts";
import type { MaybePromise } from "../../src/internal/types.ts";
import { ErrorCode, McpError } from "../../src/protocol/errors.ts";
import type { Dispatcher, Exchange, Notification, Principal } from "../../src/protocol/exchange.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import type { ProtocolVersion } from "../../src/protocol/versions.ts";
import { FakeExchange, type FakeExchangeInit, FakeHost, FakeSession } from "../support/exchange.ts";
import { dispatch } from "../../src/protocol/route.ts";

/** Answers one method. */
export type Answer = (call: UpstreamCall, session: FakeUpstreamSession) => MaybePromise<JsonObject>;

/** What a {@linkcode FakeUpstream} is to be like. */
export interface FakeUpstreamInit {
  readonly identity?: string;
  readonly version?: ProtocolVersion;
  readonly capabilities?: JsonObject;
  readonly instructions?: string;
  /** Answers by method; the others aren't served. */
  readonly answers?: Readonly<Record<string, Answer>>;
  /** Runs before a session opens. */
  readonly opening?: (init: OpenInit) => MaybePromise<void>;
  /** Runs when a session is closed. */
  readonly closing?: (session: FakeUpstreamSession) => MaybePromise<void>;
}

/** One session of a {@linkcode FakeUpstream}. */
export class FakeUpstreamSession implements UpstreamSession {
  readonly facts: UpstreamSession["facts"];
  readonly opened: OpenInit;
  /** The calls that came. */
  readonly calls: UpstreamCall[] = [];
  /** What the client notified. */
  readonly told: Notification[] = [];
  closed = 0;
  /** A number that tools can count up. */
  count = 0;
  readonly #init: FakeUpstreamInit;

  constructor(opened: OpenInit, init: FakeUpstreamInit) {
    this.opened = opened;
    this.#init = init;
    const { version = "2025-11-25", capabilities = { tools: {} }, instructions } = init;
    this.facts = {
      serverInfo: { name: "fake", version: "1.0.0" },
      protocolVersion: version,
      capabilities,
      ...instructions !== undefined && { instructions },
    };
  }

  /** The methods that were called, in order. */
  get methods(): readonly string[] {
    return this.calls.map(({ method }) => method);
  }

  async request(call: UpstreamCall): Promise<JsonObject> {
    this.calls.push(call);
    const answer = this.#init.answers?.[call.method];
    if (answer === undefined) throw new McpError(ErrorCode.MethodNotFound, "Not served");
    return await answer(call, this);
  }

  async notify(notification: Notification): Promise<void> {
    this.told.push(notification);
  }

  async close(): Promise<void> {
    this.closed++;
    await this.#init.closing?.(this);
  }
}

/** An upstream that does what a test tells it. */
export class FakeUpstream implements Upstream {
  readonly kind = "local";
  identity: string;
  /** The sessions that were opened. */
  readonly sessions: FakeUpstreamSession[] = [];
  readonly #init: FakeUpstreamInit;

  constructor(init: FakeUpstreamInit = {}) {
    this.#init = init;
    this.identity = init.identity ?? `fake ${Math.random()}`;
  }

  /** The session that was opened as the nth, from 0. */
  session(nth = 0): FakeUpstreamSession {
    const session = this.sessions[nth];
    if (session === undefined) throw new Error(`There were only ${this.sessions.length}`);
    return session;
  }

  /** How many sessions are open. */
  get live(): number {
    return this.sessions.filter(({ closed }) => closed === 0).length;
  }

  async open(init: OpenInit): Promise<UpstreamSession> {
    await this.#init.opening?.(init);
    const session = new FakeUpstreamSession(init, this.#init);
    this.sessions.push(session);
    return session;
  }
}

/** A result of one text. */
export function text(text: string): JsonObject {
  return { content: [{ type: "text", text }] };
}

/** The text of a result. */
export function textOf({ content }: JsonObject): unknown {
  const [first] = Array.isArray(content) ? content : [];
  return isObject(first) ? first.text : undefined;
}

/** Answers for tools by name, and their list. */
export function tools(
  handlers: Readonly<Record<string, Answer>>,
): Readonly<Record<string, Answer>> {
  return {
    "ping": () => ({}),
    "tools/list": () => ({
      tools: Object.keys(handlers).map((name) => ({ name, inputSchema: { type: "object" } })),
    }),
    "tools/call": (call, session) => {
      const handler = handlers[String(call.params.name)];
      if (handler === undefined) throw new McpError(ErrorCode.InvalidParams, "No such tool");
      return handler(call, session);
    },
  };
}

/** Counts up, in its session. */
export const count: Answer = (_call, session) => text(`${++session.count}`);

/** How a request is to be. */
export interface AskInit extends FakeExchangeInit {
  readonly principal?: Principal;
  readonly headers?: Readonly<Record<string, string>>;
  readonly mayUse?: Exchange["mayUse"];
}

/** A request as a gateway gets it. */
export class GatewayExchange extends FakeExchange {
  override readonly principal: Principal;
  override readonly request: Request;
  readonly mayUse: Exchange["mayUse"];

  constructor(method: string, params: JsonObject = {}, init: AskInit = {}) {
    super(method, params, init);
    this.principal = init.principal ?? { id: "alice" };
    this.mayUse = init.mayUse;
    const { headers = {} } = init;
    this.request = new Request("http://gateway.example/mcp", { method: "POST", headers });
  }
}

/** A session with an id. */
export function sessionOf(id: string): FakeSession {
  return Object.assign(new FakeSession(), { id });
}

/** A tool's call in a session. */
export function callOf(name: string, session: FakeSession, init: AskInit = {}): GatewayExchange {
  return new GatewayExchange("tools/call", { name, arguments: {} }, { session, ...init });
}

/** What a dispatcher answers, however it does. */
export async function ask(to: Dispatcher, exchange: Exchange): Promise<JsonObject> {
  return await dispatch(to, exchange);
}

/** An endpoint that can reach single sessions. */
export class GatewayHost extends FakeHost {
  /** What sessions were told. */
  readonly told: [sessionId: string, notification: Notification][] = [];
  /** What a session's client answers on its server-to-client stream. */
  answer: ((sessionId: string, method: string) => Promise<JsonObject>) | undefined;

  notify(sessionId: string, notification: Notification): void {
    this.told.push([sessionId, notification]);
  }

  ask(sessionId: string, method: string): Promise<JsonObject> | undefined {
    return this.answer?.(sessionId, method);
  }
}
