/**
 * Looks at the way to a server: its address, the connection, and what the first request gets.
 *
 * @module
 */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { isLoopback, isObject } from "../../kit.ts";
import { bareHostname } from "../../kit_node.ts";
import { isPublicAddress } from "../../signin/fetch/addresses.ts";
import { usuallyProxy } from "./blame.ts";
import { type HttpAnswer, type NoHttpAnswer, proxyOf } from "./exchange.ts";
import { failed, passed, type StepVerdict, warning } from "./finding.ts";
import { resultOf, type Visit } from "./visit.ts";

const TRANSPORT = "2025-11-25, Transports, Streamable HTTP";

/** Looks at the URL and its host. Returns whether the rest can be tried. */
export async function checkAddress(visit: Visit): Promise<boolean> {
  const { url } = visit.init;
  const host = bareHostname(url.hostname);
  if (url.protocol === "http:" && !isLoopback(host)) {
    visit.note(
      "address",
      warning(
        "the URL",
        "The URL begins with http:, which most clients refuse beyond their own machine",
        "Serve it over https:, such as with Caddy or nginx in front",
        "2025-11-25, Authorization, Communication Security",
      ),
    );
  }
  if (url.hash !== "") {
    visit.note(
      "address",
      failed("the URL", "The URL has a part after #, which is never sent", "Leave it out"),
    );
  }
  if (isIP(host) !== 0 || isLoopback(host)) {
    return visit.note("address", passed(`${host}${reach(host)}`));
  }
  try {
    const addresses = (await lookup(host, { all: true })).map(({ address }) => address);
    const shown = addresses.slice(0, 4).join(", ");
    return visit.note("address", passed(`${host} is ${shown}${reach(addresses[0] ?? "")}`));
  } catch {
    return visit.note(
      "address",
      failed(
        "the network",
        `The name ${host} has no address`,
        "Correct the name, or add a DNS record for it",
      ),
    );
  }
}

/** Tells whether clients that run in a cloud reach a host. */
export async function isPublic(url: URL): Promise<boolean> {
  const host = bareHostname(url.hostname);
  if (isLoopback(host)) return false;
  if (isIP(host) !== 0) return isPublicAddress(host);
  try {
    return (await lookup(host, { all: true })).every(({ address }) => isPublicAddress(address));
  } catch {
    return false;
  }
}

function reach(address: string): string {
  return isPublicAddress(address) ? "" : ", reachable from this machine or network alone";
}

/** Says why there is no answer. */
export function explainSilence({ code, message }: NoHttpAnswer, visit: Visit): StepVerdict {
  const { url } = visit.init;
  const { host } = url;
  if (code === "timeout") {
    return failed(
      usuallyProxy(visit),
      `${host} took the request and didn't answer: ${message}`,
      "Look whether the proxy reaches the server, and whether the server hangs at its first request",
    );
  }
  if (/ECONNREFUSED|ConnectionRefused|refused/i.test(code)) {
    return failed(
      "the server",
      `Nothing listens at ${host}`,
      "Start the server, or correct the port",
    );
  }
  if (/EXPIRED|expired/.test(code + message)) {
    return failed("the server", "The certificate has expired", "Renew the certificate");
  }
  if (/ALTNAME|NotValidForName|not valid for/i.test(code + message)) {
    return failed(
      "the server",
      `The certificate is for another name than ${url.hostname}`,
      "Get a certificate for this name, or use the name that it has",
    );
  }
  if (
    /SELF_SIGNED|UnknownIssuer|UNABLE_TO|self.signed|invalid peer certificate/i.test(code + message)
  ) {
    return failed(
      "the server",
      "The certificate is signed by nobody whom clients know, or a part of its chain is missing",
      "Serve the whole chain of a certificate that is publicly trusted",
    );
  }
  if (/ERR_SSL|EPROTO|InvalidContentType|wrong version number/i.test(code + message)) {
    return failed(
      "the URL",
      `${host} doesn't speak TLS`,
      "Begin the URL with http:, or let the server speak TLS",
    );
  }
  if (/ECONNRESET|EPIPE|UND_ERR_SOCKET|closed|reset|invalid HTTP/i.test(code + message)) {
    return failed(
      usuallyProxy(visit),
      `${host} closed the connection without an answer`,
      url.protocol === "http:"
        ? "If it speaks TLS, begin the URL with https:. Else look into the log of the proxy or server"
        : "Look into the log of the proxy or server: it crashed, or refuses this request",
    );
  }
  return failed(
    "the network",
    `${host} can't be reached: ${message}`,
    "Look at the route and firewall",
  );
}

