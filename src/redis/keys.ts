/**
 * Names the keys and channels in Redis.
 *
 * All keys of one session have the same hash tag, so that a script finds them in one slot of a
 * Redis Cluster; the index of all sessions has another one. Session ids are secrets, and key names
 * appear where values don't (`MONITOR`, the slow log, server metrics), so names contain a hash of
 * the id.
 *
 * @module
 */
import { createHash } from "node:crypto";

/**
 * Returns the first 128 bits of a string's SHA-256 as hexadecimal digits, which don't reveal the
 * string.
 */
export function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}

/**
 * Gives the form of everything under a prefix: it begins all names after the prefix, so that nodes
 * whose forms differ never meet. Tests of two versions read the number from the source.
 */
export const FORM = 2;

/** Returns a name that can be found only with a secret, such as a session id, and the other parts. */
export function secretDigest(secret: string, ...parts: readonly unknown[]): string {
  return digest(JSON.stringify([secret, ...parts]));
}

/** The keys of one session. */
export interface SessionKeys {
  /** The hash of the session's record and its marks. */
  readonly record: string;
  /** The hash of its state. */
  readonly state: string;
  /** The set of digests of the URIs that it is subscribed to. */
  readonly uris: string;
}

/** The keys of one session's event log. */
export interface LogKeys {
  /** The hash of counters for each stream. */
  readonly streams: string;
  /** The Redis stream of all events. */
  readonly events: string;
  /** The sorted set of ended streams by the time of their deletion. */
  readonly retention: string;
  /** The channel for changes of the log. */
  readonly channel: string;
}

/** The keys of one kind of records that expire, all in one slot. */
export interface RecordNames {
  /** The keys of the index of all records, in the order in which its scripts expect them. */
  readonly index: readonly string[];
  /** Returns the hash of a record. */
  record(name: string): string;
}

const TASKS = ["running", "all", "shares", "count", "runners", "returned", "beat"];
const RECORDS = ["names", "until"];
const INDEX = ["owner", "age", "free", "mine", "held", "reserved", "count", "ids"];

/** Builds the names under one prefix. */
export class Keys {
  readonly #prefix: string;
  /** The keys of the index of all sessions, in the order in which its scripts expect them. */
  readonly index: readonly string[];
  /** The keys of the index of all tasks, in the order in which its scripts expect them. */
  readonly tasks: readonly string[];
  /** The records of sign-in. */
  readonly records: RecordNames;
  /** The state of users. */
  readonly users: RecordNames;
  /** The answers that are kept. */
  readonly answers: RecordNames;
  /** The channel of all nodes. */
  readonly allNodes: string;

  /** @param prefix The start of all names, without braces, which would make hash tags */
  constructor(prefix: string) {
    const start = `${prefix}:${FORM}`;
    this.#prefix = start;
    this.index = INDEX.map((name) => `${start}:{index}:${name}`);
    this.tasks = TASKS.map((name) => `${start}:{tasks}:${name}`);
    this.records = recordNames(`${start}:{records}`);
    this.users = recordNames(`${start}:{users}`);
    this.answers = recordNames(`${start}:{answers}`);
    this.allNodes = `${start}:{nodes}:all`;
  }

  /**
   * Returns the keys of a session.
   *
   * @param name The digest of its id
   */
  session(name: string): SessionKeys {
    const tag = `${this.#prefix}:s:{${name}}`;
    return { record: `${tag}:record`, state: `${tag}:state`, uris: `${tag}:uris` };
  }

  /** Returns the keys of a session's event log. */
  log(id: string): LogKeys {
    const tag = `${this.#prefix}:s:{${digest(id)}}`;
    return {
      streams: `${tag}:streams`,
      events: `${tag}:events`,
      retention: `${tag}:retention`,
      channel: `${tag}:news`,
    };
  }

  /** Returns the hash of a task, in the slot of the index of all tasks. */
  task(id: string): string {
    return `${this.#prefix}:{tasks}:t:${digest(id)}`;
  }

  /**
   * Returns the keys of the sessions subscribed to a resource, in the order in which the scripts
   * expect them.
   *
   * @param uri The digest of the resource's URI
   */
  subscribers(uri: string): readonly string[] {
    const tag = `${this.#prefix}:u:{${uri}}`;
    return [tag, `${tag}:ids`];
  }

  /** Returns the hash of a lease. */
  lease(key: string): string {
    return `${this.#prefix}:l:{${digest(key)}}`;
  }

  /** Returns the hash with the node that holds a pinned session. */
  claim(session: string): string {
    return `${this.#prefix}:c:{${digest(session)}}`;
  }

  /** Returns the hash of what each node has of a quota. */
  quota(name: string): string {
    return `${this.#prefix}:q:{${digest(name)}}`;
  }

  /** Returns the time at which a token bucket is full. */
  bucket(name: string): string {
    return `${this.#prefix}:b:{${digest(name)}}`;
  }

  /** Returns the hash with what a node says about itself. */
  node(id: string): string {
    return `${this.#prefix}:n:{${digest(id)}}`;
  }

  /** Returns the hash of a document that all nodes share. */
  document(name: string): string {
    return `${this.#prefix}:d:{${digest(name)}}`;
  }

  /**
   * Returns the channel of one node. It has the hash tag of {@linkcode allNodes}, so that Redis
   * keeps the order of messages.
   */
  inbox(node: string): string {
    return `${this.allNodes.slice(0, -"all".length)}${digest(node)}`;
  }

  /** Returns the channel on which one holder of leases learns of lost leases. */
  leases(holder: string): string {
    return `${this.#prefix}:h:${holder}`;
  }
}

function recordNames(tag: string): RecordNames {
  return {
    index: RECORDS.map((name) => `${tag}:${name}`),
    record: (name) => `${tag}:r:${digest(name)}`,
  };
}
