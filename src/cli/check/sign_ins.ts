/**
 * Says what servers want of users that answer 401: where they sign in, how this server is registered there,
 * and what is missing.
 *
 * @module
 */
import { surveyGrant, surveySignIn } from "../../accounts/survey.ts";
import type { Config, ServerEntry } from "../config/schema.ts";
import { baseOf } from "../config/sign_in.ts";
import { accessOf } from "../serve/upstream_auth.ts";

const WAYS = {
  configured: "with the clientId of the file",
  document: "with this server's own document as its client id",
  registration: "where this server registers itself",
} as const;

/** Tells whether a server that answers 401 may want a sign-in of users: it is given no token. */
export function wantsUsers(entry: ServerEntry | undefined): entry is HttpEntry {
  if (entry === undefined || !("url" in entry)) return false;
  const { headers = {}, forwardHeaders = [] } = entry;
  if (grantOf(entry) !== undefined) return false;
  const names = [
    ...Object.keys(headers),
    ...Array.isArray(forwardHeaders) ? forwardHeaders : Object.keys(forwardHeaders),
  ];
  return !names.some((name) => name.toLowerCase() === "authorization");
}

type HttpEntry = Extract<ServerEntry, { readonly url: string }>;

/** Returns what a server wants that answers 401, and whether users can sign in there. */
export async function signInLine(
  entry: ServerEntry | undefined,
  config: Config,
): Promise<{ readonly ok: boolean; readonly text: string }> {
  if (!wantsUsers(entry)) return { ok: false, text: "It answered 401" };
  const { url, oauth = false } = entry;
  const local = new URL(url).protocol === "http:";
  const { issuer, client, scopes, problem } = await surveySignIn(
    url,
    typeof oauth === "object" ? oauth : {},
    {
      url: config.signIn === undefined ? "https://localhost" : baseOf(config),
      ...(local || config.signIn?.allowInsecure === true) && { allowInsecure: true },
    },
  );
  if (issuer === undefined || client === undefined) {
    return { ok: false, text: `it answered 401. ${problem ?? "It names no sign-in"}` };
  }
  const needs = scopes.length === 0 ? "" : `, for ${scopes.join(" ")}`;
  const text = `each user signs in at ${issuer}, ${WAYS[client]}${needs}`;
  const missing = [
    ...oauth === false ? ['"oauth": true for this server'] : [],
    ...config.signIn === undefined ? ["signIn for the file"] : [],
  ];
  if (missing.length === 0) return { ok: true, text };
  return { ok: false, text: `${text}. Add ${missing.join(", and ")}` };
}

/** Returns the grant of a server, if it has one. */
function grantOf(entry: ServerEntry) {
  const oauth = "url" in entry && typeof entry.oauth === "object" ? entry.oauth : undefined;
  return oauth?.grant === undefined ? undefined : oauth;
}

/** Tells whether tokens for a server are got on behalf of each caller. */
export function isOnBehalf(entry: ServerEntry): boolean {
  const grant = grantOf(entry)?.grant;
  return grant === "token_exchange" || grant === "id_jag";
}

/** Says how tokens for a server are got; empty for one without a grant. */
export function grantText(entry: ServerEntry): string {
  const { grant, clientId, issuer = "the server that it names", identityProvider } =
    grantOf(entry) ?? {};
  switch (grant) {
    case "client_credentials":
      return `, with this server's own token of ${issuer}, as ${clientId}`;
    case "token_exchange":
      return `, each caller's token exchanged at ${issuer}, as ${clientId}`;
    case "id_jag":
      return `, an ID-JAG of ${identityProvider?.issuer} for each caller, redeemed at ${issuer}, ` +
        `as ${clientId}`;
    case undefined:
      return "";
  }
}

/** Asks the servers that give tokens for a server on behalf of callers whether they can. */
export async function grantLine(
  entry: ServerEntry,
): Promise<{ readonly ok: boolean; readonly text: string }> {
  const oauth = grantOf(entry);
  if (oauth?.issuer === undefined || !("url" in entry)) return { ok: false, text: "No grant" };
  const { issuer, identityProvider } = oauth;
  const problem = await surveyGrant(entry.url, { issuer, provider: identityProvider?.issuer }, {
    ...accessOf([issuer, identityProvider?.issuer]),
  });
  const text = grantText(entry).slice(2);
  return problem === undefined ? { ok: true, text } : { ok: false, text: `${text}: ${problem}` };
}
