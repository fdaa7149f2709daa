/**
 * The method gate.
 *
 * @module
 */
import { ErrorCode } from "../../protocol/errors.ts";
import { preflight } from "../cors.ts";
import type { GateSettings } from "./options.ts";
import { refusal, type Report } from "../reply.ts";

/** The methods that mean something to MCP. */
export type Verb = "POST" | "GET" | "DELETE";

/** The method, if it is one of MCP's; else the response: to a preflight, or a refusal. */
export function checkMethod(
  request: Request,
  origin: string | null,
  settings: GateSettings,
  report: Report,
): Verb | Response {
  const { method } = request;
  if (method === "POST" || method === "GET" || method === "DELETE") return method;
  if (method === "OPTIONS" && settings.cors) return preflight(request, origin, settings);
  return refusal({
    status: 405,
    code: ErrorCode.Refused,
    message: `Use one of the methods ${settings.allow}`,
    reason: "method",
    headers: { allow: settings.allow },
  }, report);
}
