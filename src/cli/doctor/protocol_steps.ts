/**
 * Looks at what a server does once a client is in: its session, its lists and streams, what proxies do to
 * them, and the other era.
 *
 * @module
 */
import { isObject } from "../../kit.ts";
import { type HttpAnswer, isType, type NoHttpAnswer, proxyOf } from "./exchange.ts";
import { failed, passed, skipped, type StepVerdict, warning } from "./finding.ts";
import { usuallyProxy } from "./blame.ts";
import { explainSilence } from "./connection_steps.ts";
import { explainLostSession } from "./lost_session.ts";
import { BOTH, resultOf, STATELESS, type Visit } from "./visit.ts";

const TRANSPORT = "2025-11-25, Transports, Streamable HTTP";
/** The bytes of a body that every host should take. */
const BODY_BYTES = 512 * 1024;
/** The time within which a call's first event must come before its last, in milliseconds. */
const TOGETHER_MS = 50;
/** The least time of a call whose events say anything about buffering, in milliseconds. */
const LEAST_CALL_MS = 500;

const RAISE_LIMITS =
  "Raise the time limits of proxies (proxy_read_timeout in nginx, read_timeout in Caddy), or answer long " +
  "calls early: longCalls";
const RAISE_BODIES =
  "Raise the limit of bodies: client_max_body_size (nginx), request_body max_size (Caddy)";

/** Takes every step in its order. */
export async function checkProtocol(visit: Visit): Promise<void> {
  visit.note("initialized", await initialized(visit));
  visit.note("tools", await tools(visit));
  visit.note("headers", await headers(visit));
  visit.note("version", await version(visit));
  visit.note("cancel", await cancel(visit));
  visit.note("stream", await stream(visit));
  visit.note("events", await events(visit));
  visit.note("bodies", await bodies(visit));
  visit.note("lost session", await lostSession(visit));
  visit.note("end", await end(visit));
}

/** Looks at the era without sessions, and at pages: neither needs a session. */
export async function checkRest(visit: Visit): Promise<void> {
  visit.note(STATELESS, await stateless(visit));
  visit.note("pages", await pages(visit));
}

async function initialized(visit: Visit): Promise<StepVerdict> {
  const answer = await visit.notify("notifications/initialized");
  if (answer.status === undefined) return explainSilence(answer, visit);
  if (answer.status === 202) return passed("202 for a notification");
  const clause = `${TRANSPORT}, Sending Messages to the Server`;
  if (answer.status === 200 || answer.status === 204) {
    return warning("the server", `${answer.status} for a notification`, "Answer 202", clause);
  }
  const says = `${answer.status} for notifications/initialized: clients end there`;
  return answer.status === 404 || answer.status === 400
    ? await explainLostSession(visit, says, answer, `${TRANSPORT}, Session Management`)
    : failed(by(answer), says, "Answer 202 without a body", clause);
}

async function tools(visit: Visit): Promise<StepVerdict> {
  if (!isObject(visit.server?.["capabilities"]) || !("tools" in visit.server["capabilities"])) {
    return skipped("The server has no tools");
  }
  const answer = await visit.request("tools/list");
  if (answer.status === undefined) return explainSilence(answer, visit);
  const listed = resultOf(answer)?.["tools"];
  if (Array.isArray(listed)) return passed(`${listed.length} on the first page`);
  if (answer.status === 404 || answer.status === 400) {
    return await explainLostSession(
      visit,
      `${answer.status} for the request after initialize`,
      answer,
      `${TRANSPORT}, Session Management`,
    );
  }
  return failed(
    by(answer),
    `${answer.status} for tools/list, without a list`,
    "Return the tools",
    "2025-11-25, Tools, Listing Tools",
  );
}

/** Tries the spellings of headers that clients have. */
async function headers(visit: Visit): Promise<StepVerdict> {
  const tries = [
    ["Accept: text/event-stream, application/json", {
      accept: "text/event-stream, application/json",
    }],
    ["Accept with parameters", { accept: "application/json;q=0.9, text/event-stream;q=0.8" }],
    ["Content-Type with a charset", { "content-type": "application/json; charset=utf-8" }],
  ] as const;
  for (const [name, own] of tries) {
    const answer = await visit.request("ping", {}, own);
    if (answer.status === 406 || answer.status === 415) {
      return failed(
        by(answer),
        `${answer.status} for ${name}, which some clients send`,
        "Parse the header: order and parameters mean nothing here",
        "RFC 9110, 12.5.1",
      );
    }
  }
  return passed("Accept and Content-Type in each spelling");
}

