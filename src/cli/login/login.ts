/**
 * Runs `mooring login` and `mooring logout`, and gives the other commands the tokens of a login. The official
 * client finds the authorization server, registers, and gets the tokens.
 *
 * @module
 */
import {
  checkResourceAllowed,
  discoverOAuthServerInfo,
  exchangeAuthorization,
  extractWWWAuthenticateParams,
  OAuthError,
  type OAuthServerInfo,
  type OAuthTokens,
  refreshAuthorization,
  registerClient,
  startAuthorization,
} from "@modelcontextprotocol/client";
import { clip, escapeInvisible, isLoopback, isObject, randomText } from "../../kit.ts";
import { CliError, ExitCode, messageOf, usageError } from "../errors.ts";
import type { Io } from "../io.ts";
import { printable } from "../log.ts";
import { awaitCallback } from "./callback.ts";
import { Credentials, type LoginClient, loginKey, type StoredLogin } from "./credentials.ts";

/** The options of `mooring login`. */
export interface LoginOptions {
  /** The client that the authorization server knows. */
  readonly clientId?: string;
  /** The variable with the client's secret. */
  readonly clientSecretEnv?: string;
  readonly scope?: string;
  /** False with `--no-browser`. */
  readonly browser?: boolean;
  /** In seconds. */
  readonly timeout: number;
}

/** Characters of the state that protects a login, of 6 random bits each. */
const STATE_LENGTH = 32;
/** A token that ends so soon is refreshed before it is sent, in milliseconds. */
const MARGIN_MS = 30_000;
/** Characters that are shown of what a server says. */
const MAX_SHOWN = 300;
/** How long a request may take, in milliseconds. */
const REQUEST_MS = 30_000;

const fetchInTime: typeof fetch = (input, init) =>
  fetch(input, { ...init, signal: init?.signal ?? AbortSignal.timeout(REQUEST_MS) });

/**
 * Signs in at a server, and keeps the tokens for `mooring call`, `inspect` and `doctor`.
 *
 * @throws {CliError} If the user refuses, or the server can't sign anybody in
 */
export async function login(text: string, options: LoginOptions, io: Io): Promise<ExitCode> {
  const url = serverUrl(text);
  const { browser = true, timeout } = options;
  const own = clientOf(options, io);
  const challenge = await challengeOf(url);
  if (challenge === undefined) {
    io.out.write(`No login is needed: ${loginKey(url)}\n`);
    return ExitCode.Ok;
  }
  const scope = options.scope ?? challenge.scope;
  const callback = await awaitCallback(timeout * 1_000);
  try {
    const made = await explained(io, async (): Promise<StoredLogin> => {
      const issuer = await discoverOAuthServerInfo(url, {
        fetchFn: fetchInTime,
        ...challenge.resourceMetadataUrl !== undefined &&
          { resourceMetadataUrl: challenge.resourceMetadataUrl },
      });
      const { authorizationServerUrl: server } = issuer;
      const client = own ?? await register(issuer, callback.url, scope);
      const state = randomText(STATE_LENGTH);
      const { authorizationUrl, codeVerifier } = await startAuthorization(server, {
        ...commonOf(url, issuer, client),
        redirectUrl: callback.url,
        state,
        ...scope !== undefined && { scope },
      });
      io.err.write(`Sign in here: ${escapeInvisible(webPage(authorizationUrl).href)}\n`);
      if (browser) io.openUrl?.(authorizationUrl);
      const answer = await callback.answer(state);
      const error = answer.get("error");
      if (error !== null) {
        const why = answer.get("error_description") ?? error;
        throw new CliError(`The login was refused: ${shown(why, io)}`);
      }
      const iss = answer.get("iss");
      const tokens = await exchangeAuthorization(server, {
        ...commonOf(url, issuer, client),
        authorizationCode: answer.get("code") ?? "",
        codeVerifier,
        redirectUri: callback.url,
        fetchFn: fetchInTime,
        ...iss !== null && { iss },
      });
      return { client, issuer, ...expiring(tokens, Date.now()) };
    });
    io.secrets.add(secretsOf(made));
    await new Credentials(io.env).update(url, () => Promise.resolve(made));
  } finally {
    callback.close();
  }
  io.out.write(`Signed in: ${loginKey(url)}\n`);
  return ExitCode.Ok;
}

