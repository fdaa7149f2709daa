/**
 * Signs users in at `mooring serve`: the routes, the authentication of the endpoints, and what is logged,
 * counted and recorded of each step.
 *
 * @module
 */
import type { RateLimiter } from "../../../mod.ts";
import type { AuditTrail } from "../../audit/mod.ts";
import { hostAllowed, hostRules } from "../../dashboard/page/guard.ts";
import { pathOf } from "../../kit.ts";
import {
  type Grant,
  type GrantEndReason,
  ProviderError,
  type SignIn,
  signIn,
  type SignInEvent,
} from "../../signin/mod.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import { baseOf, providerOf, signInOptionsOf } from "../config/sign_in.ts";
import type { Config } from "../config/schema.ts";
import { messageOf } from "../errors.ts";
import type { Level, Log } from "../log.ts";
import { senderOf } from "./rate_limit.ts";
import { serverNameIn, SERVERS_PATH } from "./routes.ts";
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
  /** Answers a request for one of the paths of `front`. */
  answer(request: Request, context: unknown): Promise<Response>;
}

/**
 * Creates the sign-in of a configuration.
 *
 * @throws {TypeError} If the store that the command has can't hold it
 */
export function openSignIn(init: CommandSignInInit): CommandSignIn | undefined {
  const { config, stores, limiter, allowedHosts } = init;
  const { signIn: given, secret, rateLimit, path = "/mcp" } = config;
  if (given === undefined) return undefined;
  const urlOf = endpointUrls(baseOf(config), path);
  const keys = given.keys ?? (secret === undefined ? undefined : [secret].flat());
  const front = signIn({
    ...signInOptionsOf(given, config),
    otherResources: (url) => url === urlOf(serverNameIn(pathOf(url))),
    ...stores !== undefined && { store: stores.store(undefined) },
    ...keys !== undefined && { keys },
    sender: senderOf(rateLimit?.header),
    onEvent: reporter(init),
    ...init.onGrantEnded !== undefined && { onGrantEnded: init.onGrantEnded },
  });
  const hosts = hostRules(allowedHosts);
  return {
    front,
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
      return await front.routes(request, context) ??
        refused(404, "invalid_request", "Unknown path");
    },
  };
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
