/**
 * Says for the clients that people have whether they can connect, by what was found.
 *
 * @module
 */
import type { Finding } from "./finding.ts";

/** A way in which a client that nobody knows gets an id: by registration, or by a document of its own. */
export type RegistrationWay = "dynamic registration" | "client ID metadata document";

/** A client that people have, by what is published about it. */
export interface KnownClient {
  readonly name: string;
  /** Where its requests come from. */
  readonly place: "this machine" | "a cloud" | "a page";
  /** How it gets an id; anything if the application decides. */
  readonly registers: readonly RegistrationWay[];
  /** Where the browser comes back to, if that is published. */
  readonly callback?: string;
  /** Where its vendor says that, in documentation or source code. */
  readonly source?: string;
  /** Whether somebody else says it, who has seen it. */
  readonly isObserved?: boolean;
}

const DYNAMIC = "dynamic registration";
const DOCUMENT = "client ID metadata document";
const CLAUDE = "https://claude.com/docs/connectors/building/authentication";

/** The clients, in the order of the report. */
export const KNOWN_CLIENTS: readonly KnownClient[] = [
  { name: "Claude", place: "a cloud", registers: [DYNAMIC, DOCUMENT], source: CLAUDE },
  {
    name: "ChatGPT",
    place: "a cloud",
    registers: [DOCUMENT, DYNAMIC],
    source: "https://developers.openai.com/apps-sdk/build/auth",
  },
  { name: "Claude Code", place: "this machine", registers: [DYNAMIC, DOCUMENT], source: CLAUDE },
  {
    name: "VS Code",
    place: "this machine",
    registers: [DOCUMENT, DYNAMIC],
    callback: "http://127.0.0.1:33418/",
    source: "https://github.com/microsoft/vscode/blob/main/src/vs/base/common/oauth.ts",
  },
  {
    name: "Cursor",
    place: "this machine",
    registers: [DYNAMIC],
    callback: "http://localhost:8787/callback",
    source: "https://glama.ai/mcp/servers/Echsecutor/idealo-proxy",
    isObserved: true,
  },
  {
    name: "Codex",
    place: "this machine",
    registers: [DOCUMENT, DYNAMIC],
    source: "https://developers.openai.com/docs/extend/mcp",
  },
  {
    name: "Gemini CLI",
    place: "this machine",
    registers: [DYNAMIC],
    callback: "http://localhost:7777/oauth/callback",
    source:
      "https://github.com/google-gemini/gemini-cli/blob/main/packages/core/src/mcp/oauth-provider.ts",
  },
  { name: "Web applications", place: "a page", registers: [DYNAMIC, DOCUMENT] },
];

/** Whether a client can connect. */
export interface ClientVerdict {
  readonly name: string;
  readonly connects: boolean;
  /** The step that stops it, or why else. */
  readonly because?: string;
}

/** What is known of a server. */
export interface ConnectorFacts {
  readonly findings: readonly Finding[];
  /** Whether the host is reachable from the internet. */
  readonly isPublic: boolean;
  /** Whether the URL begins with `https:`. */
  readonly isSecure: boolean;
  /** How clients get an id; `undefined` if nobody has asked for one. */
  readonly registration: readonly RegistrationWay[] | undefined;
}

/** Judges each client. */
export function judgeClients(facts: ConnectorFacts): readonly ClientVerdict[] {
  return KNOWN_CLIENTS.map((client): ClientVerdict => {
    const { name } = client;
    const because = obstacleOf(client, facts);
    return because === undefined ? { name, connects: true } : { name, connects: false, because };
  });
}

function obstacleOf(
  { place, registers }: KnownClient,
  { findings, isPublic, isSecure, registration }: ConnectorFacts,
): string | undefined {
  const broken = findings.find(({ outcome }) => outcome === "failed");
  if (broken !== undefined) return broken.step;
  if (place === "a cloud" && !isPublic) return "the host isn't reachable from the internet";
  if (place === "a cloud" && !isSecure) return "the URL doesn't begin with https:";
  const limits = place === "a page" ? ["pages", "registration"] : ["registration"];
  const limited = findings.find(({ step, outcome }) =>
    outcome === "warning" && limits.includes(step)
  );
  if (limited !== undefined) return limited.step;
  return registration === undefined || registration.some((way) => registers.includes(way))
    ? undefined
    : `it needs ${registers.join(" or ")}, or an id of its own`;
}
