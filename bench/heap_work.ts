/**
 * How much heap each session, or each open stream, takes.
 *
 * @module
 */
import { open, type Opened, openStream, senderAt } from "./client.ts";
import { liveBytes } from "./heap.ts";
import type { KindName } from "./kinds.ts";
import type { Stack, StackModule } from "./stacks/types.ts";

/** How many there are before anything is counted, so that what is there once is there already. */
const BEFORE = 200;

/** Bytes for each of `count` more sessions, or streams of sessions that were there before. */
export async function heapOf(module: StackModule, kind: KindName, count: number): Promise<number> {
  const stack = await module.make({ kind, tools: 3, room: BEFORE + count });
  if (kind === "session-heap") {
    await sessions(stack, 0, BEFORE);
    const before = await liveBytes();
    await sessions(stack, BEFORE, count);
    return (await liveBytes() - before) / count;
  }
  const connect = await streams(stack, BEFORE + count);
  await connect(BEFORE);
  const before = await liveBytes();
  await connect(count);
  return (await liveBytes() - before) / count;
}

async function sessions(stack: Stack, from: number, count: number): Promise<void> {
  for (let n = from; n < from + count; n++) await open(stack, senderAt(n));
}

/** Begins sessions, and returns what opens the streams of so many more of them. */
async function streams(stack: Stack, count: number): Promise<(more: number) => Promise<void>> {
  const opened: Opened[] = [];
  for (let n = 0; n < count; n++) opened.push(await open(stack, senderAt(n)));
  let next = 0;
  return async (more) => {
    for (const session of opened.slice(next, next += more)) {
      await openStream(stack, session, () => {});
    }
  };
}
