/**
 * A user with an account at an upstream: calls its tool at any node, opens links in a browser, and signs in.
 *
 * @module
 */
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { envelope, headersFor } from "../support/modern.ts";
import { Cookies } from "../signin/walk.ts";
import { as } from "../support/wire.ts";
import type { Random } from "./environment.ts";
import type { Action, ClientPlan, LinkUse, Plan } from "./plan.ts";
import {
  type ClientSurroundings,
  sendWhole,
  type SimulatedPeer,
  type WholeResponse,
} from "./request.ts";
import { ACCOUNTS, LINK_MS, SERVICE, type SimulatedService } from "./service.ts";

const TOOL = `${SERVICE}__who`;
/** The time for which a user tries again in the end, in milliseconds. */
const PATIENCE_MS = 60_000;
/** The time between two tries, in milliseconds. */
const AGAIN_MS = 1_000;

/** The most logins of a browser at a time. */
const MOST_LOGINS = 3;

/** What a call came to. */
type Answer =
  | { readonly kind: "result"; readonly text: string }
  | { readonly kind: "ask"; readonly link: string; readonly state: unknown }
  | { readonly kind: "failed"; readonly text: string };

/** What all clients of a user know of the user's account. */
export interface AccountFacts {
  /** When the user last came back with an answer that connected the account. */
  cameBackAt: number;
  /** When the user was told that. */
  connectedAt: number;
  /** When the user last disconnected it. */
  disconnectedAt: number;
  /** What became of each link. */
  readonly links: Map<string, LinkRecord>;
}

/** What became of a link. */
interface LinkRecord {
  /** How many clients have followed it. */
  opened: number;
  /** How often it has led to the authorization server. */
  started: number;
  /** How often an account was connected by it. */
  connected: number;
}

/** One client of a user, and the user's browser. */
export class AccountUser implements SimulatedPeer {
  readonly name: string;
  readonly #whole: Plan;
  readonly #plan: ClientPlan;
  readonly #random: Random;
  readonly #around: ClientSurroundings;
  readonly #service: SimulatedService;
  readonly #facts: AccountFacts;
  readonly #cookies = new Cookies();
  #logins = 0;
  /** Whether the browser has had more logins at a time than it has room for. */
  #crowded = false;
  #ids = 0;

  constructor(
    name: string,
    plan: Plan,
    client: ClientPlan,
    random: Random,
    around: ClientSurroundings,
    service: SimulatedService,
    facts: AccountFacts,
  ) {
    this.name = name;
    this.#whole = plan;
    this.#plan = client;
    this.#random = random;
    this.#around = around;
    this.#service = service;
    this.#facts = facts;
  }

