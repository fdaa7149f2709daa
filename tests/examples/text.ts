/**
 * What a tool said.
 *
 * @module
 */
import type { CallToolResult } from "../../mod.ts";

/** The text of a result's first block. */
export function text({ content: [first] }: CallToolResult): string | undefined {
  return first?.type === "text" ? first.text : undefined;
}
