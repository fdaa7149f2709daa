/**
 * Loads the official client.
 *
 * @module
 */
import { installed } from "../internal/installed.ts";

/** The package of the official client. */
export const official: typeof import("@modelcontextprotocol/client") = await installed(
  "@modelcontextprotocol/client",
  import("@modelcontextprotocol/client"),
);
