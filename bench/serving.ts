/**
 * How a process that listens tells what whoever started it wants to know.
 *
 * @module
 */
import process from "node:process";
import { createInterface } from "node:readline";

/** Tells facts at once, and again for every line that comes, until nothing more can come. */
export async function tell(facts: () => unknown): Promise<never> {
  const say = (): void => void process.stdout.write(`${JSON.stringify(facts())}\n`);
  say();
  for await (const _ of createInterface({ input: process.stdin })) say();
  process.exit();
}
