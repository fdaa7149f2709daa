/**
 * Everything that a server has.
 *
 * @module
 */
import type { Connection } from "./inspect_client.ts";

/** A tool, a resource or a prompt, as far as it is shown. */
export interface Listed {
  /** Its name, or its URI. */
  readonly name: string;
  readonly description?: string;
}

/** What a server has. */
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
  /** How long things took, in milliseconds. */
  readonly latencyMs: Readonly<Record<string, number>>;
}

/** Asks a server for all that it has; only for what it says that it has. */
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
