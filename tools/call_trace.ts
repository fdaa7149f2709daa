/**
 * Makes one `tools/call` in a warm session, in process, and prints which functions of `src/` ran, in the
 * order of their first entry: a list of {@linkcode CalledFunction} as JSON. Runs under Node alone.
 *
 * V8's precise coverage says which functions ran. It knows no order, so a second call stops at breakpoints
 * in these functions. A worker sets them, because a thread that has stopped can't resume itself.
 *
 * @module
 */
import { once } from "node:events";
import { type Debugger, type Profiler, Session } from "node:inspector/promises";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

/** A function that ran. */
export interface CalledFunction {
  /** From the project's root. */
  readonly path: string;
  /** Its name, or empty. */
  readonly name: string;
  /** How many times it was called. */
  readonly calls: number;
}

/** A function that ran, with its place in the script: offsets in characters, the end exclusive. */
interface Ran extends CalledFunction {
  readonly url: string;
  readonly start: number;
  readonly end: number;
}

const ROOT = new URL("../", import.meta.url);
const SRC = new URL("./src/", ROOT).href;
/** Calls before the measured one, so that it creates nothing that later calls reuse. */
const WARM_UP_CALLS = 50;

/** Makes the request that an HTTP server would pass on for a client of MCP 2025-11-25. */
function post(message: Readonly<Record<string, unknown>>, sessionId?: string): Request {
  const body = JSON.stringify({ jsonrpc: "2.0", ...message });
  return new Request("http://127.0.0.1/mcp", {
    method: "POST",
    headers: {
      host: "127.0.0.1",
      "content-length": String(body.length),
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      ...sessionId === undefined ? {} : {
        "mcp-session-id": sessionId,
        "mcp-protocol-version": "2025-11-25",
      },
    },
    body,
  });
}

/** Opens a session, warms it up, and returns a function that makes one `tools/call` in it. */
async function warmSession(): Promise<() => Promise<void>> {
  const { createMcpHandler, McpServer } = await import("../mod.ts");
  const { z } = await import("zod");
  const server = new McpServer({ name: "path", version: "1.0.0" });
  server.registerTool("add", {
    description: "Adds two numbers.",
    inputSchema: z.object({ a: z.number(), b: z.number() }),
    outputSchema: z.object({ sum: z.number() }),
  }, ({ a, b }) => ({ structuredContent: { sum: a + b } }));
  const handler = createMcpHandler(server, { authenticate: () => ({ id: "alice" }) });
  const opened = await handler(post({
    id: 0,
    method: "initialize",
    params: {
      protocolVersion: "2025-11-25",
      capabilities: {},
      clientInfo: { name: "path", version: "1.0.0" },
    },
  }));
  await opened.text();
  const session = opened.headers.get("mcp-session-id") ?? "";
  await handler(post({ method: "notifications/initialized" }, session));
  let id = 0;
  const call = async (): Promise<void> => {
    const params = { name: "add", arguments: { a: ++id, b: 3 } };
    const response = await handler(post({ id, method: "tools/call", params }, session));
    const text = await response.text();
    if (text.includes(`"sum":${id + 3}`)) return;
    throw new Error(`Look why the call failed: ${response.status} ${text}`);
  };
  for (let i = 0; i < WARM_UP_CALLS; i++) await call();
  return call;
}

/** Counts the functions of `src/` that run during one call. */
async function coverageOf(call: () => Promise<void>): Promise<Ran[]> {
  const session = new Session();
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  await call();
  const { result } = await session.post("Profiler.takePreciseCoverage");
  await session.post("Profiler.stopPreciseCoverage");
  session.disconnect();
  return result.filter(({ url }) => url.startsWith(SRC)).flatMap(ranIn);
}

function ranIn({ url, functions }: Profiler.ScriptCoverage): Ran[] {
  return functions.flatMap(({ functionName: name, ranges: [range] }) => {
    if (range === undefined || range.count === 0) return [];
    const { startOffset: start, endOffset: end, count: calls } = range;
    return [{
      path: fileURLToPath(url).slice(fileURLToPath(ROOT).length),
      url,
      name,
      calls,
      start,
      end,
    }];
  });
}

/** Makes one call and sorts the functions by when it first entered each. */
async function inOrder(call: () => Promise<void>, ran: readonly Ran[]): Promise<Ran[]> {
  const worker = new Worker(new URL(import.meta.url), { workerData: ran });
  await once(worker, "message");
  await call();
  worker.postMessage("stop");
  const [order]: [number[]] = await once(worker, "message") as [number[]]; // what watch() posts
  // The debugger stops nowhere in some initializers of fields: they come last.
  const rest = ran.filter((_, index) => !order.includes(index));
  return [...order.flatMap((index) => ran[index] ?? []), ...rest];
}

/** Runs in the worker: sets breakpoints in the main thread's functions and notes when each is first hit. */
async function watch(ran: readonly Ran[], port: NonNullable<typeof parentPort>): Promise<void> {
  // Listening keeps the worker running, which a session with another thread does not.
  const stopped = once(port, "message");
  const session = new Session();
  session.connectToMainThread();
  const scripts = new Map<string, string>();
  session.on("Debugger.scriptParsed", ({ params }) => scripts.set(params.url, params.scriptId));
  await session.post("Debugger.enable");
  const functionAt = new Map<string, number>();
  const entered = new Set<number>();
  session.on("Debugger.paused", ({ params }) => {
    for (const id of params.hitBreakpoints ?? []) entered.add(functionAt.get(id) ?? -1);
    session.post("Debugger.resume");
  });
  for (const url of new Set(ran.map((one) => one.url))) {
    const scriptId = scripts.get(url);
    if (scriptId === undefined) throw new Error(`No such script: ${url}`);
    for (const { location, index } of await placesIn(session, scriptId, url, ran)) {
      const { breakpointId } = await session.post("Debugger.setBreakpoint", { location });
      functionAt.set(breakpointId, index);
    }
  }
  port.postMessage("ready");
  await stopped;
  session.disconnect();
  port.postMessage([...entered]);
}

/** Finds every place in a script where the debugger can stop, with the innermost function around it. */
async function placesIn(
  session: Session,
  scriptId: string,
  url: string,
  ran: readonly Ran[],
): Promise<{ location: Debugger.BreakLocation; index: number }[]> {
  const { scriptSource } = await session.post("Debugger.getScriptSource", { scriptId });
  const lines = scriptSource.split("\n");
  const starts = lines.map(() => 0);
  for (let i = 1; i < lines.length; i++) {
    starts[i] = (starts[i - 1] ?? 0) + (lines[i - 1]?.length ?? 0) + 1;
  }
  const { locations } = await session.post("Debugger.getPossibleBreakpoints", {
    start: { scriptId, lineNumber: 0, columnNumber: 0 },
  });
  return locations.flatMap((location) => {
    const offset = (starts[location.lineNumber] ?? 0) + (location.columnNumber ?? 0);
    const around = ran.map((one, index) => ({ ...one, index }))
      .filter((one) => one.url === url && one.start <= offset && offset < one.end)
      .sort((a, b) => (a.end - a.start) - (b.end - b.start));
    return around[0] === undefined ? [] : [{ location, index: around[0].index }];
  });
}

if (isMainThread) {
  const call = await warmSession();
  const ordered = await inOrder(call, await coverageOf(call));
  const called: CalledFunction[] = ordered.map(({ path, name, calls }) => ({ path, name, calls }));
  console.log(JSON.stringify(called));
  process.exit();
} else if (parentPort !== null) {
  await watch(workerData, parentPort);
}
