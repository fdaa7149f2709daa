/**
 * Authorizes the requests to an upstream by tokens that are got on behalf of each caller, without asking it.
 *
 * @module
 */
import type { Clock, MaybePromise } from "../../mod.ts";
import { BoundedMap, isAnonymous, ownerKey, quote } from "../kit.ts";
import {
  UpstreamError,
  type UserAuth,
  type UserAuthContext,
  UserAuthError,
} from "../gateway/mod.ts";
import { challengeOf } from "./challenge.ts";
import { AccountError } from "./errors.ts";
import { nameOf } from "./names.ts";
import type { Tokens } from "./provider.ts";

/** The token type of access tokens (RFC 8693 §3). */
export const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";

/** The most callers whose tokens one object keeps, and the most tokens of one of them. */
const MOST_CALLERS = 10_000;
const MOST_OF_A_CALLER = 50;
/** How long before its end a token is replaced at most, in milliseconds, and as a part of its life. */
const AHEAD_MS = 60_000;
const AHEAD_PART = 0.3;
/** The time for which a token is used whose server doesn't say when it ends, in milliseconds. */
const UNKNOWN_LIFE_MS = 300_000;
/** The time in which a token that replaced a refused one is not replaced again, in milliseconds. */
const FRESH_MS = 30_000;
/** The time for which an older token is used after a failure, before the server is asked again. */
const RETRY_MS = 5_000;

/** A token of a caller, which is exchanged for one of an upstream. It is sent to the configured issuer alone. */
export interface SubjectToken {
  /** The token. */
  readonly token: string;
  /** Its type (RFC 8693 §3), such as `urn:ietf:params:oauth:token-type:id_token`. @default an access token */
  readonly type?: string;
}

/**
 * Returns the token of a caller that is exchanged; `undefined` if there is none. It must be one of the
 * context's own principal.
 */
export type SubjectTokenSource = (
  context: UserAuthContext,
) => MaybePromise<SubjectToken | undefined>;

/** A token that is wanted on behalf of a caller. */
export interface CallerTokenRequest {
  /** The upstream's URL. */
  readonly url: string;
  /** The caller's token. */
  readonly subject: Required<SubjectToken>;
  /** What the upstream's challenge named, if there was one. */
  readonly metadataUrl: string | undefined;
  /** The scopes that it named. */
  readonly asked: readonly string[];
}

/** Options for {@linkcode callerTokens}. */
export interface CallerTokensInit {
  readonly subject: SubjectTokenSource | undefined;
  readonly clock: Clock;
  /**
   * Gets a token.
   *
   * @throws {AccountError} If none can be had
   */
  readonly request: (
    wanted: CallerTokenRequest,
  ) => Promise<Pick<Tokens, "accessToken" | "expiresAt">>;
}

interface KeptToken {
  readonly token: string;
  /** When it was got, is to be replaced, and ends, in milliseconds since the epoch. */
  readonly at: number;
  readonly dueAt: number;
  readonly endsAt: number;
  readonly metadataUrl: string | undefined;
  readonly asked: readonly string[];
}

/** Returns the token that the client's request has, of whatever scheme. */
function tokenOfRequest({ request }: UserAuthContext): SubjectToken | undefined {
  const header = request.headers.get("authorization") ?? "";
  const [, token] = /^(?:bearer|dpop) +([!-~]+) *$/i.exec(header) ?? [];
  return token === undefined ? undefined : { token };
}

