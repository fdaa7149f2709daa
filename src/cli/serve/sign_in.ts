/**
 * Signs users in at `mooring serve`: the routes, the authentication of the endpoints, and what is logged,
 * counted and recorded of each step.
 *
 * @module
 */
import type { Principal, RateLimiter } from "../../../mod.ts";
import type { Accounts } from "../../accounts/mod.ts";
import type { AuditTrail } from "../../audit/mod.ts";
import { hostAllowed, hostRules } from "../../dashboard/page/guard.ts";
import { pathOf } from "../../kit.ts";
import {
  type Grant,
  type GrantEndReason,
  type Grants,
  ProviderError,
  type SignIn,
  signIn,
  type SignInEvent,
  type SignInOptions,
} from "../../signin/mod.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import { baseOf, providerOf, signInOptionsOf } from "../config/sign_in.ts";
import type { Config } from "../config/schema.ts";
import { messageOf } from "../errors.ts";
import { CliError } from "../errors.ts";
import type { Level, Log } from "../log.ts";
import { openAccounts } from "./accounts.ts";
import { senderOf } from "./rate_limit.ts";
import { serverNameIn, SERVERS_PATH } from "./routes.ts";
import type { UsersAuth } from "./backend.ts";
import type { Stores } from "./stores.ts";

/** Options for {@linkcode openSignIn}. */
export interface CommandSignInInit {
  readonly config: Config;
  /** The host names to answer to; any name if `undefined`. */
  readonly allowedHosts: readonly string[] | undefined;
  readonly stores: Stores | undefined;
  readonly log: Log;
  readonly audit?: AuditTrail | undefined;
  readonly metrics?: Metrics | undefined;
  /** Limits the requests, as those of the endpoints. */
  readonly limiter?: RateLimiter | undefined;
  readonly onGrantEnded?: (grant: Grant, reason: GrantEndReason) => void;
}

/** Sign-in at the command's own address. */
export interface CommandSignIn {
  readonly front: SignIn;
  /** The accounts of users at servers that want a sign-in. */
  readonly accounts: Accounts;
  /** What authorizes requests to servers for the users. */
  readonly users: UsersAuth;
  /** All paths that are answered. */
  readonly paths: readonly string[];
  /** Answers a request for one of the paths. */
  answer(request: Request, context: unknown): Promise<Response>;
}

/**
 * Creates the sign-in of a configuration.
 *
 * @throws {CliError} If the store that the command has can't hold it
 */
export function openSignIn(init: CommandSignInInit): CommandSignIn | undefined {
  const { config, stores, limiter, allowedHosts } = init;
  const { signIn: given, secret, rateLimit, path = "/mcp" } = config;
  if (given === undefined) return undefined;
  const urlOf = endpointUrls(baseOf(config), path);
  const secrets = given.keys ?? (secret === undefined ? [] : [secret].flat());
  // What was sealed before there was a secret can still be opened
  const keys = [...secrets, ...stores?.signInKey === undefined ? [] : [stores.signInKey]];
  const front = made({
    ...signInOptionsOf(given, config),
    otherResources: (url) => url === urlOf(serverNameIn(pathOf(url))),
    ...stores !== undefined && { store: stores.store(undefined) },
    ...keys.length > 0 && { keys },
    ...exchangesIdTokens(config) && { idTokens: true },
    sender: senderOf(rateLimit?.header),
    onEvent: reporter(init),
    ...init.onGrantEnded !== undefined && { onGrantEnded: init.onGrantEnded },
  });
  const accounts = openAccounts(init, front, keys);
  const hosts = hostRules(allowedHosts);
  return {
    front,
    accounts,
    users: { auth: accounts.auth, idToken: front.idToken },
    paths: [...front.paths, ...accounts.paths],
    async answer(request, context) {
      if (hosts !== undefined && !hostAllowed(request, hosts)) {
        return refused(403, "invalid_request", "Use the URL of this server");
      }
      const decision = await limiter?.check(request, context);
      if (decision?.allowed === false) {
        const seconds = Math.ceil((decision.retryAfterMs ?? 1_000) / 1_000);
        return refused(429, "temporarily_unavailable", "Send fewer requests", {
          "retry-after": String(seconds),
        });
      }
      return await accounts.routes(request) ?? await front.routes(request, context) ??
        refused(404, "invalid_request", "Unknown path");
    },
  };
}

/** Tells whether ID tokens of logins are exchanged for a server, so that they must be kept. */
export function exchangesIdTokens({ signIn, mcpServers }: Config): boolean {
  return signIn !== undefined && Object.values(mcpServers).some((entry) => {
    const oauth = "url" in entry && typeof entry.oauth === "object" ? entry.oauth : {};
    const { grant, subject } = oauth;
    return (grant === "token_exchange" || grant === "id_jag") && subject !== "caller";
  });
}

function made(options: SignInOptions): SignIn {
  try {
    return signIn(options);
  } catch (error) {
    throw new CliError(`signIn: ${messageOf(error)}`);
  }
}

