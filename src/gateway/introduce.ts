/**
 * What a gateway says of itself: what its upstreams can do, together.
 *
 * @module
 */
import { clip } from "../internal/quote.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import type { ServerCapabilities } from "../protocol/shapes.ts";

/** What is known of an upstream; `undefined` when it couldn't be reached. */
export interface KnownUpstream {
  readonly name: string;
  readonly capabilities: JsonObject | undefined;
  readonly instructions: string | undefined;
}

const MOST_INSTRUCTIONS = 4096;
const MOST_INSTRUCTIONS_IN_ALL = 32 * 1024;

/**
 * What upstreams can do together. Of one that can't be reached now nobody knows, and it may be there
 * later: then there may be anything that has a list.
 *
 * @param modern Whether it is for the 2026 era, in which nobody subscribes by a request
 */
export function mergedCapabilities(
  upstreams: readonly KnownUpstream[],
  modern: boolean,
): ServerCapabilities {
  const unknown = upstreams.length === 0 ||
    upstreams.some(({ capabilities }) => capabilities === undefined);
  const has = (capability: string) =>
    upstreams.some(({ capabilities }) => isObject(capabilities?.[capability]));
  const subscribe = !modern &&
    upstreams.some(({ capabilities }) =>
      isObject(capabilities?.resources) && capabilities.resources.subscribe === true
    );
  const lists = { listChanged: true };
  return {
    ...(unknown || has("tools")) && { tools: lists },
    ...(unknown || has("resources")) && {
      resources: subscribe ? { subscribe, ...lists } : lists,
    },
    ...(unknown || has("prompts")) && { prompts: lists },
    ...has("completions") && { completions: {} },
    ...has("logging") && { logging: {} },
  };
}

/** What upstreams say of how they are used, each under its name where there are several. */
export function mergedInstructions(upstreams: readonly KnownUpstream[]): string | undefined {
  const told = upstreams.flatMap(({ name, instructions }) =>
    instructions ? [{ name, text: clip(instructions, MOST_INSTRUCTIONS) }] : []
  );
  if (told.length === 0) return undefined;
  const texts = upstreams.length === 1
    ? told.map(({ text }) => text)
    : told.map(({ name, text }) => `# ${name}\n\n${text}`);
  return clip(texts.join("\n\n"), MOST_INSTRUCTIONS_IN_ALL);
}
