/**
 * Stores the event logs of all sessions in Redis Streams.
 *
 * @module
 */
import type { Clock } from "../../internal/clock.ts";
import { isRequestId, type RequestId, responseId } from "../../protocol/jsonrpc.ts";
import type { EventLog, EventLogLimits, Slice, StoredRun, StreamRun } from "../../streams/types.ts";
import type { RedisCommands } from "../clients/commands.ts";
import { type Keys, secretDigest } from "../keys.ts";
import { DROPPED, READ, RUN, WRITE } from "../scripts/event_log.ts";
import { foreignData, integer, parseJson, strings } from "../replies.ts";
import { bounded, timeArgument } from "../scripts/script.ts";
import type { Sealer } from "../seal.ts";
import { SealedEvents } from "./sealed_events.ts";
import type { Subscriber } from "../clients/subscriber.ts";
import { type LogOperation, WriteQueue } from "./write_queue.ts";

/** The time for which a dropped session is remembered, in milliseconds. */
const DROPPED_MS = 3_600_000;

/** Configures a {@linkcode RedisEventLog}. */
export interface EventLogInit {
  readonly commands: RedisCommands;
  readonly subscriber: Subscriber;
  readonly keys: Keys;
  readonly sealer: Sealer;
  /** The name of this process. */
  readonly node: string;
  readonly limits: Required<EventLogLimits>;
  /** The longest life of a session, in milliseconds: nothing is kept for longer. */
  readonly absoluteMs: number;
  readonly clock: Clock;
}

/**
 * Implements {@linkcode EventLog} in Redis. All events of a session are in one Redis stream, so
 * that its limits hold for all of its streams together. Changes are published; watchers receive
 * them on the one subscriber connection of the process, and then read. Messages are sealed for their
 * stream; the limits count them as they were.
 *
 * A dropped session is remembered for an hour: a later append would begin a log that is never dropped,
 * and that only its expiry deletes.
 */
export class RedisEventLog implements EventLog {
  readonly #init: EventLogInit;
  readonly #settings: readonly string[];
  readonly #events: SealedEvents;
  readonly #queues = new Map<string, WriteQueue>();
  #batch = 0;

  constructor(init: EventLogInit) {
    this.#init = init;
    this.#events = new SealedEvents(init.sealer);
    const { events, eventBytes, retainMs } = init.limits;
    this.#settings = [init.absoluteMs, events, eventBytes, retainMs].map((n) => String(bounded(n)));
  }

