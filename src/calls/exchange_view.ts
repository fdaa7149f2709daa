/**
 * Shows a request with other parameters.
 *
 * @module
 */
import type { ClientFacts, Exchange, Notification, Principal } from "../protocol/exchange.ts";
import type { McpEvent, RequestFacts } from "../protocol/events.ts";
import type { JsonObject, RequestId } from "../protocol/jsonrpc.ts";
import type { LogLevel } from "../protocol/shapes.ts";
import type { RequestTarget } from "../protocol/target.ts";
import type { ProtocolVersion } from "../protocol/versions.ts";

/** An exchange that differs from another one in its parameters. */
export class ExchangeView implements Exchange {
  readonly params: JsonObject;
  readonly #exchange: Exchange;
  readonly #targetOf: (params: JsonObject) => RequestTarget | undefined;

  /** @param targetOf Tells what the request is about with its new parameters */
  constructor(
    exchange: Exchange,
    params: JsonObject,
    targetOf: (params: JsonObject) => RequestTarget | undefined,
  ) {
    this.params = params;
    this.#exchange = exchange;
    this.#targetOf = targetOf;
  }

  get target(): RequestTarget | undefined {
    return this.#targetOf(this.params);
  }
  get id(): RequestId {
    return this.#exchange.id;
  }
  get serial(): number | undefined {
    return this.#exchange.serial;
  }
  get task(): string | undefined {
    return this.#exchange.task;
  }
  get method(): string {
    return this.#exchange.method;
  }
  get protocolVersion(): ProtocolVersion {
    return this.#exchange.protocolVersion;
  }
  get principal(): Principal {
    return this.#exchange.principal;
  }
  get request(): Request {
    return this.#exchange.request;
  }
  get localPeer(): string | undefined {
    return this.#exchange.localPeer;
  }
  get session(): Exchange["session"] {
    return this.#exchange.session;
  }
  get client(): ClientFacts {
    return this.#exchange.client;
  }
  get logLevel(): LogLevel | undefined {
    return this.#exchange.logLevel;
  }
  get supportedVersions(): readonly ProtocolVersion[] {
    return this.#exchange.supportedVersions;
  }
  get signal(): AbortSignal {
    return this.#exchange.signal;
  }
  get pageSize(): number {
    return this.#exchange.pageSize;
  }
  get facts(): RequestFacts | undefined {
    return this.#exchange.facts;
  }
  get mayUse(): Exchange["mayUse"] {
    return this.#exchange.mayUse;
  }
  get chain(): Exchange["chain"] {
    return this.#exchange.chain;
  }

  notify(notification: Notification): void {
    this.#exchange.notify(notification);
  }
  ask(method: string, params: JsonObject): Promise<JsonObject> {
    return this.#exchange.ask(method, params);
  }
  openState(): Promise<JsonObject | undefined> {
    return this.#exchange.openState();
  }
  sealState(data: JsonObject, options?: { readonly once?: boolean }): Promise<string> {
    return this.#exchange.sealState(data, options);
  }
  requireInput(result: JsonObject): void {
    this.#exchange.requireInput(result);
  }
  closeStream(options?: { readonly retryMs?: number }): void {
    this.#exchange.closeStream(options);
  }
  negotiate(version: ProtocolVersion): boolean {
    return this.#exchange.negotiate?.(version) === true;
  }
  noteUpstream(upstream: string): void {
    this.#exchange.noteUpstream?.(upstream);
  }
  report(event: McpEvent): void {
    this.#exchange.report(event);
  }
}
