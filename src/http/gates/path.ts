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

/** Refuses a request to another path. */
export function checkPath(path: string, settings: GateSettings): Refusal | undefined {
  if (settings.path === undefined || path === settings.path) return undefined;
  const message = "Use the path that the endpoint is served under";
  return refusal({ status: 404, code: ErrorCode.Refused, message, reason: "path" });
}
