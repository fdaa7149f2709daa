/**
 * What a server tells of what it can do.
 *
 * @module
 */
import type { JsonObject } from "../protocol/jsonrpc.ts";
import type { ServerCapabilities } from "../protocol/shapes.ts";
import { compact } from "./definition.ts";

/** What is served is what is advertised. */
export function capabilitiesOf(
  /** Whether a method is served. */
  serves: (method: string) => boolean,
  /** What is said beyond the protocol's own. */
  { experimental, extensions }: ServerCapabilities,
  /** The extensions in use, where the client may know of them. */
  used: JsonObject | undefined,
): ServerCapabilities {
  const changes = { listChanged: true };
  const subscribe = serves("resources/subscribe") ? { subscribe: true } : {};
  return compact({
    tools: serves("tools/list") ? changes : undefined,
    resources: serves("resources/list") ? { ...subscribe, ...changes } : undefined,
    prompts: serves("prompts/list") ? changes : undefined,
    completions: serves("completion/complete") ? {} : undefined,
    logging: serves("logging/setLevel") ? {} : undefined,
    experimental,
    extensions: used === undefined ? extensions : { ...extensions, ...used },
  });
}