/** Returns what authorizes the requests to upstreams by tokens that are got on behalf of each caller. */
export function callerTokens(
  { subject = tokenOfRequest, clock, request }: CallerTokensInit,
): UserAuth {
  const kept = new BoundedMap<string, BoundedMap<string, KeptToken>>(MOST_CALLERS);
  const running = new Map<string, Promise<string>>();

  const get = async (
    context: UserAuthContext,
    { owner, key }: TokenKey,
    before: Pick<KeptToken, "metadataUrl" | "asked">,
  ): Promise<string> => {
    const { url, upstream } = context;
    try {
      const given = await subject(context);
      if (given === undefined) throw new AccountError("no-subject", NO_TOKEN);
      const { token, type = ACCESS_TOKEN } = given;
      const { metadataUrl, asked } = before;
      const got = await request({ url, subject: { token, type }, metadataUrl, asked });
      if (got.accessToken === token) {
        throw new AccountError("own-token", "The server answered with the caller's own token");
      }
      const at = clock.now();
      const endsAt = got.expiresAt ?? at + UNKNOWN_LIFE_MS;
      const dueAt = endsAt - Math.min(AHEAD_MS, (endsAt - at) * AHEAD_PART);
      const own = kept.get(owner) ?? new BoundedMap<string, KeptToken>(MOST_OF_A_CALLER);
      own.set(key, { token: got.accessToken, at, dueAt, endsAt, metadataUrl, asked });
      kept.set(owner, own);
      return got.accessToken;
    } catch (error) {
      throw failureOf(error, upstream);
    }
  };

  /** Gets a token; calls that come meanwhile wait for the same one. */
  const fresh = (
    context: UserAuthContext,
    id: TokenKey,
    before: Pick<KeptToken, "metadataUrl" | "asked">,
  ): Promise<string> => {
    // A request must not wait for another one, which may end before
    if (clock.perRequest === true) return get(context, id, before);
    const others = running.get(id.key);
    if (others !== undefined) return others;
    const own = get(context, id, before).finally(() => running.delete(id.key));
    running.set(id.key, own);
    return own;
  };

  const tokenFor = async (context: UserAuthContext): Promise<string> => {
    const id = await keyOf(context);
    const known = kept.get(id.owner)?.get(id.key);
    const now = clock.now();
    if (known !== undefined && now < known.dueAt) return known.token;
    try {
      return await fresh(context, id, known ?? { metadataUrl: undefined, asked: [] });
    } catch (error) {
      const isUsable = known !== undefined && now < known.endsAt && isPassing(error);
      if (!isUsable) throw error;
      kept.get(id.owner)?.set(id.key, { ...known, dueAt: Math.min(known.endsAt, now + RETRY_MS) });
      return known.token;
    }
  };

  return {
    async headers(context): Promise<Readonly<Record<string, string>>> {
      if (isAnonymous(context.principal)) {
        throw new CallerTokenError(context.upstream, `${NO_TOKEN}. ${OPERATOR}`);
      }
      return { authorization: `Bearer ${await tokenFor(context)}` };
    },
    async refused(response, { authorization }, context) {
      const { upstream } = context;
      if (response.status === 403) {
        throw new CallerTokenError(upstream, `Your rights there don't allow this. ${OPERATOR}`);
      }
      const id = await keyOf(context);
      const known = kept.get(id.owner)?.get(id.key);
      // Another call has replaced it
      if (known !== undefined && `Bearer ${known.token}` !== authorization) return true;
      if (known !== undefined && clock.now() - known.at < FRESH_MS) {
        throw new UpstreamError("unauthorized", {
          status: 401,
          advice: "Check the upstream: it refuses the token that the gateway has just got",
        });
      }
      const { metadataUrl, scopes: asked } = challengeOf(response);
      await fresh(context, id, { metadataUrl, asked });
      return true;
    },
  };
}

/** The name of a caller, and that of one of its tokens. */
interface TokenKey {
  readonly owner: string;
  readonly key: string;
}

/** Names the token of a caller: another caller, token of the caller or upstream has another name. */
async function keyOf({ principal, request, url }: UserAuthContext): Promise<TokenKey> {
  const owner = ownerKey(principal);
  const sent = request.headers.get("authorization") ?? "";
  return { owner, key: await nameOf("caller", owner, url, sent) };
}

const NO_TOKEN = "Your request has no token that could be exchanged";
const OPERATOR = "Ask the operator of this server";

/** What the caller can do, by the reason. */
const ADVICE: Readonly<Record<string, string>> = {
  "token-refused": "Sign in again; if that doesn't help, ask the operator whether you may use it",
  "no-subject": "Sign in again; if that doesn't help, ask the operator of this server",
  unreachable: "Call again later",
};

/** The failure of a request for a token. */
class CallerTokenError extends UserAuthError {
  /** Whether to try again may help. */
  readonly isPassing: boolean;

  constructor(upstream: string, problem: string, isPassing = false) {
    const message = `The upstream ${quote(upstream)} can't be used for you: ${problem}`;
    super(message, { upstream, reason: "token" });
    this.isPassing = isPassing;
  }
}

function isPassing(error: unknown): boolean {
  return error instanceof CallerTokenError && error.isPassing;
}

/** Returns what the caller is told. */
function failureOf(error: unknown, upstream: string): CallerTokenError {
  if (!(error instanceof AccountError)) {
    // What an application's function threw may hold a secret
    return new CallerTokenError(upstream, `No token can be had. ${OPERATOR}`);
  }
  const { message, reason } = error;
  const problem = `${message}. ${ADVICE[reason] ?? OPERATOR}`;
  return new CallerTokenError(upstream, problem, reason === "unreachable");
}

/** How long what was found is used, in milliseconds, and how much of it is kept. */
const FOUND_MS = 300_000;
const MOST_FOUND = 1_000;

/** Returns a function that finds what another one does, and remembers it for a while. */
export function remembering<T>(
  clock: Clock,
  find: (key: string, hint: string | undefined) => Promise<T>,
): (key: string, hint?: string) => Promise<T> {
  const known = new BoundedMap<string, { readonly found: T; readonly at: number }>(MOST_FOUND);
  return async (key, hint) => {
    const before = known.get(key);
    if (before !== undefined && Math.abs(clock.now() - before.at) < FOUND_MS) return before.found;
    const found = await find(key, hint);
    known.set(key, { found, at: clock.now() });
    return found;
  };
}
