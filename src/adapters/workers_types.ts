/**
 * Defines the parts of the Workers runtime that are used here, so that no package of types is needed.
 *
 * @module
 */
import type { Sql } from "../sql/sql.ts";

/** The id of a Durable Object. */
export interface DurableId {
  /** Returns the id as text. */
  toString(): string;
}

/** A way to a Durable Object. */
export interface DurableStub {
  /** Sends a request to the object. */
  fetch(request: Request): Promise<Response>;
}

/** A binding to a class of Durable Objects. */
export interface DurableNamespace {
  /** Returns the id of a name. */
  idFromName(name: string): DurableId;
  /** Returns a way to an object. */
  get(id: DurableId): DurableStub;
}

/** The storage of a Durable Object that uses SQLite. */
export interface DurableStorage {
  /** The database. */
  readonly sql: Sql;
  /** Sets the time of the alarm, in milliseconds since the epoch. */
  setAlarm(at: number): Promise<void>;
  /** Deletes the alarm. */
  deleteAlarm(): Promise<void>;
  /** Deletes everything that is stored. */
  deleteAll(): Promise<void>;
}

/** The state of a Durable Object: the first parameter of its constructor. */
export interface DurableState {
  /** The storage. */
  readonly storage: DurableStorage;
}

/** The context of a request to a Worker: the third parameter of `fetch`. */
export interface WorkerContext {
  /** Lets work end that the response doesn't wait for. */
  waitUntil(promise: Promise<unknown>): void;
}
