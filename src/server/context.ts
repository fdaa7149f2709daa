/**
 * Implements the context that handlers get: a thin view of the request that creates its parts on
 * first use.
 *
 * @module
 */
import { checkNames } from "../internal/known_names.ts";
import type { ClientFacts, Exchange, Notification, Principal } from "../protocol/exchange.ts";
import { McpError, QuestionError } from "../protocol/errors.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import type { CreateMessageParams } from "../protocol/shapes.ts";
import type { ProtocolVersion } from "../protocol/versions.ts";
import { log } from "./features/logging.ts";
import {
  askModel,
  askRoots,
  askUser,
  type Elicitation,
  type HandlerQuestions,
} from "./questions/questions.ts";
import type { ContextSession, ContextUser, Elicit, RequestContext } from "./types.ts";

/** The user where the host keeps nothing for users. */
const NOT_KEPT: ContextUser = Object.freeze({
  state: Object.freeze({ get: notKept, set: notKept, delete: notKept }),
});

async function notKept(): Promise<never> {
  throw new TypeError("Use ctx.user.state where the server is served by its own handler");
}

/** The settings that all contexts of a server share. */
export interface ContextSettings {
  /** Whether the server sends log messages. */
  readonly logging: boolean;
  /** Returns the {@linkcode HandlerQuestions} of a request. */
  readonly questions: (exchange: Exchange) => HandlerQuestions;
}

/**
 * Implements {@linkcode RequestContext} for an exchange. Its methods also work when detached from
 * it.
 */
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

  get user(): ContextUser {
    return this.#exchange.user ?? NOT_KEPT;
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

  get _meta(): JsonObject {
    const { _meta } = this.#exchange.params;
    return isObject(_meta) ? _meta : {};
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
      answered(askUser(exchange, questions(), key, what));
    // The schema has validated the content that the overload promises
    return elicit as Elicit;
  }

  get sample(): RequestContext["sample"] {
    const exchange = this.#exchange;
    const questions = this.#questions;
    return (key: string, params: CreateMessageParams) => {
      return answered(askModel(exchange, questions(), key, params));
    };
  }

  get roots(): RequestContext["roots"] {
    const exchange = this.#exchange;
    const questions = this.#questions;
    return (key = "roots") => answered(askRoots(exchange, questions(), key));
  }

  get notify(): RequestContext["notify"] {
    const exchange = this.#exchange;
    return (notification: Notification) => {
      checkNames("ctx.notify()", notification, { method: true, params: true });
      exchange.notify(notification);
    };
  }

  get closeStream(): RequestContext["closeStream"] {
    const exchange = this.#exchange;
    return (options) => {
      checkNames("ctx.closeStream()", options, { retryMs: true });
      exchange.closeStream(options);
    };
  }

  get #questions(): () => HandlerQuestions {
    const exchange = this.#exchange;
    const settings = this.#settings;
    return () => settings.questions(exchange);
  }
}

/** Creates a context whose questions are asked by `questions` instead of the server's own way. */
export function contextWith(
  exchange: Exchange,
  settings: ContextSettings,
  questions: HandlerQuestions,
): RequestContext {
  return new ExchangeContext(exchange, { ...settings, questions: () => questions });
}

/**
 * Makes an answer that fails reject with a {@linkcode QuestionError}, so that the failure is not taken
 * for an error that the handler itself threw. The rejection counts as handled: a handler that doesn't
 * await an answer must not end the process.
 */
function answered<T>(answer: Promise<T>): Promise<T> {
  const outcome = answer.catch((error) => {
    if (!(error instanceof McpError) || error instanceof QuestionError) throw error;
    throw new QuestionError(error.code, error.message, error.data, { cause: error });
  });
  outcome.catch(() => {});
  return outcome;
}

function progress(exchange: Exchange, value: number, total?: number, message?: string): void {
  if (!Number.isFinite(value) || !Number.isFinite(total ?? 0)) {
    throw new RangeError(`Give finite numbers as progress: ${value}, ${total}`);
  }
  const { _meta } = exchange.params;
  const token = isObject(_meta) ? _meta.progressToken : undefined;
  const asked = typeof token === "string" || typeof token === "number";
  if (!asked && exchange.noteProgress === undefined) return;
  const params: Record<string, unknown> = { progress: value };
  if (total !== undefined) params.total = total;
  if (message !== undefined) params.message = message;
  if (!asked) return exchange.noteProgress?.(params);
  params.progressToken = token;
  exchange.notify({ method: "notifications/progress", params });
}
