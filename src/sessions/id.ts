/**
 * Session ids: how they are made and what they look like.
 *
 * @module
 */
import { randomText } from "../internal/random.ts";

const LENGTH = 32;
const SESSION_ID = /^[A-Za-z0-9_-]{32}$/;

/** A new session id: 192 random bits as 32 characters that headers and URLs carry as they are. */
export function mintSessionId(): string {
  return randomText(LENGTH);
}

/** Whether a text looks like an id that was minted here. Whether it was is for the store to say. */
export function isSessionId(text: string): boolean {
  return text.length === LENGTH && SESSION_ID.test(text);
}
