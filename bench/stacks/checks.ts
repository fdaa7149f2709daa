/**
 * The floor with what anybody has to find out who serves more than one caller: where a request comes
 * from, what it is, who sends it, whose session it names, whether the arguments fit. Nothing else: no
 * limits on anything that runs, no timeouts, no cancellation, no events, no dispatcher. What it leaves of
 * the floor's speed is the most that a server which checks can have.
 *
 * @module
 */
import type { KindName } from "../kinds.ts";
import { PRINCIPALS } from "../messages.ts";
import { textResult, type Tool, toolsFor } from "../tools.ts";
import type { Stack, StackInit, StackModule } from "./types.ts";

const ORIGIN = "https://app.example";
const VERSION = "2025-11-25";
const MODERN = "2026-07-28";
const MOST_BYTES = 1_048_576;
/** How many sessions there may be. */
const MOST_SESSIONS = 10_000;
const JSON_HEADERS = { "content-type": "application/json" };
const SSE_HEADERS = { "content-type": "text/event-stream", "cache-control": "no-cache" };

interface Message {
  readonly jsonrpc: unknown;
  readonly id?: number;
  readonly method: string;
  readonly params: {
    readonly name: string;
    readonly arguments: unknown;
    readonly protocolVersion?: unknown;
    readonly clientInfo?: unknown;
    readonly _meta?: Readonly<Record<string, unknown>>;
  };
}

interface Session {
  readonly owner: string;
  readonly version: string;
  readonly client: unknown;
  usedAt: number;
}

const owners = new Map(PRINCIPALS.map(({ id, authorization }) => [authorization, id]));

function make({ tools: count }: StackInit): Stack {
  const tools = new Map<string, Tool>(toolsFor(count).map((tool) => [tool.name, tool]));
  const sessions = new Sessions();
  return { answer: (request) => answer(request, tools, sessions) };
}

/** Sessions, of which the oldest makes room for a new one. */
class Sessions {
  readonly #byId = new Map<string, Session>();
  readonly #ids: string[] = [];
  #next = 0;

  get(id: string | null): Session | undefined {
    return id === null ? undefined : this.#byId.get(id);
  }

  add(session: Session): string {
    const id = crypto.randomUUID();
    const oldest = this.#ids[this.#next];
    if (oldest !== undefined) this.#byId.delete(oldest);
    this.#byId.set(id, session);
    this.#ids[this.#next] = id;
    this.#next = this.#next + 1 === MOST_SESSIONS ? 0 : this.#next + 1;
    return id;
  }
}

async function answer(
  request: Request,
  tools: ReadonlyMap<string, Tool>,
  sessions: Sessions,
): Promise<Response> {
  const { headers } = request;
  const origin = headers.get("Origin");
  if (origin !== null && origin !== ORIGIN) return refused(403);
  if (request.method !== "POST") return refused(405);
  if (headers.get("Content-Type") !== "application/json") return refused(415);
  const accept = headers.get("Accept");
  if (Number(headers.get("Content-Length") ?? NaN) > MOST_BYTES) return refused(413);
  const text = await request.text();
  if (text.length > MOST_BYTES) return refused(413);
  const message: Message = JSON.parse(text);
  const { id, method, params } = message;
  if (message.jsonrpc !== "2.0" || typeof method !== "string") return refused(400);
  const owner = owners.get(headers.get("Authorization") ?? "");
  if (owner === undefined) return refused(401);
  if (method === "initialize") return begin(message, owner, sessions);
  const version = headers.get("MCP-Protocol-Version");
  const meta = params?._meta;
  if (meta?.["io.modelcontextprotocol/protocolVersion"] === MODERN) {
    if (version !== MODERN || headers.get("Mcp-Method") !== method) return refused(400);
    if (headers.get("Mcp-Name") !== params.name) return refused(400);
  } else {
    const session = sessions.get(headers.get("Mcp-Session-Id"));
    if (session?.owner !== owner) return refused(404);
    if (version !== session.version) return refused(400);
    session.usedAt = Date.now();
  }
  if (id === undefined) return new Response(null, { status: 202 });
  const tool = tools.get(params.name);
  const checked = tool?.input.safeParse(params.arguments);
  if (tool === undefined || !checked?.success) return refused(400);
  const result = textResult(await tool.run(checked.data, () => {}));
  const json = JSON.stringify({ jsonrpc: "2.0", id, result });
  if (accept?.includes("application/json")) return new Response(json, { headers: JSON_HEADERS });
  return new Response(`id: 1\nevent: message\ndata: ${json}\n\n`, { headers: SSE_HEADERS });
}

function begin({ id, params }: Message, owner: string, sessions: Sessions): Response {
  if (params.protocolVersion !== VERSION) return refused(400);
  const client = params.clientInfo;
  const session = sessions.add({ owner, version: VERSION, client, usedAt: Date.now() });
  const result = {
    protocolVersion: VERSION,
    capabilities: { tools: { listChanged: true } },
    serverInfo: { name: "bench", version: "1.0.0" },
  };
  const headers = { ...JSON_HEADERS, "mcp-session-id": session };
  return new Response(JSON.stringify({ jsonrpc: "2.0", id, result }), { headers });
}

function refused(status: number): Response {
  return new Response(null, { status });
}

/** Only what a call or a session begins with. */
const KINDS: readonly KindName[] = ["json", "sse", "modern", "initialize", "http"];

/** The floor with the checks. */
export const checks: StackModule = { title: "checks alone", kinds: KINDS, make };
