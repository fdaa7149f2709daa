/**
 * Answers the requests of nodes that are lost: on the streams that their clients have resumed here. Each
 * gets one answer: an error, or the result of running it once more where that is allowed.
 *
 * @module
 */
import { askerOf } from "../../calls/questions/questions.ts";
import type { Clock } from "../../internal/clock.ts";
import { shortHash } from "../../internal/random.ts";
import { errorText } from "../../protocol/errors.ts";
import { notificationText } from "../../protocol/exchange.ts";
import { isObject } from "../../protocol/jsonrpc.ts";
import type { Reporter } from "../../protocol/reporter.ts";
import type { EventLog, StoredRun } from "../../streams/types.ts";
import { NODE_LOST } from "../../protocol/node_loss.ts";
import type { Presence } from "./presence.ts";
import type { Retries } from "./retries.ts";

/** The time between two looks at the nodes that run what clients have resumed here, in milliseconds. */
const LOOK_MS = 1_000;

/** The number of looks for which a response may be on its way to the log. */
const MOST_IDLE = 4;

/** Options for {@linkcode LostRuns}. */
export interface LostRunsInit {
  /** This node's id. */
  readonly node: string;
  readonly log: EventLog;
  readonly presence: Pick<Presence, "isLost">;
  readonly clock: Clock;
  readonly reporter: Reporter;
  /** Tells whether this node runs any request of a run. */
  readonly runsHere: (session: string, run: StoredRun) => boolean;
  /** Runs requests again; `undefined` if none may be. */
  readonly retries: Pick<Retries, "run"> | undefined;
}

/** A stream that a client has resumed here. */
interface Followed {
  readonly session: string;
  readonly stream: string;
  /** The node that runs its requests; `undefined` until it is known. */
  node: string | undefined;
  /** Its run, as it was when it was last read. */
  run: StoredRun | undefined;
  /** The looks in a row at which this node should have run them, and did not. */
  idle: number;
}

/** The streams of other nodes' requests that clients read here. The limit of connections bounds them. */
export class LostRuns {
  readonly #init: LostRunsInit;
  readonly #followed = new Set<Followed>();
  #stop: (() => void) | undefined;
  #looking = false;
  /** Whether a stream was added during the look that is under way. */
  #fresh = false;
  #closed = false;

  /** Creates an empty set; no timer runs until a stream is followed. */
  constructor(init: LostRunsInit) {
    this.#init = init;
  }

  /** The number of followed streams. */
  get size(): number {
    return this.#followed.size;
  }

  /**
   * Follows a stream that a client has resumed, until its node has answered or the returned function is
   * called, which is safe to call twice.
   */
  follow(session: string, stream: string): () => void {
    const followed: Followed = { session, stream, node: undefined, run: undefined, idle: 0 };
    if (this.#closed) return () => {};
    this.#followed.add(followed);
    this.#fresh = true;
    this.#look();
    return () => void this.#followed.delete(followed);
  }

  /** Follows nothing any more. */
  close(): void {
    this.#closed = true;
    this.#stop?.();
    this.#followed.clear();
  }

  /** Looks now unless a look is under way, and again while anything is followed. */
  #look(): void {
    if (this.#looking) return;
    this.#looking = true;
    this.#fresh = false;
    this.#stop?.();
    const { clock, reporter } = this.#init;
    const looked = reporter.background("looking after resumed streams", () => this.#lookOnce());
    void Promise.resolve(looked).finally(() => {
      this.#looking = false;
      if (this.#closed || this.#followed.size === 0) return;
      this.#stop = clock.timer(this.#fresh ? 0 : LOOK_MS, () => this.#look());
    });
  }

  async #lookOnce(): Promise<void> {
    const { presence, reporter, node: here } = this.#init;
    await Promise.all([...this.#followed].map((followed) => this.#refresh(followed)));
    const nodes = new Set([...this.#followed].flatMap(({ node }) => node ?? []));
    await Promise.all([...nodes].map(async (node) => {
      if (node === here) return await this.#lookHere();
      if (!await presence.isLost(node)) return;
      reporter.report({ type: "node-lost", node: shortHash(node) });
      const all = [...this.#followed].filter((followed) => followed.node === node);
      await Promise.all(all.map((followed) => this.#end(followed, node)));
    }));
  }

  /** Finds out which node runs the requests of a stream, once. */
  async #refresh(followed: Followed): Promise<StoredRun | undefined> {
    if (followed.node !== undefined) return undefined;
    const run = await this.#init.log.run?.(followed.session, followed.stream);
    if (run === undefined) this.#followed.delete(followed);
    followed.node = run?.node;
    followed.run = run;
    return run;
  }

  /**
   * Ends the streams that this node should run, and doesn't: it may have failed to learn that a run was
   * moved to it.
   */
  async #lookHere(): Promise<void> {
    const { node: here, runsHere } = this.#init;
    const own = [...this.#followed].filter(({ node }) => node === here);
    await Promise.all(own.map(async (followed) => {
      const { session, run } = followed;
      if (run !== undefined && runsHere(session, run)) return void (followed.idle = 0);
      followed.node = undefined;
      if ((await this.#refresh(followed))?.node !== here) return;
      followed.idle++;
      if (followed.idle > MOST_IDLE) await this.#end(followed, here);
    }));
  }

  async #end(followed: Followed, lost: string): Promise<void> {
    const { log, reporter, retries } = this.#init;
    const { session, stream } = followed;
    followed.node = undefined;
    const run = await this.#refresh(followed);
    if (run?.node !== lost) return;
    const name = shortHash(session);
    const node = shortHash(lost);
    const again = await retries?.run(session, stream, run) ?? "refused";
    const ended = again === "refused" &&
      await log.endRun?.(session, stream, run, await this.#messages(session, stream, run));
    // Otherwise its run has changed: the next look finds out how.
    if (again !== "running" && ended !== true) return void (followed.node = undefined);
    this.#followed.delete(followed);
    const outcome = ended === true ? "failed" : "retried";
    reporter.report({ type: "request-lost", session: name, node, outcome });
  }

  /** The last messages of a stream: its open question is withdrawn, and each request gets the error. */
  async #messages(session: string, stream: string, { requests }: StoredRun): Promise<string[]> {
    const slice = await this.#init.log.read(session, stream, 0);
    const question = questionIn(slice?.events.at(-1)?.data);
    const withdrawn = question === undefined ? [] : [notificationText({
      method: "notifications/cancelled",
      params: { requestId: question, reason: "The node that asked died" },
    })];
    return [...withdrawn, ...requests.map((id) => errorText(id, NODE_LOST))];
  }
}

/** Returns the id of the question in a message of the endpoint, if it is one. */
function questionIn(data: string | undefined): string | undefined {
  const message: unknown = data === undefined ? undefined : JSON.parse(data);
  if (!isObject(message) || message.method === undefined) return undefined;
  return askerOf(message.id) === undefined ? undefined : String(message.id);
}
