/**
 * Sends snapshots to everybody who watches: everything once, then what has changed, once a second.
 *
 * @module
 */
import type { Clock, MaybePromise } from "../../../mod.ts";
import { isPromise } from "../../kit.ts";
import type { OperatorSnapshot, Tables } from "../operator/types.ts";

/** The bytes that may wait for a watcher who reads slowly: it then gets fewer, larger changes. */
const BUFFER_BYTES = 256 * 1024;
/** The number of snapshots after which a watcher's credentials are checked again. */
const CHECK_EVERY = 10;

const encoder = new TextEncoder();

/** The rows of one table as JSON text, by key. */
type RowTexts = ReadonlyMap<string, string>;
type FeedTable = keyof Tables;
type AllTexts = Readonly<Record<FeedTable, RowTexts>>;

/** Somebody who watches. */
interface FeedWatcher {
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
  /** Tells whether the watcher may still watch. */
  readonly check: () => MaybePromise<boolean>;
  sent: AllTexts | undefined;
  ticks: number;
}

/** Options for {@linkcode Feed}. */
export interface FeedInit {
  readonly clock: Clock;
  /** The time between two snapshots, in milliseconds. */
  readonly tickMs: number;
  /** The maximum number of watchers. */
  readonly mostWatchers: number;
  readonly snapshot: () => Promise<OperatorSnapshot>;
  readonly failed: (error: unknown) => void;
}

/** Sends snapshots to watchers; takes none while nobody watches. */
export class Feed {
  readonly #init: FeedInit;
  readonly #watchers = new Set<FeedWatcher>();
  #stop: (() => void) | undefined;
  #ticking = false;
  #closed = false;

  /** Creates a feed; no timer runs until somebody watches. */
  constructor(init: FeedInit) {
    this.#init = init;
  }

  /** The number of watchers. */
  get watchers(): number {
    return this.#watchers.size;
  }

  /**
   * Returns the body of a response with server-sent events.
   *
   * @param hello The data of the first event
   * @param check Tells, from time to time, whether the watcher may still watch
   * @returns `undefined` if too many watch already
   */
  watch(hello: object, check: FeedWatcher["check"]): ReadableStream<Uint8Array> | undefined {
    if (this.#closed || this.#watchers.size >= this.#init.mostWatchers) return undefined;
    let watcher: FeedWatcher | undefined;
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        watcher = { controller, check, sent: undefined, ticks: 0 };
        this.#watchers.add(watcher);
        controller.enqueue(encoder.encode(eventText("hello", hello)));
        this.#soon(0);
      },
      cancel: () => {
        if (watcher !== undefined) this.#watchers.delete(watcher);
      },
    }, { highWaterMark: BUFFER_BYTES, size: (chunk) => chunk.byteLength });
  }

  /** Takes a snapshot now, because something was changed. */
  refresh(): void {
    this.#soon(0);
  }

  /** Ends every stream. */
  close(): void {
    this.#closed = true;
    this.#stop?.();
    for (const watcher of this.#watchers) this.#end(watcher);
  }

  #soon(ms: number): void {
    if (this.#closed || this.#ticking || this.#watchers.size === 0) return;
    this.#stop?.();
    this.#stop = this.#init.clock.timer(ms, () => void this.#tick());
  }

  async #tick(): Promise<void> {
    if (this.#watchers.size === 0) return;
    this.#ticking = true;
    try {
      const { at, omitted, ...tables } = await this.#init.snapshot();
      const texts = textsOf(tables);
      for (const watcher of [...this.#watchers]) {
        if (watcher.ticks++ % CHECK_EVERY === CHECK_EVERY - 1 && !await allowed(watcher)) {
          this.#end(watcher);
          continue;
        }
        if (!this.#watchers.has(watcher)) continue;
        // Who reads slowly gets the sum of the changes later.
        if ((watcher.controller.desiredSize ?? 0) <= 0) continue;
        const changes = changesText(watcher.sent, texts, at, omitted);
        watcher.sent = texts;
        watcher.controller.enqueue(encoder.encode(changes));
      }
    } catch (error) {
      this.#init.failed(error);
    }
    this.#ticking = false;
    if (this.#watchers.size > 0) this.#soon(this.#init.tickMs);
  }

  #end(watcher: FeedWatcher): void {
    this.#watchers.delete(watcher);
    try {
      watcher.controller.close();
    } catch {
      // The client has disconnected.
    }
  }
}

async function allowed({ check }: FeedWatcher): Promise<boolean> {
  try {
    const verdict = check();
    return isPromise(verdict) ? await verdict : verdict;
  } catch {
    return false;
  }
}

function textsOf(tables: Tables): AllTexts {
  const entries = Object.entries(tables).map(([name, rows]: [string, Tables[FeedTable]]) =>
    [name, new Map(rows.map((row) => [row.key, JSON.stringify(row)]))] as const
  );
  // The keys are those of Tables.
  return Object.fromEntries(entries) as unknown as AllTexts;
}

/** Writes the event for the difference between two states; everything if nothing was sent before. */
function changesText(before: AllTexts | undefined, now: AllTexts, at: number, omitted: number) {
  const set: string[] = [];
  const del: Record<string, string[]> = {};
  for (const [name, texts] of Object.entries(now) as [FeedTable, RowTexts][]) {
    const old = before?.[name];
    const rows: string[] = [];
    for (const [key, text] of texts) if (old?.get(key) !== text) rows.push(text);
    const gone = [...old?.keys() ?? []].filter((key) => !texts.has(key));
    if (rows.length > 0) set.push(`${JSON.stringify(name)}:[${rows.join(",")}]`);
    if (gone.length > 0) del[name] = gone;
  }
  const head = JSON.stringify({ at, omitted, reset: before === undefined, del }).slice(0, -1);
  return `event: changes\ndata: ${head},"set":{${set.join(",")}}}\n\n`;
}

function eventText(name: string, data: object): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}
