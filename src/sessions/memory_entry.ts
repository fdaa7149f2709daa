/**
 * Defines the entries of the in-memory session store: sessions and shares.
 *
 * @module
 */
import { Linked, LinkedList } from "../internal/linked_list.ts";
import type { StateValues } from "./state_values.ts";
import type { SessionRecord } from "./types.ts";

/** A session in its share's list of sessions without holds. */
export class ShareEntry extends Linked<ShareEntry> {
  /** The session. */
  readonly entry: MemoryEntry;

  /** Creates an entry that is in no list yet. */
  constructor(entry: MemoryEntry) {
    super();
    this.entry = entry;
  }
}

/** The sessions of one user, whose owners may be many: one for each client. */
export class SessionAllowance {
  /** The share key. */
  readonly key: string;
  /** The number of its sessions and reservations. */
  count = 0;
  /** Its sessions without holds, which may be evicted, least recently used first. */
  readonly free = new LinkedList<ShareEntry>();

  /** Creates a share without sessions. */
  constructor(key: string) {
    this.key = key;
  }
}

/** A session; also the result of looking it up. It is in the store's list while it has no holds. */
export class MemoryEntry extends Linked<MemoryEntry> {
  /** The owner's share, if it has an owner yet. */
  share: SessionAllowance | undefined;
  /** When it was last used, in milliseconds since the epoch. */
  usedAt = 0;
  /** The number of holds, which prevent expiry by idleness and eviction. */
  holds = 0;
  /** Its entry in the share's list of sessions without holds. */
  readonly shareEntry = new ShareEntry(this);
  /** Its state. */
  state: StateValues | undefined;
  /** The URIs of the resources that it is subscribed to. */
  subscriptions: Set<string> | undefined;
  /** The record. Replaced, never changed. */
  record: SessionRecord;

  /** Creates a session that is in no list yet. */
  constructor(record: SessionRecord, share: SessionAllowance | undefined) {
    super();
    this.record = record;
    this.share = share;
  }
}
