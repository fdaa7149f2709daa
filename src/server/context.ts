/**
 * What a handler is given: a thin view of its request that builds nothing before it is asked for.
 *
 * @module
 */
import type { ClientFacts, Exchange, Notification, Principal } from "../protocol/exchange.ts";
import { isObject } from "../protocol/jsonrpc.ts";
import type { CreateMessageParams } from "../protocol/shapes.ts";
import type { ProtocolVersion } from "../protocol/versions.ts";
import { log } from "./logging.ts";
import { askModel, askRoots, askUser, type Elicitation, type Questions } from "./questions.ts";
import type { ContextSession, Elicit, RequestContext } from "./types.ts";

/** What is the same for all contexts of a server. */
export interface ContextSettings {
  /** Whether log messages are sent at all. */
  readonly logging: boolean;
  /** Takes the questions of a request to its client. */
  readonly questions: (exchange: Exchange) => Questions;
}

/** A {@linkcode RequestContext} over an exchange. Its functions work when taken off it, too. */
export class ExchangeContext implements RequestContext {
  readonly #exchange: Exchange;
  readonly #settings: ContextSettings;

  constructor(exchange: Exchange, settings: ContextSettings) {
    this.#exchange = exchange;
    this.#settings = settings;
  }

  get signal(): AbortSignal {
    return this.#exchange.signal;
  }

  get principal(): Principal {
    return this.#exchange.principal;
  }

  get session(): ContextSession | undefined {
    return this.#exchange.session;
  }

  get request(): Request {
    return this.#exchange.request;
  }

  get protocolVersion(): ProtocolVersion {
    return this.#exchange.protocolVersion;
  }

  get client(): ClientFacts {
    return this.#exchange.client;
  }

  get progress(): RequestContext["progress"] {
    const exchange = this.#exchange;
    return (value, total, message) => progress(exchange, value, total, message);
  }

  get log(): RequestContext["log"] {
    const exchange = this.#exchange;
    const { logging } = this.#settings;
    return (level, data, logger) => {
      if (logging) log(exchange, level, data, logger);
    };
  }

  get elicit(): Elicit {
    const exchange = this.#exchange;
    const questions = this.#questions;
    const elicit = (key: string, what: Elicitation) =>
      unhurried(askUser(exchange, questions(), key, what));
    // The content that an overload promises is what its schema has let through
    return elicit as Elicit;
  }

  get sample(): RequestContext["sample"] {
    const exchange = this.#exchange;
    const questions = this.#questions;
    return (key: string, params: CreateMessageParams) => {
      return unhurried(askModel(exchange, questions(), key, params));
    };
  }

  get roots(): RequestContext["roots"] {
    const exchange = this.#exchange;
    const questions = this.#questions;
    return (key = "roots") => unhurried(askRoots(exchange, questions(), key));
  }

  get notify(): RequestContext["notify"] {
    const exchange = this.#exchange;
    return (notification: Notification) => exchange.notify(notification);
  }

  get closeStream(): RequestContext["closeStream"] {
    const exchange = this.#exchange;
    return (options) => exchange.closeStream(options);
  }

  get #questions(): () => Questions {
    const exchange = this.#exchange;
    const settings = this.#settings;
    return () => settings.questions(exchange);
  }
}

/** A context whose questions go another way than the server's. */
export function contextWith(
  exchange: Exchange,
  settings: ContextSettings,
  questions: Questions,
): RequestContext {
  return new ExchangeContext(exchange, { ...settings, questions: () => questions });
}

/** An answer that a handler need not wait for: when none comes, that must not end the process. */
function unhurried<T>(answer: Promise<T>): Promise<T> {
  answer.catch(() => {});
  return answer;
}

function progress(exchange: Exchange, value: number, total?: number, message?: string): void {
  if (!Number.isFinite(value) || !Number.isFinite(total ?? 0)) {
    throw new RangeError(`Give finite numbers of progress: ${value}, ${total}`);
  }
  const { _meta } = exchange.params;
  const token = isObject(_meta) ? _meta.progressToken : undefined;
  if (typeof token !== "string" && typeof token !== "number") return;
  const params: Record<string, unknown> = { progressToken: token, progress: value };
  if (total !== undefined) params.total = total;
  if (message !== undefined) params.message = message;
  exchange.notify({ method: "notifications/progress", params });
}
