/**
 * Holds what is known about one HTTP request: one object, filled step by step from the first gate to
 * the dispatcher.
 *
 * The next step of a call is in `auth/authenticate.ts`.
 *
 * @module
 */
import { envelopeVersion } from "../protocol/envelope.ts";
import type { ClientFacts, Principal } from "../protocol/exchange.ts";
import { HeaderName } from "../protocol/headers.ts";
import type { Hidden } from "../protocol/items.ts";
import type { Classified, JsonObject, JsonRpcRequest, RequestId } from "../protocol/jsonrpc.ts";
import type { RequestMessage, Route } from "../protocol/route.ts";
import type { LogLevel } from "../protocol/shapes.ts";
import { ASSUMED_VERSION, type ProtocolVersion } from "../protocol/versions.ts";
import { localPeer } from "./peer.ts";

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

const NO_PARAMS: JsonObject = {};

/** The client of a request that doesn't describe its client. */
export const UNKNOWN_CLIENT: ClientFacts = { capabilities: {} };

/** What an endpoint reads of an HTTP request. A `Request` has all of it. */
export interface RequestSource {
  /** The HTTP method. */
  readonly method: string;
  /** The absolute URL. */
  readonly url: string;
  /** The headers, read one at a time. */
  readonly headers: Pick<Headers, "get" | "has">;
  /** The body. Read once at most: as a stream, or by `text()`. */
  readonly body: ReadableStream<Uint8Array> | null;
  /** Aborts when the client disconnects before the response is complete. */
  readonly signal: AbortSignal;
  /** Reads the whole body, decoded like `Request.text()` does. */
  text(): Promise<string>;
}

/** A request without its body. A `Request` has all of it. */
export type RequestHead = Pick<RequestSource, "method" | "url" | "headers">;

/** An HTTP request in the form that a host has it, of which a `Request` is only made if it is needed. */
export interface HostRequest extends RequestSource {
  /**
   * Makes a `Request` without the body, and without the headers whose name has an underscore, other than
   * `Mcp-Param-…`. MUST return the same object again when called again.
   */
  toRequest(): Request;
}

/** An HTTP request in progress. A step reads what the steps before it have filled in. */
export class Inbound {
  /** The HTTP request, in the form that the host has it. */
  readonly source: Request | HostRequest;
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
  /** The bytes that the body takes from the budget of bodies. Only the body gates write it. */
  heldBytes = 0;
  /** The requests of which the item or the method is hidden from the principal. Filled by authorization. */
  hidden: ReadonlyMap<JsonRpcRequest, Hidden> | undefined;
  /** The protocol version of the request. Filled by the era. */
  version: ProtocolVersion = ASSUMED_VERSION;
  /** The client program. Filled by the era. */
  client: ClientFacts = UNKNOWN_CLIENT;
  /** The least severe log level that the request asks for (2026). Filled by the era. */
  logLevel: LogLevel | undefined;
  /**
   * Whether the transport has headers that repeat parts of the message, as HTTP has: they must match it
   * (2026). Others have none.
   */
  repeatsInHeaders = true;
  /** Whether another node has forwarded the request: it is never forwarded again. */
  forwarded = false;
  /** Whether the node that began the request was lost, and it runs again here. */
  begunAgain = false;
  #content: PostContent | undefined;
  #route: Route | undefined;
  /** The routes of a batch. */
  #routes: ReadonlyMap<JsonRpcRequest, Route> | undefined;
  #principal: Principal | undefined;
  #owner: string | undefined;
  #share: string | undefined;
  #versionHeader: string | null | undefined;
  #localPeer: string | undefined;

  /** Creates the record. Reads only the method and the Origin header. */
  constructor(source: Request | HostRequest, context?: unknown) {
    this.source = source;
    this.context = context;
    this.method = source.method;
    // Not `has`, for which Deno reads all headers.
    this.origin = source.headers.get(HeaderName.Origin);
  }

  /** The user of this machine that the request comes from; see `Exchange.localPeer`. */
  get localPeer(): string | undefined {
    return this.#localPeer ??= this.context === undefined
      ? undefined
      : localPeer(this.context, () => this.request);
  }
  set localPeer(peer: string) {
    this.#localPeer = peer;
  }

  /** The HTTP request, for the application's functions. */
  get request(): Request {
    const { source } = this;
    return "toRequest" in source ? source.toRequest() : source;
  }

  /** The content of a POST. Filled by the JSON-RPC gate. */
  get content(): PostContent {
    return this.#content ?? missing("content");
  }
  set content(content: PostContent) {
    this.#content = content;
  }

  /** Finds what each request of a POST is about. Called once the principal is known. */
  findRoutes(find: (message: RequestMessage, principal: Principal) => Route): void {
    const { content, principal } = this;
    const routeOf = ({ method, params = NO_PARAMS }: JsonRpcRequest) =>
      find({ method, params }, principal);
    if (content.kind === "request") this.#route = routeOf(content.message);
    if (content.kind !== "batch") return;
    this.#routes = new Map(this.requests.map((request) => [request, routeOf(request)]));
  }

  /** What a request of a POST is about. */
  routeOf(request: JsonRpcRequest): Route {
    return this.#route ?? this.#routes?.get(request) ?? missing("route");
  }

  /** What the request of a POST is about; `undefined` for anything else, and while it is not known. */
  get route(): Route | undefined {
    return this.#route;
  }

  /** The sender of the request. Filled by authentication. */
  get principal(): Principal {
    return this.#principal ?? missing("principal");
  }
  set principal(principal: Principal) {
    this.#principal = principal;
  }

  /** The sender of the request, if it has been authenticated. */
  get sender(): Principal | undefined {
    return this.#principal;
  }

  /** The owner key of the principal. Filled after authentication. */
  get owner(): string {
    return this.#owner ?? missing("owner");
  }
  set owner(owner: string) {
    this.#owner = owner;
  }

  /**
   * The share key of the owner, by which limits for each principal count. Filled after authentication.
   */
  get share(): string {
    return this.#share ?? missing("share");
  }
  set share(share: string) {
    this.#share = share;
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

  /** Whether this is a POST of the 2026 era, as its `_meta` says: known once its content is. */
  get isModern(): boolean {
    const content = this.#content;
    if (content?.kind !== "request" && content?.kind !== "notification") return false;
    return envelopeVersion(content.message.params) !== undefined;
  }

  /** The JSON-RPC requests in a POST; none before its content is known. */
  get requests(): readonly JsonRpcRequest[] {
    const content = this.#content;
    if (content?.kind === "request") return [content.message];
    if (content?.kind !== "batch") return [];
    return content.batch.flatMap((one) => one.kind === "request" ? [one.message] : []);
  }

  /** Reads a header. */
  header(name: string): string | null {
    return this.source.headers.get(name);
  }
}

/** Throws the error for a step that ran before the one that fills what it reads. */
function missing(field: string): never {
  throw new TypeError(`Fill in the request's ${field} before it is read`);
}
