/**
 * Settles questions with the responses of clients, on any node.
 *
 * @module
 */
import { askerOf } from "../calls/questions.ts";
import { shortHash } from "../internal/random.ts";
import type { JsonRpcResponse } from "../protocol/jsonrpc.ts";
import type { Reporter } from "../protocol/reporter.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { Cluster } from "./cluster.ts";

/** Settles the question that a client's response belongs to. Reports an event if there is none. */
export function settleResponse(
  cluster: Cluster,
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
  if (asker === undefined || asker === cluster.node) return unmatched();
  reporter.background("forwarding a reply", async () => {
    const message = { kind: "response", session: id, response } as const;
    if (!await cluster.messenger.send(asker, message)) unmatched();
  });
}
