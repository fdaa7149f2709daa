/**
 * Holds what is known of one session's streams: what is in the tables, and what is to be written.
 *
 * @module
 */
import { utf8Length } from "../internal/utf8.ts";
import { framedData } from "../streams/sse.ts";
import type { EventLogLimits } from "../streams/types.ts";
import type { SqlTables } from "./sql.ts";

/** The maximum number of bytes in a message that is stored: a row has at most 2 MB. */
const MOST_BYTES = 1_900_000;
/** The share of a session's limits that one row may take: rows are dropped as a whole. */
const ROWS_OF_LIMIT = 8;
/** Separates the messages of a row. */
const SEPARATOR = "\n";
/** What the column `held` says of a row: a response that is kept above the limits, or a text of server-sent events. */
const [HELD, FRAMED] = [1, 2];
const encoder = new TextEncoder();

/** A row: messages of one stream that follow each other, or the mark of an ended stream without any. */
interface EventRow {
  readonly seq: number;
  readonly stream: SqlStream;
  /** The number of its first message; 0 for a mark. */
  readonly n: number;
  /** The number of its messages, for the limits. */
  count: number;
  bytes: number;
  /** Whether its messages are as {@linkcode framedData} reads them. */
  readonly framed: boolean;
}

/** What of a stream changes. */
type Counters = Pick<SqlStream, "last" | "delivered" | "ended" | "doneAt">;

/** A row of events, as it is in the journal. */
type JournalRow = readonly [data: string | null, ...JournalNumbers];

/** A row of events without its messages. */
type JournalNumbers = readonly [
  seq: number,
  stream: string,
  n: number,
  count: number,
  bytes: number,
  held: number,
];

/** A stream, as it is in the journal. */
type JournalStream = readonly [
  name: string,
  last: number,
  first: number,
  delivered: number,
  ended: number,
  doneAt: number | null,
  requests: string | null,
];

/** What one transaction has changed in a session. */
export interface SessionChanges {
  /** The session's id. */
  readonly id: string;
  readonly streams: readonly JournalStream[];
  readonly rows: readonly JournalRow[];
}

/** The counters of a stream. */
export class SqlStream {
  readonly name: string;
  /** The number of the newest event. */
  last = 0;
  /** The number from which on all events are kept. */
  first = 1;
  delivered = 0;
  ended = false;
  /** When it had ended and was delivered, in milliseconds since the epoch. */
  doneAt: number | undefined;
  /** The ids of the requests that it responds to, as JSON, until the table has a row of it. */
  requests: string | null = null;
  /** Whether the table has a row of it. */
  stored = false;
  /** The number of its rows of events. */
  rows = 0;
  /** What was last stored, in the table or the journal; `undefined` before. */
  kept: Counters | undefined;

  /** Creates a stream that is not stored. */
  constructor(name: string) {
    this.name = name;
  }
}

/** What a session's events need of their log. */
export interface SessionEventsInit {
  readonly tables: SqlTables;
  readonly limits: Required<EventLogLimits>;
  /** The session's id. */
  readonly id: string;
  /** Returns the number of a new row, above all others. */
  nextSeq(): number;
  /** Whether somebody watches a stream. */
  watched(stream: string): boolean;
}

/**
 * The streams of one session. Its methods change what is in memory. {@linkcode SessionEvents.changes} tells what a
 * transaction adds to the journal, and {@linkcode SessionEvents.save} writes it into the tables, now or later.
 * Responses that were not delivered yet are kept above the limits, as much again as those allow, and count once
 * they are.
 */
export class SessionEvents {
  /** The session's name in the tables. */
  readonly session: string;
  readonly #init: SessionEventsInit;
  readonly #streams = new Map<string, SqlStream>();
  /** The rows that count for the limits, oldest first. */
  #rows: EventRow[] = [];
  /** The rows of responses that were not delivered. */
  #held: EventRow[] = [];
  #count = 0;
  #bytes = 0;
  #heldBytes = 0;
  /** The rows that the table doesn't have, with their messages. */
  readonly #added = new Map<EventRow, string | null>();
  /** The streams whose row in the table is not up to date. */
  readonly #changed = new Set<SqlStream>();
  /** What the journal doesn't have either. */
  readonly #unkept = { rows: new Set<EventRow>(), streams: new Set<SqlStream>() };
  /** The numbers of rows to be deleted. */
  #dropped: number[] = [];
  /** The names of streams to be deleted. */
  #hollow: string[] = [];

