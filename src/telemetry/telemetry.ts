/**
 * Makes spans and histograms of what passes an endpoint and a gateway.
 *
 * @module
 */
import { checkNames } from "../internal/known_names.ts";
import type { AttributeValue, Context, Histogram, Span, Tracer } from "@opentelemetry/api";
import { integerOption } from "../internal/check.ts";
import { type Clock, preciseTime, systemClock } from "../internal/clock.ts";
import { clip } from "../internal/quote.ts";
import { shortHash } from "../internal/random.ts";
import { isPromise, type MaybePromise } from "../internal/types.ts";
import type { UpstreamMiddleware, UpstreamRequest } from "../protocol/upstream.ts";
import type { McpEvent } from "../protocol/events.ts";
import type { Exchange } from "../protocol/exchange.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import type { Middleware, Next } from "../protocol/middleware.ts";
import { Attribute, DURATION_BUCKETS, DurationMetrics, OTHER } from "./conventions.ts";
import {
  type DurationName,
  type RecordDuration,
  recordEvent,
  recordOperation,
  upstreamOperation,
} from "./durations.ts";
import { KnownNames } from "./known_names.ts";
import {
  type Attributes,
  type Ending,
  endingAttributes,
  endingOfError,
  endingOfResult,
  isKnownMethod,
  type NetworkTransport,
  type Operation,
  operationAttributes,
} from "./operation.ts";
import { otel } from "./otel.ts";
import { placeOf, type RemoteContext, upstreamParent, withContext } from "./trace_context.ts";

/** Options for {@linkcode telemetry}. */
export interface TelemetryOptions {
  /**
   * What to write as `mcp.session.id`: a hash of eight digits, the same as in events; the id itself,
   * which is a secret and then is in the hands of all who read traces; or nothing. Requests of
   * 2026-07-28 have no session.
   *
   * @default {"hash"}
   */
  readonly sessionId?: "hash" | "id" | "none";
  /**
   * What to do with the span that a client names in `_meta` or in its headers: make it the parent, so that
   * one trace shows client and server; link to it from a trace of its own; or ignore it. With `"parent"`
   * a client decides whether its requests are sampled, if the sampler follows the parent.
   *
   * @default {"parent"}
   */
  readonly remoteContext?: RemoteContext;
  /**
   * Whether spans have the arguments of tools, as `gen_ai.tool.call.arguments`. They may be private.
   *
   * @default {false}
   */
  readonly recordArguments?: boolean;
  /**
   * Whether spans have the results of tools, as `gen_ai.tool.call.result`. They may be private.
   *
   * @default {false}
   */
  readonly recordResults?: boolean;
  /**
   * Characters that recorded arguments and results may have; longer ones are cut.
   *
   * @default {4096}
   */
  readonly recordedChars?: number;
  /**
   * The network that clients come by. Behind stdio it is `"pipe"`.
   *
   * @default {"tcp"}
   */
  readonly transport?: NetworkTransport;
  /** Provides the time for the durations of requests to upstreams; the system clock by default. */
  readonly clock?: Clock;
}

/** What to give to an endpoint and a gateway. Each works without the others. */
export interface Telemetry {
  /** Makes a span of each request: for `middleware` of `createMcpHandler`, first in the list. */
  readonly middleware: Middleware;
  /**
   * Records durations of requests and sessions, and ends the span of a request that is stopped before its
   * handler ends: for `onEvent` of `createMcpHandler`.
   */
  readonly onEvent: (event: McpEvent) => void;
  /**
   * Makes a span of each request to an upstream, records its duration, and passes the trace on: for
   * `middleware` of `gateway`, last in the list.
   */
  readonly upstream: UpstreamMiddleware;
}

/** The name under which an SDK shows spans and metrics. */
const SCOPE = "@mooring/mcp";
/** Characters of a request's id and of a URI in a span. */
const MOST_ID = 100;
const MOST_URI = 1_000;
/** The meter as long as no SDK is registered. */
const NO_METER = otel.createNoopMeter();

