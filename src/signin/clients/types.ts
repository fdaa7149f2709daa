/**
 * The clients that ask for tokens: what is known of them, and where it comes from.
 *
 * @module
 */
import type { Clock } from "../../../mod.ts";
import type { RecordStore } from "../../cluster/mod.ts";

/**
 * Where the description of a client comes from: the document that its `client_id` names, its own
 * registration by RFC 7591, or the options.
 */
export type ClientKind = "document" | "registered" | "configured";

/** A client that may ask for tokens. All are public: they have no secret, and prove themselves by PKCE. */
export interface SignInClient {
  /** The `client_id`. */
  readonly id: string;
  /** Where its description comes from. */
  readonly kind: ClientKind;
  /**
   * The name that it gives itself, of at most 100 characters, none of them invisible. Anybody can claim
   * any name, unless the kind is `"configured"`.
   */
  readonly name: string;
  /**
   * The host that the description was read from, so that it is verified: only of the kind `"document"`.
   */
  readonly host?: string;
  /** The addresses that it may be answered at. Compare by {@linkcode redirectAllowed} alone. */
  readonly redirectUris: readonly string[];
  /** The page about the client, by its own word. */
  readonly uri?: string;
  /** Its logo, by its own word. */
  readonly logoUri?: string;
  /** The scopes that it will ask for by its own word, separated by spaces. */
  readonly scope?: string;
  /** Whether all its tokens are bound to a key (RFC 9449 §5.2). */
  readonly dpopBound?: boolean;
}

/** The codes of {@linkcode ClientError}: RFC 6749 section 5.2, RFC 7591 section 3.2.2. */
export type ClientErrorCode =
  | "invalid_client"
  | "invalid_redirect_uri"
  | "invalid_client_metadata"
  | "temporarily_unavailable"
  | "too_many_requests";

/** The reason why a client can't be had, or not be registered. Its message may be shown to its sender. */
export class ClientError extends Error {
  /** The name of the class. */
  override readonly name = "ClientError";
  /** The value of `error` in the answer. */
  readonly code: ClientErrorCode;
  /** The status of the answer: 400, 429 or 503. */
  readonly status: number;
  /** The time after which to ask again, in seconds, if it is known. */
  readonly retryAfterS?: number;

  /**
   * Makes the error.
   *
   * @param code The value of `error`
   * @param message What is wrong, as the value of `error_description`
   * @param retryAfterS The time after which to ask again, in seconds
   */
  constructor(code: ClientErrorCode, message: string, retryAfterS?: number) {
    super(message);
    this.code = code;
    this.status = STATUS[code];
    if (retryAfterS !== undefined) this.retryAfterS = retryAfterS;
  }
}

const STATUS: Readonly<Record<ClientErrorCode, number>> = {
  invalid_client: 400,
  invalid_redirect_uri: 400,
  invalid_client_metadata: 400,
  temporarily_unavailable: 503,
  too_many_requests: 429,
};

/** Finds and registers clients. */
export interface Clients {
  /**
   * Finds a client by its `client_id`.
   *
   * @returns The client, or `undefined` for an unknown one
   * @throws {ClientError} If its document can't be read, or is wrong
   */
  find(id: string, signal?: AbortSignal): Promise<SignInClient | undefined>;
  /** Tells whether a client is known, or may be: its document isn't read. */
  isKnown(id: string): Promise<boolean>;
  /**
   * Tells the same as `isKnown` of a client with which a user has signed in. The time until a registered
   * one is forgotten begins anew.
   */
  renew(id: string): Promise<boolean>;
  /**
   * Registers a client by RFC 7591. Absent if registration is off.
   *
   * @param metadata The body of the request, parsed
   * @param from Whoever sends it, such as an address: its rate is counted by it
   * @returns The body of the answer, whose status is 201
   * @throws {ClientError} If the metadata is wrong, or too many are registered
   */
  readonly register?: (metadata: unknown, from: string) => Promise<Record<string, unknown>>;
}

/** A client that is named in the options. */
export interface ConfiguredClient {
  /** The `client_id`: at most 2,000 printable ASCII characters. */
  readonly id: string;
  /** The name to show. @default the id */
  readonly name?: string;
  /** The addresses that it may be answered at. */
  readonly redirectUris: readonly string[];
  /** The page about the client. */
  readonly uri?: string;
  /** Whether all its tokens are bound to a key: needs the option `dpop`. @default false */
  readonly dpopBound?: boolean;
}

/** Bounds for registration by RFC 7591. */
export interface RegistrationOptions {
  /** Registrations of one sender in an hour. @default 20 */
  readonly perSenderHourly?: number;
  /** Registrations of all senders in an hour, at this node. @default 1,000 */
  readonly perHour?: number;
  /**
   * The time until a registered client that isn't used is forgotten, in milliseconds. Each login and each
   * refresh begins it anew. One with which nobody has signed in yet is forgotten after three days at the
   * latest. @default 7,776,000,000 (90 days)
   */
  readonly expiresMs?: number;
}

/** Bounds for documents that describe a client. */
export interface DocumentOptions {
  /** The bytes of a document. @default 10,240 */
  readonly maxBytes?: number;
  /** The time for reading a document, in milliseconds. @default 5,000 */
  readonly timeoutMs?: number;
  /** The longest time that a document is kept without asking again, in milliseconds. @default 3,600,000 */
  readonly maxAgeMs?: number;
}

/** Options for `createClients()`. */
export interface ClientsOptions {
  /** Clients that are known beforehand. @default none */
  readonly clients?: readonly ConfiguredClient[];
  /** Bounds for registration by RFC 7591, or `false` for no registration. @default its own defaults */
  readonly registration?: false | RegistrationOptions;
  /**
   * Bounds for clients whose `client_id` is the address of their own description (Client ID Metadata
   * Documents), or `false` for none of them. @default its own defaults
   */
  readonly documents?: false | DocumentOptions;
  /** Whether `http:` is let through on loopback, for development. @default false */
  readonly allowInsecure?: boolean;
  /** Whether tokens can be bound to a key: then clients can register that theirs always are. @default false */
  readonly bindsTokens?: boolean;
  /** The store of registered clients. */
  readonly records: RecordStore;
  /** The time. @default the system's */
  readonly clock?: Clock;
  /**
   * The function that reads the documents, in place of `fetch`'s own way, which checks the address of the
   * connection. It must not follow redirects, nor connect to addresses that aren't public.
   */
  readonly fetch?: (url: URL, init: RequestInit) => Promise<Response>;
}
