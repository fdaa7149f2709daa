/**
 * Asks a server for everything that it offers, and writes that as text.
 *
 * @module
 */
import { clip } from "../internal/quote.ts";
import type { Connection } from "./inspect_client.ts";
import { printable } from "./log.ts";

/** Characters of a description that are shown. */
const MAX_DESCRIPTION = 100;
/** Columns of the names in a list, unless one is longer. */
const MAX_NAME_WIDTH = 40;

/** The part of a tool, a resource or a prompt that is shown. */
export interface Listed {
  /** Its name, or its URI. */
  readonly name: string;
  readonly description?: string;
}

/** The features of a server. */
export interface Survey {
  readonly url: string;
  readonly server: { readonly name: string; readonly version: string } | undefined;
  readonly protocolVersion: string | undefined;
  readonly era: "2025" | "2026";
  readonly capabilities: readonly string[];
  readonly instructions?: string;
  readonly tools: readonly Listed[];
  readonly resources: readonly Listed[];
  readonly resourceTemplates: readonly Listed[];
  readonly prompts: readonly Listed[];
  /** Time that each request took, in milliseconds. */
  readonly latencyMs: Readonly<Record<string, number>>;
}

/** Asks a server for everything that it offers, as far as its capabilities say so. */
export async function survey({ client, url, connectMs, timed }: Connection): Promise<Survey> {
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
    url: `${url.origin}${url.pathname}`,
    server: client.getServerVersion(),
    protocolVersion: client.getNegotiatedProtocolVersion(),
    era: modern ? "2026" : "2025",
    capabilities: Object.keys(capabilities),
    ...instructions !== undefined && { instructions },
    tools: await list(
      "tools",
      capabilities.tools,
      async (options) => (await client.listTools(undefined, options)).tools.map(listed),
    ),
    resources: await list(
      "resources",
      resources,
      async (options) => (await client.listResources(undefined, options)).resources.map(byUri),
    ),
    resourceTemplates: await list(
      "resourceTemplates",
      resources,
      async (options) =>
        (await client.listResourceTemplates(undefined, options)).resourceTemplates.map(
          ({ uriTemplate, ...rest }) => byUri({ uri: uriTemplate, ...rest }),
        ),
    ),
    prompts: await list(
      "prompts",
      capabilities.prompts,
      async (options) => (await client.listPrompts(undefined, options)).prompts.map(listed),
    ),
    latencyMs,
  };
}

interface Described {
  readonly name: string;
  readonly title?: string | undefined;
  readonly description?: string | undefined;
}

function listed({ name, title, description = title }: Described): Listed {
  return { name, ...description !== undefined && { description } };
}

function byUri({ uri, name, title, description }: Described & { readonly uri: string }): Listed {
  return { name: uri, description: description ?? title ?? name };
}

/** Writes a survey, with one line for each thing that the server offers. */
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
  const width = Math.min(MAX_NAME_WIDTH, Math.max(...names.map((name) => name.length)));
  return [
    "",
    `${title} (${entries.length})`,
    ...entries.map(({ description = "" }, at) =>
      `  ${(names[at] ?? "").padEnd(width)}  ${oneLine(description)}`.trimEnd()
    ),
  ];
}

function oneLine(text: string): string {
  return clip(printable(text).trim(), MAX_DESCRIPTION);
}
