/**
 * Reads documents whose address a stranger gave, without becoming the stranger's way into the network
 * that this program runs in.
 *
 * @module
 */
import type { ClientRequest, IncomingMessage, RequestOptions } from "node:http";
import type { Clock } from "../../../mod.ts";
import { isLoopback, Slots } from "../../kit.ts";
import { isLoopbackAddress, isPublicAddress, literalAddress } from "./addresses.ts";
import { boundedText, within } from "./bounded.ts";
import { FetchError } from "./errors.ts";

/** Returns all addresses of a name. */
export type Resolve = (name: string) => Promise<readonly string[]>;

/** Begins a request, as `request()` of `node:https` does. */
export type Connect = (
  options: RequestOptions & { servername?: string },
  onResponse: (response: IncomingMessage) => void,
) => ClientRequest;

/** Options for {@linkcode publicFetch}. */
export interface PublicFetchOptions {
  /** The bytes of a document. */
  readonly maxBytes: number;
  /** The time for a document, its names resolved included, in milliseconds. */
  readonly timeoutMs: number;
  /** Whether `http:` on loopback is let through. */
  readonly allowInsecure: boolean;
  /** The source of time. */
  readonly clock: Clock;
  /** Resolves names. @default the system's resolver */
  readonly resolve?: Resolve;
  /** Begins requests. @default `request()` of `node:https`, or of `node:http` for `http:` */
  readonly connect?: Connect;
}

/** How a document is asked for. */
export interface PublicFetchInit {
  /** The caller's signal. */
  readonly signal?: AbortSignal;
  /**
   * Whether it was read before: it has places that strangers can't fill.
   *
   * @default {false}
   */
  readonly known?: boolean;
  /** The method. @default {"GET"} */
  readonly method?: string;
  /** Headers besides those that every request has. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The body. */
  readonly body?: string;
}

/** Reads a document, as {@linkcode publicFetch} says. */
export type PublicFetch = (url: URL, init?: PublicFetchInit) => Promise<Response>;

/** Documents that are read at a time: of all hosts, and of one. */
const AT_A_TIME = 16;
const AT_A_TIME_OF_A_HOST = 2;
/** Addresses of one name that are tried. */
const MOST_ADDRESSES = 3;
const HEADERS = { accept: "application/json", "accept-encoding": "identity" };
const ON_WORKERS = globalThis.navigator?.userAgent === "Cloudflare-Workers";
/** Names that only an inner network has (RFC 6761, RFC 6762, ICANN's `internal`). */
const INNER_NAME = /(^|\.)(localhost|local|internal|home\.arpa|intranet|corp|lan)\.?$/;

/**
 * Makes a function that reads documents. It reads `https:` alone, and from hosts with a public address
 * alone: it resolves the name, checks each address, and connects to the very address that it has checked,
 * so a name that resolves to another one a moment later changes nothing. The certificate must be the
 * name's. It follows no redirect, sends no credentials, uses no proxy, and returns a response that is in
 * memory as a whole. With `allowInsecure`, it reads `http:` too, but from loopback alone.
 *
 * On Cloudflare Workers a program can't choose the address that it connects to: there, addresses and
 * inner names written in the URL are refused, and the platform's own rule is relied on, by which `fetch`
 * reaches public addresses alone.
 *
 * The function rejects with a {@linkcode FetchError}, whose message tells nothing about the network.
 */
export function publicFetch(options: PublicFetchOptions): PublicFetch {
  const strangers = new Slots(AT_A_TIME, AT_A_TIME_OF_A_HOST);
  const known = new Slots(AT_A_TIME, AT_A_TIME_OF_A_HOST);
  return async (url, init = {}) => {
    const insecure = checkUrl(url, options.allowInsecure);
    const slots = init.known ? known : strangers;
    if (!slots.take(url.host)) throw new FetchError("busy", "Too many documents are being read");
    try {
      return await within({ ...options, signal: init.signal }, async (signal) => {
        if (ON_WORKERS && options.connect === undefined) {
          return await platformFetch(url, init, options.maxBytes, signal);
        }
        const addresses = await addressesOf(url.hostname, insecure, options.resolve);
        return await firstOf(addresses, url, init, options, signal);
      });
    } catch (error) {
      if (error instanceof FetchError || init.signal?.aborted) throw error;
      throw new FetchError("unavailable", `The document can't be read from ${url.host}`, {
        cause: error,
      });
    } finally {
      slots.give(url.host);
    }
  };
}

/** Returns whether the URL is one on loopback. */
function checkUrl(url: URL, allowInsecure: boolean): boolean {
  const { protocol, hostname } = url;
  if (url.username !== "" || url.password !== "") {
    throw new FetchError("refused", "The address has a user name or password");
  }
  if (protocol === "http:" && allowInsecure && isLoopback(hostname)) return true;
  if (protocol !== "https:") throw new FetchError("refused", "The address isn't one of https:");
  const literal = literalAddress(hostname);
  if (literal === undefined ? INNER_NAME.test(hostname) : !isPublicAddress(literal)) {
    throw notPublic(url.host);
  }
  return false;
}

/** The same for names that don't exist, and for those of an inner network: nobody can tell which exist. */
function notPublic(host: string): FetchError {
  return new FetchError("refused", `${host} has no public address`);
}

