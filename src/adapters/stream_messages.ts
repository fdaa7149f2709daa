/**
 * Reads the messages of a reply that is a stream.
 *
 * @module
 */
import { createParser } from "eventsource-parser";

/** A message of a stream. */
export interface StreamMessage {
  /** The event id to resume the stream with, if it has any. */
  readonly id: string | undefined;
  /** The message as JSON; empty in a priming event, which has an id only. */
  readonly data: string;
}

/**
 * Yields the messages of a stream as they are asked for, and cancels it if the caller stops before its end.
 */
export async function* streamMessages(
  body: ReadableStream<Uint8Array>,
): AsyncGenerator<StreamMessage> {
  const decoder = new TextDecoder();
  const messages: StreamMessage[] = [];
  const parser = createParser({ onEvent: ({ id, data }) => messages.push({ id, data }) });
  const reader = body.getReader();
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      parser.feed(decoder.decode(read.value, { stream: true }));
      yield* messages.splice(0);
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}
