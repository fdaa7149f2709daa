/**
 * Lists the methods of MCP and the facts about each.
 *
 * @module
 */
import type { Era } from "./versions.ts";

/** The facts about one method. */
export interface MethodFacts {
  /** The eras that have the method. */
  readonly eras: readonly Era[];
  /** Who sends it. */
  readonly from: "client" | "server" | "both";
  /** Whether it expects a response (`"request"`). */
  readonly kind: "request" | "notification";
  /** The server capability that it belongs to, levels separated by a dot. */
  readonly serverCapability?: string;
  /** The client capability that it needs, levels separated by a dot. */
  readonly clientCapability?: string;
  /** Whether clients of the 2026 era may cache its result (2026-07-28, Caching). */
  readonly cacheable?: boolean;
  /**
   * Says whether the server may ask the client for input before it responds (2026-07-28, Multi
   * Round-Trip Requests).
   */
  readonly asks?: boolean;
  /** The name of the parameter that the `Mcp-Name` header repeats; see {@linkcode nameParam}. */
  readonly nameParam?: NameParam;
}

/** The name of a parameter that says what a request is about: a tool or prompt, a resource, or a task. */
export type NameParam = "name" | "uri" | "taskId";

const both: readonly Era[] = ["2025", "2026"];
const old: readonly Era[] = ["2025"];
const modern: readonly Era[] = ["2026"];

function fromClient(
  eras: readonly Era[],
  serverCapability?: string,
  more?: Pick<MethodFacts, "cacheable" | "asks" | "nameParam">,
): MethodFacts {
  return { eras, from: "client", kind: "request", serverCapability, ...more };
}
function fromServer(clientCapability: string): MethodFacts {
  return { eras: both, from: "server", kind: "request", clientCapability };
}
function notification(
  eras: readonly Era[],
  from: MethodFacts["from"],
  serverCapability?: string,
): MethodFacts {
  return { eras, from, kind: "notification", serverCapability };
}

const cacheable = { cacheable: true };

/** The facts about every method that Mooring knows, by the method's name. */
export const METHODS: Readonly<Record<string, MethodFacts>> = {
  "initialize": fromClient(old),
  "ping": { ...fromClient(old), from: "both" },
  "server/discover": fromClient(modern, undefined, cacheable),
  "tools/list": fromClient(both, "tools", cacheable),
  "tools/call": fromClient(both, "tools", { asks: true, nameParam: "name" }),
  "resources/list": fromClient(both, "resources", cacheable),
  "resources/templates/list": fromClient(both, "resources", cacheable),
  "resources/read": fromClient(both, "resources", {
    cacheable: true,
    asks: true,
    nameParam: "uri",
  }),
  "resources/subscribe": fromClient(old, "resources.subscribe"),
  "resources/unsubscribe": fromClient(old, "resources.subscribe"),
  "prompts/list": fromClient(both, "prompts", cacheable),
  "prompts/get": fromClient(both, "prompts", { asks: true, nameParam: "name" }),
  "completion/complete": fromClient(both, "completions"),
  "logging/setLevel": fromClient(old, "logging"),
  "subscriptions/listen": fromClient(modern),
  "roots/list": fromServer("roots"),
  "sampling/createMessage": fromServer("sampling"),
  "elicitation/create": fromServer("elicitation"),
  "notifications/initialized": notification(old, "client"),
  "notifications/cancelled": notification(both, "both"),
  "notifications/progress": notification(both, "both"),
  "notifications/roots/list_changed": notification(old, "client"),
  "notifications/message": notification(both, "server", "logging"),
  "notifications/tools/list_changed": notification(both, "server", "tools.listChanged"),
  "notifications/prompts/list_changed": notification(both, "server", "prompts.listChanged"),
  "notifications/resources/list_changed": notification(both, "server", "resources.listChanged"),
  "notifications/resources/updated": notification(both, "server", "resources.subscribe"),
  "notifications/elicitation/complete": notification(both, "server"),
};

/** Returns the facts about a method, or `undefined` for an unknown one. */
export function methodFacts(method: string): MethodFacts | undefined {
  return Object.hasOwn(METHODS, method) ? METHODS[method] : undefined;
}

/** The methods whose results clients of the 2026 era may cache (2026-07-28, Caching). */
export const CACHEABLE: ReadonlySet<string> = new Set(
  Object.keys(METHODS).filter((method) => methodFacts(method)?.cacheable),
);

/** The names of the parameters of methods that extensions answer (Tasks extension, Routing Headers). */
const EXTENSION_NAME_PARAMS: Readonly<Record<string, NameParam>> = {
  "tasks/get": "taskId",
  "tasks/update": "taskId",
  "tasks/cancel": "taskId",
};

/**
 * Returns the name of the parameter that the `Mcp-Name` header repeats, or `undefined` for a method
 * that has none (2026-07-28, Streamable HTTP, Request Metadata).
 */
export function nameParam(method: string): NameParam | undefined {
  if (Object.hasOwn(EXTENSION_NAME_PARAMS, method)) return EXTENSION_NAME_PARAMS[method];
  return methodFacts(method)?.nameParam;
}
