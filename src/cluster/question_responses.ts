/**
 * Settles questions with the responses of clients, on any node.
 *
 * @module
 */
import { askerOf } from "../calls/questions/questions.ts";
import { shortHash } from "../internal/random.ts";
import type { MaybePromise } from "../internal/types.ts";
import type { JsonRpcResponse } from "../protocol/jsonrpc.ts";
import type { Reporter } from "../protocol/reporter.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { NodeMessage } from "./messages/messages.ts";

/** What reaches the node that has asked. */
interface OtherNodes {
  /** This node's id; `undefined` if it is the only one. */
  readonly node: string | undefined;
  /** Sends a message to one other node. Returns `false` if that node certainly doesn't receive it. */
  send(to: string, message: NodeMessage): MaybePromise<boolean>;
}

/** Settles the question that a client's response belongs to. Reports an event if there is none. */
export function settleResponse(
  nodes: OtherNodes,
  sessions: Sessions,
  reporter: Reporter,
  id: string,
  response: JsonRpcResponse,
): void {
  const session = sessions.live.get(id);
  if (session !== undefined && session.openQuestions > 0 && session.questions.settle(response)) {
    return;
  }
  const unmatched = () => {
    if (reporter.enabled) reporter.report({ type: "reply-unmatched", session: shortHash(id) });
  };
  // The id contains the asking node only if there are other nodes.
  const asker = askerOf(response.id);
  if (asker === undefined || asker === nodes.node) return unmatched();
  reporter.background("forwarding a reply", async () => {
    const message = { kind: "response", session: id, response } as const;
    if (!await nodes.send(asker, message)) unmatched();
  });
}
