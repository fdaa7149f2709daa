/**
 * Loads the packages that verify tokens. Each is only needed by who uses that way.
 *
 * @module
 */
import { optional } from "../internal/installed.ts";

/** Returns `jose`, for JWTs. */
export const jose: () => typeof import("jose") = await optional("jose", import("jose"));

/** Returns `oauth4webapi`, for introspection. */
export const oauth4webapi: () => typeof import("oauth4webapi") = await optional(
  "oauth4webapi",
  import("oauth4webapi"),
);
