/**
 * What sign-in takes and gives: options, grants and events.
 *
 * @module
 */
import type { Clock, MaybePromise, Principal } from "../../mod.ts";
import type { Authenticate, DpopOptions, ProtectedResource } from "../auth/mod.ts";
import type { Store } from "../cluster/mod.ts";
import type {
  ClientKind,
  ConfiguredClient,
  DocumentOptions,
  RegistrationOptions,
} from "./clients/types.ts";
import type { IdJagProvider } from "./assertions/types.ts";
import type { Provider, ProviderLogin } from "./providers/types.ts";

/** Who a user is here. */
export interface SignedInUser {
  /** The id: the `sub` of access tokens. */
  readonly id: string;
  /** The issuer of the id. @default the provider's issuer */
  readonly issuer?: string;
  /** The scopes that the user may have at most. @default all */
  readonly scopes?: readonly string[];
  /** The name to show on the consent page. @default the claim `email`, `preferred_username` or `name`, or the id */
  readonly name?: string;
}

/** Lifetimes, each in milliseconds. */
export interface SignInLifetimes {
  /** An access token. @default 300,000 (5 minutes) */
  readonly accessMs?: number;
  /** A refresh token that isn't used. Each use begins it anew. @default 2,592,000,000 (30 days) */
  readonly refreshMs?: number;
  /** A grant, however often it is refreshed. @default 7,776,000,000 (90 days) */
  readonly grantMs?: number;
  /**
   * The time in which a refresh token that was used gives the same successor once more: for several
   * windows of a client, and for answers that got lost. @default 30,000
   */
  readonly graceMs?: number;
  /** From the start of a login to the user's answer on the consent page. @default 600,000 (10 minutes) */
  readonly loginMs?: number;
  /** The time for which the user's consent is remembered. @default 31,536,000,000 (a year) */
  readonly consentMs?: number;
  /** The time after which tokens are signed with a new key. @default 2,592,000,000 (30 days) */
  readonly keyMs?: number;
  /**
   * The time for which `authenticate` doesn't ask the store again whether a grant has ended. At the node
   * that ends it, the end is known at once. @default 5,000
   */
  readonly grantCacheMs?: number;
}

/** Options for {@linkcode signIn}. */
export interface SignInOptions {
  /** The issuer: the `https:` URL at which {@linkcode SignIn.routes} is reached, without query and fragment. */
  readonly issuer: string;
  /** The URL of the endpoint, or of several, that tokens are issued for. */
  readonly resource: string | readonly string[];
  /**
   * Tells whether tokens are issued for another URL, too: where endpoints come and go while this runs. Their
   * own handlers have the metadata of those. Called with URLs that strangers name, in the one spelling that
   * URLs have.
   *
   * @default none but `resource`
   */
  readonly otherResources?: (url: string) => boolean;
  /** Says who the user is. */
  readonly provider: Provider;
  /** The scopes that clients ask for first; an object has their descriptions for the consent page. */
  readonly scopes: readonly string[] | Readonly<Record<string, string>>;
  /** Scopes that clients get only when a challenge names them. @default none */
  readonly extraScopes?: readonly string[] | Readonly<Record<string, string>>;
  /** Whether a user may enter; asked again at every refresh. @default everybody whom the provider knows */
  readonly allow?: (login: ProviderLogin) => MaybePromise<boolean>;
  /** Who a user is here. @default the provider's subject and issuer */
  readonly principal?: (login: ProviderLogin) => MaybePromise<SignedInUser>;
  /**
   * The store that all nodes share. Its handlers' store will do.
   *
   * @default the memory of this object: logins end with it
   */
  readonly store?: Store;
  /**
   * Secrets of 32 bytes or more, the same at all nodes. The first seals what is stored, all open it: to
   * rotate, first add the new one at the end at all nodes, then move it to the front, and keep the old one
   * for as long as grants last. Required if other processes can use the store, or it outlives this
   * one.
   *
   * @default random
   */
  readonly keys?: readonly (string | Uint8Array)[];
  /** Clients that are known beforehand. @default none */
  readonly clients?: readonly ConfiguredClient[];
  /**
   * Identity providers whose ID-JAGs clients may present in place of a login: enterprise-managed authorization,
   * SEP-990. `allow` and `principal` hold for their users as for those who log in. @default none
   */
  readonly idJag?: readonly IdJagProvider[];
  /** Whether the provider's ID tokens are kept, sealed, for {@linkcode SignIn.idToken}. @default false */
  readonly idTokens?: boolean;
  /** Bounds for registration by RFC 7591, or `false` for none. @default its own defaults */
  readonly registration?: false | RegistrationOptions;
  /** Bounds for Client ID Metadata Documents, or `false` for none. @default its own defaults */
  readonly documents?: false | DocumentOptions;
  /** Reads Client ID Metadata Documents, and keys of `idJag`, in place of the checked way, for tests. */
  readonly fetch?: (url: URL, init: RequestInit) => Promise<Response>;
  /**
   * Whether tokens are bound to a key of the client (DPoP, RFC 9449) if it proves one (`"accept"`), or always
   * (`"require"`). A bound access token needs a new proof of the key with each request, and a bound refresh
   * token with each use. Used proofs are in `store`.
   *
   * @default none is bound
   */
  readonly dpop?: "accept" | "require" | Omit<DpopOptions, "store">;
  /** The lifetimes. */
  readonly lifetimes?: SignInLifetimes;
  /** Whether `http:` is let through on loopback, for development. @default false */
  readonly allowInsecure?: boolean;
  /** Returns the sender of a request, whose registrations are counted. @default the address of the connection */
  readonly sender?: (request: Request, context: unknown) => string;
  /** Called with each event. What it throws is ignored. */
  readonly onEvent?: (event: SignInEvent) => void;
  /** Called when a grant has ended at this node, so that the sessions of its principal can be ended. */
  readonly onGrantEnded?: (ended: Grant, reason: GrantEndReason) => void;
  /** The source of time. @default the system's clock */
  readonly clock?: Clock;
}

