/**
 * An endpoint whose users gain and lose scopes between two requests.
 *
 * @module
 */
import { Unauthorized } from "../../src/auth/errors.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandler, McpHandlerOptions } from "../../src/handler/types.ts";
import type { Dispatcher, Principal } from "../../src/protocol/exchange.ts";
import { McpServer } from "../../src/server/server.ts";
import { tasks } from "../../src/tasks/mod.ts";
import { dispatch } from "../../src/protocol/route.ts";

/** The scopes of each user at this moment. */
export class Rights {
  readonly #scopes: Record<string, readonly string[]>;

  constructor(scopes: Record<string, readonly string[]>) {
    this.#scopes = scopes;
  }

  /** Changes what a user may do from now on. */
  give(user: string, ...scopes: string[]): void {
    this.#scopes[user] = scopes;
  }

  readonly authenticate = ({ headers }: Request): Principal => {
    const id = /^Bearer (\w+)$/.exec(headers.get("authorization") ?? "")?.[1] ?? "";
    const scopes = this.#scopes[id];
    if (scopes === undefined) throw new Unauthorized();
    return { id, scopes: [...scopes] };
  };

  /** Serves a dispatcher to these users. */
  serve(dispatcher: Dispatcher, options: McpHandlerOptions = {}): McpHandler {
    return createMcpHandler(dispatcher, { authenticate: this.authenticate, ...options });
  }
}

/** A server that everybody may read, and few may write. */
export class Notes extends McpServer {
  /** Who wrote. */
  readonly written: string[] = [];

  constructor() {
    super({ name: "notes", version: "1.0.0" });
    this.use(tasks());
    this.registerTool("read", { scopes: ["read"] }, () => "Read");
    this.registerTool("write", { scopes: ["read", "write"], task: "optional" }, (_args, ctx) => {
      this.written.push(ctx.principal.id);
      return "Written";
    });
    this.registerTool("ask", { scopes: ["write"] }, async (_args, ctx) => {
      const { action } = await ctx.elicit("sure", {
        message: "Sure?",
        schema: { type: "object", properties: {} },
      });
      this.written.push(`${ctx.principal.id} ${action}`);
      return "Written";
    });
    this.registerTool("rights", {}, (_args, ctx) => (ctx.principal.scopes ?? []).join(" "));
  }
}

/** A dispatcher that says nothing about scopes before it is called. */
export function withoutScopes(dispatcher: Dispatcher): Dispatcher {
  const { listChanged, pinned, serverInfo } = dispatcher;
  return {
    ...{ listChanged, pinned, serverInfo },
    route: (message, principal) => {
      const { scopes: _, ...route } = dispatcher.route(message, principal);
      return { ...route, run: (exchange) => dispatch(dispatcher, exchange) };
    },
    notified: (exchange) => dispatcher.notified?.(exchange),
    attach: (host) => dispatcher.attach?.(host) ?? (() => {}),
    sessionEnded: (id, reason) => dispatcher.sessionEnded?.(id, reason),
  };
}
