/**
 * What `mooring inspect` found, for people.
 *
 * @module
 */
import { clip } from "../internal/quote.ts";
import { printable } from "./log.ts";
import type { Listed, Survey } from "./survey.ts";

/** How much of a description is shown, in characters. */
const LONGEST = 100;

/** A server's parts, one line each. */
export function surveyText(found: Survey): string {
  const { server, url, protocolVersion, era, capabilities, instructions, latencyMs } = found;
  const name = server === undefined ? "A server" : `${server.name} ${server.version}`;
  const times = Object.entries(latencyMs).map(([what, ms]) => `${what} ${ms} ms`);
  return [
    `${printable(name)} at ${url}`,
    "",
    `  Protocol      ${protocolVersion ?? "unknown"}, ${era} era`,
    `  Capabilities  ${printable(capabilities.join(", ")) || "none"}`,
    `  Latency       ${times.join(", ")}`,
    ...instructions === undefined ? [] : [`  Instructions  ${oneLine(instructions)}`],
    ...section("Tools", found.tools),
    ...section("Resources", found.resources),
    ...section("Resource templates", found.resourceTemplates),
    ...section("Prompts", found.prompts),
    "",
  ].join("\n");
}

function section(title: string, entries: readonly Listed[]): string[] {
  if (entries.length === 0) return [];
  const names = entries.map(({ name }) => printable(name));
  const width = Math.min(40, Math.max(...names.map((name) => name.length)));
  return [
    "",
    `${title} (${entries.length})`,
    ...entries.map(({ description = "" }, at) =>
      `  ${(names[at] ?? "").padEnd(width)}  ${oneLine(description)}`.trimEnd()
    ),
  ];
}

/** The part of a tool's result that is shown. */
interface CallResult {
  readonly content?: readonly { readonly type: string; readonly text?: unknown }[];
  readonly structuredContent?: unknown;
}

/** A tool's result: its texts as they are, everything else as JSON. */
export function callText({ content = [], structuredContent }: CallResult): string {
  const parts = content.map((block) =>
    typeof block.text === "string" ? linesOf(block.text) : JSON.stringify(block)
  );
  if (parts.length === 0 && structuredContent !== undefined) {
    parts.push(JSON.stringify(structuredContent, null, 2));
  }
  return parts.map((part) => `${part}\n`).join("");
}

function oneLine(text: string): string {
  return clip(printable(text).trim(), LONGEST);
}

/** A text whose lines stay lines. */
function linesOf(text: string): string {
  return text.split("\n").map((line) => line.split("\t").map(printable).join("\t")).join("\n");
}
