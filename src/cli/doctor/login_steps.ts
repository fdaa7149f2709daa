/**
 * Looks at the way to a token: the challenge, the metadata of the resource and of its authorization server,
 * and how a client that nobody knows gets an id.
 *
 * @module
 */
import type { JsonObject } from "../../../mod.ts";
import { isLoopback } from "../../kit.ts";
import { type HttpAnswer, parsedObject, proxyOf } from "./exchange.ts";
import type { RegistrationWay } from "./clients.ts";
import { blame, exposes } from "./blame.ts";
import { failed, passed, skipped, type StepVerdict, warning } from "./finding.ts";
import type { Visit } from "./visit.ts";

const AUTHORIZATION = "2025-11-25, Authorization";

/** Follows the way from a challenge to the authorization server, as clients do. */
export async function checkLogin(visit: Visit, challenge: HttpAnswer): Promise<void> {
  const header = challenge.headers.get("www-authenticate");
  if (hasToken(visit) && visit.refused !== undefined) {
    const error = parameter(header, "error_description") ?? parameter(header, "error") ??
      "no reason";
    visit.note("token", await explainToken(visit, error));
  }
  const named = parameter(header, "resource_metadata");
  if (header === null || !/^bearer\b/i.test(header)) {
    visit.note("challenge", await explainChallenge(visit, header));
  } else if (named === undefined) {
    visit.note(
      "challenge",
      warning(
        "the server",
        "The challenge names no resource_metadata: older clients find no way to sign in",
        'Add resource_metadata="…" to WWW-Authenticate',
        "RFC 9728, 5.1",
      ),
    );
  } else visit.note("challenge", passed(`Bearer, with ${named}`));
  const resource = await resourceMetadata(visit, named);
  if (resource === undefined) return;
  const [issuer] = resource;
  if (issuer !== undefined) await checkIssuer(visit, issuer);
}

/** Says why a token is refused: it isn't good, or doesn't arrive. */
async function explainToken(visit: Visit, error: string): Promise<StepVerdict> {
  const { direct } = visit.init;
  const there = direct === undefined ? undefined : await visit.initialize(direct);
  if (there?.status === 200) {
    return failed(
      "a proxy",
      `The token is refused: ${error}. ${direct?.url.host} takes it`,
      'Pass Authorization on: remove proxy_set_header Authorization "" (nginx) or header_up ' +
        "-Authorization (Caddy)",
      "RFC 6750, 2.1",
    );
  }
  return failed(
    "the token",
    `The token is refused: ${error}`,
    "Give a token that is valid now, and whose audience is the URL of the server; and let " +
      "proxies pass Authorization on",
    "RFC 6750, 3",
  );
}

/** Says whose fault it is that nothing tells clients how to get a token. */
async function explainChallenge(visit: Visit, header: string | null): Promise<StepVerdict> {
  const clause = `${AUTHORIZATION}, Protected Resource Metadata Discovery Requirements`;
  const server = 'answer 401 with WWW-Authenticate: Bearer resource_metadata="…"';
  if (header !== null) {
    return failed("the server", "WWW-Authenticate isn't a Bearer challenge", server, clause);
  }
  const { whose, because, fix } = await blame(visit, {
    server,
    proxy:
      "remove proxy_hide_header WWW-Authenticate (nginx) or header_down -WWW-Authenticate (Caddy), " +
      "or what else keeps it from clients",
    async worksAt(target) {
      const answer = await visit.knock(target);
      return answer.status === 401 ? answer.headers.has("www-authenticate") : undefined;
    },
    async proof() {
      const { url, headers, origin } = visit.init;
      const answer = await visit.knock({ url, headers: { ...headers, origin } });
      return answer.status === 401 && exposes(answer, "www-authenticate") &&
          await hasResourceMetadata(visit)
        ? "the server serves metadata, and tells pages to read WWW-Authenticate"
        : undefined;
    },
  });
  return failed(whose, `401 without WWW-Authenticate${because}`, fix, clause);
}

