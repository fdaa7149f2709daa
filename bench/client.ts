/**
 * Clients of a server in the same process.
 *
 * @module
 */
import assert from "node:assert/strict";
import { messagesIn } from "./answers.ts";
import {
  ENDPOINT,
  get,
  INITIALIZE,
  INITIALIZED,
  post,
  PRINCIPALS,
  type Sender,
  type Session,
  sessionHeaders,
} from "./messages.ts";
import type { Stack } from "./stacks/types.ts";

/** A session with whoever began it. */
export interface Opened {
  readonly session: Session;
  readonly sender: Sender;
}

/** Who comes n-th. */
export function senderAt(n: number): Sender {
  const sender = PRINCIPALS[n % PRINCIPALS.length];
  assert.ok(sender);
  return sender;
}

/** Begins a session as clients do: `initialize`, then `notifications/initialized`. */
export async function open(stack: Stack, sender: Sender): Promise<Opened> {
  const response = await stack.answer(new Request(ENDPOINT, post(INITIALIZE, sender)));
  const text = await response.text();
  const id = response.headers.get("mcp-session-id");
  assert.equal(response.status, 200, text);
  assert.ok(id, "Hand out a session id");
  const [answer] = messagesIn(text);
  const { protocolVersion } = (answer?.result ?? {}) as { protocolVersion?: string };
  const session = { id, version: protocolVersion ?? "" };
  const ready = await stack.answer(
    new Request(ENDPOINT, post(INITIALIZED, sender, sessionHeaders(session))),
  );
  assert.equal(ready.status, 202, await ready.text());
  return { session, sender };
}

/**
 * Opens a session's GET stream, and holds it as an HTTP server does: by a read that waits.
 *
 * @param arrived Called with whatever comes
 */
export async function openStream(
  stack: Stack,
  { session, sender }: Opened,
  arrived: (bytes: Uint8Array) => void,
): Promise<void> {
  const response = await stack.answer(new Request(ENDPOINT, get(session, sender)));
  assert.equal(response.status, 200);
  const reader = response.body?.getReader();
  assert.ok(reader);
  const read = (): void => {
    reader.read().then(({ value }) => {
      if (value === undefined) return;
      arrived(value);
      read();
    }, () => {});
  };
  read();
}
