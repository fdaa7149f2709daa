/**
 * What the in-memory store keeps of one session and of one owner.
 *
 * @module
 */
import { Linked, LinkedList } from "../internal/linked_list.ts";
import type { SessionRecord } from "./types.ts";

/** A session's place among those of its owner that are not held. */
export class OwnersPlace extends Linked<OwnersPlace> {
  /** The session. */
  readonly entry: Entry;

  /** Makes a place that is in no list yet. */
  constructor(entry: Entry) {
    super();
    this.entry = entry;
  }
}

/** An owner: how many sessions it has, and which of them could go. */
export class Owner {
  /** Its key. */
  readonly key: string;
  /** Sessions and reservations. */
  count = 0;
  /** Sessions that are not held, least recently used first. */
  readonly free = new LinkedList<OwnersPlace>();

  /** Makes an owner without sessions. */
  constructor(key: string) {
    this.key = key;
  }
}

/** A session, and the answer to whoever looks it up. Where it is linked, it is not held. */
export class Entry extends Linked<Entry> {
  /** Its owner, once it is claimed. */
  owner: Owner | undefined;
  /** When it was used last, in milliseconds since the epoch. */
  usedAt = 0;
  /** How many holds it has. */
  holds = 0;
  /** Its place among its owner's sessions that are not held. */
  readonly ownersPlace = new OwnersPlace(this);
  /** Values as JSON text: whoever gets or sets one shares nothing with the store. */
  state: Map<string, string> | undefined;
  /** URIs of resources. */
  subscriptions: Set<string> | undefined;
  /** What is kept of it. Replaced, never changed. */
  record: SessionRecord;

  /** Makes a session that is in no list yet. */
  constructor(record: SessionRecord, owner: Owner | undefined) {
    super();
    this.record = record;
    this.owner = owner;
  }
}