async function addressesOf(
  hostname: string,
  loopback: boolean,
  resolve: Resolve = systemResolve,
): Promise<readonly string[]> {
  const literal = literalAddress(hostname);
  const allowed = loopback ? isLoopbackAddress : isPublicAddress;
  const all = literal === undefined ? await resolved(hostname, resolve) : [literal];
  const addresses = all.filter(allowed).slice(0, MOST_ADDRESSES);
  if (addresses.length === 0) throw notPublic(hostname);
  return addresses;
}

async function resolved(hostname: string, resolve: Resolve): Promise<readonly string[]> {
  try {
    return await resolve(hostname);
  } catch (cause) {
    if (isMissing(cause)) return [];
    throw new FetchError("unavailable", `The name ${hostname} can't be resolved now`, { cause });
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error &&
    (error.code === "ENOTFOUND" || error.code === "ENODATA");
}

/** The modules of the runtime that are used. */
interface Builtins {
  readonly "node:dns/promises": typeof import("node:dns/promises");
  readonly "node:http": typeof import("node:http");
  readonly "node:https": typeof import("node:https");
}

/** Returns a module of the runtime. Not by an import: bundlers for Workers would look for it. */
function builtin<Name extends keyof Builtins>(name: Name): Builtins[Name] {
  const { process } = globalThis as {
    readonly process?: { getBuiltinModule?(name: string): unknown };
  };
  const found = process?.getBuiltinModule?.(name);
  if (found === undefined) throw new Error(`This runtime has no ${name}`);
  return found as Builtins[Name]; // The runtime's own, of that name
}

async function systemResolve(name: string): Promise<readonly string[]> {
  const { lookup } = builtin("node:dns/promises");
  return (await lookup(name, { all: true, verbatim: true })).map(({ address }) => address);
}

/** Asks the addresses in turn, until a connection to one is made. */
async function firstOf(
  addresses: readonly string[],
  url: URL,
  init: PublicFetchInit,
  options: PublicFetchOptions,
  signal: AbortSignal,
): Promise<Response> {
  let failure: unknown;
  for (const address of addresses) {
    signal.throwIfAborted();
    try {
      return await readFrom(address, url, init, options, signal);
    } catch (error) {
      if (error instanceof FetchError) throw error;
      // What is sent with a body may have been taken: it is not sent to a second address
      if (init.body !== undefined && !isRefused(error)) throw error;
      failure = error;
    }
  }
  throw failure;
}

/** Tells whether no connection was made, so that nothing was sent. */
function isRefused(error: unknown): boolean {
  return error instanceof Error && "code" in error &&
    ["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH"].includes(String(error.code));
}

async function readFrom(
  address: string,
  url: URL,
  { method, headers, body }: PublicFetchInit,
  { maxBytes, connect }: PublicFetchOptions,
  signal: AbortSignal,
): Promise<Response> {
  const secure = url.protocol === "https:";
  const begin = connect ?? builtin(secure ? "node:https" : "node:http").request;
  // A certificate is never asked for by an address.
  const byName = secure && literalAddress(url.hostname) === undefined;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = begin({
      host: address,
      port: url.port === "" ? (secure ? 443 : 80) : Number(url.port),
      path: `${url.pathname}${url.search}`,
      ...method !== undefined && { method },
      headers: { ...HEADERS, ...headers, ...lengthOf(body), host: url.host },
      // No connection is shared with what this program asks elsewhere.
      agent: false,
      ...(byName ? { servername: url.hostname } : {}),
    }, resolve);
    signal.addEventListener("abort", () => request.destroy(), { once: true });
    request.on("error", reject);
    request.end(body);
  });
  try {
    const text = await boundedText(response, maxBytes);
    return asResponse(response.statusCode ?? 0, text, response.headers);
  } finally {
    response.destroy();
  }
}

/** Returns the header with the length of a body, if there is one: without it, it would be sent in chunks. */
function lengthOf(body: string | undefined): Readonly<Record<string, string>> {
  if (body === undefined) return {};
  return { "content-length": String(new TextEncoder().encode(body).length) };
}

async function platformFetch(
  url: URL,
  { method, headers, body }: PublicFetchInit,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Response> {
  const response = await fetch(url, {
    redirect: "manual",
    headers: { ...HEADERS, ...headers },
    signal,
    ...method !== undefined && { method },
    ...body !== undefined && { body },
  });
  return asResponse(
    response.status,
    await boundedText(response.body, maxBytes),
    Object.fromEntries(response.headers),
  );
}

/** The headers that say what a document is, how long it may be kept, and what a request has to have. */
const KEPT = [
  ...["content-type", "cache-control", "expires", "date", "age"],
  ...["dpop-nonce", "www-authenticate"],
];

function asResponse(
  status: number,
  text: string,
  from: Readonly<Record<string, unknown>>,
): Response {
  const headers = new Headers();
  for (const name of KEPT) {
    const value = from[name];
    if (typeof value === "string") headers.set(name, value);
  }
  if (status < 200 || status > 599) throw new FetchError("invalid", `The status is ${status}`);
  const empty = status === 204 || status === 205 || status === 304;
  return new Response(empty ? null : text, { status, headers });
}
