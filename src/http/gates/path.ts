/**
 * Implements the path gate: only the path of the option `path` is served.
 *
 * @module
 */
import { ErrorCode } from "../../protocol/errors.ts";
import { type Refusal, refusal } from "../reply.ts";
import type { GateSettings } from "./options.ts";

/** Returns the path of an absolute URL as written, without query and fragment. */
export function pathOf(url: string): string {
  const authority = url.indexOf("://") + 3;
  let end = url.indexOf("?", authority);
  const fragment = url.indexOf("#", authority);
  if (end === -1 || (fragment !== -1 && fragment < end)) end = fragment;
  if (end === -1) end = url.length;
  const start = url.indexOf("/", authority);
  return start === -1 || start >= end ? "/" : url.slice(start, end);
}

/** Refuses a request to another path. A slash at the end makes no difference: clients and proxies add it. */
export function checkPath(path: string, settings: GateSettings): Refusal | undefined {
  if (settings.path === undefined || isSamePath(path, settings.path)) return undefined;
  return wrongPath(settings.path);
}

/** Tells whether two paths are the same but for a slash at the end. */
export function isSamePath(path: string, other: string): boolean {
  return path === other || withoutEndSlash(path) === withoutEndSlash(other);
}

function withoutEndSlash(path: string): string {
  return path.endsWith("/") ? path.slice(0, -1) : path;
}

/** Refuses a request to a path that nothing is served under, and names the right one. */
export function wrongPath(path: string): Refusal {
  const message = `Not found: the MCP endpoint is at ${path}`;
  return refusal({ status: 404, code: ErrorCode.Refused, message, reason: "path" });
}
