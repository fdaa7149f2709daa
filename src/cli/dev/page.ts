/**
 * Serves the page of `mooring dev`: every message, both ways, and what is wrong with the server. On this
 * machine only, to who opens the link that is printed.
 *
 * @module
 */
import { isLoopback, parseAuthority, randomText, sameText } from "../../kit.ts";
import { ASSETS } from "../../dashboard/page/assets.ts";
import { isForeign, SECURITY_HEADERS } from "../../dashboard/page/guard.ts";
import { curlOf, isRepeatable, testOf } from "./copy.ts";
import type { DevFailure } from "./failure.ts";
import { PAGE_ASSETS } from "./page_assets.ts";
import type { Trace, TraceEntry } from "./trace.ts";

/** What the page shows of the server. */
export interface DevState {
  /** The URL for clients. */
  readonly url: string;
  /** What is run. */
  readonly what: string;
  /** Which version answers, if one does. */
  readonly version: number | undefined;
  readonly failure: DevFailure | undefined;
  readonly sessions: number;
}

/** Options for {@linkcode DevPage}. */
export interface DevPageInit {
  readonly trace: Trace;
  readonly state: () => DevState;
  /** Calls a listener when the state has changed. Returns what ends that. */
  readonly onState: (listener: () => void) => () => void;
  /** Called when a link was used. */
  readonly onOpened: () => void;
}

/** Links that weren't opened, and browsers that opened one. */
const MOST_LINKS = 20;
/** Pages that watch at a time. */
const MOST_WATCHERS = 10;
const SECRET = 43;
/** Entries of one update, and the characters of a message that a row has. */
const MOST_ENTRIES = 200;
const ROW_TEXT = 1_000;

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
};

/** The page. */
export class DevPage {
  readonly #init: DevPageInit;
  readonly #links: string[] = [];
  readonly #browsers: string[] = [];
  #watchers = 0;
  readonly #closing = new AbortController();

  constructor(init: DevPageInit) {
    this.#init = init;
  }

  /** Returns the path of a link that works once. */
  link(): string {
    const secret = randomText(SECRET);
    this.#links.push(secret);
    if (this.#links.length > MOST_LINKS) this.#links.shift();
    return `/open/${secret}`;
  }

  /** Ends what watches. */
  close(): void {
    this.#closing.abort();
  }

  /** Answers a request. */
  readonly fetch = async (request: Request): Promise<Response> => {
    const response = this.#answer(request);
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.headers.set(name, value);
    response.headers.set("cache-control", "no-store");
    return response;
  };

  #answer(request: Request): Response {
    const { pathname, searchParams } = new URL(request.url);
    const authority = parseAuthority(request.headers.get("host") ?? "");
    if (authority === undefined || !isLoopback(authority.host) || isForeign(request)) {
      // A link in another page, or in a mail, is followed once: then it is this page's own
      if (
        !pathname.startsWith("/open/") || authority === undefined || !isLoopback(authority.host)
      ) {
        return text(403, "Open the page at 127.0.0.1");
      }
    }
    if (pathname.startsWith("/open/")) return this.#open(request, pathname.slice("/open/".length));
    if (pathname.startsWith("/assets/")) return asset(pathname.slice("/assets/".length));
    if (!this.#isKnown(request)) {
      return text(
        401,
        "Open the last link that mooring dev has printed: each works once",
      );
    }
    if (request.method === "POST") {
      if (pathname !== "/clear") return text(404, "There is nothing here");
      this.#init.trace.clear();
      return new Response(null, { status: 204 });
    }
    switch (pathname) {
      case "/":
        return new Response(PAGE_ASSETS["trace.html"], { headers: { "content-type": html } });
      case "/events":
        return this.#events(request);
      case "/entry":
      case "/copy":
        return this.#entry(searchParams, pathname === "/copy");
      default:
        return text(404, "There is nothing here");
    }
  }

  #open(request: Request, secret: string): Response {
    const at = this.#links.findIndex((link) => sameText(link, secret));
    if (at < 0 || request.method !== "GET") {
      return text(401, "Open a newer link: each works once");
    }
    this.#links.splice(at, 1);
    const browser = randomText(SECRET);
    this.#browsers.push(browser);
    if (this.#browsers.length > MOST_LINKS) this.#browsers.shift();
    this.#init.onOpened();
    return new Response(null, {
      status: 303,
      headers: {
        location: "/",
        "set-cookie": `${cookieOf(request)}=${browser}; Path=/; HttpOnly; SameSite=Strict`,
      },
    });
  }

