/**
 * Passes events to the application's `onEvent`, and runs background work whose failures become events.
 *
 * @module
 */
import { randomText } from "../internal/random.ts";
import { isPromise } from "../internal/types.ts";
import { ClientPrograms, shown } from "./event_facts.ts";
import type { ClientProgram, McpEvent, RequestFacts } from "./events.ts";
import type { ClientFacts, Principal } from "./exchange.ts";

/** The number of characters of a node's id. */
const NODE_ID_LENGTH = 16;

/** Receives an event. Never throws. */
export type Report = (event: McpEvent) => void;

/** Returns the name of a principal in events. */
export type NamePrincipal = (principal: Principal) => string;

/**
 * Returns the sender's address for events; `undefined` for none.
 *
 * @param address The other end of the connection, if the host tells it: a proxy's behind a proxy
 */
export type NameAddress = (
  address: string | undefined,
  request: () => Request,
) => string | undefined;

/** Options for {@linkcode Reporter}. */
export interface ReporterInit {
  /** Returns the name of a principal; its id when left out. */
  readonly principalName?: NamePrincipal | undefined;
  /** Returns the sender's address; refusals have none when left out. */
  readonly address?: NameAddress | undefined;
  /** The node's name; a random id when left out. */
  readonly nodeName?: string | undefined;
  /** Called with errors that are not sent to a client, without the cost of all other events. */
  readonly onError?: Report | undefined;
}

/** Calls the application's `onEvent`, and catches what it throws and what its promise rejects with. */
export class Reporter {
  /** Whether anybody listens: create an event only if this is true. */
  enabled: boolean;
  /** Returns the name of a principal in events. */
  readonly principalName: NamePrincipal;
  /** Returns the sender's address in events; never throws. */
  readonly address: NameAddress | undefined;
  #node: string | undefined;
  readonly #onError: Report | undefined;
  readonly #isNamed: boolean;
  readonly #onEvent: Report | undefined;
  #listeners: readonly Report[] = [];
  readonly #programs = new ClientPrograms();

  /**
   * Creates a reporter.
   *
   * @param onEvent The application's function; without one events are dropped
   */
  constructor(
    onEvent: Report | undefined,
    { principalName = ({ id }) => id, address, nodeName, onError }: ReporterInit = {},
  ) {
    this.#onError = onError;
    this.#node = nodeName;
    this.#isNamed = nodeName !== undefined;
    this.address = address && guarded(address);
    this.#onEvent = onEvent;
    this.principalName = principalName;
    this.enabled = onEvent !== undefined;
  }

  /**
   * The node's name in events, or its id without one. A handler that has its store to itself gets one with its first event of a
   * request, since some hosts give no random values before.
   */
  get node(): string {
    return this.#node ??= randomText(NODE_ID_LENGTH);
  }
  set node(node: string) {
    if (!this.#isNamed) this.#node = node;
  }

  /** Returns what events say about the sender of a request. */
  describeSender(principal: Principal): Pick<RequestFacts, "principal" | "issuer" | "node"> {
    const { issuer } = principal;
    return { principal: this.principalName(principal), issuer, node: this.node };
  }

  /** Returns the name and version of a client program, if it has described itself. */
  programOf({ info }: ClientFacts): ClientProgram | undefined {
    return info === undefined ? undefined : this.#programs.describe(info);
  }

  /**
   * Calls a listener with each event, beside `onEvent`.
   *
   * @returns Removes the listener
   */
  listen(listener: Report): () => void {
    this.#listeners = [...this.#listeners, listener];
    this.enabled = true;
    return () => {
      this.#listeners = this.#listeners.filter((each) => each !== listener);
      this.enabled = this.#onEvent !== undefined || this.#listeners.length > 0;
    };
  }

  /** Calls `onEvent` with an event. Bound, so that it can be passed as a function. */
  readonly report: Report = (event) => {
    if (event.type === "error") this.#onError?.(event);
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch {
        // A listener's error must not affect the others.
      }
    }
    try {
      // It may be an async function: nothing else would handle its rejection.
      const done: unknown = this.#onEvent?.(event);
      if (isPromise(done)) done.then(undefined, () => {});
    } catch {
      // The application's own function failed: it can't be reported anywhere else.
    }
  };

  /** Reports an error that is not sent to the client. */
  failed(during: string, error: unknown): void {
    this.report({ type: "error", during, error });
  }

  /**
   * Runs work that no request waits for, and reports its error.
   *
   * @param during The name of the work, for the event
   * @param onFailure Called after an error was reported
   * @returns A promise that resolves when the work has settled; `undefined` for synchronous work
   */
  background(
    during: string,
    work: () => unknown,
    onFailure?: () => void,
  ): Promise<unknown> | undefined {
    const failed = (error: unknown) => {
      this.failed(during, error);
      onFailure?.();
    };
    try {
      const done = work();
      return isPromise(done) ? done.then(undefined, failed) : undefined;
    } catch (error) {
      failed(error);
      return undefined;
    }
  }
}

/** Returns a function that gives no address where the application's own function fails. */
function guarded(address: NameAddress): NameAddress {
  return (found, request) => {
    try {
      const named = address(found, request);
      return typeof named === "string" && named !== "" ? shown(named) : undefined;
    } catch {
      return undefined;
    }
  };
}
