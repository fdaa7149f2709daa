/**
 * What the accounts of users at upstreams take and give: options, accounts and events.
 *
 * @module
 */
import type { Clock, MaybePromise, Principal } from "../../mod.ts";
import type { Store } from "../cluster/mod.ts";
import type { UserAuth } from "../gateway/mod.ts";

/** Tells which user a browser belongs to, before anything is started for the user. */
export interface BrowserUserSource {
  /** Returns the user of a browser that asks for a page; `undefined` if that isn't known. */
  principal(request: Request): MaybePromise<Principal | undefined>;
  /**
   * Answers a browser whose user isn't known: leads the user through a login and back.
   *
   * @param returnTo The path and query of the page to come back to
   * @default a page that says that the user must sign in first
   */
  login?(request: Request, returnTo: string): MaybePromise<Response>;
}

/** Lifetimes, each in milliseconds. */
export interface AccountsLifetimes {
  /** A link, from the question to the account. @default 600,000 (10 minutes) */
  readonly linkMs?: number;
  /** An account whose tokens are not renewed. @default 7,776,000,000 (90 days) */
  readonly accountMs?: number;
  /**
   * The time for which a node uses tokens without asking the store again whether the account was
   * disconnected at another node. @default 5,000
   */
  readonly cacheMs?: number;
}

/** Options for {@linkcode accounts}. */
export interface AccountsOptions {
  /** The URL at which browsers reach {@linkcode Accounts.routes}: of `https:`, without query and fragment. */
  readonly url: string;
  /** Tells which user a browser belongs to: the issuer and id must be those of `authenticate`. */
  readonly browser: BrowserUserSource | BrowserUserSource["principal"];
  /** The gateway's name, for providers and on the pages. @default the host of `url` */
  readonly name?: string;
  /**
   * The store that all nodes share. Its handlers' store will do.
   *
   * @default the memory of this object: accounts end with it
   */
  readonly store?: Store;
  /**
   * Secrets of 32 bytes or more, the same at all nodes. The first seals what is stored, all open it. Required
   * if other processes can use the store, or it is there again after a restart.
   *
   * @default random
   */
  readonly keys?: readonly (string | Uint8Array)[];
  /** The lifetimes. */
  readonly lifetimes?: AccountsLifetimes;
  /** Whether `http:` is let through on loopback, for development. @default false */
  readonly allowInsecure?: boolean;
  /**
   * Hosts of an inner network at which authorization servers may be. All others must have a public address,
   * since upstreams name them. @default none
   */
  readonly innerHosts?: readonly string[];
  /** Sends requests to authorization servers in place of the checked way, for tests. */
  readonly fetch?: (url: URL, init: RequestInit) => Promise<Response>;
  /** Called with each event. What it throws is ignored. */
  readonly onEvent?: (event: AccountEvent) => void;
  /** The source of time. @default the system's clock */
  readonly clock?: Clock;
}

/** How the gateway is a client of an upstream's authorization server. */
export interface AccountAuthOptions {
  /**
   * The client id that the authorization server gave.
   *
   * @default the address of the gateway's own document where the server takes that (CIMD), or else an id by
   * dynamic registration (RFC 7591)
   */
  readonly clientId?: string;
  /** The secret that belongs to `clientId`, for the server `issuer`. @default none: PKCE alone */
  readonly clientSecret?: string;
  /** The only authorization server to use. @default the first that the upstream names */
  readonly issuer?: string;
  /** The scopes to ask for first. @default those of the challenge, or else of the upstream's metadata */
  readonly scopes?: readonly string[];
  /** The audience of tokens that are JWTs. @default any of the upstream's origin */
  readonly audience?: string;
  /**
   * Whether tokens are bound to a key of their own (DPoP, RFC 9449): with `true` always, with `false` never.
   *
   * @default where the upstream asks for it: by its metadata or its challenge
   */
  readonly dpop?: boolean;
}

/** An account of a user at an upstream. */
export interface UserAccount {
  /** The id. It is no secret. */
  readonly id: string;
  /** The user. */
  readonly user: Readonly<Pick<Principal, "id" | "issuer">>;
  /** The name of the upstream. */
  readonly upstream: string;
  /** The issuer of its tokens. */
  readonly issuer: string;
  /** The scopes. */
  readonly scopes: readonly string[];
  /** When the user connected it, in milliseconds since the epoch. */
  readonly since: number;
  /** When its tokens were last renewed, in milliseconds since the epoch. */
  readonly renewed: number;
  /** Whether the user has to sign in again before it can be used. */
  readonly isEnded: boolean;
}

/** The steps in the life of an account. */
export type AccountStep =
  /** A user was asked to sign in. */
  | "ask"
  /** A link was opened. */
  | "open"
  /** The user was sent to the authorization server. */
  | "start"
  /** The authorization server sent the user back. */
  | "connect"
  /** Tokens were renewed. */
  | "refresh"
  /** The account was disconnected. */
  | "disconnect"
  /** The gateway was registered as a client. */
  | "register";

/** What happened at a step. It has no secrets. */
export interface AccountEvent {
  /** The kind: `"account"`. */
  readonly type: "account";
  /** The step. */
  readonly step: AccountStep;
  /** How it ended. */
  readonly outcome: "passed" | "refused" | "failed";
  /** Why: for a refusal or failure, what the operator can act on. */
  readonly reason: string;
  /** The name of the upstream, once it is known. */
  readonly upstream?: string | undefined;
  /** The user whom it is about: whose link it is. */
  readonly user?: string | undefined;
  /** The issuer of that user. */
  readonly userIssuer?: string | undefined;
  /** The user of the browser, if it is another one. */
  readonly browserUser?: string | undefined;
  /** The authorization server. */
  readonly issuer?: string | undefined;
  /** The error behind a failure. */
  readonly error?: unknown;
}

/** The accounts of users at the upstreams of a gateway. */
export interface Accounts {
  /** The paths that {@linkcode routes} answers. */
  readonly paths: readonly string[];
  /**
   * Returns what authorizes the requests to one upstream by each user's own account: the option `auth` of
   * `http()`.
   *
   * @throws {TypeError} If an option has the wrong type
   */
  auth(options?: AccountAuthOptions): UserAuth;
  /** Answers a browser, or an authorization server; returns `undefined` for every other request. */
  routes(request: Request): Promise<Response | undefined>;
  /** Lists accounts, a page of 100 at most at a time; those of one user if it is given. */
  list(options?: {
    readonly user?: Pick<Principal, "id" | "issuer">;
    readonly cursor?: string | undefined;
  }): Promise<{ readonly accounts: readonly UserAccount[]; readonly cursor?: string }>;
  /**
   * Disconnects an account: forgets its tokens, and revokes them at the authorization server (RFC 7009).
   *
   * @returns Whether there was one
   */
  disconnect(id: string): Promise<boolean>;
  /** Ends what runs. Safe to call twice. The accounts stay. */
  close(): void;
}
