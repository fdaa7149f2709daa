/**
 * Implements the JSON-RPC gate: the body must be one JSON-RPC message, or a batch of them, whose ids and
 * other texts that are kept are not too long.
 *
 * @module
 */
import { ErrorCode } from "../../protocol/errors.ts";
import type { RefusalReason } from "../../protocol/events.ts";
import { type Classified, messageKind, type RequestId } from "../../protocol/jsonrpc.ts";
import { findTooLong, isShort } from "../../protocol/lengths.ts";
import type { Inbound } from "../inbound.ts";
import { type Refusal, refusal } from "../reply.ts";

/**
 * Fills in the messages of a POST, or refuses a body that is not JSON-RPC. Whether a batch is allowed is
 * checked later, when the protocol version is known.
 */
export function checkJsonRpc(
  inbound: Inbound,
  value: unknown,
  maxBatch: number,
): Refusal | undefined {
  if (Array.isArray(value)) return checkBatch(inbound, value, maxBatch);
  const message = classify(value);
  if (message === undefined) {
    return invalid("Send a JSON-RPC 2.0 request, notification or response", "envelope");
  }
  const refused = checkLengths(inbound, message);
  if (refused !== undefined) return refused;
  inbound.content = message;
  return undefined;
}

function checkBatch(
  inbound: Inbound,
  values: readonly unknown[],
  maxBatch: number,
): Refusal | undefined {
  if (values.length === 0) return invalid("Send at least one message", "batch");
  if (values.length > maxBatch) {
    const message = `Send fewer messages, or raise the option limits.batch: ${maxBatch}`;
    return invalid(message, "batch");
  }
  const batch: Classified[] = [];
  for (const value of values) {
    const message = classify(value);
    if (message === undefined) {
      return invalid(`Send JSON-RPC 2.0 messages only, not like entry ${batch.length}`, "envelope");
    }
    const refused = checkLengths(inbound, message, null);
    if (refused !== undefined) return refused;
    batch.push(message);
  }
  inbound.content = { kind: "batch", batch };
  return undefined;
}

/**
 * Refuses a message with a text that is too long.
 *
 * @param id The id in the response; when left out, that of a request
 */
function checkLengths(
  { bodyLength }: Inbound,
  one: Classified,
  id: RequestId | null = one.kind === "request" ? one.message.id : null,
): Refusal | undefined {
  const long = isShort(bodyLength) ? undefined : findTooLong(one);
  if (long === undefined) return undefined;
  const { member, most } = long;
  return refusal({
    status: 400,
    code: member.startsWith("params.") ? ErrorCode.InvalidParams : ErrorCode.InvalidRequest,
    message: `Send a shorter "${member}", of at most this many bytes: ${most}`,
    reason: "length",
    id: member === "id" ? null : id,
  });
}

function classify(value: unknown): Classified | undefined {
  const kind = messageKind(value);
  // `messageKind` has checked all members of the type.
  return kind === undefined ? undefined : { kind, message: value } as Classified;
}

function invalid(message: string, reason: RefusalReason): Refusal {
  return refusal({ status: 400, code: ErrorCode.InvalidRequest, message, reason });
}
