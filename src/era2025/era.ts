/**
 * Implements the 2025 era: the handshake with `initialize`, sessions, and resumable streams.
 *
 * @module
 */
import type { EraEndpoint } from "../http/era.ts";
import { deleteSession } from "./delete.ts";
import { get } from "./get.ts";
import type { Era2025Components } from "./components.ts";
import { post } from "./post.ts";

/** Creates the endpoint of the era. Without sessions it has no GET and no DELETE. */
export function era2025(components: Era2025Components): EraEndpoint {
  if (!components.sessionful) return { post: (inbound) => post(components, inbound) };
  return {
    post: (inbound) => post(components, inbound),
    get: (inbound) => get(components, inbound),
    delete: (inbound) => deleteSession(components, inbound),
  };
}
