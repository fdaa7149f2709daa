/**
 * The 2025 era: a handshake with `initialize`, sessions, resumable streams.
 *
 * @module
 */
import type { EraEndpoint } from "../http/era.ts";
import { deleteSession } from "./delete.ts";
import { get } from "./get.ts";
import type { Era2025Parts } from "./parts.ts";
import { post } from "./post.ts";

/** Makes the endpoint of the era. Without sessions there is nothing to GET or to DELETE. */
export function era2025(parts: Era2025Parts): EraEndpoint {
  if (!parts.sessionful) return { post: (inbound) => post(parts, inbound) };
  return {
    post: (inbound) => post(parts, inbound),
    get: (inbound) => get(parts, inbound),
    delete: (inbound) => deleteSession(parts, inbound),
  };
}