/** Tells whether the metadata of the resource is where it belongs (RFC 9728, 3.1). */
async function hasResourceMetadata(visit: Visit): Promise<boolean> {
  const [first] = wellKnownUrls(visit.init.url);
  const answer = await visit.fetch(first);
  return answer.status === 200 && parsedObject(answer.text) !== undefined;
}

/** Returns where the metadata of a resource belongs, and where older servers have it. */
function wellKnownUrls(url: URL): readonly [string, string] {
  const wellKnown = "/.well-known/oauth-protected-resource";
  const path = url.pathname === "/" ? "" : url.pathname;
  return [new URL(`${wellKnown}${path}`, url).href, new URL(wellKnown, url).href];
}

/** Follows the way of a client that has no token yet, where one was given that the server takes. */
export async function checkWayIn(visit: Visit): Promise<void> {
  if (!hasToken(visit)) return;
  const answer = await visit.knock();
  if (answer.status === 401) await checkLogin(visit, answer);
}

function hasToken({ init: { headers } }: Visit): boolean {
  return Object.keys(headers).some((name) => name.toLowerCase() === "authorization");
}

/** Returns the authorization servers that the metadata of the resource names. */
async function resourceMetadata(
  visit: Visit,
  named: string | undefined,
): Promise<readonly string[] | undefined> {
  const wellKnown = wellKnownUrls(visit.init.url);
  const candidates = named === undefined ? wellKnown : [named];
  let problem = "";
  let whose: "the server" | "a proxy" = "the server";
  for (const candidate of candidates) {
    const target = URL.parse(candidate);
    if (target === null) {
      problem = `resource_metadata is no URL: ${candidate}`;
      continue;
    }
    const answer = await visit.fetch(target);
    if (answer.status !== 200) {
      problem = `${target.href}: ${answer.status ?? answer.message}`;
      if (answer.status !== undefined && proxyOf(answer) !== undefined) whose = "a proxy";
      continue;
    }
    const document = parsedObject(answer.text);
    if (document === undefined) {
      problem = `${target.href} isn't JSON`;
      continue;
    }
    return judgeResource(visit, document, target.href);
  }
  visit.note(
    "resource metadata",
    failed(
      whose,
      `No metadata of the protected resource: ${problem}`,
      `Serve it at ${wellKnown[0]}; a proxy must forward /.well-known`,
      "RFC 9728, 3",
    ),
  );
  return undefined;
}

function judgeResource(visit: Visit, document: JsonObject, from: string): readonly string[] {
  const { url } = visit.init;
  const { resource, authorization_servers: servers } = document;
  const issuers = Array.isArray(servers) ? servers.filter((one) => typeof one === "string") : [];
  if (typeof resource !== "string" || !covers(resource, url)) {
    visit.note(
      "resource metadata",
      failed(
        "the server",
        `It says that it is ${
          JSON.stringify(resource)
        }, but its URL is ${url.href}: clients refuse it`,
        "Set the public URL of the server, with https: and without a slash at the end",
        "RFC 9728, 3.3",
      ),
    );
  } else if (issuers.length === 0) {
    visit.note(
      "resource metadata",
      failed(
        "the server",
        "It names no authorization server",
        "List its issuer in authorization_servers",
        `${AUTHORIZATION}, Authorization Server Location`,
      ),
    );
  } else visit.note("resource metadata", passed(`${from}: ${issuers.join(", ")}`));
  return issuers;
}

/** Tells whether a resource's identifier is that of a URL, or of a part above it. */
function covers(resource: string, url: URL): boolean {
  const own = URL.parse(resource);
  if (own === null || own.origin !== url.origin) return false;
  const path = own.pathname.replace(/\/$/, "");
  return url.pathname === path || url.pathname.startsWith(`${path}/`);
}

