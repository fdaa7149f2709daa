/**
 * Removes a client's login from its HTTP request before a server in this process sees the request.
 *
 * @module
 */

/** Headers that hold or stand for credentials: of HTTP, of MCP, and of proxies that log users in. */
const LOGIN: ReadonlySet<string> = new Set([
  "authorization",
  "authentication",
  "cookie",
  "cookie2",
  "dpop",
  "api-key",
  "apikey",
  "x-api-key",
  "x-apikey",
  "x-access-token",
  "x-csrf-token",
  "x-xsrf-token",
  "x-id-token",
  "x-session-id",
  "x-session-token",
  "x-amz-security-token",
  "mcp-session-id",
  "x-mcp-session-id",
  "last-event-id",
  "remote-user",
  "x-remote-user",
  "x-client-cert",
  "x-ssl-client-cert",
  "client-cert",
  "client-cert-chain",
]);

/** Prefixes of more such headers. */
const LOGIN_PREFIXES = [
  "proxy-auth",
  "x-auth-",
  "x-authorization",
  "x-authenticated-",
  "x-amzn-oidc-",
  "x-goog-authenticated-",
  "x-goog-iap-",
  "x-ms-client-principal",
  "x-ms-token-",
  "x-forwarded-access-token",
  "x-forwarded-client-cert",
  "x-forwarded-email",
  "x-forwarded-groups",
  "x-forwarded-preferred-username",
  "x-forwarded-user",
  "x-vercel-oidc-",
  "cf-access-",
] as const;

/** The name of the parameter of a URL that may hold a bearer token (RFC 6750 §2.3). */
const TOKEN_PARAMETER = "access_token";

const stripped = new WeakMap<Request, Request>();

/** Returns a request with the same URL and headers, without a body and without the client's login. */
export function withoutLogin(request: Request): Request {
  let shown = stripped.get(request);
  if (shown === undefined) {
    const headers = [...request.headers].filter(([name]) => !isLogin(name));
    shown = new Request(withoutToken(request.url), { method: request.method, headers });
    stripped.set(request, shown);
    // What is stripped already stays as it is.
    stripped.set(shown, shown);
  }
  return shown;
}

function isLogin(name: string): boolean {
  // Some servers take one for the other, as CGI does.
  const hyphened = name.toLowerCase().replaceAll("_", "-");
  return LOGIN.has(hyphened) || LOGIN_PREFIXES.some((prefix) => hyphened.startsWith(prefix));
}

function withoutToken(url: string): string {
  if (!url.includes(TOKEN_PARAMETER)) return url;
  const parsed = new URL(url);
  parsed.searchParams.delete(TOKEN_PARAMETER);
  return parsed.href;
}
