/**
 * The way from the floor to Mooring in steps: each rung takes a request through one more of Mooring's own
 * parts, then answers it like the floor. The difference between two rungs is what that part costs.
 *
 * @module
 */
import { McpServer } from "../../mod.ts";
import { authenticate } from "../../src/auth/authenticate.ts";
import { authorize } from "../../src/auth/authorize.ts";
import { checkVersion } from "../../src/era2025/version.ts";
import { type Endpoint, makeEndpoint } from "../../src/handler/handler.ts";
import type { Body } from "../../src/http/gates/arrivals.ts";
import { Inbound } from "../../src/http/inbound.ts";
import { jsonReply } from "../../src/http/reply.ts";
import { respond } from "../../src/http/respond.ts";
import { ownerKey, shareKey } from "../../src/sessions/owner.ts";
import { textResult, type Tool, toolsFor } from "../tools.ts";
import { optionsOf } from "./mooring.ts";
import type { Stack, StackInit, StackModule } from "./types.ts";

/** How high each rung is above the floor. */
const LEVELS = { record: 1, head: 2, body: 3, row: 4, message: 5, principal: 6, session: 7 };

/** The name of a rung. */
export type Rung = keyof typeof LEVELS;

/** The rungs above the floor, the lowest first. */
export const RUNGS = Object.keys(LEVELS) as readonly Rung[]; // the keys of a constant

/** What each rung adds to the one before it. */
export const RUNG_TITLES: Readonly<Record<Rung, string>> = {
  record: "+ a record of the request, a content type",
  head: "+ path, origin, host, method, media types",
  body: "+ length, budget and time limit of the body",
  row: "+ what arrives together in a row",
  message: "+ UTF-8, depth and form of the message",
  principal: "+ token, principal, scopes",
  session: "+ session, owner, version",
};

/** Tells whether a rung looks for the session: those below it need none. */
export function hasSessions(rung: Rung): boolean {
  return rung === "session";
}

interface Message {
  readonly id?: unknown;
  readonly method?: unknown;
  readonly params?: { readonly name?: unknown; readonly arguments?: unknown };
}

class Ladder implements Stack {
  readonly #tools: ReadonlyMap<string, Tool>;
  readonly #endpoint: Endpoint;
  readonly #level: number;

  constructor(init: StackInit, rung: Rung) {
    this.#tools = new Map(toolsFor(init.tools).map((tool) => [tool.name, tool]));
    this.#endpoint = makeEndpoint(new McpServer({ name: "bench", version: "1.0.0" }), {
      ...optionsOf(init),
      // As `serve()` sets them.
      path: "/mcp",
      allowedHosts: ["localhost", "127.0.0.1", "[::1]"],
    });
    this.#level = LEVELS[rung];
  }

  async answer(request: Request): Promise<Response> {
    const { gates, arrived } = this.#endpoint.components;
    const inbound = new Inbound(request);
    if (this.#passes("head")) must(gates.passHead(inbound));
    const body = this.#passes("body") ? await gates.readBody(inbound) : await request.text();
    const turn = this.#passes("row") ? arrived.next() : undefined;
    if (turn !== undefined) await turn;
    if (this.#passes("session")) return await this.#answerInSession(inbound, body);
    if (!this.#passes("message")) return this.#answerLikeFloor(JSON.parse(String(body)));
    this.#check(inbound, body);
    return this.#answerLikeFloor(messageOf(inbound));
  }

  async #answerInSession(inbound: Inbound, body: Body): Promise<Response> {
    this.#check(inbound, body);
    const message = messageOf(inbound);
    const { components, eras } = this.#endpoint;
    // What a session begins with is answered by the endpoint.
    if (message.method !== "tools/call") return respond(await eras.post(inbound));
    const found = await components.sessions.find(inbound);
    if (found.kind !== "session") throw new Error("Call in a session");
    must(checkVersion(inbound, found.record?.protocolVersion, components.settings.versions));
    return this.#answerLikeFloor(message);
  }

  /** Checks the body, and who has sent it. */
  #check(inbound: Inbound, body: Body): void {
    const { gates, auth } = this.#endpoint.components;
    must(gates.passBody(inbound, body));
    gates.releaseBody(inbound);
    if (!this.#passes("principal")) return;
    must(authenticate(inbound, auth));
    must(authorize(inbound, auth));
    inbound.owner = ownerKey(inbound.principal);
    inbound.share = shareKey(inbound.owner);
  }

  #answerLikeFloor({ id, params }: Message): Response {
    const tool = this.#tools.get(String(params?.name));
    const result = textResult(tool?.run(params?.arguments, () => {}) as string); // not asynchronous
    return respond(jsonReply(JSON.stringify({ jsonrpc: "2.0", id, result })));
  }

  #passes(rung: Rung): boolean {
    return this.#level >= LEVELS[rung];
  }
}

function messageOf({ content }: Inbound): Message {
  if (content.kind === "batch") throw new Error("Send one message");
  return content.message as Message;
}

/** Checks that a part has let the request pass. */
function must(refused: unknown): void {
  if (refused !== undefined) throw new Error(`A part refused a call: ${JSON.stringify(refused)}`);
}

/** Returns one rung. */
export function rungOf(name: Rung): StackModule {
  return {
    title: RUNG_TITLES[name],
    kinds: ["http"],
    make: (init) => {
      const ladder = new Ladder(init, name);
      return { answer: (request) => ladder.answer(request) };
    },
  };
}
