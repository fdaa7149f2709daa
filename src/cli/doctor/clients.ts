/**
 * Says for the clients that people have whether they can connect, by what was found.
 *
 * @module
 */
import type { Finding } from "./finding.ts";

/** What kinds of clients need, besides what all do. */
const CLIENTS = [
  {
    name: "On this machine: Claude Code, VS Code, Cursor, Codex, Gemini CLI",
    needsPublic: false,
    warnings: ["registration"],
  },
  {
    name: "In a cloud: Claude, ChatGPT",
    needsPublic: true,
    warnings: ["registration"],
  },
  {
    name: "In a page: the inspector, web applications",
    needsPublic: false,
    warnings: ["pages", "registration"],
  },
] as const;

/** Whether clients of a kind can connect. */
export interface ClientVerdict {
  readonly name: string;
  readonly connects: boolean;
  /** The step that stops them, or why else. */
  readonly because?: string;
}

/**
 * Judges each kind of client.
 *
 * @param isPublic Whether the host is reachable from the internet
 */
export function judgeClients(
  findings: readonly Finding[],
  isPublic: boolean,
  isSecure: boolean,
): readonly ClientVerdict[] {
  const broken = findings.find(({ outcome }) => outcome === "failed");
  return CLIENTS.map(({ name, needsPublic, warnings }): ClientVerdict => {
    const limited = findings.find(({ step, outcome }) =>
      outcome === "warning" && warnings.some((one) => one === step)
    );
    const because = broken !== undefined
      ? broken.step
      : needsPublic && !isPublic
      ? "the host isn't reachable from the internet"
      : needsPublic && !isSecure
      ? "the URL doesn't begin with https:"
      : limited?.step;
    return because === undefined ? { name, connects: true } : { name, connects: false, because };
  });
}
