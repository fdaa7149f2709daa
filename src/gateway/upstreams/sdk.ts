/**
 * Hosts an unmodified server of an official SDK in this process as an upstream.
 *
 * @module
 */
import type { Dispatcher, MaybePromise, Principal, RequestId } from "../../../mod.ts";
import { functionOption, isModern, randomText } from "../../kit.ts";
import { openSession } from "../client/open_session.ts";
import { checkSessionOptions } from "../client/session_options.ts";
import type { Message, Transport } from "../client/transport.ts";
import { checkOptions } from "../options.ts";
import type { RegisteredUpstream } from "../session/served_upstreams.ts";
import { withoutLogin } from "../shared/login.ts";
import { UpstreamError } from "../shared/upstream_error.ts";
import type { AloneInit, Caller, OpenInit, Upstream } from "../types.ts";
import { ServerView } from "../view/server_view.ts";

/** Carries messages for a server of an official SDK, as versions 1 and 2 both expect. */
export interface ServerTransport {
  /** Takes a message of the client, and who sent it. */
  onmessage?: (message: never, extra?: never) => void;
  /** Called when the connection has ended. */
  onclose?: () => void;
  /** Takes errors. */
  onerror?: (error: Error) => void;
  /** Identifies the client's session, if the server is served alone. */
  readonly sessionId?: string | undefined;
  /** Starts to carry messages. */
  start(): Promise<void>;
  /** Takes a message of the server, and the id of the request that it relates to. */
  send(message: unknown, options?: { readonly relatedRequestId?: RequestId }): Promise<void>;
  /** Ends the connection. */
  close(): Promise<void>;
}

/**
 * Represents a server of an official SDK: `McpServer` or `Server` of version 1 or 2, or anything else
 * that connects to a transport.
 */
export interface SdkServer {
  /** Starts to serve over a transport. */
  connect(transport: never): Promise<unknown>;
  /** Stops serving. */
  close?(): MaybePromise<unknown>;
}

/** The session that a server is created for. */
export interface SdkInit {
  /**
   * Identifies the session's owner, with the rights of the request that opens the session. What a later
   * call may do is told by its own `authInfo`.
   */
  readonly principal: Principal;
  /** The HTTP request that caused the session to open, without the client's login. */
  readonly request: Request;
}

/**
 * Creates an upstream from a server of an official SDK, which is also a dispatcher: pass it to `gateway`
 * to serve it with others, or to `createMcpHandler` to serve it alone, as itself. Every session gets its own
 * server, which is closed with the session.
 *
 * @param factory Creates a server that isn't connected yet
 * @throws {TypeError} If `factory` isn't a function
 * @example
 * ```ts
 * import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
 * import { gateway, sdk } from "@mooring/mcp/gateway";
 *
 * const counter = sdk(() => {
 *   const server = new McpServer({ name: "counter", version: "1.0.0" });
 *   let count = 0;
 *   server.registerTool("up", {}, () => ({ content: [{ type: "text", text: `${++count}` }] }));
 *   return server;
 * });
 * const gw = gateway({ upstreams: { counter } }); // offers the tool "counter__up"
 * await gw.close();
 * ```
 *
 * @example Alone
 * ```ts
 * import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
 * import { createMcpHandler } from "@mooring/mcp";
 * import { sdk } from "@mooring/mcp/gateway";
 *
 * const handler = createMcpHandler(sdk(() => new McpServer({ name: "mine", version: "1.0.0" })));
 * await handler.close();
 * ```
 */
export function sdk(factory: (init: SdkInit) => MaybePromise<SdkServer>): HostedServer {
  if (functionOption("factory", factory) === undefined) {
    throw new TypeError("Give a function that creates a server: undefined");
  }
  return new SdkView(factory);
}

/** A server as an upstream of a gateway, and as a dispatcher that serves it alone. */
export interface HostedServer extends Upstream, Dispatcher {
  /** Pins every session to the process that holds its server. */
  readonly pinned: true;
}

/** The name of a server that is served alone, in events. */
const ALONE = "server";

