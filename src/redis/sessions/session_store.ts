/**
 * Stores the sessions of all nodes in Redis.
 *
 * @module
 */
import type {
  EndedSession,
  Found,
  Reservation,
  SessionPatch,
  SessionRecord,
  SessionStore,
} from "../../sessions/types.ts";
import { stateFull, stateText } from "../../sessions/state_values.ts";
import { SessionHolds, WRITE_MS } from "./session_holds.ts";
import { digest, secretDigest } from "../keys.ts";
import { foreignData, parseJson, strings } from "../replies.ts";
import { bounded, type Script, timeArgument } from "../scripts/script.ts";
import { sizedText, textOf } from "../events/sized_text.ts";
import { SessionIndex, type SessionStoreInit, shareDigest } from "./session_index.ts";
import { initText, SessionRecords } from "./session_record.ts";
import {
  ADD_SUBSCRIBER,
  CREATE,
  DELETE_STATE,
  END,
  LIST_SUBSCRIBERS,
  PEEK,
  REMOVE_SUBSCRIBER,
  SET_STATE,
  SUBSCRIBE,
  UPDATE,
  USE,
} from "../scripts/session.ts";

/**
 * Gives the time that a key is kept beyond the life of its session, in milliseconds, so that the
 * session's end is still reported.
 */
const MARGIN_MS = 300_000;
/**
 * Limits the attempts to reserve a place after an eviction, which another session may take first.
 */
const MOST_ROUNDS = 64;
/**
 * The time for which a session counts as held from the beginning of a request on, in milliseconds: longer than
 * a node takes to write its hold, also one that stands still for a second.
 */
const BUSY_MS = String(2 * WRITE_MS + 1_000);
/** The most queries of one sweep. */
const MOST_SWEEPS = 8;
/** The most attempts to claim a session, which others may claim or end meanwhile. */
const MOST_CLAIMS = 3;

/**
 * Implements {@linkcode SessionStore} in Redis: each session has its own keys, and an index of all
 * sessions decides about admission. `use` is one round trip, but for the first use of a session that
 * began without an owner; no caller waits for `hold` and `free`. What a session contains is sealed.
 * `size` is that of the last answer of the index.
 */
export class RedisSessionStore implements SessionStore {
  readonly #init: SessionStoreInit;
  readonly #index: SessionIndex;
  readonly #holds: SessionHolds;
  readonly #records: SessionRecords;
  readonly #limits: readonly [string, string];
  readonly #ttl: string;

  constructor(init: SessionStoreInit) {
    const { idleMs, absoluteMs } = init.lifetimes;
    this.#init = init;
    this.#index = new SessionIndex(init);
    this.#holds = new SessionHolds(init, this.#index);
    this.#records = new SessionRecords(init.sealer);
    this.#limits = [String(bounded(idleMs)), String(bounded(absoluteMs))];
    this.#ttl = String(bounded(absoluteMs) + MARGIN_MS);
  }

  get size(): number {
    return this.#index.size;
  }

  async reserve(id: string, owner: string | undefined): Promise<Reservation> {
    const ended: EndedSession[] = [];
    try {
      for (let round = 0; round < MOST_ROUNDS; round++) {
        const answer = await this.#index.reserve(id, owner);
        if (answer === "admitted") return { admitted: true, ended };
        if (answer === "refused") break;
        if (answer === "again") continue;
        if (this.#holds.has(answer.id)) {
          // The index doesn't know of the holds here that are not written yet.
          this.#holds.flush();
          continue;
        }
        const gone = await this.#endIf(answer.id, String(answer.used));
        if (gone !== undefined) ended.push(gone);
      }
    } catch (error) {
      // The caller must learn of the sessions that have ended already.
      if (ended.length === 0) throw error;
    }
    return { admitted: false, ended };
  }

  release(id: string): Promise<void> {
    return this.#index.release(id);
  }

