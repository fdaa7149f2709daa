/**
 * The record of one HTTP request: filled step by step, the same object from the first gate to the
 * dispatcher.
 *
 * @module
 */
import type { ClientFacts, Principal } from "../protocol/exchange.ts";
import { HeaderName } from "../protocol/headers.ts";
import type { Classified, JsonRpcRequest, RequestId } from "../protocol/jsonrpc.ts";
import type { LogLevel } from "../protocol/shapes.ts";
import { ASSUMED_VERSION, type Era, type ProtocolVersion } from "../protocol/versions.ts";

/** The forms of an answer that the client accepts. */
export interface Accepts {
  /** Whether `application/json` is accepted. */
  readonly json: boolean;
  /** Whether `text/event-stream` is accepted. */
  readonly sse: boolean;
}

/** Accepts both forms of an answer. */
export const EITHER_FORM: Accepts = { json: true, sse: true };

/** What a POST carries: one message, or a batch of at least one. */
export type PostContent =
  | (Classified & { readonly batch?: undefined })
  | { readonly kind: "batch"; readonly batch: readonly Classified[] };

/** The client program of a request that doesn't describe it. */
export const UNKNOWN_CLIENT: ClientFacts = { capabilities: {} };

/** One HTTP request on its way. A step reads what the steps before it have filled in. */
export class Inbound {
  /** The HTTP request. */
  readonly request: Request;
  /** What the host passed beside the request. */
  readonly context: unknown;
  /** The HTTP method. */
  readonly method: string;
  /** The Origin header. */
  readonly origin: string | null;
  /** The forms of an answer that the client accepts. Filled by the accept gate. */
  accepts: Accepts = EITHER_FORM;
  /** Characters in the body. Filled by the body gates. */
  bodyLength = 0;
  /** The era that answers. Filled where the era table picks. */
  era: Era = "2025";
  /** Requests that the principal may not know of. Filled by authorization. */
  hidden: ReadonlySet<JsonRpcRequest> | undefined;
  /** The protocol version that the request is spoken in. Filled by the era. */
  version: ProtocolVersion = ASSUMED_VERSION;
  /** The client program. Filled by the era. */
  client: ClientFacts = UNKNOWN_CLIENT;
  /** The least severe level of log messages that the request asks for (2026). Filled by the era. */
  logLevel: LogLevel | undefined;
  /** Whether another node has handed the request on: it is never handed on again. */
  forwarded = false;
  #content: PostContent | undefined;
  #principal: Principal | undefined;
  #owner: string | undefined;
  #versionHeader: string | null | undefined;

  /** Begins a record; nothing but the method and the Origin header is read. */
  constructor(request: Request, context?: unknown) {
    this.request = request;
    this.context = context;
    this.method = request.method;
    const { headers } = request;
    // Deno prepares all headers for `has`, where `get` would fetch each by itself: 3 % of a call over
    // HTTP.
    this.origin = headers.has(HeaderName.Origin) ? headers.get(HeaderName.Origin) : null;
  }

  /** What the POST carries. Filled by the envelope gate. */
  get content(): PostContent {
    return this.#content ?? missing("content");
  }
  set content(content: PostContent) {
    this.#content = content;
  }

  /** Who sends the request. Filled by authentication. */
  get principal(): Principal {
    return this.#principal ?? missing("principal");
  }
  set principal(principal: Principal) {
    this.#principal = principal;
  }

  /** The principal's owner key. Filled after authentication. */
  get owner(): string {
    return this.#owner ?? missing("owner");
  }
  set owner(owner: string) {
    this.#owner = owner;
  }

  /** The MCP-Protocol-Version header, read once. */
  get versionHeader(): string | null {
    if (this.#versionHeader === undefined) {
      this.#versionHeader = this.header(HeaderName.ProtocolVersion);
    }
    return this.#versionHeader;
  }

  /** The id of the request that the POST carries; `null` for anything but a single request. */
  get requestId(): RequestId | null {
    return this.#content?.kind === "request" ? this.#content.message.id : null;
  }

  /** The requests that the POST carries. */
  get requests(): readonly JsonRpcRequest[] {
    const content = this.#content;
    if (content?.kind === "request") return [content.message];
    if (content?.kind !== "batch") return [];
    return content.batch.flatMap((one) => one.kind === "request" ? [one.message] : []);
  }

  /** Reads one header, by its name. */
  header(name: string): string | null {
    return this.request.headers.get(name);
  }
}

/** Throws: a step ran before the one that fills what it reads. */
function missing(field: string): never {
  throw new TypeError(`Fill in the request's ${field} before it is read`);
}