async function version(visit: Visit): Promise<StepVerdict> {
  const { session } = visit;
  if (session === undefined) return skipped("There is no session");
  const answer = await visit.request("ping", {}, { "mcp-protocol-version": "1999-01-01" });
  if (answer.status === 400) return passed("400 for an unknown MCP-Protocol-Version");
  return warning(
    "the server",
    `${answer.status ?? answer.code} for an unknown MCP-Protocol-Version`,
    "Answer 400",
    `${TRANSPORT}, Protocol Version Header`,
  );
}

async function cancel(visit: Visit): Promise<StepVerdict> {
  const answer = await visit.notify("notifications/cancelled", {
    requestId: 1_000_000,
    reason: "Nothing has this id",
  });
  if (answer.status === 202 || answer.status === 200 || answer.status === 204) {
    return passed("A cancellation of what has ended is ignored");
  }
  return warning(
    by(answer),
    `${answer.status ?? answer.code} for a cancellation of what has ended`,
    "Answer 202: it may come too late",
    "2025-11-25, Cancellation, Timing Considerations",
  );
}

async function stream(visit: Visit): Promise<StepVerdict> {
  const answer = await visit.bare("GET", "text/event-stream", true);
  const clause = `${TRANSPORT}, Listening for Messages from the Server`;
  if (answer.status === 405) return passed("405: the server has no stream of its own");
  if (answer.status === 200 && answer.streams) {
    const buffers = answer.headers.get("x-accel-buffering");
    const zipped = answer.headers.get("content-encoding");
    if (zipped !== null) {
      return warning(
        "a proxy",
        `The stream is compressed (${zipped}): its events wait until a block is full`,
        "Leave text/event-stream out of compression",
      );
    }
    const via = answer.headers.get("server") ?? "";
    if (/nginx|openresty/i.test(via) && buffers === null) {
      return warning(
        "a proxy",
        "nginx is in front, and nothing says that it mustn't buffer the stream",
        "proxy_buffering off; or X-Accel-Buffering: no from the server",
      );
    }
    return passed("The stream of the server opens");
  }
  if (answer.status === undefined && answer.code === "timeout") {
    return failed(
      usuallyProxy(visit),
      "The head of the stream doesn't come: something waits for its end",
      "Turn buffering off for the endpoint: proxy_buffering off (nginx), flush_interval -1 (Caddy)",
      clause,
    );
  }
  if (answer.status === undefined) return explainSilence(answer, visit);
  return warning(
    by(answer),
    `${answer.status} with ${answer.headers.get("content-type") ?? "no type"} for GET`,
    "Answer with an event stream, or 405",
    clause,
  );
}

/** Tells whether the events of a call come as they are sent. */
async function events(visit: Visit): Promise<StepVerdict> {
  const { call } = visit.init;
  if (call === undefined) {
    return skipped(
      "Give --call TOOL, one that takes a second and tells its progress, to try for buffering",
    );
  }
  const answer = await visit.request("tools/call", {
    name: call.tool,
    arguments: call.args,
    _meta: { progressToken: "doctor" },
  });
  if (answer.status === undefined) {
    // Other requests were answered
    return failed(usuallyProxy(visit), `The call was cut off: ${answer.message}`, RAISE_LIMITS);
  }
  const { streams, events, firstMs, endMs } = answer;
  if (answer.message === undefined) {
    return failed(
      by(answer),
      `${answer.status} for the call, without a result`,
      // The stream ended before its answer, or the proxy gave up
      streams || answer.status === 502 || answer.status === 504
        ? RAISE_LIMITS
        : "Look into the logs",
    );
  }
  if (!streams || events < 2) return skipped("The call has sent no event before its result");
  if (endMs < LEAST_CALL_MS) {
    return skipped(`The call took ${Math.round(endMs)} ms: too short to tell`);
  }
  if (endMs - firstMs < TOGETHER_MS) {
    return failed(
      usuallyProxy(visit),
      `All ${events} events came at the end, after ${Math.round(endMs)} ms: something buffers them`,
      "Turn buffering off for the endpoint: proxy_buffering off (nginx), flush_interval -1 (Caddy)",
      `${TRANSPORT}, Sending Messages to the Server`,
    );
  }
  return passed(`The first event came after ${Math.round(firstMs)} of ${Math.round(endMs)} ms`);
}

