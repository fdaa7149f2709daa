/**
 * The envelope gate: the JSON is one JSON-RPC message, or a batch of them.
 *
 * @module
 */
import { isResponse } from "../../internal/whole.ts";
import { ErrorCode } from "../../protocol/errors.ts";
import type { RefusalReason } from "../../protocol/events.ts";
import { type Classified, messageKind } from "../../protocol/jsonrpc.ts";
import type { Accepts } from "./accept.ts";
import { refusal, type Report } from "../reply.ts";

/** A POST that passed every gate: one message, or a batch of at least one. */
export type PassedPost =
  & {
    readonly verb: "POST";
    readonly json: boolean;
    readonly sse: boolean;
    /** How many characters the body has. */
    readonly length: number;
  }
  & (
    | (Classified & { readonly batch?: undefined })
    | { readonly kind: "batch"; readonly batch: readonly Classified[] }
  );

/**
 * Lets messages through, in their types. Whether the client may send a batch is decided where its
 * version is known.
 *
 * @param length How many characters the body has
 */
export function checkEnvelope(
  value: unknown,
  length: number,
  { json, sse }: Accepts,
  maxBatch: number,
  report: Report,
): PassedPost | Response {
  if (Array.isArray(value)) {
    const batch = checkBatch(value, maxBatch, report);
    return isResponse(batch) ? batch : { verb: "POST", json, sse, length, kind: "batch", batch };
  }
  const kind = messageKind(value);
  if (kind === undefined) {
    return invalid("Send a JSON-RPC 2.0 request, notification or response", "envelope", report);
  }
  // `messageKind` looked at everything that the message's type promises.
  return { verb: "POST", json, sse, length, kind, message: value } as PassedPost;
}

function checkBatch(
  values: readonly unknown[],
  maxBatch: number,
  report: Report,
): readonly Classified[] | Response {
  if (values.length === 0) return invalid("Send at least one message", "batch", report);
  if (values.length > maxBatch) {
    const message = `Send fewer messages, or raise the option limits.batch: ${maxBatch}`;
    return invalid(message, "batch", report);
  }
  const batch: Classified[] = [];
  for (const value of values) {
    const kind = messageKind(value);
    if (kind === undefined) {
      const message = `Send JSON-RPC 2.0 messages only, unlike this one: ${batch.length}`;
      return invalid(message, "envelope", report);
    }
    // `messageKind` looked at everything that the message's type promises.
    batch.push({ kind, message: value } as Classified);
  }
  return batch;
}

function invalid(message: string, reason: RefusalReason, report: Report): Response {
  return refusal({ status: 400, code: ErrorCode.InvalidRequest, message, reason }, report);
}
