/**
 * Tells whose fault it is that the request after `initialize` has no session.
 *
 * @module
 */
import { isObject } from "../../kit.ts";
import { blame, exposes, type Suspicion } from "./blame.ts";
import type { HttpAnswer, NoHttpAnswer } from "./exchange.ts";
import { failed, type StepVerdict } from "./finding.ts";
import type { ProbeTarget, Visit } from "./visit.ts";

const HEADER = "mcp-session-id";

/**
 * Says who loses the session.
 *
 * @param says What was seen
 * @param answer The answer to the request that should have been in the session
 */
export async function explainLostSession(
  visit: Visit,
  says: string,
  answer: HttpAnswer,
  clause: string,
): Promise<StepVerdict> {
  const suspicion = visit.session === undefined ? notGiven(visit) : notTaken(visit, answer);
  const { whose, because, fix } = await blame(visit, suspicion);
  return failed(whose, `${says}${because}`, fix, clause);
}

/** The answer to `initialize` had no session, and the server asks for one. */
function notGiven(visit: Visit): Suspicion {
  return {
    server: "send Mcp-Session-Id with the result of initialize, or ask for none",
    proxy:
      "remove proxy_hide_header Mcp-Session-Id (nginx) or header_down -Mcp-Session-Id (Caddy), or " +
      "what else keeps it from clients",
    async worksAt(target) {
      const begun = await begin(visit, target);
      if (begun === undefined) return undefined;
      await end(visit, target, begun);
      return begun.id !== undefined;
    },
    async proof() {
      const { url, headers, origin } = visit.init;
      const answer = await visit.initialize({ url, headers: { ...headers, origin } });
      return answer.status === 200 && exposes(answer, HEADER) && !answer.headers.has(HEADER)
        ? "the server tells pages to read Mcp-Session-Id there"
        : undefined;
    },
  };
}

/** The session that `initialize` gave isn't known. */
function notTaken(visit: Visit, answer: HttpAnswer): Suspicion {
  return {
    server: "read Mcp-Session-Id, and share sessions where there are several processes",
    proxy:
      'remove proxy_set_header Mcp-Session-Id "" (nginx) or header_up -Mcp-Session-Id (Caddy), and ' +
      "send one client's requests to one process",
    async worksAt(target) {
      const begun = await begin(visit, target);
      if (begun?.id === undefined) return undefined;
      const answer = await visit.request("ping", {}, begun.headers, target);
      await end(visit, target, begun);
      return answer.status === 200;
    },
    async proof() {
      const none = await visit.withoutSession(() => visit.request("ping"));
      const isSame = none.status === answer.status && errorIn(none) === errorIn(answer);
      return isSame && /session-id/i.test(errorIn(answer)) &&
          /\b(required|missing|send|lacks?|without|no|needs?)\b/i.test(errorIn(answer))
        ? `the header was sent: the answer is the same without it, "${errorIn(answer)}"`
        : undefined;
    },
  };
}

/** A session that was begun elsewhere. */
interface BegunSession {
  readonly id: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

/** Begins a session at another URL; `undefined` if the server there doesn't. */
async function begin(visit: Visit, target: ProbeTarget): Promise<BegunSession | undefined> {
  const answer = await visit.withoutSession(() => visit.initialize(target));
  if (answer.status !== 200) return undefined;
  const id = answer.headers.get(HEADER) ?? undefined;
  return {
    id,
    headers: id === undefined ? {} : { [HEADER]: id, "mcp-protocol-version": visit.version },
  };
}

async function end(visit: Visit, target: ProbeTarget, { id, headers }: BegunSession) {
  if (id === undefined) return;
  const { url, headers: own } = target;
  await visit.fetch(url, { method: "DELETE", headers: { ...own, ...headers } });
}

function errorIn(answer: HttpAnswer | NoHttpAnswer): string {
  if (answer.status === undefined) return "";
  const error = answer.message?.["error"];
  return isObject(error) && typeof error["message"] === "string" ? error["message"] : answer.text;
}
