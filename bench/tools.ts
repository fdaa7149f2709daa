/**
 * The tools that every server serves, with what they answer.
 *
 * @module
 */
import { z } from "zod";

/** Reports progress. What it returns is awaited. */
export type Report = (done: number, total: number) => unknown;

/** A tool, as far as it is the same for every server. */
export interface Tool {
  readonly name: string;
  readonly description: string;
  readonly input: z.ZodObject<Readonly<Record<string, z.ZodType>>>;
  /** Does what the tool is for, with arguments that fit `input`, and says the outcome. */
  run(args: unknown, report: Report): string | Promise<string>;
}

const ADD: Tool = {
  name: "add",
  description: "Adds two numbers.",
  input: z.object({ a: z.number(), b: z.number() }),
  run(args) {
    const { a, b } = args as { a: number; b: number }; // as `input` has it
    return `${a + b}`;
  },
};

const ECHO: Tool = {
  name: "echo",
  description: "Gives back what it is given.",
  input: z.object({ text: z.string() }),
  run: (args) => (args as { text: string }).text, // as `input` has it
};

const COUNT: Tool = {
  name: "count",
  description: "Counts, and reports progress at every step.",
  input: z.object({ steps: z.number().int() }),
  async run(args, report) {
    const { steps } = args as { steps: number }; // as `input` has it
    for (let done = 1; done <= steps; done++) await report(done, steps);
    return `Counted to ${steps}`;
  },
};

const SEARCH_INPUT = z.object({
  query: z.string().describe("What to look for"),
  limit: z.number().int().optional().describe("How many results at most"),
  tags: z.array(z.string()).optional().describe("Only results with all of these"),
});

/** The first `count` tools: those that are called, and then others that are only listed. */
export function toolsFor(count: number): Tool[] {
  const listed = Array.from({ length: count }, (_, i): Tool => ({
    name: `search_${i}`,
    description: `Searches collection number ${i} and returns what fits best.`,
    input: SEARCH_INPUT,
    run: () => "Nothing was found",
  }));
  return [ADD, ECHO, COUNT, ...listed].slice(0, count);
}

/** The result of a tool, as every server is to put it on the wire. */
export function textResult(text: string): { content: { type: "text"; text: string }[] } {
  return { content: [{ type: "text", text }] };
}