  async open(session: string, stream: string, run?: StreamRun): Promise<void> {
    await this.#write(
      session,
      "o",
      stream,
      run === undefined ? "" : this.#runText(session, stream, run),
    );
  }

  append(session: string, stream: string, data: string, answer = false): Promise<number> {
    const sealed = this.#events.seal(session, stream, data);
    if (!answer) return this.#write(session, "a", stream, sealed);
    const id = responseId(data);
    const name = id == null ? "" : requestName(session, stream, id);
    return this.#write(session, "r", stream, `${name}\n${sealed}`);
  }

  async run(session: string, stream: string): Promise<StoredRun | undefined> {
    const { commands, keys, clock } = this.#init;
    const { streams, events, retention } = keys.log(session);
    const args = [timeArgument(clock), stream];
    const reply = await commands.run(RUN, [streams, events, retention], args);
    if (reply === null) return undefined;
    const [mark = "", again = ""] = strings(reply, "run");
    const [, , sealed = "", ...left] = mark.split("\n");
    const { node, requests } = this.#openRun(session, stream, sealed);
    const byName = new Map(requests.map((id) => [requestName(session, stream, id), id]));
    const unanswered = left.map((name) => byName.get(name));
    if (!unanswered.every((id) => id !== undefined)) throw foreignData("run");
    return { node, requests: unanswered, again: again || undefined, mark };
  }

  async keepRequest(session: string, stream: string, request: string): Promise<void> {
    await this.#write(session, "k", stream, request);
  }

  async endRun(
    session: string,
    stream: string,
    { mark }: StoredRun,
    messages: readonly string[],
  ): Promise<boolean> {
    const sealed = messages.map((data) => this.#events.seal(session, stream, data));
    return await this.#write(session, "i", stream, JSON.stringify([mark, ...sealed])) === 1;
  }

  async moveRun(
    session: string,
    stream: string,
    { mark, requests }: StoredRun,
    node: string,
  ): Promise<boolean> {
    const run = this.#sealRun(session, stream, { node, requests });
    return await this.#write(session, "m", stream, JSON.stringify([mark, run])) === 1;
  }

  async end(session: string, stream: string): Promise<void> {
    await this.#write(session, "e", stream);
  }

  async read(session: string, stream: string, after: number): Promise<Slice | undefined> {
    const reply = await this.#read(session, stream, after);
    if (reply === undefined) return undefined;
    const { last, first, ended, events } = reply;
    const n = Math.max(after, first - 1) + 1;
    if (events.length !== Math.max(0, last - n + 1)) throw foreignData("events");
    return {
      events: events.map((text, i) => ({
        n: n + i,
        data: this.#events.open(session, stream, text),
      })),
      ended,
      gap: after < first - 1,
      last,
    };
  }

  async deliver(session: string, stream: string, n: number): Promise<void> {
    await this.#write(session, "d", stream, String(n));
  }

  async delivered(session: string, stream: string): Promise<number> {
    return (await this.#read(session, stream, Number.MAX_SAFE_INTEGER))?.delivered ?? 0;
  }

  watch(session: string, stream: string, wake: (oldest?: number) => void): () => void {
    let first = true;
    let watching = true;
    const stop = this.#init.subscriber.listen(this.#init.keys.log(session).channel, {
      onMessage: (text) => {
        const changes = readChanges(text);
        // No stream is named: the session was dropped, or another program published.
        if (changes === undefined) wake();
        else if (changes.has(stream)) wake(changes.get(stream));
      },
      onSubscribed: () => {
        if (!first) return wake();
        first = false;
        this.#mayHaveChanged(session, stream).then((changed) => changed && watching && wake());
      },
    });
    return () => {
      watching = false;
      stop();
    };
  }

  async written(): Promise<void> {
    await Promise.all([...this.#queues.values()].map((queue) => queue.written()));
  }

  async drop(session: string): Promise<void> {
    await this.#write(session, "x", "");
  }

  /**
   * Tells whether anything may have happened before the subscription to the session's channel
   * began.
   */
  async #mayHaveChanged(session: string, stream: string): Promise<boolean> {
    try {
      return await this.#reply(session, stream, Number.MAX_SAFE_INTEGER) !== null;
    } catch {
      return true;
    }
  }

  /** Returns what `WRITE` is given to open a stream: nothing if no node of others runs its requests. */
  #runText(session: string, stream: string, { node, requests }: StreamRun): string {
    if (node === undefined || requests.length === 0) return "";
    const names = requests.map((id) => requestName(session, stream, id));
    return [this.#sealRun(session, stream, { node, requests }), ...names].join("\n");
  }

  #sealRun(session: string, stream: string, { node, requests }: StreamRun): string {
    return this.#init.sealer.seal(JSON.stringify([node, ...requests]), "run", session, stream);
  }

  #openRun(session: string, stream: string, sealed: string) {
    const opened = parseJson(this.#init.sealer.open(sealed, "run", session, stream), "run");
    const [node, ...requests]: unknown[] = Array.isArray(opened) ? opened : [];
    if (typeof node !== "string" || !requests.every(isRequestId)) throw foreignData("run");
    return { node, requests };
  }

  #write(session: string, act: LogOperation, stream: string, value = ""): Promise<number> {
    let queue = this.#queues.get(session);
    if (queue === undefined) {
      queue = new WriteQueue(
        this.#init.commands,
        (args) => this.#send(session, args),
        () => this.#queues.delete(session),
      );
      this.#queues.set(session, queue);
    }
    return queue.add(act, stream, value);
  }

  async #send(session: string, args: readonly string[]): Promise<readonly number[]> {
    const { commands, keys, node, clock } = this.#init;
    const { streams, events, retention, channel } = keys.log(session);
    const answer = await commands.run(WRITE, [streams, events, retention], [
      timeArgument(clock),
      node,
      String(++this.#batch),
      ...this.#settings,
      channel,
      String(DROPPED_MS),
      ...args,
    ]);
    if (typeof answer !== "string") throw foreignData("event log");
    return answer.split(",").map((n) => integer(n, "event log"));
  }

  async #read(session: string, stream: string, after: number) {
    const reply = await this.#reply(session, stream, after);
    if (reply === null || reply === DROPPED) return undefined;
    const [last, ended, first, delivered, ...data] = strings(reply, "events");
    return {
      last: integer(last, "events"),
      ended: ended === "1",
      first: integer(first, "events"),
      delivered: integer(delivered, "events"),
      events: data,
    };
  }

  #reply(session: string, stream: string, after: number): Promise<unknown> {
    const { commands, keys, clock } = this.#init;
    const { streams, events, retention } = keys.log(session);
    const args = [timeArgument(clock), stream, String(after)];
    return commands.run(READ, [streams, events, retention], args);
  }
}

/** Names a request of a stream: the name can't be found without the session's id. */
function requestName(session: string, stream: string, id: RequestId): string {
  return secretDigest(session, stream, id);
}

/**
 * Decodes a message on a session's channel: the streams that changed, each with its oldest kept
 * event where the message names one. Returns `undefined` for a message without streams.
 */
function readChanges(text: string): Map<string, number | undefined> | undefined {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(list) || list.length === 0) return undefined;
  const changes = new Map<string, number | undefined>();
  for (let i = 0; i + 1 < list.length; i += 2) {
    const oldest: unknown = list[i + 1];
    changes.set(String(list[i]), typeof oldest === "number" ? oldest : undefined);
  }
  return changes;
}