  async create(record: SessionRecord): Promise<boolean> {
    const { id, owner, initialized, logLevel } = record;
    if (!await this.#index.admit(id, owner)) return false;
    const fields = ["rec", this.#records.seal(record)];
    if (owner !== undefined) fields.push("owner", secretDigest(id, owner));
    if (initialized !== false) fields.push("init", initText(initialized));
    if (logLevel !== undefined) fields.push("level", logLevel);
    let created = false;
    try {
      created =
        await this.#run(CREATE, id, [timeArgument(this.#init.clock), this.#ttl, ...fields]) === 1;
      return created;
    } finally {
      this.#index.note(id, created ? "free" : "gone", timeArgument(this.#init.clock));
    }
  }

  async use(id: string, owner: string, begins = false): Promise<Found> {
    const held = this.#holds.has(id) ? "1" : "";
    const name = secretDigest(id, owner);
    let replaced: readonly [old: string, record: string] = ["", ""];
    for (let round = 0; round < MOST_CLAIMS; round++) {
      const args = [
        timeArgument(this.#init.clock),
        name,
        ...this.#limits,
        held,
        begins ? BUSY_MS : "",
        ...replaced,
      ];
      const [status, ...rest] = strings(await this.#run(USE, id, args), "session");
      if (status === "foreign" || status === "unknown") return { refusal: status };
      if (status === "ended") {
        const [why, ...uris] = rest;
        await this.#forget(id, uris);
        return { refusal: "expired", ended: { id, reason: reasonOf(why) } };
      }
      const record = this.#opened(id, rest);
      // Redis can only compare digests, which others may have written.
      if (record.owner !== undefined && record.owner !== owner) return { refusal: "foreign" };
      if (status === "found" && record.owner === owner) {
        this.#noteUse(id, rest, owner);
        return { record };
      }
      replaced = [rest[0] ?? "", this.#records.seal({ ...record, owner })];
    }
    throw foreignData("session");
  }

  async peek(id: string): Promise<SessionRecord | undefined> {
    const held = this.#holds.has(id) ? "1" : "";
    const args = [timeArgument(this.#init.clock), ...this.#limits, held];
    const [status, ...rest] = strings(await this.#run(PEEK, id, args), "session");
    return status === "found" ? this.#opened(id, rest) : undefined;
  }

  async update(id: string, patch: SessionPatch): Promise<void> {
    const fields: string[] = [];
    if (patch.initialized !== undefined) fields.push("init", initText(patch.initialized));
    if ("logLevel" in patch) fields.push("level", patch.logLevel ?? "");
    if (fields.length > 0) await this.#run(UPDATE, id, fields);
  }

  hold(id: string): void {
    this.#holds.hold(id);
  }

  free(id: string): void {
    this.#holds.free(id);
  }

  async end(id: string): Promise<boolean> {
    return await this.#endIf(id, "end") !== undefined;
  }

  async sweep(limit: number): Promise<readonly EndedSession[]> {
    const ended: EndedSession[] = [];
    this.#holds.flush();
    try {
      for (let round = 0; round < MOST_SWEEPS && ended.length < limit; round++) {
        const due = await this.#index.due(limit - ended.length);
        if (due.length === 0) break;
        const results = await Promise.allSettled(due.map((id) => this.#endIf(id, "reap")));
        for (const result of results) {
          if (result.status === "fulfilled" && result.value !== undefined) ended.push(result.value);
        }
        await this.#index.flush();
      }
    } catch (error) {
      if (ended.length === 0) throw error;
    }
    return ended;
  }

  ids(): Promise<string[]> {
    return this.#index.ids();
  }

  async uses(): Promise<Iterable<readonly [id: string, usedAt: number | undefined]>> {
    const uses = await this.#index.uses();
    // The index lags behind the holds of this process, too.
    for (const id of uses.keys()) if (this.#holds.has(id)) uses.set(id, undefined);
    return uses;
  }

  async getState(id: string, key: string): Promise<unknown> {
    const { commands, keys, sealer } = this.#init;
    const text = await commands.send(
      "HGET",
      keys.session(this.#index.names.name(id)).state,
      secretDigest(id, key),
    );
    if (text === null) return undefined;
    if (typeof text !== "string") throw foreignData("state");
    return parseJson(sealer.open(textOf(text), "state", id, key), "state");
  }

  async setState(id: string, key: string, value: unknown, most = Infinity): Promise<void> {
    if (value === undefined) return await this.deleteState(id, key);
    const text = stateText(value);
    const sealed = sizedText(key + text, this.#init.sealer.seal(text, "state", id, key));
    const args = [secretDigest(id, key), sealed, String(bounded(most))];
    if (await this.#run(SET_STATE, id, args) === -1) throw stateFull(most);
  }

  async deleteState(id: string, key: string): Promise<void> {
    await this.#run(DELETE_STATE, id, [secretDigest(id, key)]);
  }

  async subscribe(id: string, uri: string, cap: number): Promise<"subscribed" | "full" | "gone"> {
    const { commands, keys, clock } = this.#init;
    const { names } = this.#index;
    const resource = digest(uri);
    // The index is written first, so that a concurrent end of the session finds the entry there.
    const [, outcome] = await Promise.all([
      commands.run(
        ADD_SUBSCRIBER,
        keys.subscribers(resource),
        [timeArgument(clock), names.name(id), names.seal(id), this.#ttl],
      ),
      this.#run(SUBSCRIBE, id, [resource, String(bounded(cap))]),
    ]);
    if (outcome === "subscribed") return outcome;
    await this.#removeSubscriber(id, resource);
    return outcome === "full" ? "full" : "gone";
  }

  async unsubscribe(id: string, uri: string): Promise<void> {
    const { commands, keys } = this.#init;
    const resource = digest(uri);
    await Promise.all([
      commands.send("SREM", keys.session(this.#index.names.name(id)).uris, resource),
      this.#removeSubscriber(id, resource),
    ]);
  }

  async subscribers(uri: string): Promise<string[]> {
    const { commands, keys } = this.#init;
    // By a script: a client that speaks RESP3 gets a hash in another form.
    const reply = await commands.run(LIST_SUBSCRIBERS, keys.subscribers(digest(uri)), []);
    return this.#index.names.ids(strings(reply, "subscribers"));
  }

  async #removeSubscriber(id: string, resource: string): Promise<void> {
    const { commands, keys } = this.#init;
    const name = this.#index.names.name(id);
    await commands.run(REMOVE_SUBSCRIBER, keys.subscribers(resource), [name]);
  }

  /** Opens the record in an answer of the scripts. */
  #opened(id: string, [sealed = "", init = "", level = ""]: readonly string[]): SessionRecord {
    return this.#records.open(id, sealed, init, level);
  }

  /** Notes a use in the index. */
  #noteUse(id: string, [, , , at, claimed]: readonly string[], owner: string): void {
    const held = this.#holds.isWritten(id);
    const share = claimed === "1" ? shareDigest(owner) : undefined;
    this.#index.note(id, held ? "held" : "free", held ? "" : at, share);
    // The share's count must be known before the next admission.
    if (claimed === "1") void this.#index.flush();
  }

  /** Ends a session if the mode of {@linkcode END} says so, and corrects the index otherwise. */
  async #endIf(id: string, mode: string): Promise<EndedSession | undefined> {
    const args = [timeArgument(this.#init.clock), ...this.#limits, mode];
    const [status, first = "", ...rest] = strings(await this.#run(END, id, args), "session");
    if (status === "ended") {
      await this.#forget(id, rest);
      return { id, reason: reasonOf(first) };
    }
    if (status === "gone") this.#index.note(id, "gone");
    else if (rest[0] === "0") this.#index.note(id, "free", first);
    else this.#index.note(id, "held", rest[0]);
    return undefined;
  }

  /** Deletes the other keys of an ended session. If this fails, they expire. */
  async #forget(id: string, uris: readonly string[]): Promise<void> {
    this.#holds.drop(id);
    this.#index.note(id, "gone");
    await Promise.allSettled([
      this.#index.flush(),
      ...uris.map((uri) => this.#removeSubscriber(id, uri)),
    ]);
  }

  #run(script: Script, id: string, args: readonly string[]): Promise<unknown> {
    const { record, state, uris } = this.#init.keys.session(this.#index.names.name(id));
    return this.#init.commands.run(script, [record, state, uris], args);
  }
}

function reasonOf(text: string | undefined): EndedSession["reason"] {
  return text === "expired" || text === "idle" ? text : "evicted";
}