  #isKnown(request: Request): boolean {
    const name = cookieOf(request);
    const given = (request.headers.get("cookie") ?? "").split(";")
      .map((part) => part.trim().split("=")).find(([key]) => key === name)?.[1];
    return given !== undefined && this.#browsers.some((browser) => sameText(browser, given));
  }

  #entry(query: URLSearchParams, isCopy: boolean): Response {
    const { trace } = this.#init;
    const entry = trace.get(Number(query.get("seq")));
    if (entry === undefined) return text(404, "The message isn't kept any more");
    if (!isCopy) {
      const { headers: _headers, ...shown } = entry;
      return Response.json({
        ...shown,
        copies: isRepeatable(entry) ? entry.kind === "request" ? ["curl", "test"] : ["curl"] : [],
      });
    }
    const secrets = query.get("secrets") === "1";
    if (!isRepeatable(entry)) return text(400, "The message can't be sent again");
    const copy = query.get("as") === "test"
      ? testOf(entry, trace.answerTo(entry), secrets)
      : curlOf(entry, secrets);
    return copy === undefined ? text(400, "Only a request can be a test") : text(200, copy);
  }

  /** Tells a page of new messages, as fast as it reads. */
  #events(request: Request): Response {
    const { trace, state, onState } = this.#init;
    if (this.#watchers >= MOST_WATCHERS) return text(503, "Close another page: too many watch");
    this.#watchers++;
    let seen = Number(request.headers.get("last-event-id") ?? 0) || 0;
    let shown = "";
    let wake = () => {};
    const listeners = [trace.onEntry(() => wake()), onState(() => wake())];
    const encoder = new TextEncoder();
    const { signal } = this.#closing;
    const stop = () => {
      signal.removeEventListener("abort", abort);
      for (const end of listeners.splice(0)) {
        end();
        if (listeners.length === 0) this.#watchers--;
      }
      wake();
    };
    let controllerOf: ReadableStreamDefaultController<Uint8Array> | undefined;
    const abort = () => {
      stop();
      controllerOf?.close();
    };
    signal.addEventListener("abort", abort, { once: true });
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => void (controllerOf = controller),
      pull: async (controller) => {
        while (!signal.aborted && listeners.length > 0) {
          const entries = trace.after(seen, MOST_ENTRIES);
          const now = JSON.stringify(state());
          if (entries.length > 0 || now !== shown) {
            shown = now;
            // Entries that went before they were read are missing: their numbers say so
            seen = entries.at(-1)?.seq ?? seen;
            const data = `{"state":${now},"entries":${JSON.stringify(entries.map(clipped))}}`;
            return controller.enqueue(encoder.encode(`id: ${seen}\ndata: ${data}\n\n`));
          }
          await new Promise<void>((resolve) => wake = resolve);
        }
      },
      cancel: stop,
    }, { highWaterMark: 0 });
    return new Response(stream, { headers: { "content-type": "text/event-stream" } });
  }
}

const html = TYPES["html"] ?? "";

function clipped({ text, ...entry }: TraceEntry): object {
  return { ...entry, text: text.slice(0, ROW_TEXT) };
}

/** Returns the name of the cookie. Cookies don't tell ports apart, so it contains the port. */
function cookieOf(request: Request): string {
  return `mooring_dev_${/:(\d+)$/.exec(request.headers.get("host") ?? "")?.[1] ?? "80"}`;
}

function asset(name: string): Response {
  const own: Readonly<Record<string, string>> = PAGE_ASSETS;
  const shared: Readonly<Record<string, { readonly text: string }>> = ASSETS;
  const found = Object.hasOwn(own, name) ? own[name] : undefined;
  const text_ = found ??
    (["style.css", "icon.svg"].includes(name) ? shared[name]?.text : undefined);
  if (text_ === undefined) return text(404, "There is nothing here");
  const type = TYPES[/\w+$/.exec(name)?.[0] ?? ""] ?? "";
  return new Response(text_, { headers: { "content-type": type } });
}

function text(status: number, body: string): Response {
  return new Response(`${body.trimEnd()}\n`, {
    status,
    headers: { "content-type": "text/plain; charset=utf-8" },
  });
}