  /** Reads what is in the tables. */
  constructor(init: SessionEventsInit) {
    this.#init = init;
    this.session = init.tables.sealing.name(init.id);
    this.#load();
  }

  /** Whether it has messages that are neither in the table nor in the journal. */
  get hasUnkept(): boolean {
    return this.#unkept.rows.size > 0;
  }

  /** Returns a stream, if it is known. */
  get(name: string): SqlStream | undefined {
    return this.#streams.get(name);
  }

  /** Returns a stream, and makes it known. */
  open(name: string, requests: string | null = null): SqlStream {
    let stream = this.#streams.get(name);
    if (stream === undefined) {
      this.#streams.set(name, stream = new SqlStream(name));
      stream.requests = requests;
      this.#change(stream);
    }
    return stream;
  }

  /**
   * Appends a message to a stream that has not ended. One that is too long by itself is not kept.
   *
   * @param kind A response is kept whatever its size, and above the limits until it is delivered; so is one
   * that was delivered already, within the limits
   */
  append(stream: SqlStream, data: string, kind: "message" | "response" | "delivered"): number {
    const n = ++stream.last;
    const bytes = utf8Length(data);
    const { eventBytes } = this.#init.limits;
    if (bytes > MOST_BYTES || (kind === "message" && bytes > eventBytes)) {
      stream.first = n + 1;
      this.#change(stream);
      return n;
    }
    if (kind === "response" && this.#holds(bytes)) {
      this.#held.push(this.#add(stream, n, bytes, data));
      this.#heldBytes += bytes;
      return n;
    }
    if (!this.#join(stream, data, bytes)) this.#keep(this.#add(stream, n, bytes, data));
    return n;
  }

  /**
   * Appends messages that were delivered already, as one row if they are few.
   *
   * @param frames Their text as server-sent events
   */
  appendAll(stream: SqlStream, frames: string, count: number): void {
    const { events, eventBytes } = this.#init.limits;
    const { byteLength } = encoder.encode(frames);
    if (count > events / ROWS_OF_LIMIT || byteLength > eventBytes / ROWS_OF_LIMIT) {
      for (const data of framedData(frames)) this.append(stream, data, "delivered");
      return;
    }
    const row = this.#add(stream, stream.last + 1, byteLength, frames, { count, framed: true });
    stream.last += count;
    this.#keep(row);
  }

  /** Ends a stream. One without events counts as one, so that the limit of events limits streams too. */
  end(stream: SqlStream, now: number): void {
    stream.ended = true;
    this.#change(stream);
    if (stream.rows === 0) this.#keep(this.#add(stream, 0, 0, null));
    this.#retain(stream, now);
  }

  /** Notes how far a stream was delivered. */
  deliver(stream: SqlStream, n: number, now: number): void {
    stream.delivered = Math.min(n, stream.last);
    this.#change(stream);
    const delivered = this.#held.filter((row) => row.stream === stream && row.n <= n);
    if (delivered.length > 0) {
      this.#held = this.#held.filter((row) => !delivered.includes(row));
      for (const row of delivered) {
        this.#heldBytes -= row.bytes;
        this.#keep(row);
      }
    }
    this.#retain(stream, now);
  }

  /** Returns the events of a stream after `after`. */
  read(stream: SqlStream, after: number): { readonly n: number; readonly data: string }[] {
    if (after >= stream.last || stream.rows === 0) return [];
    const inTable = new Set<number>();
    const found: { readonly n: number; readonly data: string }[] = [];
    const add = (n: number, count: number, text: string, framed: boolean): void => {
      // One alone may have any text.
      const split = () => count === 1 ? [text] : text.split(SEPARATOR);
      const texts = framed ? framedData(text) : split();
      for (const [index, data] of texts.entries()) {
        if (n + index > after) found.push({ n: n + index, data });
      }
    };
    for (const rows of [this.#rows, this.#held]) {
      for (const row of rows) {
        if (row.stream !== stream || row.n + row.count - 1 <= after) continue;
        const data = this.#added.get(row);
        if (data === undefined) inTable.add(row.seq);
        else if (data !== null) add(row.n, row.count, data, row.framed);
      }
    }
    if (inTable.size > 0) this.#readTable(stream.name, after, inTable, add);
    return found.sort((one, other) => one.n - other.n);
  }

  #readTable(
    stream: string,
    after: number,
    kept: ReadonlySet<number>,
    add: (n: number, count: number, text: string, framed: boolean) => void,
  ): void {
    const { tables } = this.#init;
    const found = tables.rows(
      `SELECT seq, n, count, data, held FROM mooring_event
        WHERE session = ? AND stream = ? AND n + count > ? AND data IS NOT NULL`,
      this.session,
      stream,
      after + 1,
    );
    for (const { seq, n, count, data, held } of found) {
      if (!kept.has(Number(seq))) continue;
      const text = tables.sealing.open(String(data), "mooring_event", this.session, stream, n);
      add(Number(n), Number(count), text, held === FRAMED);
    }
  }

  /** Forgets a stream whose rows are deleted. */
  forget(name: string): void {
    const stream = this.#streams.get(name);
    if (stream === undefined) return;
    this.#remove(stream);
    this.#removeRows((row) => row.stream === stream);
  }

  /** Forgets a stream that has ended, of which nothing is kept, and that nobody watches. */
  tidy(stream: SqlStream): void {
    if (!stream.ended || stream.rows > 0 || this.#init.watched(stream.name)) return;
    this.#remove(stream);
    if (stream.stored) this.#hollow.push(stream.name);
  }

  /** Returns what neither the tables nor the journal have; `undefined` if they have everything. */
  changes(): SessionChanges | undefined {
    const { rows, streams } = this.#unkept;
    if (rows.size === 0 && streams.size === 0) return undefined;
    return {
      id: this.#init.id,
      streams: [...streams].map(({ name, last, first, delivered, ended, doneAt, requests }) => [
        name,
        last,
        first,
        delivered,
        ended ? 1 : 0,
        doneAt ?? null,
        requests,
      ]),
      rows: [...rows].map((row) => this.#journalRow(row)),
    };
  }

  /** Notes that the changes are stored. */
  keep(): void {
    for (const stream of this.#unkept.streams) {
      const { last, delivered, ended, doneAt } = stream;
      stream.kept = { last, delivered, ended, doneAt };
    }
    for (const { stream } of this.#unkept.rows) {
      if (stream.kept !== undefined) stream.kept = { ...stream.kept, last: stream.last };
    }
    this.#unkept.rows.clear();
    this.#unkept.streams.clear();
  }

  /** Takes back what could not be stored. */
  revert(): void {
    const { rows, streams } = this.#unkept;
    const changed = new Set([...streams, ...[...rows].map(({ stream }) => stream)]);
    this.#removeRows((row) => rows.has(row));
    for (const stream of changed) {
      if (stream.kept === undefined) this.#remove(stream);
      else Object.assign(stream, stream.kept);
    }
    rows.clear();
    streams.clear();
    this.#findFirst();
  }

  /** Writes everything into the tables, in a transaction of the caller's. */
  save(): void {
    const { tables } = this.#init;
    // First of all: a full file has no other room.
    for (const seq of this.#dropped) tables.change("DELETE FROM mooring_event WHERE seq = ?", seq);
    for (const name of this.#hollow) {
      tables.change(
        "DELETE FROM mooring_stream WHERE session = ? AND name = ?",
        this.session,
        name,
      );
    }
    for (const { name, last, first, delivered, ended, doneAt = null, requests } of this.#changed) {
      saveStream(
        tables,
        this.session,
        [name, last, first, delivered, ended ? 1 : 0, doneAt, requests],
      );
    }
    for (const row of this.#added.keys()) saveRow(tables, this.session, this.#journalRow(row));
  }

  /** Notes that everything is in the tables. */
  saved(): void {
    this.keep();
    for (const stream of this.#changed) {
      stream.stored = true;
      stream.requests = null;
    }
    this.#changed.clear();
    this.#added.clear();
    this.#dropped = [];
    this.#hollow = [];
  }

  #journalRow(row: EventRow): JournalRow {
    const { seq, stream, n, count, bytes, framed } = row;
    const unframed = this.#held.includes(row) ? HELD : 0;
    const data = this.#added.get(row) ?? null;
    return [data, seq, stream.name, n, count, bytes, framed ? FRAMED : unframed];
  }

  #change(stream: SqlStream): void {
    this.#changed.add(stream);
    this.#unkept.streams.add(stream);
  }

  #remove(stream: SqlStream): void {
    if (this.#streams.get(stream.name) === stream) this.#streams.delete(stream.name);
    this.#changed.delete(stream);
    this.#unkept.streams.delete(stream);
  }

  /** Takes rows out, without a trace in the table. */
  #removeRows(leaves: (row: EventRow) => boolean): void {
    const stays = (row: EventRow): boolean => {
      if (!leaves(row)) return true;
      row.stream.rows -= 1;
      this.#added.delete(row);
      this.#unkept.rows.delete(row);
      return false;
    };
    this.#held = this.#held.filter(stays);
    this.#rows = this.#rows.filter(stays);
    this.#count = this.#rows.reduce((sum, { count }) => sum + count, 0);
    this.#bytes = this.#rows.reduce((sum, { bytes }) => sum + bytes, 0);
    this.#heldBytes = this.#held.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Adds a row that is to be written. */
  #add(
    stream: SqlStream,
    n: number,
    bytes: number,
    data: string | null,
    { count = 1, framed = false } = {},
  ): EventRow {
    const row = { seq: this.#init.nextSeq(), stream, n, count, bytes, framed };
    stream.rows += 1;
    this.#added.set(row, data);
    this.#unkept.rows.add(row);
    return row;
  }

  /** Appends a message to the newest row, if that is of the same stream and still to be written. */
  #join(stream: SqlStream, data: string, bytes: number): boolean {
    const row = this.#rows.at(-1);
    if (row === undefined || !this.#unkept.rows.has(row)) return false;
    if (row.stream !== stream || row.framed || row.n + row.count !== stream.last) return false;
    const { events, eventBytes } = this.#init.limits;
    const before = this.#added.get(row);
    if (typeof before !== "string" || row.count + 1 > events / ROWS_OF_LIMIT) return false;
    if (row.bytes + bytes > eventBytes / ROWS_OF_LIMIT || data.includes(SEPARATOR)) return false;
    if (row.count === 1 && before.includes(SEPARATOR)) return false;
    this.#added.set(row, before + SEPARATOR + data);
    row.count += 1;
    row.bytes += bytes;
    this.#count += 1;
    this.#bytes += bytes;
    this.#trim();
    return true;
  }

  /** Tells whether one more response may be kept above the limits: as much again as they allow. */
  #holds(more: number): boolean {
    const { events, eventBytes } = this.#init.limits;
    // One of any size may always wait.
    if (this.#heldBytes === 0) return true;
    return this.#held.length < events && this.#heldBytes + more <= eventBytes;
  }

  /** Counts a row for the limits, as the newest. */
  #keep(row: EventRow): void {
    this.#rows.push(row);
    this.#count += row.count;
    this.#bytes += row.bytes;
    this.#trim();
  }

  /** Drops the oldest rows above the limits; never the newest. */
  #trim(): void {
    const { events, eventBytes } = this.#init.limits;
    while (this.#rows.length > 1 && (this.#count > events || this.#bytes > eventBytes)) {
      const row = this.#rows.shift();
      if (row === undefined) return;
      const { stream, seq, n, count, bytes } = row;
      this.#count -= count;
      this.#bytes -= bytes;
      stream.first = Math.max(stream.first, n + count);
      stream.rows -= 1;
      this.#unkept.rows.delete(row);
      if (!this.#added.delete(row)) this.#dropped.push(seq);
      if (stream.rows > 0) continue;
      // Its numbers can't be told from its rows any more.
      if (this.#streams.get(stream.name) === stream) this.#change(stream);
      this.tidy(stream);
    }
  }

  /** Notes when a stream has ended and was delivered: its time begins. */
  #retain(stream: SqlStream, now: number): void {
    const { ended, delivered, last, doneAt } = stream;
    if (ended && delivered >= last && doneAt === undefined) stream.doneAt = now;
  }

  #load(): void {
    const { session } = this;
    const { tables } = this.#init;
    const streams = tables.rows(
      `SELECT name, last, first, delivered, ended, done_at FROM mooring_stream WHERE session = ?`,
      session,
    );
    if (streams.length === 0) return;
    for (const { name, last, delivered, ended, done_at } of streams) {
      const stream = new SqlStream(String(name));
      stream.last = Number(last);
      stream.delivered = Number(delivered);
      stream.ended = ended === 1;
      stream.doneAt = done_at === null ? undefined : Number(done_at);
      stream.stored = true;
      this.#streams.set(stream.name, stream);
    }
    const rows = tables.rows(
      `SELECT seq, stream, n, count, bytes, held FROM mooring_event WHERE session = ? ORDER BY seq`,
      session,
    );
    for (const { seq, stream: name, n, count, bytes, held } of rows) {
      const stream = this.#streams.get(String(name));
      if (stream === undefined) continue;
      const row: EventRow = {
        seq: Number(seq),
        stream,
        n: Number(n),
        count: Number(count),
        bytes: Number(bytes),
        framed: held === FRAMED,
      };
      stream.rows += 1;
      // It is only written when it can't be told from the rows.
      if (row.n > 0) stream.last = Math.max(stream.last, row.n + row.count - 1);
      const waits = held === HELD && row.n > stream.delivered;
      (waits ? this.#held : this.#rows).push(row);
      if (waits) this.#heldBytes += row.bytes;
      else {
        this.#count += row.count;
        this.#bytes += row.bytes;
      }
    }
    for (const stream of this.#streams.values()) {
      const { last, delivered, ended, doneAt } = stream;
      stream.kept = { last, delivered, ended, doneAt };
    }
    this.#findFirst();
    this.#trim();
    for (const stream of [...this.#streams.values()]) this.tidy(stream);
  }

  /** Finds the number of each stream from which on all events are kept. */
  #findFirst(): void {
    for (const stream of this.#streams.values()) stream.first = stream.last + 1;
    const newestFirst = [...this.#rows, ...this.#held].sort((one, other) => other.n - one.n);
    for (const { stream, n, count } of newestFirst) {
      if (n > 0 && n + count === stream.first) stream.first = n;
    }
  }
}

/** Returns changes as a text for the journal: messages, which are long, follow as they are. */
export function changesText(changes: readonly SessionChanges[]): string {
  const texts: string[] = [];
  const head = changes.map(({ id, streams, rows }) => ({
    id,
    streams,
    rows: rows.map(([data, ...numbers]) => {
      if (data === null) return [null, ...numbers];
      texts.push(data);
      return [data.length, ...numbers];
    }),
  }));
  return [JSON.stringify(head), SEPARATOR, ...texts].join("");
}

/** Returns the changes in a text of the journal. */
export function changesIn(text: string): SessionChanges[] {
  let at = text.indexOf(SEPARATOR);
  // changesText() has written it
  const head = JSON.parse(text.slice(0, at)) as (Omit<SessionChanges, "rows"> & {
    readonly rows: readonly [length: number | null, ...JournalNumbers][];
  })[];
  at += SEPARATOR.length;
  return head.map(({ id, streams, rows }) => ({
    id,
    streams,
    rows: rows.map(([length, ...numbers]): JournalRow => {
      if (length === null) return [null, ...numbers];
      const data = text.slice(at, at + length);
      at += length;
      return [data, ...numbers];
    }),
  }));
}

/** Writes what a transaction has changed into the tables. */
export function saveChanges(tables: SqlTables, { id, streams, rows }: SessionChanges): void {
  const session = tables.sealing.name(id);
  for (const stream of streams) saveStream(tables, session, stream);
  for (const row of rows) saveRow(tables, session, row);
}

function saveStream(tables: SqlTables, session: string, stream: JournalStream): void {
  const [name, last, first, delivered, ended, doneAt, requests] = stream;
  tables.add(
    `INSERT INTO mooring_stream VALUES (?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (session, name) DO UPDATE SET last = excluded.last, first = excluded.first,
        delivered = excluded.delivered, ended = excluded.ended, done_at = excluded.done_at`,
    session,
    name,
    last,
    first,
    delivered,
    ended,
    doneAt,
    requests === null ? null : tables.sealing.seal(requests, "mooring_stream", session, name),
  );
}

function saveRow(tables: SqlTables, session: string, row: JournalRow): void {
  const [data, seq, stream, n, count, bytes, held] = row;
  tables.add(
    `INSERT OR REPLACE INTO mooring_event (seq, session, stream, n, data, bytes, held, count)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    seq,
    session,
    stream,
    n,
    data === null ? null : tables.sealing.seal(data, "mooring_event", session, stream, n),
    bytes,
    held,
    count,
  );
}
