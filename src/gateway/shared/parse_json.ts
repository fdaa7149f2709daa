/**
 * Parses the JSON of upstreams.
 *
 * @module
 */
import { nestsDeeper } from "../../kit.ts";

/** The most levels of nesting in a message of an upstream: what walks over it calls itself for each. */
const MOST_DEPTH = 512;

/**
 * Parses the JSON that an upstream has sent.
 *
 * @throws {SyntaxError} If it isn't JSON, or is nested too deeply
 */
export function parseUpstreamJson(text: string): unknown {
  if (nestsDeeper(text, MOST_DEPTH)) throw new SyntaxError("The JSON is nested too deeply");
  return JSON.parse(text);
}