/** Serves a server alone, and opens sessions with it for a gateway. */
class SdkView extends ServerView implements HostedServer {
  readonly kind = "sdk";
  readonly usersBy = "the principal of each session";
  readonly identity: string;
  readonly #factory: Parameters<typeof sdk>[0];

  constructor(factory: Parameters<typeof sdk>[0]) {
    const upstreams = new Map<string, RegisteredUpstream>();
    super({ settings: checkOptions({}), upstreams, only: ALONE });
    const { kind } = this;
    const identity = this.identity = randomText(22);
    this.#factory = factory;
    const upstream: Upstream = { kind, identity, open: (init) => this.open(init) };
    upstreams.set(ALONE, { name: ALONE, upstream, identity });
  }

  open(init: OpenInit): ReturnType<Upstream["open"]> {
    return open(this.#factory, init);
  }
}

/**
 * Lists the versions of the 2025 era, in which a server asks during a call. The other one is spoken only
 * with a client of that era that has the server for itself.
 */
const SETTINGS_2025 = checkSessionOptions({
  versions: ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"],
});
const SETTINGS = checkSessionOptions({});

async function open(
  factory: Parameters<typeof sdk>[0],
  init: OpenInit,
): ReturnType<Upstream["open"]> {
  const settings = init.alone !== undefined && isModern(init.alone.version)
    ? SETTINGS
    : SETTINGS_2025;
  const { principal, request, signal } = init;
  const server = await factory({ principal, request: withoutLogin(request) });
  if (typeof server?.connect !== "function") {
    throw new TypeError(`Return a server with connect() from the factory: ${typeof server}`);
  }
  const transport = new SdkTransport(server, init.alone);
  try {
    signal.throwIfAborted();
    await transport.connect();
  } catch (error) {
    await transport.close();
    throw error;
  }
  return await openSession(transport, init, settings);
}

/** Connects the gateway and a server: a transport for each of them. */
class SdkTransport implements Transport {
  onmessage: Transport["onmessage"];
  onclose: Transport["onclose"];
  /** Servers don't always relate their messages to a request. */
  readonly singleStream = true;
  readonly #server: SdkServer;
  readonly #transport: ServerTransport;
  #over = false;
  #closed: Promise<void> | undefined;

  constructor(server: SdkServer, alone: AloneInit | undefined) {
    this.#server = server;
    this.#transport = {
      ...alone?.sessionId !== undefined && { sessionId: alone.sessionId },
      start: async () => {},
      send: async (message, options) => {
        if (this.#over) throw new Error("Not connected");
        this.onmessage?.(message, options?.relatedRequestId);
      },
      close: async () => this.#onServerClose(),
    };
  }

  async connect(): Promise<void> {
    // It has every member that the transports of both versions have.
    await this.#server.connect(this.#transport as never);
  }

  send(message: Message, caller?: Caller): void {
    if (this.#over) throw new UpstreamError("closed");
    // Each version has its own message types, and both validate messages.
    this.#transport.onmessage?.(message as never, extraOf(caller) as never);
  }

  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#over = true;
    if (this.#server.close === undefined) this.#transport.onclose?.();
    else await this.#server.close();
  }

  /** Ends the connection on behalf of the server. */
  #onServerClose(): void {
    const over = this.#over;
    this.#over = true;
    this.#transport.onclose?.();
    if (!over) this.onclose?.(new UpstreamError("closed"));
  }
}

/**
 * Returns what the SDKs pass to handlers besides the request: its headers and its sender, and what closes
 * the client's streams.
 */
function extraOf(caller: Caller | undefined): unknown {
  if (caller === undefined) return undefined;
  const { principal, closeStream, closeServerStream } = caller;
  const request = withoutLogin(caller.request);
  const { id, clientId, scopes = [], expiresAt } = principal;
  return {
    request,
    ...closeStream !== undefined && {
      closeSSEStream: closeStream,
      closeStandaloneSSEStream: closeServerStream,
    },
    requestInfo: { headers: Object.fromEntries(request.headers) },
    authInfo: {
      token: "",
      clientId: clientId ?? id,
      scopes: [...scopes],
      ...expiresAt !== undefined && { expiresAt: Math.floor(expiresAt / 1000) },
      extra: { principal },
    },
  };
}
