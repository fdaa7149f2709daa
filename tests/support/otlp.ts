/**
 * Receives what OpenTelemetry exports over HTTP as JSON (OTLP/HTTP 1.x), as a collector does.
 *
 * @module
 */
import { createServer } from "node:http";

/** The values of attributes by name. */
export type Attributes = Readonly<Record<string, unknown>>;

/** A span that was received. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for the first span of a trace. */
  readonly parentSpanId: string;
  readonly name: string;
  readonly kind: "internal" | "server" | "client" | "other";
  readonly attributes: Attributes;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly status: { readonly code: "unset" | "ok" | "error"; readonly message?: string };
  /** The name of the library that made it. */
  readonly scope: string;
}

/** One series of a histogram that was received. */
export interface ReceivedPoint {
  readonly attributes: Attributes;
  readonly count: number;
  readonly sum: number;
  readonly bounds: readonly number[];
}

/** A metric that was received. */
export interface ReceivedMetric {
  readonly name: string;
  readonly unit: string;
  readonly points: readonly ReceivedPoint[];
  readonly scope: string;
}

/** A request that was received. */
export interface ReceivedRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly bytes: number;
}

/** A receiver on a free port of this machine. */
export interface OtlpReceiver extends AsyncDisposable {
  /** The base URL, for `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  readonly url: string;
  /** Everything that arrived, in order. */
  readonly spans: ReceivedSpan[];
  /** The latest export of each metric, by name. */
  readonly metrics: Map<string, ReceivedMetric>;
  /** What could not be read. */
  readonly problems: string[];
  /** The requests, in order. */
  readonly requests: ReceivedRequest[];
  /** The attributes of the resources of the spans that arrived, the latest. */
  resource: Attributes;
}

const KINDS = ["other", "internal", "server", "client"] as const;
const STATUS = ["unset", "ok", "error"] as const;

/** Starts a receiver. */
export async function otlpReceiver(port = 0): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = [];
  const metrics = new Map<string, ReceivedMetric>();
  const problems: string[] = [];
  const requests: ReceivedRequest[] = [];
  const server = createServer(async (request, response) => {
    try {
      const chunks: Uint8Array[] = [];
      for await (const chunk of request) chunks.push(chunk);
      const bytes = Buffer.concat(chunks);
      requests.push({ path: request.url ?? "", headers: request.headers, bytes: bytes.length });
      const isProtobuf = request.headers["content-type"] === "application/x-protobuf";
      if (isProtobuf) return void response.writeHead(200).end();
      const text = new TextDecoder().decode(bytes);
      // The shape is that of OTLP: a wrong one shows as a problem
      // deno-lint-ignore no-explicit-any
      const body: any = JSON.parse(text);
      if (request.url === "/v1/traces") {
        spans.push(...spansIn(body));
        received.resource = attributesIn(body.resourceSpans?.[0]?.resource?.attributes);
      } else if (request.url === "/v1/metrics") {
        for (const metric of metricsIn(body)) metrics.set(metric.name, metric);
      } else if (request.url !== "/v1/logs") problems.push(`Unknown path ${request.url}`);
    } catch (error) {
      problems.push(String(error));
    }
    response.writeHead(200, { "content-type": "application/json" }).end("{}");
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("Listen on a port");
  const received: OtlpReceiver = {
    url: `http://127.0.0.1:${address.port}`,
    spans,
    metrics,
    problems,
    requests,
    resource: {},
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
  return received;
}

// deno-lint-ignore no-explicit-any
function spansIn({ resourceSpans = [] }: any): ReceivedSpan[] {
  // deno-lint-ignore no-explicit-any
  return resourceSpans.flatMap(({ scopeSpans = [] }: any) =>
    // deno-lint-ignore no-explicit-any
    scopeSpans.flatMap(({ scope, spans = [] }: any) =>
      // deno-lint-ignore no-explicit-any
      spans.map((span: any): ReceivedSpan => ({
        traceId: span.traceId,
        spanId: span.spanId,
        parentSpanId: span.parentSpanId ?? "",
        name: span.name,
        kind: KINDS[Number(span.kind)] ?? "other",
        attributes: attributesIn(span.attributes),
        // deno-lint-ignore no-explicit-any
        links: (span.links ?? []).map(({ traceId, spanId }: any) => ({ traceId, spanId })),
        status: {
          code: STATUS[Number(span.status?.code ?? 0)] ?? "unset",
          ...span.status?.message && { message: span.status.message },
        },
        scope: scope?.name ?? "",
      }))
    )
  );
}

// deno-lint-ignore no-explicit-any
function metricsIn({ resourceMetrics = [] }: any): ReceivedMetric[] {
  // deno-lint-ignore no-explicit-any
  return resourceMetrics.flatMap(({ scopeMetrics = [] }: any) =>
    // deno-lint-ignore no-explicit-any
    scopeMetrics.flatMap(({ scope, metrics = [] }: any) =>
      // deno-lint-ignore no-explicit-any
      metrics.map((metric: any): ReceivedMetric => ({
        name: metric.name,
        unit: metric.unit ?? "",
        // deno-lint-ignore no-explicit-any
        points: (metric.histogram?.dataPoints ?? []).map((point: any) => ({
          attributes: attributesIn(point.attributes),
          count: Number(point.count ?? 0),
          sum: Number(point.sum ?? 0),
          bounds: point.explicitBounds ?? [],
        })),
        scope: scope?.name ?? "",
      }))
    )
  );
}

// deno-lint-ignore no-explicit-any
function attributesIn(list: any[] = []): Attributes {
  return Object.fromEntries(list.map(({ key, value }) => [key, Object.values(value)[0]]));
}
