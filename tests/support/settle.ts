/**
 * Waits for what runs on other threads: signing, sealing, and what follows from them.
 *
 * @module
 */
import { flush } from "./clock.ts";

const { subtle } = crypto;
let pending = 0;

for (
  const name of [
    "decrypt",
    "deriveKey",
    "digest",
    "encrypt",
    "importKey",
    "sign",
    "verify",
  ] as const
) {
  const work = subtle[name] as (...args: unknown[]) => Promise<unknown>; // all of them are
  const counted = async (...args: unknown[]): Promise<unknown> => {
    pending++;
    try {
      return await Reflect.apply(work, subtle, args);
    } finally {
      pending--;
    }
  };
  Object.defineProperty(subtle, name, { value: counted, configurable: true });
}

/** Lets everything run that waits for nothing but its turn, or for WebCrypto. */
export async function settle(): Promise<void> {
  for (let quiet = 0; quiet < 3; quiet++) {
    await flush();
    if (pending > 0) quiet = 0;
  }
}
