/**
 * Visits a server as clients do: sends what they send, in their order.
 *
 * @module
 */
import type { JsonObject } from "../../../mod.ts";
import { isObject, MetaKey } from "../../kit.ts";
import { VERSION } from "../version.ts";
import { frontOf, type HttpAnswer, type NoHttpAnswer, type ProbeInit, send } from "./exchange.ts";
import type { RegistrationWay } from "./clients.ts";
import type { Finding, StepVerdict } from "./finding.ts";

/** The version that most clients speak. */
export const SPOKEN = "2025-11-25";
/** The version without sessions. */
export const STATELESS = "2026-07-28";
/** What clients accept for the answer to a POST. */
export const BOTH = "application/json, text/event-stream";

/** Where a server is asked, and with which headers, such as a token. */
export interface ProbeTarget {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
}

/** What a visit needs. */
export interface VisitInit extends ProbeTarget {
  /** The server's own address, without the proxies before it. */
  readonly direct: ProbeTarget | undefined;
  readonly timeoutMs: number;
  /** The origin of a page that is to connect. */
  readonly origin: string;
  /** The tool to call, to see whether its events come as they are sent. */
  readonly call: { readonly tool: string; readonly args: JsonObject } | undefined;
  /** Called with each finding at once. */
  readonly onFinding: (finding: Finding) => void;
}

/** One visit. */
export class Visit {
  readonly init: VisitInit;
  readonly findings: Finding[] = [];
  /** How clients get an id, once the authorization server has said so. */
  registration: readonly RegistrationWay[] | undefined;
  /** The session, once there is one. */
  session: string | undefined;
  /** What the server has said about itself. */
  server: JsonObject | undefined;
  /** The version that was negotiated. */
  version: string = SPOKEN;
  /** Whether the server asks for a token, and none that it takes was given. */
  refused: HttpAnswer | undefined;
  /** The name of a proxy that is seen to be in front. */
  proxy: string | undefined;
  #id = 0;

  constructor(init: VisitInit) {
    this.init = init;
  }

  /**
   * Notes what came of a step.
   *
   * @returns Whether it hasn't failed
   */
  note(step: string, verdict: StepVerdict): boolean {
    const finding = { step, ...verdict };
    this.findings.push(finding);
    this.init.onFinding(finding);
    return verdict.outcome !== "failed";
  }

  /** Fetches any document. */
  async fetch(
    url: string | URL,
    init: Partial<ProbeInit> = {},
  ): Promise<HttpAnswer | NoHttpAnswer> {
    const answer = await send(url, { timeoutMs: this.init.timeoutMs, ...init });
    if (answer.status !== undefined && new URL(url).origin === this.init.url.origin) {
      this.proxy ??= frontOf(answer.headers);
    }
    return answer;
  }

  /** Sends what has no part in the session. */
  async withoutSession<T>(send: () => Promise<T>): Promise<T> {
    const { session } = this;
    this.session = undefined;
    try {
      return await send();
    } finally {
      this.session = session;
    }
  }

  /** Posts JSON to the server, as a client of its version does. */
  post(
    body: unknown,
    headers: Readonly<Record<string, string>> = {},
    { url, headers: own }: ProbeTarget = this.init,
  ): Promise<HttpAnswer | NoHttpAnswer> {
    return this.fetch(url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        accept: BOTH,
        ...this.#sessionHeaders(),
        ...own,
        ...headers,
      },
      body: JSON.stringify(body),
    });
  }

  /** Sends a request. */
  request(
    method: string,
    params: JsonObject = {},
    headers?: Readonly<Record<string, string>>,
    target?: ProbeTarget,
  ): Promise<HttpAnswer | NoHttpAnswer> {
    return this.post({ jsonrpc: "2.0", id: ++this.#id, method, params }, headers, target);
  }

  /** Sends a notification. */
  notify(method: string, params: JsonObject = {}): Promise<HttpAnswer | NoHttpAnswer> {
    return this.post({ jsonrpc: "2.0", method, params });
  }

  /** Sends a request without a body, in the session. */
  bare(method: string, accept: string, headOnly = false): Promise<HttpAnswer | NoHttpAnswer> {
    return this.fetch(this.init.url, {
      method,
      headers: { accept, ...this.#sessionHeaders(), ...this.init.headers },
      headOnly,
    });
  }

  /** Begins a session, or tries to. */
  initialize(target?: ProbeTarget): Promise<HttpAnswer | NoHttpAnswer> {
    return this.request(
      "initialize",
      {
        protocolVersion: SPOKEN,
        capabilities: {},
        clientInfo: { name: "mooring-doctor", version: VERSION },
      },
      {},
      target,
    );
  }

  /** Asks as somebody without a token. */
  knock({ url, headers }: ProbeTarget = this.init): Promise<HttpAnswer | NoHttpAnswer> {
    const own = Object.entries(headers).filter(([name]) => name.toLowerCase() !== "authorization");
    return this.withoutSession(() =>
      this.request("ping", {}, {}, { url, headers: Object.fromEntries(own) })
    );
  }

  /** Asks what the server is, as a client of 2026-07-28. */
  discover(): Promise<HttpAnswer | NoHttpAnswer> {
    return this.withoutSession(() =>
      this.request("server/discover", {
        _meta: {
          [MetaKey.ProtocolVersion]: STATELESS,
          [MetaKey.ClientInfo]: { name: "mooring-doctor", version: VERSION },
          [MetaKey.ClientCapabilities]: {},
        },
      }, { "mcp-protocol-version": STATELESS, "mcp-method": "server/discover" })
    );
  }

  #sessionHeaders(): Record<string, string> {
    if (this.session === undefined) return {};
    return { "mcp-session-id": this.session, "mcp-protocol-version": this.version };
  }
}

/** Returns the result in an answer. */
export function resultOf({ message }: HttpAnswer): JsonObject | undefined {
  return isObject(message?.["result"]) ? message["result"] : undefined;
}
