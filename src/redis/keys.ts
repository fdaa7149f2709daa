/**
 * The names of everything kept in Redis.
 *
 * All keys of one session have the same hash tag, so that a script finds them in one slot of a Redis
 * Cluster; what is kept of all sessions together has another one. Ids of sessions are secrets, and names
 * of keys show up where values don't (`MONITOR`, the slow log, metrics of the server): names are made of
 * a hash of the id.
 *
 * @module
 */
import { createHash } from "node:crypto";

/** The first 128 bits of a text's SHA-256, as hexadecimal digits: nobody finds the text from it. */
export function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}

/** The keys of one session. */
export interface SessionKeys {
  /** Hash: the session's record and marks. */
  readonly record: string;
  /** Hash: its state. */
  readonly state: string;
  /** Set: the URIs it is subscribed to. */
  readonly uris: string;
}

/** The keys of one session's event log. */
export interface LogKeys {
  /** Hash: counters for each stream. */
  readonly streams: string;
  /** Stream: the events of all of them. */
  readonly events: string;
  /** Sorted set: when which stream is forgotten. */
  readonly retention: string;
  /** Channel: what has news. */
  readonly channel: string;
}

const INDEX = ["owner", "age", "free", "mine", "held", "reserved", "count"];

/** Makes the names under one prefix. */
export class Keys {
  readonly #prefix: string;
  /** The keys of the index of all sessions, in the order in which its scripts expect them. */
  readonly index: readonly string[];
  /** Channel: what every node hears. */
  readonly everybody: string;

  /** @param prefix What all names begin with; without braces, which make hash tags */
  constructor(prefix: string) {
    this.#prefix = prefix;
    this.index = INDEX.map((name) => `${prefix}:{index}:${name}`);
    this.everybody = `${prefix}:{nodes}:all`;
  }

  /** The keys of a session. */
  session(id: string): SessionKeys {
    const tag = `${this.#prefix}:s:{${digest(id)}}`;
    return { record: `${tag}:record`, state: `${tag}:state`, uris: `${tag}:uris` };
  }

  /** The keys of a session's event log. */
  log(id: string): LogKeys {
    const tag = `${this.#prefix}:s:{${digest(id)}}`;
    return {
      streams: `${tag}:streams`,
      events: `${tag}:events`,
      retention: `${tag}:retention`,
      channel: `${tag}:news`,
    };
  }

  /** Sorted set: the sessions subscribed to a resource. */
  subscribers(uri: string): string {
    return `${this.#prefix}:u:{${digest(uri)}}`;
  }

  /** Hash: who holds something. */
  lease(key: string): string {
    return `${this.#prefix}:l:{${digest(key)}}`;
  }

  /** Hash: which node holds a pinned session. */
  claim(session: string): string {
    return `${this.#prefix}:c:{${digest(session)}}`;
  }

  /** Hash: what a node says of itself. */
  node(id: string): string {
    return `${this.#prefix}:n:{${digest(id)}}`;
  }

  /** Hash: something that all nodes go by. */
  document(name: string): string {
    return `${this.#prefix}:d:{${digest(name)}}`;
  }

  /** Channel: what one node hears. It has the tag of {@linkcode everybody}, so that order holds. */
  inbox(node: string): string {
    return `${this.everybody.slice(0, -"all".length)}${digest(node)}`;
  }

  /** Channel: what one holder of leases hears. */
  leases(holder: string): string {
    return `${this.#prefix}:h:${holder}`;
  }
}
