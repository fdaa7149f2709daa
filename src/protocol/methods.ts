/**
 * The methods of MCP and what is to be known about each.
 *
 * @module
 */
import type { Era } from "./versions.ts";

/** What is to be known about a method. */
export interface MethodFacts {
  /** The eras that have it. */
  readonly eras: readonly Era[];
  /** Who sends it. */
  readonly from: "client" | "server" | "both";
  /** Whether it expects an answer. */
  readonly kind: "request" | "notification";
  /** The server capability that it belongs to, levels separated by a dot. */
  readonly serverCapability?: string;
  /** The client capability that it needs, levels separated by a dot. */
  readonly clientCapability?: string;
}

const both: readonly Era[] = ["2025", "2026"];
const old: readonly Era[] = ["2025"];
const modern: readonly Era[] = ["2026"];

function ask(eras: readonly Era[], serverCapability?: string): MethodFacts {
  return { eras, from: "client", kind: "request", serverCapability };
}
function question(clientCapability: string): MethodFacts {
  return { eras: both, from: "server", kind: "request", clientCapability };
}
function tell(eras: readonly Era[], from: MethodFacts["from"], capability?: string): MethodFacts {
  return { eras, from, kind: "notification", serverCapability: capability };
}

/** Every method that Mooring knows. */
export const METHODS: Readonly<Record<string, MethodFacts>> = {
  "initialize": ask(old),
  "ping": { ...ask(old), from: "both" },
  "server/discover": ask(modern),
  "tools/list": ask(both, "tools"),
  "tools/call": ask(both, "tools"),
  "resources/list": ask(both, "resources"),
  "resources/templates/list": ask(both, "resources"),
  "resources/read": ask(both, "resources"),
  "resources/subscribe": ask(old, "resources.subscribe"),
  "resources/unsubscribe": ask(old, "resources.subscribe"),
  "prompts/list": ask(both, "prompts"),
  "prompts/get": ask(both, "prompts"),
  "completion/complete": ask(both, "completions"),
  "logging/setLevel": ask(old, "logging"),
  "subscriptions/listen": ask(modern),
  "roots/list": question("roots"),
  "sampling/createMessage": question("sampling"),
  "elicitation/create": question("elicitation"),
  "notifications/initialized": tell(old, "client"),
  "notifications/cancelled": tell(both, "both"),
  "notifications/progress": tell(both, "both"),
  "notifications/roots/list_changed": tell(old, "client"),
  "notifications/message": tell(both, "server", "logging"),
  "notifications/tools/list_changed": tell(both, "server", "tools.listChanged"),
  "notifications/prompts/list_changed": tell(both, "server", "prompts.listChanged"),
  "notifications/resources/list_changed": tell(both, "server", "resources.listChanged"),
  "notifications/resources/updated": tell(both, "server", "resources.subscribe"),
  "notifications/elicitation/complete": tell(both, "server"),
};

/** What is known about a method, or `undefined`. */
export function methodFacts(method: string): MethodFacts | undefined {
  return Object.hasOwn(METHODS, method) ? METHODS[method] : undefined;
}

/** The methods of the 2026 era whose results may be kept (2026-07-28, Caching). */
export const CACHEABLE: ReadonlySet<string> = new Set([
  "server/discover",
  "tools/list",
  "prompts/list",
  "resources/list",
  "resources/templates/list",
  "resources/read",
]);
