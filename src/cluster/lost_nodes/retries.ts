/**
 * Begins requests again whose node died: calls of tools that allow it. What that needs is kept encrypted
 * with the stream of the answer, only while such a call runs.
 *
 * @module
 */
import type { Calls } from "../../calls/calls.ts";
import type { StateBinding } from "../../calls/state/state.ts";
import { checkJsonRpc } from "../../http/gates/jsonrpc.ts";
import { Inbound } from "../../http/inbound.ts";
import { internalError } from "../../http/refusals.ts";
import type { Reply } from "../../http/reply.ts";
import { reportRefusal } from "../../http/respond.ts";
import type { Clock } from "../../internal/clock.ts";
import { RecentKeys } from "../../internal/recent_keys.ts";
import type { MaybePromise } from "../../internal/types.ts";
import { errorText } from "../../protocol/errors.ts";
import type { Reporter } from "../../protocol/reporter.ts";
import { ContinuedReply, type ContinuedStream, progressOf } from "../../streams/continued_reply.ts";
import type { ReplyStream } from "../../streams/reply_stream.ts";
import type { Streams, StreamSession } from "../../streams/streams.ts";
import type { StoredRun } from "../../streams/types.ts";
import { NODE_LOST } from "../../protocol/node_loss.ts";
import { readSender, writeSender } from "../forwarding/sender.ts";

/**
 * The maximum number of characters of a message that is kept; the call of a longer one is not begun again.
 */
const MOST_CHARS = 65_536;
/** The time after which a request is not begun again, in milliseconds. */
const KEPT_MS = 24 * 60 * 60 * 1_000;
/** The number of later requests after which one that was begun again may be forgotten. */
const MOST_BEGUN = 10_000;

/** Options for {@linkcode Retries}. */
export interface RetriesInit {
  /** This node's id. */
  readonly node: string;
  readonly calls: Pick<Calls, "states" | "closing">;
  readonly streams: Streams;
  readonly clock: Clock;
  readonly reporter: Reporter;
  readonly mostBatch: number;
  /** Answers a request whose principal has been authenticated. */
  readonly route: (inbound: Inbound) => MaybePromise<Reply>;
}

/** Keeps requests that may be begun again, and begins them. */
export class Retries {
  readonly #init: RetriesInit;
  /** The streams that requests continue which run again here. */
  readonly #continued = new WeakMap<Inbound, ContinuedStream>();

  /** The streams whose requests were begun again here: not once more, if the store still has them. */
  readonly #begun: RecentKeys;

  /** Creates the keeper. */
  constructor(init: RetriesInit) {
    this.#init = init;
    this.#begun = new RecentKeys(init.clock, KEPT_MS, MOST_BEGUN);
  }

  /** Keeps a request with the stream of its answer, if it calls a tool that may be begun again. */
  keep(inbound: Inbound, session: string, stream: string): void {
    const { node, calls: { states }, streams: { log }, reporter } = this.#init;
    const { content } = inbound;
    if (content.kind !== "request" || inbound.route?.retry !== true) return;
    const body = JSON.stringify(content.message);
    if (body.length > MOST_CHARS) return;
    const { request: { headers }, source: { url }, principal } = inbound;
    reporter.background("keeping a request", async () => {
      const data = { ...writeSender({ headers, principal }), url, body, node };
      const sealed = await states.seal(data, bindingOf(session, stream), KEPT_MS);
      await log.keepRequest?.(session, stream, sealed);
    });
  }

  /**
   * Begins the request of a stream again, here.
   *
   * @returns Whether it runs, another node has changed the run meanwhile, or this is not possible
   */
  async run(
    session: string,
    stream: string,
    run: StoredRun,
  ): Promise<"running" | "changed" | "refused"> {
    const { node, calls, streams: { log }, reporter } = this.#init;
    if (run.again === undefined || calls.closing) return "refused";
    const inbound = await this.#open(session, stream, run, run.again);
    if (inbound === undefined) return "refused";
    if (await log.moveRun?.(session, stream, run, node) !== true) return "changed";
    this.#begun.add(keyOf(session, stream));
    // Read now that the first node can append nothing more, should it not be dead.
    const slice = await log.read(session, stream, 0);
    const progress = Math.max(
      ...slice?.events.flatMap(({ data }) => progressOf(data) ?? []) ?? [],
      -Infinity,
    );
    this.#continued.set(inbound, { stream, progress });
    reporter.background("beginning a request again", () => this.#begin(inbound, session, stream));
    return "running";
  }

  /** Returns the stream that the answer to a request continues, if the request is being run again. */
  reply(inbound: Inbound, session: StreamSession): ReplyStream | undefined {
    const continued = this.#continued.get(inbound);
    return continued && new ContinuedReply(this.#init.streams, session, continued);
  }

  /** Opens a kept request: only that of this stream, by the node that kept it, and only once here. */
  async #open(
    session: string,
    stream: string,
    { node, requests }: StoredRun,
    again: string,
  ): Promise<Inbound | undefined> {
    const { calls, clock, mostBatch } = this.#init;
    const opened = await calls.states.open(again, bindingOf(session, stream));
    const sender = opened && readSender(opened);
    if (sender === undefined || opened?.node !== node) return undefined;
    if (this.#begun.has(keyOf(session, stream))) return undefined;
    const { headers, principal } = sender;
    if ((principal.expiresAt ?? Infinity) <= clock.now()) return undefined;
    const inbound = new Inbound(new Request(String(opened?.url), { method: "POST", headers }));
    inbound.forwarded = true;
    inbound.begunAgain = true;
    inbound.principal = principal;
    inbound.accepts = { json: false, sse: true };
    const body = String(opened?.body);
    inbound.bodyLength = body.length;
    if (checkJsonRpc(inbound, JSON.parse(body), mostBatch) !== undefined) return undefined;
    const { requestId } = inbound;
    return requestId !== null && requests.includes(requestId) ? inbound : undefined;
  }

  async #begin(inbound: Inbound, session: string, stream: string): Promise<void> {
    const { reporter, route, streams: { lateAnswers } } = this.#init;
    let reply: Reply;
    try {
      reply = await route(inbound);
    } catch (error) {
      reply = internalError(error);
    }
    if (reply.kind !== "refusal") return;
    reportRefusal(reply, reporter);
    // It was refused before it began: the error tells of its first run.
    const { requestId } = inbound;
    if (requestId !== null) lateAnswers?.add(session, stream, errorText(requestId, NODE_LOST));
  }
}

function keyOf(session: string, stream: string): string {
  return JSON.stringify([session, stream]);
}

/** Distinguishes a kept request from what clients have, and from that of another stream. */
function bindingOf(session: string, stream: string): StateBinding {
  return { owner: "", method: "mooring/again", params: { session, stream } };
}