/** Returns what each request to the authorization server has. */
function commonOf(url: URL, issuer: OAuthServerInfo, client: LoginClient) {
  const { authorizationServerMetadata: metadata, resourceMetadata } = issuer;
  return {
    clientInformation: client,
    // As it is written there: a slash at its end makes a difference to some servers
    resource: resourceOf(url, resourceMetadata?.resource),
    ...metadata !== undefined && { metadata },
  };
}

/**
 * Returns the resource that tokens are for (RFC 8707).
 *
 * @throws {CliError} If the server's metadata is about another one
 */
function resourceOf(url: URL, named: string | undefined): string {
  if (named === undefined) return loginKey(url);
  if (!checkResourceAllowed({ requestedResource: url, configuredResource: named })) {
    throw new CliError("Correct the server's metadata: its resource is another URL");
  }
  return named;
}

/** Registers a client for one login: its port is in the address that the browser comes back to. */
async function register(
  { authorizationServerUrl, authorizationServerMetadata: metadata }: OAuthServerInfo,
  redirectUri: string,
  scope: string | undefined,
): Promise<LoginClient> {
  if (metadata !== undefined && metadata.registration_endpoint === undefined) {
    throw new CliError("Give --client-id: the authorization server registers nobody by itself");
  }
  const { client_id, client_secret } = await registerClient(authorizationServerUrl, {
    ...metadata !== undefined && { metadata },
    clientMetadata: {
      client_name: "mooring",
      application_type: "native",
      redirect_uris: [redirectUri],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      token_endpoint_auth_method: "none",
    },
    ...scope !== undefined && { scope },
    fetchFn: fetchInTime,
  });
  return { client_id, ...client_secret !== undefined && { client_secret } };
}

/** Whether nobody on the way reads what is sent to a URL. */
function isSafe({ protocol, hostname }: URL): boolean {
  return protocol === "https:" || (protocol === "http:" && isLoopback(hostname));
}

/** Returns a page that a browser may open. */
function webPage(url: URL): URL {
  if (url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname))) {
    return url;
  }
  throw new CliError("Correct the metadata of the authorization server: its page isn't https:");
}

/** Returns tokens with the time at which they end. */
function expiring(tokens: OAuthTokens, now: number): Pick<StoredLogin, "tokens" | "expiresAt"> {
  const seconds = tokens.expires_in;
  return { tokens, ...seconds !== undefined && { expiresAt: now + seconds * 1_000 } };
}

/**
 * Forgets a login, and tells the authorization server so.
 *
 * @throws {CliError} If there is none
 */
export async function logout(text: string, io: Io): Promise<ExitCode> {
  const url = serverUrl(text);
  let before: StoredLogin | undefined;
  await new Credentials(io.env).update(url, (login) => {
    before = login;
    return Promise.resolve(undefined);
  });
  if (before === undefined) throw new CliError(`There is no login to forget: ${loginKey(url)}`);
  io.secrets.add(secretsOf(before));
  const told = await revoke(before).catch(() => false);
  const rest = told ? "" : ". Its tokens hold until they end: the authorization server wasn't told";
  io.out.write(`Signed out: ${loginKey(url)}${rest}\n`);
  return ExitCode.Ok;
}

/**
 * Returns the access token of a login, a new one if it ends soon; `undefined` without a login.
 *
 * @throws {CliError} If the login has ended
 */
export async function tokenFor(url: URL, io: Io, now = Date.now): Promise<string | undefined> {
  const credentials = new Credentials(io.env);
  const isFresh = ({ expiresAt }: StoredLogin): boolean =>
    expiresAt === undefined || expiresAt - MARGIN_MS > now();
  const found = await credentials.get(url);
  if (found === undefined) return undefined;
  const kept = isFresh(found) ? found : await credentials.update(url, async (login) => {
    // Another process may have refreshed it
    if (login === undefined || isFresh(login)) return login;
    return await refreshed(url, login, io, now);
  });
  if (kept === undefined) return undefined;
  io.secrets.add(secretsOf(kept));
  return kept.tokens.access_token;
}

