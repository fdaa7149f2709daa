/**
 * How much is alive in this process's heap.
 *
 * @module
 */
import process from "node:process";

interface Jsc {
  heapStats(): { readonly heapSize: number };
}

declare const Bun: { gc(force: boolean): void };
declare const gc: (() => void) | undefined;

/** The specifier is kept from runtimes that don't know it. */
const JSC = "bun:jsc";

/** How long a collector may go on, bit by bit, after a collection, in milliseconds. */
const REST_MS = 1_000;

/** Has everything collected that nobody needs. */
export async function collectAll(): Promise<void> {
  // What is only finalized by a collection is collected by the next one.
  for (let i = 0; i < 4; i++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    collect();
  }
}

/** Has everything collected, and waits until the collector has nothing more to do with it. */
export async function settle(): Promise<void> {
  await collectAll();
  await new Promise((resolve) => setTimeout(resolve, REST_MS));
}

/** Bytes that are still alive after everything else was collected. */
export async function liveBytes(): Promise<number> {
  await collectAll();
  if ("Bun" in globalThis) {
    const { heapStats }: Jsc = await import(JSC);
    return heapStats().heapSize;
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function collect(): void {
  if ("Bun" in globalThis) Bun.gc(true);
  else if (typeof gc === "function") gc();
  else throw new Error("Start this process so that it can collect garbage: --expose-gc");
}