/**
 * Creates what reports to OpenTelemetry, by its semantic conventions for MCP. Nothing is exported until the
 * application registers an SDK, or Deno runs with `OTEL_DENO=true`.
 *
 * @example
 * ```ts
 * import { createMcpHandler, McpServer } from "@mooring/mcp";
 * import { gateway, local } from "@mooring/mcp/gateway";
 * import { telemetry } from "@mooring/mcp/telemetry";
 *
 * const clock = new McpServer({ name: "clock", version: "1.0.0" });
 * clock.registerTool("now", {}, () => new Date().toISOString());
 *
 * const { middleware, onEvent, upstream } = telemetry();
 * await using gw = gateway({ upstreams: { clock: local(clock) }, middleware: [upstream] });
 * await using handler = createMcpHandler(gw, { middleware: [middleware], onEvent });
 * ```
 *
 * @throws {TypeError} If an option has the wrong type
 * @throws {RangeError} If `recordedChars` is out of range
 */
export function telemetry(options: TelemetryOptions = {}): Telemetry {
  checkNames("telemetry()", options, {
    sessionId: true,
    remoteContext: true,
    recordArguments: true,
    recordResults: true,
    recordedChars: true,
    transport: true,
    clock: true,
  });
  const instruments = new Instruments(options);
  return {
    middleware: instruments.middleware,
    onEvent: instruments.onEvent,
    upstream: instruments.upstream,
  };
}

type TelemetrySettings = Required<TelemetryOptions>;

function settingsOf(options: TelemetryOptions): TelemetrySettings {
  const {
    sessionId = "hash",
    remoteContext = "parent",
    recordArguments = false,
    recordResults = false,
    transport = "tcp",
    clock = systemClock,
  } = options;
  oneOf("sessionId", sessionId, ["hash", "id", "none"]);
  oneOf("remoteContext", remoteContext, ["parent", "link", "ignore"]);
  oneOf("transport", transport, ["tcp", "quic", "pipe"]);
  const recordedChars = integerOption("recordedChars", options.recordedChars, 4_096, 1);
  return {
    ...{ sessionId, remoteContext, recordArguments, recordResults },
    ...{ recordedChars, transport, clock },
  };
}

function oneOf(name: string, value: string, values: readonly string[]): void {
  if (values.includes(value)) return;
  throw new TypeError(`Give one of ${values.join(", ")} as "${name}": ${value}`);
}

/** A request whose handler runs. */
interface RunningSpan {
  readonly exchange: Exchange;
  readonly end: (ending: Ending) => void;
}

class Instruments {
  readonly #settings: TelemetrySettings;
  readonly #tracer: Tracer = otel.trace.getTracer(SCOPE);
  /** The histograms that have been recorded: an SDK may be registered after this is made. */
  readonly #histograms = new Map<DurationName, Histogram>();
  /** The requests whose handlers work asynchronously: no more than `limits.requests` of the endpoints. */
  readonly #running = new Set<RunningSpan>();
  readonly #known = new KnownNames();
  #tracing = false;
  #last: McpEvent | undefined;

  constructor(options: TelemetryOptions) {
    this.#settings = settingsOf(options);
  }