/** Ends the sessions of a user with a client, at one endpoint of every node. */
export type EndSessions = (
  user: Pick<Principal, "id" | "issuer" | "clientId">,
  server: string | undefined,
) => Promise<void>;

/** Reasons after which other grants of the same user and client may go on using their sessions. */
const ALONE: ReadonlySet<GrantEndReason> = new Set(["too-many", "revoked"]);

/** Ends what grants have opened when they end: sessions, streams, calls. */
export class GrantSessions {
  readonly #log: Log;
  readonly #ending = new Set<Promise<void>>();
  #end: EndSessions | undefined;
  #grants: Grants | undefined;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Says how it is done, once the endpoints are there. */
  begin(grants: Grants, end: EndSessions): void {
    this.#grants = grants;
    this.#end = end;
  }

  /** Called with each grant that has ended at this node. */
  readonly onGrantEnded = (grant: Grant, reason: GrantEndReason): void => {
    const ending = this.#endOf(grant, reason).catch((error: unknown) => {
      this.#log("error", "error", { during: "ending sessions", message: messageOf(error) });
    }).finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  };

  /** The grants, for operators: what they end has ended with its sessions. */
  readonly grants: Grants = {
    list: async (options) => await this.#known.list(options),
    end: async (id) => {
      const ended = await this.#known.end(id);
      await Promise.all(this.#ending);
      return ended;
    },
    endUser: async (user) => {
      const ended = await this.#known.endUser(user);
      await Promise.all(this.#ending);
      return ended;
    },
  };

  get #known(): Grants {
    if (this.#grants === undefined) throw new Error("The server has not started yet");
    return this.#grants;
  }

  async #endOf({ user, client, resource }: Grant, reason: GrantEndReason): Promise<void> {
    const { id, issuer } = user;
    if (ALONE.has(reason) && await this.#hasOther({ id, issuer }, client.id, resource)) return;
    const server = serverNameIn(pathOf(resource));
    await this.#end?.({ id, issuer, clientId: client.id }, server);
  }

  /** Tells whether a user has another grant to the same client: a session doesn't know which it is of. */
  async #hasOther(
    user: Pick<Principal, "id" | "issuer">,
    clientId: string,
    resource: string,
  ): Promise<boolean> {
    let cursor: string | undefined;
    do {
      const page = await this.#known.list({ user, cursor });
      if (
        page.grants.some((each) => each.client.id === clientId && each.resource === resource)
      ) return true;
      cursor = page.cursor;
    } while (cursor !== undefined);
    return false;
  }
}

/** Returns the function that writes the URL of a server's endpoint, or of that of all servers together. */
export function endpointUrls(base: string, path: string): (name: string | undefined) => string {
  return (name) => `${base}${name === undefined ? path : SERVERS_PATH + encodeURIComponent(name)}`;
}

/**
 * Asks the provider of a configuration whether it is there, as the first login would.
 *
 * @returns Why a login would fail, or `undefined`
 */
export async function tryProvider(
  config: Config,
  signal?: AbortSignal,
): Promise<{ readonly name: string; readonly problem?: string } | undefined> {
  const { signIn: given } = config;
  if (given === undefined) return undefined;
  const provider = providerOf(given);
  const { name } = provider;
  const text = "x".repeat(43);
  const redirectUri = `${given.issuer ?? baseOf(config)}/signin/callback`;
  try {
    await provider.authorizationUrl(
      { redirectUri, state: text, nonce: text, codeVerifier: text },
      signal,
    );
    return { name };
  } catch (error) {
    const hint = error instanceof ProviderError && error.reason === "unavailable"
      ? "Users can't sign in while the provider is away"
      : "Correct the provider of signIn";
    return { name, problem: `${hint}: ${messageOf(error)}` };
  }
}

const LEVELS: Readonly<Record<SignInEvent["outcome"], Level>> = {
  passed: "info",
  refused: "warn",
  failed: "error",
};

/** Returns what logs, counts and records each step of a login. */
function reporter({ log, audit, metrics }: CommandSignInInit): (event: SignInEvent) => void {
  const count = metrics?.counter(
    "mooring_sign_in_steps_total",
    "Steps of logins, and what became of them",
    ["step", "outcome", "reason"],
  );
  return ({ type, error, ...facts }) => {
    const { step, outcome, reason, user } = facts;
    const message = error === undefined ? {} : { message: messageOf(error) };
    // Each user's client refreshes every few minutes
    const level = step === "refresh" && outcome === "passed" ? "debug" : LEVELS[outcome];
    log(level, type, { ...facts, ...message });
    // What follows the code may have been sent by anybody
    const [code = ""] = reason.split(":");
    count?.({ step, outcome, reason: code });
    audit?.note({ act: type, byStrangers: user === undefined, detail: { ...facts } });
  };
}

function refused(
  status: number,
  error: string,
  description: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const body = { error, error_description: description };
  return Response.json(body, { status, headers: { "cache-control": "no-store", ...headers } });
}