  async run(): Promise<void> {
    const { environment } = this.#around;
    await Promise.all(this.#plan.actions.map(async (action) => {
      await environment.sleep(action.at);
      if (action.do === "use") await this.#use(action);
      if (action.do === "disconnect") await this.#disconnect();
    }));
    await this.#useLast();
  }

  check(): void {}

  #fail(what: string): void {
    this.#around.fail(`${this.name} ${what}`);
  }

  async #use({ link }: Action & { readonly do: "use" }): Promise<Answer> {
    const answer = await this.#call();
    if (answer.kind !== "ask") return answer;
    const isConnected = await this.#follow(answer.link, link);
    if (link === "late" || !isConnected) return { kind: "failed", text: "not signed in" };
    return await this.#call(answer);
  }

  /** In the end every user can use the tool, unless the upstream refuses the login that it knows. */
  async #useLast(): Promise<void> {
    const { environment } = this.#around;
    await environment.sleep(5_000);
    const until = environment.now + PATIENCE_MS;
    let answer: Answer;
    do {
      answer = await this.#use({ do: "use", at: 0, link: "once" });
      if (answer.kind === "result") return;
      await environment.sleep(AGAIN_MS);
    } while (environment.now < until);
    // A token that is refused soon after the sign-in is no reason for another one.
    if (this.#service.ended.get(this.#plan.owner)?.why === "revoked") return;
    this.#fail(`can't use its account in the end: ${JSON.stringify(answer)}`);
  }

  /** Calls the tool, or answers its question. */
  async #call(asked?: Answer & { readonly kind: "ask" }): Promise<Answer> {
    const { owner } = this.#plan;
    const began = this.#around.environment.now;
    const retry = asked !== undefined && {
      inputResponses: { mooring_sign_in: { action: "accept" } },
      requestState: asked.state,
    };
    const params = { name: TOOL, arguments: {}, ...retry };
    const answer = answerOf(await this.#send("tools/call", params));
    this.#around.note(`${this.name}: ${JSON.stringify(answer).slice(0, 100)}`);
    if (answer.kind === "result" && answer.text !== `${owner}@${SERVICE}`) {
      this.#fail(`got the answer of ${answer.text}`);
    }
    if (answer.kind === "ask") this.#checkAsked(began);
    if (answer.kind === "failed" && this.#around.calm) this.#fail(`got ${answer.text}`);
    return answer;
  }

  /** Nobody is asked again unless the account has ended. */
  #checkAsked(began: number): void {
    const { cameBackAt, connectedAt, disconnectedAt } = this.#facts;
    const isAgain = connectedAt < began && disconnectedAt < cameBackAt;
    if (!isAgain || this.#around.forgetful) return;
    if (this.#service.ended.has(this.#plan.owner)) return;
    this.#fail("is asked to sign in again although nothing has ended");
  }

  /** Opens a link, signs in and comes back. Returns whether the account is connected. */
  async #follow(link: string, use: LinkUse): Promise<boolean> {
    const record = this.#facts.links.get(link) ?? { opened: 0, started: 0, connected: 0 };
    this.#facts.links.set(link, record);
    record.opened++;
    // Clients of one user may be asked the same.
    const calm = () => this.#around.calm && record.opened === 1 && !this.#crowded;
    if (++this.#logins > MOST_LOGINS) this.#crowded = true;
    try {
      return await this.#follows(link, use, record, calm);
    } finally {
      this.#logins--;
    }
  }

  async #follows(
    link: string,
    use: LinkUse,
    record: LinkRecord,
    calm: () => boolean,
  ): Promise<boolean> {
    const { environment } = this.#around;
    if (use === "late") await environment.sleep(LINK_MS + 1_000);
    if (use === "stolen") {
      const stolen = await this.#browse(link, {}, "mallory");
      if (stolen !== undefined && stolen.status < 400) this.#fail("had its link opened by another");
    }
    const page = await this.#browse(link);
    if (page?.status !== 200) {
      if (calm() && use !== "late") this.#fail(`can't open its link: ${page?.status}`);
      return false;
    }
    const hasJumps = this.#whole.faults.some((fault) => fault.do === "jump");
    if (use === "late" && !hasJumps) this.#fail("opened a link too late");
    const form = formOf(page.text);
    const posts = await Promise.all(
      [form, ...use === "twice" ? [form] : []].map((body) => this.#browse(form.action, { body })),
    );
    const ways = posts.flatMap((post) =>
      post?.status === 303 ? [post.headers.get("location") ?? ""] : []
    );
    record.started += ways.length;
    if (record.started > 1) this.#fail("has started two logins with one link");
    const [way] = ways;
    if (way === undefined) {
      if (calm()) this.#fail(`can't sign in: ${posts.map((post) => post?.status)}`);
      return false;
    }
    await environment.sleep(this.#random.int(10, 2_000));
    const back = this.#service.service.authorize(new URL(way), this.#plan.owner);
    if (use === "answer-stolen") {
      const stolen = await this.#browse(back, {}, "mallory");
      if (stolen?.status === 200) this.#fail("had its answer taken by another");
    }
    const began = environment.now;
    const pages = await Promise.all(
      [back, ...use === "answered-twice" ? [back] : []].map((url) => this.#browse(url)),
    );
    const connected = pages.filter((each) => each?.status === 200).length;
    record.connected += connected;
    if (record.connected > 1) this.#fail("has used one state twice");
    if (connected === 0) {
      // It may be connected all the same.
      if (calm()) this.#fail(`can't come back: ${pages.map((each) => each?.status)}`);
      return false;
    }
    this.#facts.cameBackAt = began;
    this.#facts.connectedAt = environment.now;
    const { at = Infinity } = this.#service.ended.get(this.#plan.owner) ?? {};
    if (at < began) this.#service.ended.delete(this.#plan.owner);
    const again = await this.#browse(link);
    if (again?.status === 200) this.#fail("opened its link again");
    return true;
  }

  async #disconnect(): Promise<void> {
    const page = await this.#browse("/accounts");
    if (page?.status !== 200 || !page.text.includes('name="account"')) return;
    this.#facts.disconnectedAt = Infinity;
    await this.#browse("/accounts", { body: formOf(page.text) });
    this.#facts.disconnectedAt = this.#around.environment.now;
  }

  async #browse(
    to: string | URL,
    { body }: { readonly body?: Readonly<Record<string, string>> } = {},
    user = this.#plan.owner,
  ): Promise<WholeResponse | undefined> {
    const isOwn = user === this.#plan.owner;
    const cookie = isOwn ? this.#cookies.header : "";
    const headers: Record<string, string> = { "x-user": user, ...cookie !== "" && { cookie } };
    const form = body && {
      method: "POST",
      body: new URLSearchParams(body).toString(),
      headers: {
        ...headers,
        "content-type": "application/x-www-form-urlencoded",
        ...{ "sec-fetch-site": "same-origin", origin: ACCOUNTS },
      },
    };
    const request = new Request(new URL(to, ACCOUNTS), form ?? { headers });
    const response = await sendWhole(this.#around, this.#random, request);
    if (isOwn && response !== undefined) this.#cookies.keep(response.headers);
    return response;
  }

  async #send(method: string, params: JsonObject): Promise<JsonObject> {
    const _meta = envelope({ elicitation: { url: {} } });
    const headers = {
      ...{ "content-type": "application/json", accept: "application/json, text/event-stream" },
      ...{ ...as(this.#plan.owner), ...headersFor(method, params) },
    };
    const id = ++this.#ids;
    const body = JSON.stringify({ jsonrpc: "2.0", id, method, params: { ...params, _meta } });
    const request = new Request("https://mcp.example/mcp", { method: "POST", headers, body });
    const response = await sendWhole(this.#around, this.#random, request);
    if (response === undefined) return { error: { message: "the node died" } };
    const text = /^data: (.+)$/m.exec(response.text)?.[1] ?? response.text;
    try {
      return JSON.parse(text);
    } catch {
      return { error: { message: `${response.status} ${text}` } };
    }
  }
}

/** Returns the hidden fields of a page's first form, and where it is sent. */
function formOf(html: string): Record<string, string> & { readonly action: string } {
  const fields = [...html.matchAll(/<input type="hidden" name="(\w+)" value="([^"]*)">/g)];
  const action = /action="([^"]*)"/.exec(html)?.[1] ?? "";
  const named = Object.fromEntries(fields.map(([, name = "", value = ""]) => [name, value]));
  return { ...named, action, answer: "connect" };
}

function answerOf({ result, error }: JsonObject): Answer {
  if (!isObject(result)) return { kind: "failed", text: JSON.stringify(error ?? null) };
  const asked = isObject(result.inputRequests) ? result.inputRequests.mooring_sign_in : undefined;
  if (isObject(asked) && isObject(asked.params)) {
    return { kind: "ask", link: String(asked.params.url), state: result.requestState };
  }
  const text = Array.isArray(result.content) ? String(result.content[0]?.text) : "";
  return { kind: result.isError === true ? "failed" : "result", text };
}