  readonly onEvent = (event: McpEvent): void => {
    // A gateway reports to each endpoint that serves it
    if (event === this.#last) return;
    this.#last = event;
    recordEvent(event, this.#settings.transport, this.#record);
    if (event.type === "request-finished") this.#stopped(event);
  };

  readonly middleware: Middleware = (exchange, next) => {
    if (!this.#isTracing()) return next();
    const operation = this.#operationOf(exchange);
    const { parent, links } = exchange.task === undefined
      ? placeOf(exchange.params, exchange.request, this.#settings.remoteContext)
      // The call that started the task is the current span
      : { parent: otel.context.active(), links: [] };
    const attributes = this.#attributesOf(exchange, operation);
    const span = exchange.task === undefined
      ? this.#start(operation, otel.SpanKind.SERVER, attributes, parent, links)
      : this.#startTask(operation, attributes, parent);
    exchange.noteTrace?.(span.spanContext().traceId);
    return this.#run(exchange, operation, span, parent, next);
  };

  readonly upstream: UpstreamMiddleware = async (request, next) => {
    const { clock } = this.#settings;
    let operation = upstreamOperation(request, this.#known);
    const parent = upstreamParent(request.params);
    const attributes = this.#upstreamAttributes(request, operation);
    const span = this.#start(operation, otel.SpanKind.CLIENT, attributes, parent);
    const context = otel.trace.setSpan(parent, span);
    const startedAt = preciseTime(clock);
    const end = (ending: Ending) => {
      const isCached = request.isCached?.() === true;
      if (isCached) span.setAttribute(Attribute.Cached, true);
      endSpan(span, ending);
      if (isCached) return;
      const ms = preciseTime(clock) - startedAt;
      recordOperation("ClientOperation", ms, operation, ending, this.#record);
    };
    try {
      const params = withContext(request.params, context);
      const result = await otel.context.with(context, () => next(params));
      this.#known.learn(request, result);
      operation = upstreamOperation(request, this.#known);
      if (span.isRecording()) {
        // Its name may have become known by this
        span.updateName(nameOf(operation)).setAttributes(operationAttributes(operation));
        this.#addResult(span, operation, result);
      }
      end(endingOfResult(operation, result));
      return result;
    } catch (error) {
      end(endingOfError(error, "client"));
      throw error;
    }
  };

  /** Tells whether an SDK is registered: without one there is nothing to make spans for. */
  #isTracing(): boolean {
    if (this.#tracing) return true;
    const provider = otel.trace.getTracerProvider();
    return this.#tracing = !(provider instanceof otel.ProxyTracerProvider) ||
      provider.getDelegateTracer(SCOPE) !== undefined;
  }

  /** Runs the rest of a request inside its span. */
  #run(
    exchange: Exchange,
    operation: Operation,
    span: Span,
    parent: Context,
    next: Next,
  ): MaybePromise<JsonObject> {
    const succeeded = (result: JsonObject): Ending => {
      if (span.isRecording()) {
        if (exchange.repeated === true) span.setAttribute(Attribute.Repeated, true);
        this.#addResult(span, operation, result);
        this.#nameLate(span, operation, exchange);
      }
      return endingOfResult(operation, result);
    };
    let result: MaybePromise<JsonObject>;
    try {
      result = otel.context.with(otel.trace.setSpan(parent, span), () => next());
    } catch (error) {
      endSpan(span, endingOfError(error, "server"));
      throw error;
    }
    if (!isPromise(result)) {
      endSpan(span, succeeded(result));
      return result;
    }
    return this.#follow(exchange, span, result, succeeded);
  }

  /** Ends the span of an asynchronous request with its handler, or before if the request is stopped. */
  async #follow(
    exchange: Exchange,
    span: Span,
    result: PromiseLike<JsonObject>,
    succeeded: (result: JsonObject) => Ending,
  ): Promise<JsonObject> {
    let ended = false;
    const end = (ending: Ending) => {
      if (ended) return;
      ended = true;
      this.#running.delete(running);
      endSpan(span, ending);
    };
    const running: RunningSpan = { exchange, end };
    if (span.isRecording()) this.#running.add(running);
    try {
      const value = await result;
      if (!ended) end(succeeded(value));
      return value;
    } catch (error) {
      if (!ended) end(endingOfError(error, "server"));
      throw error;
    }
  }

  /** Ends the spans of requests that were stopped although their handlers still run. */
  #stopped({ request, outcome }: Extract<McpEvent, { type: "request-finished" }>): void {
    if (outcome === "result" || outcome === "error" || this.#running.size === 0) return;
    const ending = outcome === "input-required" ? {} : { errorType: outcome };
    for (const { exchange, end } of [...this.#running]) {
      // Endpoints count their requests each for itself: only the stopped one has aborted
      if (exchange.serial === request && exchange.signal.aborted) end(ending);
    }
  }

  /** Names a span by what only its answer has shown: a method, or a tool whose list nobody has read. */
  #nameLate(span: Span, operation: Operation, exchange: Exchange): void {
    if (operation.method === OTHER) return rename(span, exchange);
    if ((operation.tool ?? operation.prompt) !== undefined) return;
    const known = this.#operationOf(exchange);
    if ((known.tool ?? known.prompt) === undefined) return;
    span.updateName(nameOf(known)).setAttributes(operationAttributes(known));
  }

  #operationOf({ method, target, protocolVersion }: Exchange): Operation {
    const { tool, prompt } = target ?? {};
    const { transport } = this.#settings;
    return {
      method: isKnownMethod(method) ? method : OTHER,
      ...{ tool, prompt, protocolVersion, transport },
    };
  }

  #attributesOf(exchange: Exchange, operation: Operation): Attributes {
    const { id, params, session } = exchange;
    const { sessionId } = this.#settings;
    const attributes = operationAttributes(operation);
    attributes[Attribute.RequestId] = clip(String(id), MOST_ID);
    if (session !== undefined && sessionId !== "none") {
      attributes[Attribute.SessionId] = sessionId === "hash" ? shortHash(session.id) : session.id;
    }
    return this.#addParams(attributes, operation, params);
  }

  #upstreamAttributes({ params }: UpstreamRequest, operation: Operation): Attributes {
    return this.#addParams(operationAttributes(operation), operation, params);
  }

  #addParams(attributes: Attributes, { method }: Operation, params: JsonObject): Attributes {
    if (method.startsWith("resources/") && typeof params.uri === "string") {
      attributes[Attribute.ResourceUri] = withoutSecrets(params.uri);
    }
    if (this.#settings.recordArguments && method === "tools/call") {
      attributes[Attribute.ToolArguments] = this.#recorded(params.arguments ?? {});
    }
    return attributes;
  }

  #addResult(span: Span, { method }: Operation, result: JsonObject): void {
    if (!this.#settings.recordResults || method !== "tools/call") return;
    span.setAttribute(Attribute.ToolResult, this.#recorded(result));
  }

  #recorded(value: unknown): AttributeValue & string {
    try {
      return clip(JSON.stringify(value), this.#settings.recordedChars);
    } catch {
      // A result that can't be written as JSON: the endpoint reports it
      return "";
    }
  }

  #start(
    operation: Operation,
    kind: number,
    attributes: Attributes,
    parent: Context,
    links: Parameters<Span["addLinks"]>[0] = [],
  ): Span {
    return this.#tracer.startSpan(nameOf(operation), { kind, attributes, links }, parent);
  }

  /** Starts the span of a task's run, which is no request of a client. */
  #startTask({ tool = "" }: Operation, attributes: Attributes, parent: Context): Span {
    const { INTERNAL: kind } = otel.SpanKind;
    return this.#tracer.startSpan(`execute_tool ${tool}`.trimEnd(), { kind, attributes }, parent);
  }

