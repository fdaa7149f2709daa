/**
 * Finds the client that a `client_id` stands for: by the options, its document, or its registration.
 *
 * @module
 */
import {
  booleanOption,
  checkNames,
  functionOption,
  integerOption,
  type NamesOf,
  systemClock,
} from "../../kit.ts";
import { boundedText, within } from "../fetch/bounded.ts";
import { FetchError } from "../fetch/errors.ts";
import { stringOption } from "../fetch/options.ts";
import { publicFetch } from "../fetch/public_fetch.ts";
import { DocumentClients, isDocumentId } from "./documents.ts";
import { redirectUrisOf } from "./redirects.ts";
import { RegisteredClients } from "./registration.ts";
import type { Clients, ClientsOptions, ConfiguredClient, SignInClient } from "./types.ts";

const NAMES: NamesOf<ClientsOptions> = {
  clients: true,
  registration: true,
  documents: true,
  allowInsecure: true,
  bindsTokens: true,
  records: true,
  clock: true,
  fetch: true,
};
const DAY_MS = 24 * 3_600_000;
const ID = /^[!-~]{1,2000}$/;

/**
 * Makes what finds and registers clients.
 *
 * @throws {TypeError} If an option has the wrong type, or is unknown
 * @throws {RangeError} If a number is out of range
 */
export function createClients(options: ClientsOptions): Clients {
  checkNames("clients", options, NAMES);
  const configured = configuredClients(options.clients ?? [], options.bindsTokens === true);
  const allowInsecure = booleanOption("allowInsecure", options.allowInsecure, false);
  const documents = documentClients(options, allowInsecure);
  const registered = registeredClients(options);
  return {
    async find(id, signal) {
      const client = configured.get(id);
      if (client !== undefined) return client;
      if (isDocumentId(id, allowInsecure)) return await documents?.find(id, signal);
      return await registered?.find(id);
    },
    async isKnown(id) {
      if (configured.has(id)) return true;
      if (isDocumentId(id, allowInsecure)) return documents !== undefined;
      return await registered?.find(id) !== undefined;
    },
    async renew(id) {
      if (configured.has(id)) return true;
      if (isDocumentId(id, allowInsecure)) return documents !== undefined;
      return await registered?.renew(id) ?? false;
    },
    ...(registered === undefined ? {} : {
      register: (metadata, from) => registered.register(metadata, from),
    }),
  };
}

function configuredClients(
  clients: readonly ConfiguredClient[],
  bindsTokens: boolean,
): ReadonlyMap<string, SignInClient> {
  if (!Array.isArray(clients)) throw new TypeError('Give a list as "clients"');
  const byId = new Map<string, SignInClient>();
  for (const client of clients) {
    checkNames(
      "a client",
      client,
      { id: true, name: true, redirectUris: true, uri: true, dpopBound: true },
      "clients.",
    );
    const id = stringOption("clients.id", client.id);
    if (!ID.test(id)) throw new TypeError(`Give printable ASCII as "clients.id": ${id}`);
    const dpopBound = booleanOption("clients.dpopBound", client.dpopBound, false);
    if (dpopBound && !bindsTokens) {
      throw new TypeError(`Give "dpop", or leave "clients.dpopBound" out: ${id}`);
    }
    if (byId.has(id)) throw new TypeError(`Give each client of "clients" its own id: ${id}`);
    byId.set(id, {
      id,
      kind: "configured",
      name: client.name === undefined ? id : stringOption("clients.name", client.name),
      redirectUris: checkedRedirects(id, client.redirectUris),
      ...(client.uri === undefined ? {} : { uri: stringOption("clients.uri", client.uri) }),
      ...dpopBound && { dpopBound },
    });
  }
  return byId;
}

function checkedRedirects(id: string, uris: unknown): readonly string[] {
  try {
    return redirectUrisOf(uris);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : "";
    throw new TypeError(`Correct "redirectUris" of the client ${id}: ${why}`, { cause });
  }
}

function registeredClients(options: ClientsOptions): RegisteredClients | undefined {
  if (options.registration === false) return undefined;
  const { registration = {}, records, clock = systemClock, bindsTokens = false } = options;
  checkNames(
    "signIn()",
    registration,
    { perSenderHourly: true, perHour: true, expiresMs: true },
    "registration.",
  );
  return new RegisteredClients({
    ...{ records, clock, bindsTokens },
    perSenderHourly: integerOption("perSenderHourly", registration.perSenderHourly, 20),
    perHour: integerOption("perHour", registration.perHour, 1_000),
    expiresMs: integerOption("expiresMs", registration.expiresMs, 90 * DAY_MS, 60_000),
  });
}

function documentClients(
  options: ClientsOptions,
  allowInsecure: boolean,
): DocumentClients | undefined {
  if (options.documents === false) return undefined;
  const { documents = {}, clock = systemClock } = options;
  checkNames(
    "signIn()",
    documents,
    { maxBytes: true, timeoutMs: true, maxAgeMs: true },
    "documents.",
  );
  const maxBytes = integerOption("maxBytes", documents.maxBytes, 10_240);
  const timeoutMs = integerOption("timeoutMs", documents.timeoutMs, 5_000);
  const maxAgeMs = integerOption("maxAgeMs", documents.maxAgeMs, 3_600_000, 0);
  const own = functionOption("fetch", options.fetch);
  const read = publicFetch({ maxBytes, timeoutMs, allowInsecure, clock });
  return new DocumentClients({
    maxAgeMs,
    allowInsecure,
    clock,
    read: own === undefined
      ? (url, known) => read(url, { known })
      : (url) => readBy(own, url, maxBytes, (work) => within({ timeoutMs, clock }, work)),
  });
}

/** Reads a document by the function of the options, in the same bounds. */
async function readBy(
  fetch: NonNullable<ClientsOptions["fetch"]>,
  url: URL,
  maxBytes: number,
  bounded: <T>(work: (signal: AbortSignal) => Promise<T>) => Promise<T>,
): Promise<Response> {
  try {
    return await bounded(async (signal) => {
      const headers = { accept: "application/json" };
      const { status, headers: got, body } = await fetch(url, {
        headers,
        redirect: "manual",
        signal,
      });
      const text = await boundedText(body, maxBytes);
      return new Response(status === 204 || status === 304 ? null : text, { status, headers: got });
    });
  } catch (cause) {
    if (cause instanceof FetchError) throw cause;
    throw new FetchError("unavailable", `The document can't be read from ${url.host}`, { cause });
  }
}
