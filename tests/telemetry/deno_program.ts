/**
 * A client, a gateway and its upstream, for Deno's own OpenTelemetry: no SDK is registered here. Run with
 * `OTEL_DENO=true`.
 *
 * @module
 */
import { propagation, SpanKind, trace } from "@opentelemetry/api";
import { context } from "@opentelemetry/api";
import { Caller, chain } from "./traced_servers.ts";

{
  await using servers = await chain();
  const caller = await new Caller(servers.handler).open();
  await caller.request("tools/list");
  const tracer = trace.getTracer("test");
  await tracer.startActiveSpan("client", { kind: SpanKind.CLIENT }, async (span) => {
    const meta: Record<string, string> = {};
    propagation.inject(context.active(), meta);
    await caller.call("far__add", { a: 1, b: 2 }, meta);
    span.end();
  });
  await caller.call("near__fail");
  await caller.close();
}
