/**
 * Combines the capabilities and instructions of upstreams.
 *
 * @module
 */
import type { JsonObject, ServerCapabilities } from "../../../mod.ts";
import { clip, isObject } from "../../kit.ts";
import { type MergedExtensions, mergeExtensions } from "../shared/extensions.ts";

/** What one upstream said about itself; `undefined` where it couldn't be reached. */
export interface UpstreamSummary {
  readonly name: string;
  readonly capabilities: JsonObject | undefined;
  readonly instructions: string | undefined;
}

/** The most characters of one upstream's instructions, and of all together. */
const MAX_INSTRUCTIONS = 4096;
const MAX_TOTAL_INSTRUCTIONS = 32 * 1024;

/**
 * Combines the capabilities of upstreams. An upstream that can't be reached now may return later with
 * any list, so then all lists are advertised.
 */
export function mergedCapabilities(upstreams: readonly UpstreamSummary[]): ServerCapabilities {
  const unknown = upstreams.length === 0 ||
    upstreams.some(({ capabilities }) => capabilities === undefined);
  const has = (capability: string) =>
    upstreams.some(({ capabilities }) => isObject(capabilities?.[capability]));
  const subscribe = upstreams.some(({ capabilities }) =>
    isObject(capabilities?.resources) && capabilities.resources.subscribe === true
  );
  const lists = { listChanged: true };
  const { offered: extensions } = extensionsOf(upstreams);
  return {
    ...(unknown || has("tools")) && { tools: lists },
    ...(unknown || has("resources")) && {
      resources: subscribe ? { subscribe, ...lists } : lists,
    },
    ...(unknown || has("prompts")) && { prompts: lists },
    ...has("completions") && { completions: {} },
    ...has("logging") && { logging: {} },
    ...extensions !== undefined && { extensions },
  };
}

/** Combines the extensions of upstreams. */
export function extensionsOf(upstreams: readonly UpstreamSummary[]): MergedExtensions {
  return mergeExtensions(upstreams.map(({ name, capabilities }) => {
    const isUnknown = capabilities === undefined;
    return { name, extensions: capabilities?.extensions, isUnknown };
  }));
}

/** Lists the `list_changed` notifications that capabilities advertise. */
export function listChangedOf(capabilities: ServerCapabilities): readonly string[] {
  const { tools, prompts, resources } = capabilities;
  return Object.entries({ tools, prompts, resources })
    .filter(([, own]) => own?.listChanged === true)
    .map(([list]) => `notifications/${list}/list_changed`);
}

/** Combines the instructions of upstreams, each under its name if there are several upstreams. */
export function mergedInstructions(upstreams: readonly UpstreamSummary[]): string | undefined {
  const given = upstreams.flatMap(({ name, instructions }) =>
    instructions ? [{ name, text: clip(instructions, MAX_INSTRUCTIONS) }] : []
  );
  if (given.length === 0) return undefined;
  const texts = upstreams.length === 1
    ? given.map(({ text }) => text)
    : given.map(({ name, text }) => `# ${name}\n\n${text}`);
  return clip(texts.join("\n\n"), MAX_TOTAL_INSTRUCTIONS);
}
