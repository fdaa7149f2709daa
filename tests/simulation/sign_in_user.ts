/**
 * A user who signs in, and the client that redeems the code and uses the refresh tokens: each of them twice
 * now and then, as clients do that got no answer, and as thieves do.
 *
 * @module
 */
import { challengeOf } from "../../src/signin/pkce.ts";
import { walk } from "../signin/walk.ts";
import type { Random } from "./environment.ts";
import type { Action, ClientPlan } from "./plan.ts";
import { CLIENT, GRACE_MS, ISSUER, REDIRECT } from "./provider.ts";
import {
  type ClientSurroundings,
  sendWhole,
  type SimulatedPeer,
  type WholeResponse,
} from "./request.ts";

const VERIFIER = "v".repeat(43);
/** The most attempts of a login. */
const MOST_TRIES = 20;
/** The time between two attempts, in milliseconds. */
const AGAIN_MS = 500;

/** One user and one client. */
export class SignInUser implements SimulatedPeer {
  readonly name: string;
  readonly #plan: ClientPlan;
  readonly #random: Random;
  readonly #around: ClientSurroundings;

  constructor(name: string, plan: ClientPlan, random: Random, around: ClientSurroundings) {
    this.name = name;
    this.#plan = plan;
    this.#random = random;
    this.#around = around;
  }

  async run(): Promise<void> {
    await Promise.all(this.#plan.actions.map(async (action) => {
      if (action.do !== "sign-in") return;
      await this.#around.environment.sleep(action.at);
      await this.#signIn(action);
    }));
  }

  check(): void {}

  async #signIn({ twiceMs, refreshes, againMs, reuse }: Action & { readonly do: "sign-in" }) {
    const { environment, calm, note } = this.#around;
    const fail = (what: string) => this.#around.fail(`${this.name} ${what}`);
    const code = await this.#code();
    if (code === undefined) {
      if (calm) fail("can't sign in");
      return;
    }
    const answers = await this.#twice(twiceMs, {
      ...{ grant_type: "authorization_code", redirect_uri: REDIRECT, code_verifier: VERIFIER },
      code,
    });
    const passed = answers.filter((each) => each?.status === 200);
    note(`${this.name} redeems: ${answers.map((each) => each?.status)}`);
    if (passed.length > 1) fail("redeemed a code twice");
    if (calm && passed.length === 0) fail(`got ${answers[0]?.text}`);
    let token = tokenIn(passed[0]);
    if (token === undefined) return;
    // One was told that the code was used before: then nothing is left of the first use.
    const stolen = answers.some((each) => each?.status === 400);
    if (stolen) {
      await environment.sleep(AGAIN_MS);
      if ((await this.#refresh(token))?.status === 200) {
        fail("has tokens of a code that was reused");
      }
      return;
    }
    let before: string | undefined;
    for (let turn = 0; turn < refreshes; turn++) {
      await environment.sleep(this.#random.int(1, 2 * GRACE_MS));
      const used: string = token;
      const all = await this.#twice(againMs, { grant_type: "refresh_token", refresh_token: used });
      const next = new Set(all.flatMap((each) => tokenIn(each) ?? []));
      note(`${this.name} refreshes: ${all.map((each) => each?.status)}`);
      if (next.size > 1) fail("has two successors of a refresh token");
      if (calm && all.some((each) => each?.status !== 200)) fail(`got ${all[0]?.text}`);
      const [successor] = next;
      if (successor === undefined) return;
      [before, token] = [used, successor];
    }
    if (!reuse || before === undefined) return;
    await environment.sleep(GRACE_MS + 1_000);
    const reused = await this.#refresh(before);
    note(`${this.name} reuses: ${reused?.status}`);
    if (reused?.status === 200) fail("used an old refresh token");
    if (reused?.status !== 400) return;
    const after = await this.#refresh(token);
    if (after?.status === 200) fail("refreshes after an old token was used");
  }

  /** Sends a token request, and once more after a time, at another node perhaps. */
  async #twice(ms: number, fields: Readonly<Record<string, string>>) {
    const { environment } = this.#around;
    const first = this.#token(fields);
    if (ms === 0) return [await first];
    return await Promise.all([first, environment.sleep(ms).then(() => this.#token(fields))]);
  }

  /** Answers the question twice at the same moment, as a double click does: one of them has the code. */
  async #answer(request: Request): Promise<WholeResponse | undefined> {
    const all = await Promise.all([request.clone(), request].map((each) => this.#send(each)));
    const codes = all.filter((each) => each?.headers.get("location")?.includes("code=") ?? false);
    if (codes.length > 1) this.#around.fail(`${this.name} got two codes for one question`);
    return codes[0] ?? all[0];
  }

  #refresh(token: string): Promise<WholeResponse | undefined> {
    return this.#token({ grant_type: "refresh_token", refresh_token: token });
  }

  #token(fields: Readonly<Record<string, string>>): Promise<WholeResponse | undefined> {
    return this.#post("/token", { ...fields, client_id: CLIENT });
  }

  #post(path: string, fields: Readonly<Record<string, string>>) {
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    const body = new URLSearchParams(fields).toString();
    return this.#send(new Request(ISSUER + path, { method: "POST", headers, body }));
  }

  #send(request: Request): Promise<WholeResponse | undefined> {
    return sendWhole(this.#around, this.#random, request);
  }

  /** Signs in until there is a code. */
  async #code(): Promise<string | undefined> {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const code = await this.#login();
      if (code !== undefined) return code;
      await this.#around.environment.sleep(AGAIN_MS);
    }
    return undefined;
  }

  async #login(): Promise<string | undefined> {
    const query = new URLSearchParams({
      ...{ response_type: "code", client_id: CLIENT, redirect_uri: REDIRECT, state: this.name },
      ...{ scope: "notes:read", resource: `${ISSUER}/mcp`, code_challenge_method: "S256" },
      code_challenge: await challengeOf(VERIFIER),
    });
    // A node may die at each step: the user begins again.
    const place = await walk(new URL(`${ISSUER}/authorize?${query}`), {
      send: (request) => request.method === "POST" ? this.#answer(request) : this.#send(request),
      provider: (url) => {
        const state = url.searchParams.get("state") ?? "";
        const back = new URLSearchParams({ state, user: this.#plan.owner });
        return new URL(`${ISSUER}/signin/callback?${back}`);
      },
      isBack: (url) => url.href.startsWith(REDIRECT),
    }).catch(() => undefined);
    return place?.searchParams.get("code") ?? undefined;
  }
}

function tokenIn(response: WholeResponse | undefined): string | undefined {
  if (response?.status !== 200) return undefined;
  const { refresh_token: token }: { refresh_token?: string } = JSON.parse(response.text);
  return token;
}
