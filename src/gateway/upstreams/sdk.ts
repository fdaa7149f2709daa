/**
 * Hosts an unmodified server of an official SDK in this process as an upstream.
 *
 * @module
 */
import { functionOption } from "../../internal/check.ts";
import { randomText } from "../../internal/random.ts";
import type { MaybePromise } from "../../internal/types.ts";
import type { Principal } from "../../protocol/exchange.ts";
import type { RequestId } from "../../protocol/jsonrpc.ts";
import { openSession } from "../client/open_session.ts";
import { checkSessionOptions, type SessionSettings } from "../client/session_options.ts";
import type { Message, Transport } from "../client/transport.ts";
import { withoutLogin } from "../shared/login.ts";
import { UpstreamError } from "../shared/upstream_error.ts";
import type { Caller, OpenInit, Upstream } from "../types.ts";

/** Carries messages for a server of an official SDK, as versions 1 and 2 both expect. */
export interface ServerTransport {
  /** Takes a message of the client, and who sent it. */
  onmessage?: (message: never, extra?: never) => void;
  /** Called when the connection has ended. */
  onclose?: () => void;
  /** Takes errors. */
  onerror?: (error: Error) => void;
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

/** Describes the session that a server is created for. */
export interface SdkInit {
  /**
   * Identifies the session's owner, with the rights of the request that opens the session. What a later
   * call may do is told by its own `authInfo`.
   */
  readonly principal: Principal;
  /** Holds the HTTP request that caused the session to open, without the client's login. */
  readonly request: Request;
}

/**
 * Creates an upstream from a server of an official SDK. Every session gets its own server, which is
 * closed with the session.
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
 */
export function sdk(factory: (init: SdkInit) => MaybePromise<SdkServer>): Upstream {
  if (functionOption("factory", factory) === undefined) {
    throw new TypeError("Give a function that creates a server: undefined");
  }
  // Within a process a server asks during a call, as in the 2025 era.
  const settings = checkSessionOptions({
    versions: ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"],
  });
  return {
    kind: "sdk",
    identity: randomText(22),
    open: (init) => open(factory, init, settings),
  };
}

async function open(
  factory: Parameters<typeof sdk>[0],
  init: OpenInit,
  settings: SessionSettings,
): ReturnType<Upstream["open"]> {
  const { principal, request, signal } = init;
  const server = await factory({ principal, request: withoutLogin(request) });
  if (typeof server?.connect !== "function") {
    throw new TypeError(`Return a server with connect() from the factory: ${typeof server}`);
  }
  const transport = new SdkTransport(server);
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

  constructor(server: SdkServer) {
    this.#server = server;
    this.#transport = {
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

/** Returns what the SDKs pass to handlers besides the request: its headers and its sender. */
function extraOf(caller: Caller | undefined): unknown {
  if (caller === undefined) return undefined;
  const { principal } = caller;
  const request = withoutLogin(caller.request);
  const { id, clientId, scopes = [], expiresAt } = principal;
  return {
    request,
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