async function checkIssuer(visit: Visit, issuer: string): Promise<void> {
  const url = URL.parse(issuer);
  if (url === null || (url.protocol !== "https:" && !isLoopback(url.hostname))) {
    visit.note(
      "authorization server",
      failed(
        "the server",
        `The issuer is no https: URL: ${issuer}`,
        "Name the issuer as its own metadata does",
        "RFC 8414, 2",
      ),
    );
    return;
  }
  const path = url.pathname.replace(/\/$/, "");
  const candidates = [
    new URL(`/.well-known/oauth-authorization-server${path}`, url),
    new URL(`/.well-known/openid-configuration${path}`, url),
    new URL(`${path}/.well-known/openid-configuration`, url),
  ];
  let problem = "";
  for (const candidate of candidates) {
    const answer = await visit.fetch(candidate);
    const document = answer.status === 200 ? parsedObject(answer.text) : undefined;
    if (document !== undefined) return judgeIssuer(visit, document, issuer);
    problem ||= `${candidate.href}: ${answer.status ?? answer.message}`;
  }
  visit.note(
    "authorization server",
    failed(
      "the authorization server",
      `Its metadata isn't found: ${problem}`,
      "Serve RFC 8414 or OpenID Connect metadata for this issuer",
      `${AUTHORIZATION}, Authorization Server Metadata Discovery`,
    ),
  );
}

function judgeIssuer(visit: Visit, document: JsonObject, issuer: string): void {
  const { issuer: own, authorization_endpoint: authorize, token_endpoint: token } = document;
  if (own !== issuer) {
    visit.note(
      "authorization server",
      failed(
        "the authorization server",
        `It calls itself ${
          JSON.stringify(own)
        }, but the resource names ${issuer}: clients refuse that`,
        "Write the issuer the same in both, with the slash at the end or without",
        "RFC 8414, 3.3",
      ),
    );
    return;
  }
  if (typeof authorize !== "string" || typeof token !== "string") {
    visit.note(
      "authorization server",
      failed(
        "the authorization server",
        "Its metadata lacks authorization_endpoint or token_endpoint",
        "Name both",
        "RFC 8414, 2",
      ),
    );
    return;
  }
  const challenges = document["code_challenge_methods_supported"];
  if (!Array.isArray(challenges) || !challenges.includes("S256")) {
    visit.note(
      "authorization server",
      failed(
        "the authorization server",
        "Its metadata doesn't list S256 in code_challenge_methods_supported: clients must refuse it",
        "Support PKCE with S256, and say so. Where the provider can't be changed, put an authorization " +
          "server of your own before it",
        `${AUTHORIZATION}, Authorization Code Protection`,
      ),
    );
    return;
  }
  visit.note("authorization server", passed(`${issuer}, PKCE with S256`));
  const byDocument = document["client_id_metadata_document_supported"] === true;
  const byRegistration = typeof document["registration_endpoint"] === "string";
  if (!byDocument && !byRegistration) {
    visit.note(
      "registration",
      warning(
        "the authorization server",
        "A client that it doesn't know gets no id: it has neither client ID metadata documents nor " +
          "registration",
        "Support client ID metadata documents, or give each client an id by hand where it can take one",
        `${AUTHORIZATION}, Client Registration Approaches`,
      ),
    );
    return;
  }
  const ways: readonly RegistrationWay[] = [
    ...byDocument ? ["client ID metadata document" as const] : [],
    ...byRegistration ? ["dynamic registration" as const] : [],
  ];
  visit.registration = ways;
  visit.note("registration", passed(ways.join(" and ")));
  if (!isPublicClient(document)) {
    visit.note(
      "registration",
      warning(
        "the authorization server",
        'token_endpoint_auth_methods_supported lacks "none": programs on a user\'s machine have no secret',
        'Add "none" for public clients',
        "RFC 8414, 2",
      ),
    );
  }
}

function isPublicClient({ token_endpoint_auth_methods_supported: methods }: JsonObject): boolean {
  return methods === undefined || (Array.isArray(methods) && methods.includes("none"));
}

/** Says that the rest needs a token. */
export function skipProtocol(visit: Visit): void {
  visit.note("session", skipped("The rest needs a token: give one with --token-env NAME"));
}

/** Returns a parameter of a challenge. */
function parameter(header: string | null, name: string): string | undefined {
  const found = new RegExp(`\\b${name}=(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s,]+))`, "i").exec(
    header ?? "",
  );
  return found?.[1]?.replace(/\\(.)/g, "$1") ?? found?.[2];
}
