/**
 * Sends log messages to the client, and answers `logging/setLevel` (2025-11-25, Logging).
 *
 * @module
 */
import { quote } from "../../internal/quote.ts";
import { isPromise, type MaybePromise } from "../../internal/types.ts";
import { ErrorCode, McpError } from "../../protocol/errors.ts";
import type { Exchange } from "../../protocol/exchange.ts";
import type { JsonObject } from "../../protocol/jsonrpc.ts";
import { isAtLeast, isLogLevel, LOG_LEVELS, type LogLevel } from "../../protocol/shapes.ts";
import { isModern } from "../../protocol/versions.ts";
import { kindOf } from "../schemas/kind_of.ts";

const DEFAULT_LEVEL: LogLevel = "info";

/**
 * Sends a log message, if the client wants its level.
 *
 * @throws {TypeError} If the level is unknown
 */
export function log(exchange: Exchange, level: LogLevel, data: unknown, logger?: string): void {
  if (!isLogLevel(level)) throw new TypeError(`Give a log level: ${String(level)}`);
  const least = exchange.logLevel ?? defaultLevel(exchange);
  if (least === undefined || !isAtLeast(level, least)) return;
  const params = logger === undefined ? { level, data } : { level, logger, data };
  exchange.notify({ method: "notifications/message", params });
}

/**
 * Returns the level that applies until the client sets one; `undefined` in the 2026 era, where
 * clients get no log messages that they didn't ask for.
 */
function defaultLevel({ protocolVersion }: Exchange): LogLevel | undefined {
  return isModern(protocolVersion) ? undefined : DEFAULT_LEVEL;
}

/**
 * Answers `logging/setLevel`. Without a session the level can't be kept.
 *
 * @throws {McpError} With -32602, if the level is unknown
 */
export function setLevel(exchange: Exchange): MaybePromise<JsonObject> {
  const { level } = exchange.params;
  if (!isLogLevel(level)) {
    const given = typeof level === "string" ? quote(level) : kindOf(level);
    throw new McpError(
      ErrorCode.InvalidParams,
      `Give one of ${LOG_LEVELS.join(", ")} as "level": ${given}`,
    );
  }
  const kept = exchange.session?.setLogLevel(level);
  return isPromise(kept) ? kept.then(() => ({})) : {};
}