async function bodies(visit: Visit): Promise<StepVerdict> {
  const answer = await visit.request("ping", { _meta: { padding: "x".repeat(BODY_BYTES) } });
  if (answer.status === undefined) {
    return warning(
      usuallyProxy(visit),
      `A body of 512 KiB ends the connection: ${answer.message}`,
      RAISE_BODIES,
    );
  }
  if (answer.status !== 413 && answer.message !== undefined) {
    return passed("A body of 512 KiB arrives");
  }
  return warning(
    by(answer),
    `${answer.status} for a body of 512 KiB`,
    by(answer) === "a proxy" ? RAISE_BODIES : "Raise the limit of bodies where tools take files",
  );
}

/** Looks whether clients learn that their session is gone, so that they begin another. */
async function lostSession(visit: Visit): Promise<StepVerdict> {
  if (visit.session === undefined) return skipped("There is no session");
  const answer = await visit.request("ping", {}, {
    "mcp-session-id": "00000000000000000000000000000000",
  });
  if (answer.status === 404) return passed("404 for an unknown session: clients begin another");
  return failed(
    by(answer),
    `${
      answer.status ?? answer.code
    } for an unknown session: after a restart, clients stay without tools`,
    "Answer 404",
    `${TRANSPORT}, Session Management`,
  );
}

async function end(visit: Visit): Promise<StepVerdict> {
  const { session } = visit;
  if (session === undefined) return skipped("There is no session");
  const answer = await visit.bare("DELETE", BOTH);
  if (answer.status === 405) return passed("405: clients can't end sessions here");
  const clause = `${TRANSPORT}, Session Management`;
  if (answer.status === undefined || answer.status < 200 || answer.status > 299) {
    return warning(
      by(answer),
      `${answer.status ?? answer.code} for DELETE`,
      "Answer 2xx, or 405",
      clause,
    );
  }
  const after = await visit.request("ping");
  if (after.status === 404) return passed("The session ends, and is unknown afterwards");
  return warning(
    by(after),
    `${after.status ?? after.code} after the end of the session`,
    "Answer 404",
    clause,
  );
}

async function stateless(visit: Visit): Promise<StepVerdict> {
  const answer = await visit.discover();
  const clause = `${STATELESS}, Streamable HTTP`;
  if (answer.status === undefined) {
    return failed(
      "the server",
      `No answer to server/discover: ${answer.message}. Newer clients try it first`,
      "Answer at once, with an error where the version isn't spoken",
      clause,
    );
  }
  const versions = resultOf(answer)?.["supportedVersions"];
  if (Array.isArray(versions)) return passed(`Spoken: ${versions.join(", ")}`);
  if (answer.status >= 500) {
    return failed(
      by(answer),
      `${answer.status} for server/discover: newer clients take that for a broken server`,
      "Answer 400 or 404 with a JSON-RPC error where the version isn't spoken",
      clause,
    );
  }
  if (answer.status === 401) return passed("401, as for other requests");
  return passed(`Not spoken (${answer.status}): newer clients go on with 2025-11-25`);
}

async function pages(visit: Visit): Promise<StepVerdict> {
  const { origin, url } = visit.init;
  const answer = await visit.fetch(url, {
    method: "OPTIONS",
    headers: {
      origin,
      "access-control-request-method": "POST",
      "access-control-request-headers":
        "content-type, authorization, mcp-session-id, mcp-protocol-version",
    },
  });
  const fix =
    `Allow the origin ${origin}, these headers, and expose Mcp-Session-Id, if pages are to connect`;
  if (answer.status === undefined) return warning("the server", "No answer to a preflight", fix);
  const allowed = answer.headers.get("access-control-allow-origin");
  if (allowed?.includes(",")) {
    return warning(
      "a proxy",
      `Two answers about origins, of the server and of what is in front: ${allowed}. Browsers take neither`,
      "Leave CORS to one of them: remove add_header Access-Control-Allow-Origin (nginx), header (Caddy)",
      "Fetch Standard, CORS check",
    );
  }
  if (answer.status > 299 || (allowed !== "*" && allowed !== origin)) {
    return warning("the server", `Pages of ${origin} can't connect: CORS doesn't allow them`, fix);
  }
  const named = (answer.headers.get("access-control-allow-headers") ?? "").toLowerCase();
  const missing = ["authorization", "mcp-session-id", "mcp-protocol-version"]
    .filter((name) => !named.includes(name) && (named !== "*" || name === "authorization"));
  if (missing.length > 0) {
    return warning("the server", `CORS doesn't allow the headers ${missing.join(", ")}`, fix);
  }
  return passed(`Pages of ${origin} can connect`);
}

/** Who has written an answer. */
function by(answer: HttpAnswer | NoHttpAnswer): "the server" | "a proxy" {
  return answer.status !== undefined && proxyOf(answer) !== undefined &&
      !isType(answer.headers, "application/json")
    ? "a proxy"
    : "the server";
}
