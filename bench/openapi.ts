/**
 * What `openapi()` adds to a call of an API: through a gateway, with its session, the check of arguments and
 * answer and both conversions, beside a bare `fetch` of the same API, in turn. `docs/openapi.md` has the
 * figures.
 *
 *     deno task bench:openapi --runtime node
 *
 * @module
 */
import { parseArgs } from "node:util";
import { install, isRuntime, RUNTIMES } from "../tools/runtimes.ts";
import type { Serving } from "./http_server.ts";
import type { OpenApiCall, OpenApiInit, OpenApiOrder, OpenApiSlice } from "./openapi_work.ts";
import { alternate, median } from "./pairs.ts";
import { Subordinate } from "./process.ts";

const SLICE_MS = 150;
const WARM_UP_MS = 1_000;

const CALLS: readonly (readonly [OpenApiCall, string])[] = [
  ["get", "one object"],
  ["list", "a list of 100, 20 kB"],
];

const { values } = parseArgs({
  options: {
    runtime: { type: "string", default: RUNTIMES.join(",") },
    pairs: { type: "string", default: "25" },
  },
});
await install();
await using api = await Subordinate.start("node", "openapi_api.ts", {});
const { port } = await api.order<Serving>({});
console.log("runtime answer                fetch ms  openapi ms  added ms  times  added CPU ms");
for (const runtime of values.runtime.split(",").filter(isRuntime)) {
  const init: OpenApiInit = { port };
  await using worker = await Subordinate.start(runtime, "openapi_work.ts", init);
  for (const [call, title] of CALLS) {
    const slicer = (way: OpenApiOrder["way"], ms: number) => () =>
      worker.order<OpenApiSlice>({ call, way, ms } satisfies OpenApiOrder);
    for (const way of ["gateway", "fetch"] as const) await slicer(way, WARM_UP_MS)();
    const pairs = await alternate(
      slicer("gateway", SLICE_MS),
      slicer("fetch", SLICE_MS),
      Number(values.pairs),
    );
    const of = (value: (pair: (typeof pairs)[number]) => number) => median(pairs.map(value));
    const added = of(({ subject, reference }) => subject.p50 - reference.p50);
    console.log([
      runtime.padEnd(7),
      title.padEnd(21),
      of(({ reference }) => reference.p50).toFixed(2).padStart(8),
      of(({ subject }) => subject.p50).toFixed(2).padStart(11),
      added.toFixed(2).padStart(9),
      of(({ subject, reference }) => subject.p50 / reference.p50).toFixed(2).padStart(6),
      of(({ subject, reference }) => subject.cpuMs - reference.cpuMs).toFixed(2).padStart(13),
    ].join(" "));
  }
}
