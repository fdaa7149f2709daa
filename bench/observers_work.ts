/**
 * A process of its own for one way of observing an endpoint: works for as long as it is told to.
 *
 * @module
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { cpuTime } from "./cpu_time.ts";
import { makeObserved, mooring, type Observers } from "./stacks/mooring.ts";
import { prepare } from "./work.ts";

/** The ways of observing, and what each is. */
export const OBSERVERS = {
  none: "nothing",
  events: "`onEvent`, a function that does nothing",
  middleware: "one middleware that does nothing",
  telemetry: "`telemetry()`, no SDK registered",
  sdk: "`telemetry()`, an SDK that records everything and exports to nowhere",
  metrics: "`metrics()`",
  audit: "`audit()`, to a writer that does nothing",
  all: "`telemetry()` without an SDK, `metrics()` and `audit()`",
} as const;

/** The name of a way of observing. */
export type ObserverName = keyof typeof OBSERVERS;

/** What a slice of work came to. */
export interface Slice {
  readonly ops: number;
  /** Milliseconds of processor time. */
  readonly cpuMs: number;
}

const FACTORIES: Readonly<Record<ObserverName, () => Promise<Observers>>> = {
  none: async () => ({}),
  events: async () => ({ onEvent() {} }),
  middleware: async () => ({ middleware: [(_exchange, next) => next()] }),
  telemetry: async () => {
    const { telemetry } = await import("../src/telemetry/mod.ts");
    const { middleware, onEvent } = telemetry();
    return { middleware: [middleware], onEvent };
  },
  async sdk() {
    await registerSdk();
    return await FACTORIES.telemetry();
  },
  metrics: async () => {
    const { metrics } = await import("../src/telemetry/metrics.ts");
    return { onEvent: metrics().onEvent };
  },
  audit: async () => {
    const { audit } = await import("../src/audit/mod.ts");
    return { onEvent: audit({ write() {} }).onEvent };
  },
  async all() {
    const several = await Promise.all(
      [FACTORIES.telemetry(), FACTORIES.metrics(), FACTORIES.audit()],
    );
    return {
      middleware: several.flatMap(({ middleware = [] }) => middleware),
      onEvent: (event) => several.forEach(({ onEvent }) => onEvent?.(event)),
    };
  },
};

/** Registers an SDK as applications do, whose exporter takes everything and does nothing. */
async function registerSdk(): Promise<void> {
  const [api, { AsyncLocalStorageContextManager }, core, traces, meters] = await Promise.all([
    import("@opentelemetry/api"),
    import("@opentelemetry/context-async-hooks"),
    import("@opentelemetry/core"),
    import("@opentelemetry/sdk-trace"),
    import("@opentelemetry/sdk-metrics"),
  ]);
  const exporter = {
    export: (_spans: unknown, done: (result: { code: number }) => void) => done({ code: 0 }),
    shutdown: () => Promise.resolve(),
  };
  const spanProcessors = [new traces.BatchSpanProcessor({ exporter })];
  api.context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  api.trace.setGlobalTracerProvider(new traces.TracerProvider({ spanProcessors }));
  api.metrics.setGlobalMeterProvider(new meters.MeterProvider());
  api.propagation.setGlobalPropagator(new core.W3CTraceContextPropagator());
}

async function begin(name: ObserverName): Promise<(ms: number) => Promise<Slice>> {
  const stack = makeObserved({ kind: "json", tools: 3, room: 0 }, await FACTORIES[name]());
  const work = await prepare({ kind: "json", module: mooring, stack, sessions: 0 });
  await work.run();
  work.check();
  return async (ms) => {
    const until = performance.now() + ms;
    const begin = cpuTime();
    let ops = 0;
    do {
      await work.run();
      ops++;
    } while (performance.now() < until);
    const cpuMs = cpuTime() - begin;
    work.check();
    return { ops, cpuMs };
  };
}

if (process.argv[2] !== undefined && import.meta.main !== false) {
  const slice = await begin(JSON.parse(process.argv[2]));
  const say = (what: unknown): void => void process.stdout.write(`${JSON.stringify(what)}\n`);
  say({ ready: true });
  for await (const line of createInterface({ input: process.stdin })) {
    say(await slice(JSON.parse(line)));
  }
  process.exit();
}