  readonly #record: RecordDuration = (name, seconds, _key, attributes) => {
    this.#histogramOf(name)?.record(seconds, attributes());
  };

  /** Returns a histogram, or `undefined` as long as no SDK is registered. */
  #histogramOf(name: DurationName): Histogram | undefined {
    const known = this.#histograms.get(name);
    if (known !== undefined) return known;
    const meter = otel.metrics.getMeter(SCOPE);
    if (meter === NO_METER) return undefined;
    const { name: metric, unit, description } = DurationMetrics[name];
    const advice = { explicitBucketBoundaries: [...DURATION_BUCKETS] };
    const histogram = meter.createHistogram(metric, { unit, description, advice });
    this.#histograms.set(name, histogram);
    return histogram;
  }
}

/** Returns the name of a span: the method, and what it is about if that has few values. */
function nameOf({ method, tool, prompt }: Operation): string {
  const target = tool ?? prompt;
  return target === undefined ? method : `${method} ${target}`;
}

/** Names a span for a method that isn't one of MCP. The server has answered it, so it is the server's. */
function rename(span: Span, { method }: Exchange): void {
  const name = clip(method, MOST_ID);
  span.updateName(name);
  span.setAttribute(Attribute.Method, name);
}

function endSpan(span: Span, ending: Ending): void {
  if (!span.isRecording()) return span.end();
  const { errorType, message } = ending;
  span.setAttributes(endingAttributes(ending));
  if (errorType !== undefined) {
    span.setStatus({ code: otel.SpanStatusCode.ERROR, ...message !== undefined && { message } });
  }
  span.end();
}

/** Returns a URI without user, password, query and fragment. */
function withoutSecrets(uri: string): string {
  const plain = uri.replace(/[?#][^]*$/, "").replace(/^([A-Za-z][A-Za-z0-9+.-]*:\/\/)[^/]*@/, "$1");
  return clip(plain, MOST_URI);
}
