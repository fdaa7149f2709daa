/**
 * Generates and checks session ids.
 *
 * @module
 */
import { randomText } from "../internal/random.ts";

const LENGTH = 32;
const SESSION_ID = /^[A-Za-z0-9_-]{32}$/;

/** Generates a session id: 192 random bits as 32 characters that need no escaping in headers and URLs. */
export function mintSessionId(): string {
  return randomText(LENGTH);
}

/** Tells whether a string has the syntax of a session id. Only the store knows whether it is one. */
export function isSessionId(text: string): boolean {
  return text.length === LENGTH && SESSION_ID.test(text);
}
