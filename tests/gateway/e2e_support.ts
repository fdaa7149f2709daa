/**
 * Gateways on a port of their own, and the official clients that drive them.
 *
 * @module
 */
import { type Gateway, gateway, type GatewayOptions } from "../../src/gateway/mod.ts";
import type { McpHandlerOptions } from "../../src/handler/types.ts";
import type { McpEvent } from "../../src/protocol/events.ts";
import type { RunningServer } from "../../src/adapters/running_server.ts";
import type { ClientKind, Connected } from "../clients/client.ts";
import { sdkV1 } from "../clients/sdk_v1.ts";
import { sdkV2, sdkV2Auto } from "../clients/sdk_v2.ts";
import { serve } from "../runtimes/runtime.ts";
import { as, byToken } from "../support/wire.ts";

/** The official clients: version 1, and version 2 in either era. */
export const KINDS: readonly ClientKind[] = [sdkV1, sdkV2, sdkV2Auto];

/** A gateway that is served by the runtime's own server. */
export interface Served {
  readonly gw: Gateway;
  readonly server: RunningServer;
  readonly url: string;
  readonly events: McpEvent[];
  /** Connects a client in somebody's name. */
  connect(kind: ClientKind, who?: string): Promise<Connected>;
}

/** Serves a gateway for as long as `work` takes. */
export async function served(
  upstreams: GatewayOptions["upstreams"],
  work: (served: Served) => Promise<void>,
  options: McpHandlerOptions & { readonly gateway?: Omit<GatewayOptions, "upstreams"> } = {},
): Promise<void> {
  const { gateway: more, ...rest } = options;
  const gw = gateway({ upstreams, ...more });
  const events: McpEvent[] = [];
  const server = await serve(gw, {
    port: 0,
    signals: false,
    graceMs: 0,
    authenticate: byToken,
    onEvent: (event) => events.push(event),
    ...rest,
  });
  const { url } = server;
  const connect = (kind: ClientKind, who = "alice") => kind.connect({ url, headers: as(who) });
  try {
    await work({ gw, server, url, events, connect });
  } finally {
    await server.close();
    await gw.close();
  }
}

/** Waits until something is so. */
export async function until(
  found: () => boolean | Promise<boolean>,
  what: string,
  ms = 10_000,
): Promise<void> {
  const end = Date.now() + ms;
  while (!await found()) {
    if (Date.now() > end) throw new Error(`Not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