async function refreshed(
  url: URL,
  login: StoredLogin,
  io: Io,
  now: () => number,
): Promise<StoredLogin> {
  io.secrets.add(secretsOf(login));
  const ended = `Sign in again: mooring login ${loginKey(url)}`;
  const { client, issuer, tokens: { refresh_token: refreshToken } } = login;
  if (refreshToken === undefined) throw new CliError(ended);
  try {
    const tokens = await refreshAuthorization(issuer.authorizationServerUrl, {
      ...commonOf(url, issuer, client),
      refreshToken,
      fetchFn: fetchInTime,
    });
    // A server may keep the refresh token as it is (RFC 6749, 6)
    return { client, issuer, ...expiring({ refresh_token: refreshToken, ...tokens }, now()) };
  } catch (error) {
    if (OAuthError.isInstance(error) && error.code === "invalid_grant") throw new CliError(ended);
    throw new CliError(
      `Try again later: the login can't be renewed: ${shown(messageOf(error), io)}`,
    );
  }
}

/** Returns what the server asks for; `undefined` if it answers without a token. */
async function challengeOf(
  url: URL,
): Promise<{ readonly resourceMetadataUrl?: URL; readonly scope?: string } | undefined> {
  let response: Response;
  try {
    response = await fetchInTime(url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
      },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" }),
    });
  } catch (cause) {
    throw new CliError(`Start the server, or correct the URL: ${loginKey(url)}`, ExitCode.Failed, {
      cause,
    });
  }
  await response.body?.cancel();
  return response.status === 401 ? extractWWWAuthenticateParams(response) : undefined;
}

function serverUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw usageError('Give the URL of a server, which begins with "https://"');
  }
  if (url.protocol === "http:" && !isLoopback(url.hostname)) {
    throw usageError('Give a URL that begins with "https://": others could read the tokens');
  }
  return url;
}

function clientOf(
  { clientId, clientSecretEnv }: LoginOptions,
  { env, secrets }: Io,
): LoginClient | undefined {
  if (clientId === undefined) {
    if (clientSecretEnv !== undefined) {
      throw usageError("Give --client-secret-env only with --client-id");
    }
    return undefined;
  }
  if (clientSecretEnv === undefined) return { client_id: clientId };
  const secret = env[clientSecretEnv];
  if (secret === undefined || secret === "") {
    throw usageError(
      `Set the environment variable ${clientSecretEnv}, which --client-secret-env names`,
    );
  }
  secrets.add([secret]);
  return { client_id: clientId, client_secret: secret };
}

/** Runs a step of a login, and shows why it failed. */
async function explained<T>(io: Io, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(`The login failed: ${shown(messageOf(error), io)}`, ExitCode.Failed, {
      cause: error,
    });
  }
}

function shown(text: string, io: Io): string {
  return clip(printable(io.secrets.redact(text)), MAX_SHOWN);
}

function secretsOf({ tokens, client }: StoredLogin): string[] {
  return [tokens.access_token, tokens.refresh_token, client.client_secret]
    .filter((text) => text !== undefined);
}

/** Revokes the tokens (RFC 7009), and tells whether the authorization server did so. */
async function revoke({ client, tokens, issuer }: StoredLogin): Promise<boolean> {
  const metadata: unknown = issuer.authorizationServerMetadata;
  const endpoint = isObject(metadata) ? metadata["revocation_endpoint"] : undefined;
  const url = typeof endpoint === "string" ? URL.parse(endpoint) : null;
  if (url === null || !isSafe(url)) return false;
  const secret = client.client_secret;
  const response = await fetchInTime(url, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({
      token: tokens.refresh_token ?? tokens.access_token,
      client_id: client.client_id,
      ...secret !== undefined && { client_secret: secret },
    }),
  });
  await response.body?.cancel();
  return response.ok;
}
