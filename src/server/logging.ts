/**
 * Log messages to the client, and the level from which on it wants them.
 *
 * @module
 */
import type { MaybePromise } from "../internal/types.ts";
import { isPromise } from "../internal/types.ts";
import { ErrorCode, McpError } from "../protocol/errors.ts";
import type { Exchange } from "../protocol/exchange.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import { LOG_LEVELS, type LogLevel } from "../protocol/shapes.ts";
import { VERSIONS } from "../protocol/versions.ts";
import { quote } from "./issues.ts";
import { kindOf } from "./result.ts";

const DEFAULT_LEVEL: LogLevel = "info";

const RANKS: ReadonlyMap<unknown, number> = new Map(LOG_LEVELS.map((level, rank) => [level, rank]));

/** Sends a log message, if the client wants it. */
export function log(exchange: Exchange, level: LogLevel, data: unknown, logger?: string): void {
  const rank = RANKS.get(level);
  if (rank === undefined) throw new TypeError(`Give a level of log message: ${String(level)}`);
  const wanted = RANKS.get(exchange.logLevel ?? defaultLevel(exchange));
  if (wanted === undefined || rank < wanted) return;
  const params = logger === undefined ? { level, data } : { level, logger, data };
  exchange.notify({ method: "notifications/message", params });
}

/** The level until the client asks for one; in the 2026 era it gets nothing it didn't ask for. */
function defaultLevel({ protocolVersion }: Exchange): LogLevel | undefined {
  return VERSIONS[protocolVersion].era === "2025" ? DEFAULT_LEVEL : undefined;
}

/** Answers `logging/setLevel`. Without a session there is nowhere to keep the level. */
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

function isLogLevel(value: unknown): value is LogLevel {
  return RANKS.has(value);
}
