/**
 * Defines the entries of the in-memory session store: sessions and owners.
 *
 * @module
 */
import { Linked, LinkedList } from "../internal/linked_list.ts";
import type { SessionRecord } from "./types.ts";

/** A session in its owner's list of sessions without holds. */
export class OwnerEntry extends Linked<OwnerEntry> {
  /** The session. */
  readonly entry: Entry;

  /** Creates an entry that is in no list yet. */
  constructor(entry: Entry) {
    super();
    this.entry = entry;
  }
}

/** An owner of sessions. */
export class Owner {
  /** The owner key. */
  readonly key: string;
  /** The number of its sessions and reservations. */
  count = 0;
  /** Its sessions without holds, which may be evicted, least recently used first. */
  readonly free = new LinkedList<OwnerEntry>();

  /** Creates an owner without sessions. */
  constructor(key: string) {
    this.key = key;
  }
}

/** A session; also the result of looking it up. It is in the store's list while it has no holds. */
export class Entry extends Linked<Entry> {
  /** The owner, if it has one yet. */
  owner: Owner | undefined;
  /** When it was last used, in milliseconds since the epoch. */
  usedAt = 0;
  /** The number of holds, which prevent expiry by idleness and eviction. */
  holds = 0;
  /** Its entry in the owner's list of sessions without holds. */
  readonly ownerEntry = new OwnerEntry(this);
  /** Values by key, as JSON text, so that callers share no objects with the store. */
  state: Map<string, string> | undefined;
  /** The URIs of the resources that it is subscribed to. */
  subscriptions: Set<string> | undefined;
  /** The record. Replaced, never changed. */
  record: SessionRecord;

  /** Creates a session that is in no list yet. */
  constructor(record: SessionRecord, owner: Owner | undefined) {
    super();
    this.record = record;
    this.owner = owner;
  }
}
