/**
 * Asks a server for everything that it offers, and writes that as text.
 *
 * @module
 */
import { clip } from "../../kit.ts";
import type { InspectedServer } from "./client.ts";
import { printable } from "../log.ts";
import { argumentLines, parameterLines, type PromptArgument } from "./parameters.ts";

/** Characters of a description that are shown. */
const MAX_DESCRIPTION = 100;
/** Columns of the names in a list, unless one is longer. */
const MAX_NAME_WIDTH = 40;

/** The part of a tool, a resource or a prompt that text shows; JSON shows all that the server said. */
export interface Listed {
  readonly name: string;
  readonly title?: string | undefined;
  readonly description?: string | undefined;
}

/** A tool. */
export interface SurveyedTool extends Listed {
  readonly inputSchema: unknown;
}

/** A resource. */
export interface SurveyedResource extends Listed {
  readonly uri: string;
}

/** A resource template. */
export interface ListedTemplate extends Listed {
  readonly uriTemplate: string;
}

/** A prompt. */
export interface SurveyedPrompt extends Listed {
  readonly arguments?: readonly PromptArgument[] | undefined;
}

/** The features of a server. */
export interface Survey {
  readonly url: string;
  readonly server: { readonly name: string; readonly version: string } | undefined;
  readonly protocolVersion: string | undefined;
  readonly era: "2025" | "2026";
  readonly capabilities: readonly string[];
  readonly instructions?: string;
  readonly tools: readonly SurveyedTool[];
  readonly resources: readonly SurveyedResource[];
  readonly resourceTemplates: readonly ListedTemplate[];
  readonly prompts: readonly SurveyedPrompt[];
  /** Time that each request took, in milliseconds. */
  readonly latencyMs: Readonly<Record<string, number>>;
}

/** Asks a server for everything that it offers, as far as its capabilities say so. */
export async function survey(
  { client, shown, connectMs, timed }: InspectedServer,
): Promise<Survey> {
  const capabilities = client.getServerCapabilities() ?? {};
  const modern = client.getProtocolEra() === "modern";
  const latencyMs: Record<string, number> = { connect: connectMs };
  const list = async <T>(
    name: string,
    has: unknown,
    ask: (options: { timeout: number }) => Promise<readonly T[]>,
  ): Promise<readonly T[]> => {
    if (has === undefined) return [];
    const { value, ms } = await timed(ask);
    latencyMs[name] = ms;
    return value;
  };
  if (modern) latencyMs["discover"] = (await timed((options) => client.discover(options))).ms;
  else latencyMs["ping"] = (await timed((options) => client.ping(options))).ms;
  const instructions = client.getInstructions();
  const { resources } = capabilities;
  return {
    url: shown,
    server: client.getServerVersion(),
    protocolVersion: client.getNegotiatedProtocolVersion(),
    era: modern ? "2026" : "2025",
    capabilities: Object.keys(capabilities),
    ...instructions !== undefined && { instructions },
    tools: await list(
      "tools",
      capabilities.tools,
      async (options) => (await client.listTools(undefined, options)).tools,
    ),
    resources: await list(
      "resources",
      resources,
      async (options) => (await client.listResources(undefined, options)).resources,
    ),
    resourceTemplates: await list(
      "resourceTemplates",
      resources,
      async (options) => (await client.listResourceTemplates(undefined, options)).resourceTemplates,
    ),
    prompts: await list(
      "prompts",
      capabilities.prompts,
      async (options) => (await client.listPrompts(undefined, options)).prompts,
    ),
    latencyMs,
  };
}

/** Writes a survey, with one line for each thing that the server offers, and for each of its parameters. */
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
    ...section("Tools", found.tools, ({ inputSchema, ...tool }) => ({
      ...entryOf(tool),
      lines: parameterLines(inputSchema),
    })),
    ...section("Resources", found.resources, byUri),
    ...section(
      "Resource templates",
      found.resourceTemplates,
      ({ uriTemplate, ...rest }) => byUri({ uri: uriTemplate, ...rest }),
    ),
    ...section("Prompts", found.prompts, ({ arguments: given, ...prompt }) => ({
      ...entryOf(prompt),
      lines: argumentLines(given),
    })),
    "",
  ].join("\n");
}

/** What is written of one thing that the server offers. */
interface SurveyedEntry {
  readonly name: string;
  readonly description: string;
  /** The lines below it. */
  readonly lines?: readonly string[];
}

function entryOf({ name, title = "", description = title }: Listed): SurveyedEntry {
  return { name, description };
}

function byUri({ uri, name, title = name, description = title }: SurveyedResource): SurveyedEntry {
  return { name: uri, description };
}

function section<T>(
  title: string,
  listed: readonly T[],
  write: (one: T) => SurveyedEntry,
): string[] {
  if (listed.length === 0) return [];
  const entries = listed.map(write);
  const names = entries.map(({ name }) => printable(name));
  const width = Math.min(MAX_NAME_WIDTH, Math.max(...names.map((name) => name.length)));
  return [
    "",
    `${title} (${entries.length})`,
    ...entries.flatMap(({ description, lines = [] }, at) => [
      `  ${(names[at] ?? "").padEnd(width)}  ${oneLine(description)}`.trimEnd(),
      ...lines.map((line) => `      ${line}`),
    ]),
  ];
}

function oneLine(text: string): string {
  return clip(printable(text).trim(), MAX_DESCRIPTION);
}