/** Begins a session. Returns whether the server has answered as a server. */
export async function checkHandshake(visit: Visit): Promise<boolean> {
  const { url } = visit.init;
  const answer = await visit.initialize();
  if (answer.status === undefined) return visit.note("connection", explainSilence(answer, visit));
  visit.note("connection", passed(`${url.host} answers, ${Math.round(answer.endMs)} ms`));
  checkClock(visit, answer);
  const { status, headers } = answer;
  if (status >= 300 && status < 400) {
    const to = headers.get("location") ?? "nowhere";
    const login = /login|signin|oauth|sso|auth/i.test(to);
    return visit.note(
      "redirect",
      login
        ? failed(
          proxyOf(answer) === undefined ? "the server" : "a proxy",
          `The answer to POST is a redirect to a login page: ${to}`,
          "Answer 401 with WWW-Authenticate, which MCP clients understand; leave the path out of the " +
            "proxy's login",
          "2025-11-25, Authorization, Access Token Usage",
        )
        : failed(
          "the URL",
          `The answer to POST is a redirect to ${to}: many clients don't follow it, or send GET there`,
          `Give clients this URL: ${absolute(to, url)}`,
        ),
    );
  }
  if (status === 401) {
    visit.refused = answer;
    return visit.note("handshake", passed("The server wants a token"));
  }
  const result = status === 200 ? resultOf(answer) : undefined;
  if (result === undefined) return visit.note("handshake", await explainRefusal(visit, answer));
  return visit.note("handshake", takeResult(visit, answer, result));
}

function takeResult(
  visit: Visit,
  { headers }: HttpAnswer,
  result: NonNullable<ReturnType<typeof resultOf>>,
) {
  const { protocolVersion, serverInfo, capabilities } = result;
  if (typeof protocolVersion !== "string" || !isObject(serverInfo) || !isObject(capabilities)) {
    return failed(
      "the server",
      "The result of initialize lacks protocolVersion, serverInfo or capabilities",
      "Return all three",
      "2025-11-25, Lifecycle, Initialization",
    );
  }
  visit.server = result;
  visit.version = protocolVersion;
  visit.session = headers.get("mcp-session-id") ?? undefined;
  if (visit.session !== undefined && !/^[\x21-\x7e]+$/.test(visit.session)) {
    return failed(
      "the server",
      "The session id has characters other than visible ASCII",
      "Use letters, digits and - in session ids",
      `${TRANSPORT}, Session Management`,
    );
  }
  const { name = "a server without a name", version = "" } = serverInfo;
  const session = visit.session === undefined ? "without sessions" : "with a session";
  return passed(`${name} ${version}, ${protocolVersion}, ${session}`);
}

