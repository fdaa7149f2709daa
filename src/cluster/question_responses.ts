/**
 * Hands a client's reply to the question that it answers, on whatever node that was asked.
 *
 * @module
 */
import { askerOf } from "../calls/questions.ts";
import { shortHash } from "../internal/random.ts";
import type { JsonRpcResponse } from "../protocol/jsonrpc.ts";
import type { Reporter } from "../protocol/reporter.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { Cluster } from "./cluster.ts";

/** Settles the question of a session that a reply answers; an unmatched reply becomes an event. */
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
  // Only where there are other nodes does the id name the node that asked.
  const asker = askerOf(response.id);
  if (asker === undefined || asker === cluster.node) return unmatched();
  reporter.background("forwarding a reply", async () => {
    const message = { kind: "response", session: id, response } as const;
    if (!await cluster.messenger.send(asker, message)) unmatched();
  });
}
