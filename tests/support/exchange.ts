/**
 * An exchange without HTTP: what a dispatcher says and asks can be looked at.
 *
 * @module
 */
import type { MaybePromise } from "../../src/internal/types.ts";
import { MissingCapabilityError } from "../../src/protocol/errors.ts";
import type { McpEvent } from "../../src/protocol/events.ts";
import type {
  ClientFacts,
  DispatcherHost,
  Exchange,
  ExchangeSession,
  Notification,
  Principal,
} from "../../src/protocol/exchange.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import type { ClientCapabilities, LogLevel } from "../../src/protocol/shapes.ts";
import type { ProtocolVersion } from "../../src/protocol/versions.ts";
import { StopError } from "../../src/calls/lifetime/stop.ts";
import { FakeClock } from "./clock.ts";

/** What a {@linkcode FakeExchange} is to be like. */
export interface FakeExchangeInit {
  /** @default {"2025-11-25"} */
  readonly protocolVersion?: ProtocolVersion;
  /** @default {{}} */
  readonly capabilities?: ClientCapabilities;
  /** @default {undefined} */
  readonly session?: ExchangeSession;
  /** The level of log messages that a 2026 request asks for. */
  readonly logLevel?: LogLevel;
  /** @default {100} */
  readonly pageSize?: number;
  /** What the client answers to a question. Without it no question is expected. */
  readonly answer?: (method: string, params: JsonObject) => MaybePromise<JsonObject>;
}

/** One request that never was on a wire. */
export class FakeExchange implements Exchange {
  readonly id = 1;
  readonly method: string;
  readonly params: JsonObject;
  readonly protocolVersion: ProtocolVersion;
  readonly principal: Principal = { id: "alice" };
  readonly request: Request = new Request("http://localhost/mcp", { method: "POST" });
  readonly session: ExchangeSession | undefined;
  readonly client: ClientFacts;
  readonly pageSize: number;
  readonly supportedVersions: readonly ProtocolVersion[] = ["2026-07-28", "2025-11-25"];
  readonly #logLevel: LogLevel | undefined;
  /** The results that asked for input. */
  readonly required: JsonObject[] = [];
  /** What was notified. */
  readonly notified: Notification[] = [];
  /** What was asked. */
  readonly asked: { readonly method: string; readonly params: JsonObject }[] = [];
  /** What was reported. */
  readonly reported: McpEvent[] = [];
  /** The options of each `closeStream`. */
  readonly closed: ({ readonly retryMs?: number } | undefined)[] = [];
  readonly #answer: FakeExchangeInit["answer"];
  #controller: AbortController | undefined;

  constructor(method: string, params: JsonObject = {}, init: FakeExchangeInit = {}) {
    this.method = method;
    this.params = params;
    this.protocolVersion = init.protocolVersion ?? "2025-11-25";
    this.client = { capabilities: init.capabilities ?? {} };
    this.session = init.session;
    this.pageSize = init.pageSize ?? 100;
    this.#logLevel = init.logLevel;
    this.#answer = init.answer;
  }

  get signal(): AbortSignal {
    return (this.#controller ??= new AbortController()).signal;
  }

  /** Whether anybody has looked at the signal. */
  get watched(): boolean {
    return this.#controller !== undefined;
  }

  /** Stops the request. */
  abort(reason: unknown): void {
    (this.#controller ??= new AbortController()).abort(reason);
  }

  get logLevel(): LogLevel | undefined {
    return this.session?.logLevel ?? this.#logLevel;
  }

  /** States are not sealed here, only written down. */
  async openState(): Promise<JsonObject | undefined> {
    const { requestState } = this.params;
    return typeof requestState === "string" ? JSON.parse(requestState) : undefined;
  }

  async sealState(data: JsonObject): Promise<string> {
    return JSON.stringify(data);
  }

  requireInput(result: JsonObject): void {
    this.required.push(result);
    this.abort(new StopError("input-required"));
  }

  notify(notification: Notification): void {
    this.notified.push(notification);
  }

  async ask(method: string, params: JsonObject): Promise<JsonObject> {
    const capability = method.split("/")[0] ?? "";
    if (!Object.hasOwn(this.client.capabilities, capability)) {
      throw new MissingCapabilityError(capability);
    }
    this.asked.push({ method, params });
    if (this.#answer === undefined) throw new Error(`Nobody expected ${method}`);
    return await this.#answer(method, params);
  }

  closeStream(options?: { readonly retryMs?: number }): void {
    this.closed.push(options);
  }

  report(event: McpEvent): void {
    this.reported.push(event);
  }
}

/** A session that keeps everything in itself. */
export class FakeSession implements ExchangeSession {
  readonly id = "session-1";
  readonly state: ExchangeSession["state"];
  logLevel: LogLevel | undefined;
  /** The URIs subscribed to. */
  readonly subscribed: Set<string> = new Set();
  /** What the next subscription results in. */
  outcome: "subscribed" | "full" | "gone" = "subscribed";

  constructor() {
    const values = new Map<string, unknown>();
    this.state = {
      get: async (key) => values.get(key),
      set: async (key, value) => {
        values.set(key, value);
      },
      delete: async (key) => {
        values.delete(key);
      },
    };
  }

  async setLogLevel(level: LogLevel): Promise<void> {
    this.logLevel = level;
  }

  async subscribe(uri: string): Promise<"subscribed" | "full" | "gone"> {
    if (this.outcome === "subscribed") this.subscribed.add(uri);
    return this.outcome;
  }

  async unsubscribe(uri: string): Promise<void> {
    this.subscribed.delete(uri);
  }
}

/** An endpoint that only writes down what it is told. */
export class FakeHost implements DispatcherHost {
  readonly clock: FakeClock = new FakeClock();
  /** The methods of what was broadcast. */
  readonly broadcasts: string[] = [];
  /** The URIs that were updated. */
  readonly updated: string[] = [];
  /** What was reported. */
  readonly reported: McpEvent[] = [];

  broadcast({ method }: Notification): void {
    this.broadcasts.push(method);
  }

  resourceUpdated(uri: string): void {
    this.updated.push(uri);
  }

  report(event: McpEvent): void {
    this.reported.push(event);
  }
}
