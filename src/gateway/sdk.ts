/**
 * A server of an official SDK as an upstream, hosted in this process as it is.
 *
 * @module
 */
import { functionOption } from "../internal/check.ts";
import { randomText } from "../internal/random.ts";
import type { MaybePromise } from "../internal/types.ts";
import type { Principal } from "../protocol/exchange.ts";
import type { RequestId } from "../protocol/jsonrpc.ts";
import type { Channel, Message } from "./channel.ts";
import { checkSessionOptions, openSession, type SessionSettings } from "./peer_session.ts";
import type { OpenInit, Upstream, UpstreamCall } from "./types.ts";
import { UpstreamError } from "./upstream_error.ts";

/** What carries messages for a server of an official SDK: what both of their versions expect of it. */
export interface SdkTransport {
  /** Takes what the client says, and who says it. */
  onmessage?: (message: never, extra?: never) => void;
  /** Told when the conversation has ended. */
  onclose?: () => void;
  /** Told of errors. */
  onerror?: (error: Error) => void;
  /** Begins. */
  start(): Promise<void>;
  /** Takes what the server says, and which request it is about. */
  send(message: unknown, options?: { readonly relatedRequestId?: RequestId }): Promise<void>;
  /** Ends the conversation. */
  close(): Promise<void>;
}

/**
 * A server of an official SDK, as far as it is used here: `McpServer` or `Server` of version 1 or 2,
 * or anything else that connects to a transport.
 */
export interface SdkServer {
  /** Begins to serve over a transport. */
  connect(transport: never): Promise<unknown>;
  /** Ends serving. */
  close?(): MaybePromise<unknown>;
}

/** For whom a server is made. */
export interface SdkInit {
  /** Who the session is for. */
  readonly principal: Principal;
  /** The HTTP request in whose course the session begins. */
  readonly request: Request;
}

/**
 * A server of an official SDK as an upstream. It is made anew for every session, so that two clients
 * never share one, and closed at its end.
 *
 * @param factory Makes a server that isn't connected yet
 * @throws {TypeError} If it is no function
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
    throw new TypeError("Give a function that makes a server");
  }
  // Within a process a server asks in the middle of a call, which is the older era's way.
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
  const server = await factory({ principal, request });
  if (typeof server?.connect !== "function") {
    throw new TypeError(`Return a server with connect() from the factory: ${typeof server}`);
  }
  const channel = new SdkChannel(server, principal);
  try {
    signal.throwIfAborted();
    await channel.connect();
  } catch (error) {
    await channel.close();
    throw error;
  }
  return await openSession(channel, init, settings);
}

/** Both ends of a conversation with a server: a channel to the gateway, a transport to the server. */
class SdkChannel implements Channel {
  onmessage: Channel["onmessage"];
  onclose: Channel["onclose"];
  /** What a server sends by itself, and not by way of a request, says not what it is about. */
  readonly unlabelled = true;
  readonly #server: SdkServer;
  readonly #principal: Principal;
  readonly #transport: SdkTransport;
  #over = false;
  #closed: Promise<void> | undefined;

  constructor(server: SdkServer, principal: Principal) {
    this.#server = server;
    this.#principal = principal;
    this.#transport = {
      start: async () => {},
      send: async (message, options) => {
        if (this.#over) throw new Error("Not connected");
        this.onmessage?.(message, options?.relatedRequestId);
      },
      close: async () => this.#ended(),
    };
  }

  async connect(): Promise<void> {
    // It has everything that the transports of both versions have.
    await this.#server.connect(this.#transport as never);
  }

  send(message: Message, call?: UpstreamCall): void {
    if (this.#over) throw new UpstreamError("closed");
    // Each version knows its own message types, and both check what they get.
    this.#transport.onmessage?.(message as never, this.#about(call) as never);
  }

  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#over = true;
    if (this.#server.close === undefined) this.#transport.onclose?.();
    else await this.#server.close();
  }

  /** The server ended the conversation. */
  #ended(): void {
    const over = this.#over;
    this.#over = true;
    this.#transport.onclose?.();
    if (!over) this.onclose?.(new UpstreamError("closed"));
  }

  /** What the SDKs tell handlers of a request: its headers, and who sends it. */
  #about(call: UpstreamCall | undefined): unknown {
    if (call === undefined) return undefined;
    const { id, clientId, scopes = [], expiresAt } = this.#principal;
    const principal = this.#principal;
    return {
      request: call.request,
      requestInfo: { headers: Object.fromEntries(call.request.headers) },
      authInfo: {
        token: "",
        clientId: clientId ?? id,
        scopes: [...scopes],
        ...expiresAt !== undefined && { expiresAt: Math.floor(expiresAt / 1000) },
        extra: { principal },
      },
    };
  }
}