/** Says why the first request was not answered with a result. */
async function explainRefusal(visit: Visit, answer: HttpAnswer): Promise<StepVerdict> {
  const { status, headers, text, message } = answer;
  const proxy = proxyOf(answer);
  const whose = proxy === undefined ? "the server" : "a proxy";
  const by = proxy === undefined ? "" : ` (${proxy})`;
  if (status === 200 && /<html|<!doctype/i.test(text.slice(0, 1_000))) {
    return failed(
      whose,
      `A web page answers${by}, not an MCP server`,
      "Correct the path: most servers are at /mcp. A single-page app often answers every path",
    );
  }
  if (status === 404 || status === 405) return await explainPath(visit, answer, whose, by);
  if (status === 403 || status === 421) {
    const reason = isObject(message?.["error"]) ? `: ${message["error"]["message"]}` : "";
    return failed(
      whose,
      `${status}${by}: the request is refused whoever sends it${reason}`,
      /host/i.test(reason)
        ? "Add the public name to the hosts that the server answers to (allowedHosts)"
        : "Answer 401 where a token is missing; a firewall or a rule for hosts may refuse otherwise",
      "2025-11-25, Authorization, Error Handling",
    );
  }
  if (status === 406) {
    return failed(
      "the server",
      "406 for the Accept header that clients must send: application/json, text/event-stream",
      "Accept both media types, in any order",
      `${TRANSPORT}, Sending Messages to the Server`,
    );
  }
  if (status === 415) {
    return failed(
      whose,
      "415 for application/json",
      "Take application/json, with or without a charset",
    );
  }
  if (status === 413) {
    return failed(whose, `413${by} for a small request`, "Raise the limit of bodies");
  }
  if (status === 429) {
    return failed(whose, `429${by}: too many requests`, "Wait, or raise the rate limit");
  }
  if (status === 502 || status === 503 || status === 504) {
    const retry = headers.get("retry-after");
    if (message !== undefined) {
      const wait = retry === null ? "" : ` It says to wait ${retry} s`;
      return failed(
        "the server",
        `${status}: the server starts, drains or is full.${wait}`,
        "Try again",
      );
    }
    return failed(
      "a proxy",
      `${status}${by}: the proxy doesn't reach the server behind it`,
      "Start the server, and correct the address in the proxy's configuration",
    );
  }
  if (status >= 500) {
    return failed(whose, `${status}${by} for initialize`, "Look into the server's log");
  }
  if (isObject(message?.["error"])) {
    const { code, message: text } = message["error"];
    return failed(
      "the server",
      `${status}, error ${code}: ${text}`,
      "Answer initialize with a result",
      "2025-11-25, Lifecycle, Initialization",
    );
  }
  return failed(
    whose,
    `${status}${by} with ${headers.get("content-type") ?? "no content type"}: no JSON-RPC message`,
    "Answer initialize with JSON, or with an event stream",
    `${TRANSPORT}, Sending Messages to the Server`,
  );
}

/** Looks for the path that clients should use. */
async function explainPath(
  visit: Visit,
  { status }: HttpAnswer,
  whose: "the server" | "a proxy",
  by: string,
): Promise<StepVerdict> {
  const { url } = visit.init;
  const old = await visit.bare("GET", "text/event-stream", true);
  if (status === 405 && old.status === 200 && old.streams) {
    return failed(
      "the server",
      "GET is a stream and POST isn't allowed: this is the transport HTTP+SSE of 2024-11-05",
      "Serve Streamable HTTP: it is all that newer clients speak",
      `${TRANSPORT}, Backwards Compatibility`,
    );
  }
  for (const path of ["/mcp", "/mcp/", "/", "/sse"]) {
    const other = new URL(path, url);
    if (other.href === url.href) continue;
    const found = await visit.initialize({ ...visit.init, url: other });
    const isThere = found.status === 401 || (found.status === 200 && resultOf(found) !== undefined);
    if (isThere) {
      return failed(
        "the URL",
        `${status}${by}: no MCP server at ${url.pathname}, but there is one at ${path}`,
        `Give clients this URL: ${other.href}`,
      );
    }
  }
  return failed(
    whose,
    `${status}${by}: no MCP server at ${url.pathname}`,
    "Correct the path. Does the proxy remove a part of it, or forward POST at all?",
    `${TRANSPORT}, Sending Messages to the Server`,
  );
}

function checkClock(visit: Visit, { headers }: HttpAnswer): void {
  const date = Date.parse(headers.get("date") ?? "");
  if (Number.isNaN(date)) return;
  const seconds = Math.round((date - Date.now()) / 1_000);
  if (Math.abs(seconds) <= 60) return;
  const way = seconds < 0 ? "behind" : "ahead of";
  visit.note(
    "clock",
    warning(
      "the server",
      `Its clock is ${
        Math.abs(seconds)
      } s ${way} this machine's: tokens seem expired, or not valid yet`,
      "Set both clocks by NTP",
    ),
  );
}

function absolute(to: string, url: URL): string {
  return URL.parse(to, url)?.href ?? to;
}
