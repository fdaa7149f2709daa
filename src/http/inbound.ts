/**
 * Holds what is known about one HTTP request: one object, filled step by step from the first gate to
 * the dispatcher.
 *
 * @module
 */
import type { ClientFacts, Principal } from "../protocol/exchange.ts";
import { HeaderName } from "../protocol/headers.ts";
import type { Classified, JsonRpcRequest, RequestId } from "../protocol/jsonrpc.ts";
import type { LogLevel } from "../protocol/shapes.ts";
import { ASSUMED_VERSION, type ProtocolVersion } from "../protocol/versions.ts";

/** The media types of a response that the client accepts. */
export interface Accepts {
  /** Whether `application/json` is accepted. */
  readonly json: boolean;
  /** Whether `text/event-stream` is accepted. */
  readonly sse: boolean;
}

/** Accepts both media types. */
export const EITHER_FORM: Accepts = { json: true, sse: true };

/** The content of a POST: one message, or a batch of at least one. */
export type PostContent =
  | (Classified & { readonly batch?: undefined })
  | { readonly kind: "batch"; readonly batch: readonly Classified[] };

/** The client of a request that doesn't describe its client. */
export const UNKNOWN_CLIENT: ClientFacts = { capabilities: {} };

/** An HTTP request in progress. A step reads what the steps before it have filled in. */
export class Inbound {
  /** The HTTP request. */
  readonly request: Request;
  /** The value that the host passed beside the request. */
  readonly context: unknown;
  /** The HTTP method. */
  readonly method: string;
  /** The Origin header. */
  readonly origin: string | null;
  /** The media types of a response that the client accepts. Filled by the Accept gate. */
  accepts: Accepts = EITHER_FORM;
  /** The number of characters in the body. Filled by the body gates. */
  bodyLength = 0;
  /** The requests whose tool or method is hidden from the principal. Filled by authorization. */
  hidden: ReadonlySet<JsonRpcRequest> | undefined;
  /** The protocol version of the request. Filled by the era. */
  version: ProtocolVersion = ASSUMED_VERSION;
  /** The client program. Filled by the era. */
  client: ClientFacts = UNKNOWN_CLIENT;
  /** The least severe log level that the request asks for (2026). Filled by the era. */
  logLevel: LogLevel | undefined;
  /** Whether another node has forwarded the request: it is never forwarded again. */
  forwarded = false;
  #content: PostContent | undefined;
  #principal: Principal | undefined;
  #owner: string | undefined;
  #versionHeader: string | null | undefined;

  /** Creates the record. Reads only the method and the Origin header. */
  constructor(request: Request, context?: unknown) {
    this.request = request;
    this.context = context;
    this.method = request.method;
    const { headers } = request;
    // On Deno, `has` loads all headers at once, where each `get` would fetch its own.
    this.origin = headers.has(HeaderName.Origin) ? headers.get(HeaderName.Origin) : null;
  }

  /** The content of a POST. Filled by the JSON-RPC gate. */
  get content(): PostContent {
    return this.#content ?? missing("content");
  }
  set content(content: PostContent) {
    this.#content = content;
  }

  /** The sender of the request. Filled by authentication. */
  get principal(): Principal {
    return this.#principal ?? missing("principal");
  }
  set principal(principal: Principal) {
    this.#principal = principal;
  }

  /** The owner key of the principal. Filled after authentication. */
  get owner(): string {
    return this.#owner ?? missing("owner");
  }
  set owner(owner: string) {
    this.#owner = owner;
  }

  /** The MCP-Protocol-Version header. Read once. */
  get versionHeader(): string | null {
    if (this.#versionHeader === undefined) {
      this.#versionHeader = this.header(HeaderName.ProtocolVersion);
    }
    return this.#versionHeader;
  }

  /** The id of the JSON-RPC request in a POST; `null` for anything but a single request. */
  get requestId(): RequestId | null {
    return this.#content?.kind === "request" ? this.#content.message.id : null;
  }

  /** The JSON-RPC requests in a POST. */
  get requests(): readonly JsonRpcRequest[] {
    const content = this.#content;
    if (content?.kind === "request") return [content.message];
    if (content?.kind !== "batch") return [];
    return content.batch.flatMap((one) => one.kind === "request" ? [one.message] : []);
  }

  /** Reads a header. */
  header(name: string): string | null {
    return this.request.headers.get(name);
  }
}

/** Throws the error for a step that ran before the one that fills what it reads. */
function missing(field: string): never {
  throw new TypeError(`Fill in the request's ${field} before it is read`);
}
