/**
 * An upstream at which each user has an account, with its authorization server: how refresh tokens are used
 * there, and the accounts of a node.
 *
 * @module
 */
import { type Accounts, accounts } from "../../src/accounts/mod.ts";
import type { Store } from "../../src/cluster/types.ts";
import { type Gateway, gateway, http } from "../../src/gateway/mod.ts";
import type { Clock } from "../../src/internal/clock.ts";
import { Service } from "../accounts/world.ts";
import type { SimulatedNode, Surroundings } from "./node.ts";
import type { Fault } from "./plan.ts";
import { SimulatedProcess } from "./process.ts";
import type { WebExchange, WebServer } from "./web.ts";

/** Where browsers reach the accounts. */
export const ACCOUNTS = "https://mcp.example";
/** The name of the upstream. */
export const SERVICE = "mail";
/** The time for which a link is good, in milliseconds. */
export const LINK_MS = 40_000;
/** The time for which a retry waits for the browser, in milliseconds. */
const ASK_MS = 15_000;

/** A fault that waits for the next renewal. */
type RenewalFault = Fault & { readonly do: "kill-renewing" | "lose-tokens" | "drop-renewing" };

/** The upstream and its authorization server: two hosts of one process, which doesn't die. */
export class SimulatedService implements WebServer {
  readonly name = SERVICE;
  readonly process: SimulatedProcess;
  readonly service: Service;
  readonly #around: Surroundings;
  /** Who has used each refresh token for its successor. */
  readonly #used = new Map<string, WebExchange>();
  /** The users whose logins have ended there, and why. */
  readonly ended = new Map<string, { readonly why: "revoked" | "reused"; readonly at: number }>();
  readonly #armed: RenewalFault[] = [];
  /** Who asks for the successor of each refresh token, in turn. */
  readonly #asking = new Map<string, WebExchange[]>();

  constructor(around: Surroundings, ttlS: number) {
    this.#around = around;
    this.process = new SimulatedProcess(SERVICE, around.environment);
    this.service = new Service(SERVICE, this.process.clock());
    this.service.ttlS = ttlS;
    this.service.faults.refreshed = (token, user, outcome) => this.#refreshed(token, user, outcome);
  }

  async answer(request: Request, exchange: WebExchange): Promise<Response> {
    const { method, headers, signal } = request;
    const url = new URL(request.url);
    const body = method === "POST" ? await request.text() : undefined;
    const fault = this.#faultOf(body);
    const token = new URLSearchParams(body).get("refresh_token");
    if (token !== null) this.#asking.set(token, [...this.#asking.get(token) ?? [], exchange]);
    const init = { method, headers, signal, ...body !== undefined && { body } };
    const response = await this.service.fetch(url, init);
    if (fault !== undefined) this.#harm(fault, exchange);
    return response ?? new Response(null, { status: 404 });
  }

  /** Lets a fault happen at the next renewal. */
  arm(fault: RenewalFault): void {
    this.#armed.push(fault);
  }

  /** Ends what a user has. */
  revoke(owner: string): void {
    this.ended.set(owner, { why: "revoked", at: this.#around.environment.now });
    this.service.revokeAll(owner);
  }

  #faultOf(body: string | undefined): RenewalFault | undefined {
    return body?.includes("grant_type=refresh_token") ? this.#armed.shift() : undefined;
  }

  #harm(fault: RenewalFault, exchange: WebExchange): void {
    const { environment } = this.#around;
    const node = exchange.client as SimulatedNode;
    this.#around.note(`${node.name} renews: ${JSON.stringify(fault)}`);
    switch (fault.do) {
      case "lose-tokens":
        return exchange.break();
      case "kill-renewing":
        return void environment.after(fault.ms, () => this.#around.replace(node));
      case "drop-renewing": {
        const { ms, again, arrived } = fault;
        return void environment.after(fault.afterMs, () => node.drop(ms, again, arrived));
      }
    }
  }

  #refreshed(token: string, user: string, outcome: "issued" | "reused" | "refused"): void {
    const [owner = ""] = user.split("@");
    const exchange = this.#asking.get(token)?.shift();
    this.#around.note(`${exchange?.client.name} renews for ${owner}: ${outcome}`);
    if (outcome === "issued" && exchange !== undefined) this.#used.set(token, exchange);
    if (outcome !== "reused") return;
    this.ended.set(owner, { why: "reused", at: this.#around.environment.now });
    const before = this.#used.get(token);
    // Nobody has the successor of a node that died, stood still for too long, or got no answer.
    if (before?.broken === false && !before.client.dead && !before.client.paused) {
      this.#around.fail(`${owner}'s refresh token was used twice, first by ${before.client.name}`);
    }
  }
}

/** Makes the accounts of a node, and a gateway whose upstream wants them. */
export function accountsOf(
  node: SimulatedNode,
  around: Surroundings,
  { store, clock, key }: { readonly store: Store; readonly clock: Clock; readonly key: string },
): { readonly accounts: Accounts; readonly gateway: Gateway } {
  const { service, web } = around;
  if (service === undefined) throw new TypeError("No service");
  const fetch = (url: string, init: RequestInit) => web.fetch(node, service, url, init);
  const own = accounts({
    url: ACCOUNTS,
    browser: (request) => {
      const user = request.headers.get("x-user");
      return user === null ? undefined : { id: user };
    },
    ...{ store, clock, keys: [key], lifetimes: { linkMs: LINK_MS } },
    fetch: (url, init) => fetch(url.href, init),
    onEvent: ({ step, outcome, reason, user = "" }) =>
      around.note(`${node.name} ${step} ${outcome} ${reason} ${user}`),
  });
  const gw = gateway({
    upstreams: { [SERVICE]: http({ url: service.service.url, auth: own.auth(), fetch }) },
    ...{ clock, askTimeoutMs: ASK_MS, principalIdleMs: 20_000 },
  });
  return { accounts: own, gateway: gw };
}