/** What a user has allowed a client, by one login. */
export interface Grant {
  /** The id. It is no secret. */
  readonly id: string;
  /** The user. */
  readonly user: Readonly<Required<Pick<SignedInUser, "id" | "issuer" | "name">>>;
  /** The client. */
  readonly client: { readonly id: string; readonly kind: ClientKind; readonly name: string };
  /** The scopes. */
  readonly scopes: readonly string[];
  /** The endpoint. */
  readonly resource: string;
  /** When it began, in milliseconds since the epoch. */
  readonly since: number;
  /** When its last token was issued, in milliseconds since the epoch. */
  readonly lastUsed: number;
}

/** Why a grant ended. */
export type GrantEndReason =
  /** The operator ended it. */
  | "ended"
  /** The client revoked it (RFC 7009). */
  | "revoked"
  /** A refresh token was used again, after its successor. */
  | "refresh-token-reused"
  /** A code was used again. */
  | "code-reused"
  /** The provider no longer knows the user. */
  | "provider-ended"
  /** `allow` no longer lets the user in. */
  | "not-allowed"
  /** The user had too many: the one unused for the longest time ends. */
  | "too-many";

/** The grants of all nodes. */
export interface Grants {
  /** Lists grants, a page of 100 at most at a time; those of one user if it is given. */
  list(options?: {
    readonly user?: Pick<Principal, "id" | "issuer">;
    readonly cursor?: string | undefined;
  }): Promise<{ readonly grants: readonly Grant[]; readonly cursor?: string }>;
  /** Ends a grant, and forgets the consent. Returns whether there was one. */
  end(id: string): Promise<boolean>;
  /** Ends all grants of a user, and forgets all consent. Returns their number. */
  endUser(user: Pick<Principal, "id" | "issuer">): Promise<number>;
}

/** The steps of a login. */
export type SignInStep =
  | "authorize"
  | "login"
  | "consent"
  | "token"
  | "refresh"
  | "revoke"
  | "register"
  | "grant"
  | "key";

/** What happened at a step. It has no secrets. */
export interface SignInEvent {
  /** The kind: `"sign-in"`. */
  readonly type: "sign-in";
  /** The step. */
  readonly step: SignInStep;
  /** How it ended. */
  readonly outcome: "passed" | "refused" | "failed";
  /** Why: for a refusal or failure, what the author or operator can act on. */
  readonly reason: string;
  /** The `client_id`, once it is known to be a client's. */
  readonly client?: string;
  /** The user's id, once it is known. */
  readonly user?: string;
  /** The id of the grant. */
  readonly grant?: string;
  /** The error behind a failure. */
  readonly error?: unknown;
}

/** Tells which user a browser belongs to, for pages beside the endpoint. */
export interface BrowserUsers {
  /** Returns the user of a browser; `undefined` if nobody has signed in there within an hour. */
  principal(request: Request): Promise<Principal | undefined>;
  /**
   * Leads the user of a browser through a login at the provider, and back.
   *
   * @param returnTo The path and query of the page to come back to
   */
  login(request: Request, returnTo: string): Promise<Response>;
}

/** What a handler is given: {@linkcode SignIn} itself, for the first resource. */
export interface SignInGuard {
  /** Authenticates by the access tokens of this issuer: for a handler's option of the same name. */
  readonly authenticate: Authenticate;
  /** The metadata of the endpoint: for a handler's option of the same name. */
  readonly resource: ProtectedResource;
}

/** An authorization server. */
export interface SignIn extends SignInGuard {
  /** The paths that {@linkcode routes} answers, besides those of the metadata of the resources. */
  readonly paths: readonly string[];
  /**
   * Returns what the handler of one of several resources is given.
   *
   * @throws {RangeError} If no tokens are issued for it
   */
  at(resource: string): SignInGuard;
  /**
   * Answers a request for sign-in; returns `undefined` for every other one.
   *
   * @param context What the host passed beside the request: the address of its sender is in it
   */
  routes(request: Request, context?: unknown): Promise<Response | undefined>;
  /** The users of browsers: for the option `browser` of `accounts()`. */
  readonly browser: BrowserUsers;
  /** The grants. */
  readonly grants: Grants;
  /**
   * Returns the provider's last ID token of the login by which a principal is authenticated, with the option
   * `idTokens`: to be exchanged at the provider for that user, and for nothing else. It may have expired if the
   * provider gives no other one at a refresh.
   *
   * @param principal What `authenticate` has returned
   */
  idToken(principal: Principal): Promise<string | undefined>;
  /** Ends what runs. Safe to call twice. The grants stay. */
  close(): Promise<void>;
}
