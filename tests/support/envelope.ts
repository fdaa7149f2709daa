/**
 * Opens the envelopes of nodes without delay, as a node with the key could, written apart from `src`.
 *
 * @module
 */
import { createDecipheriv, hkdfSync } from "node:crypto";

/** Returns the text in an envelope, or the envelope itself if the secret doesn't open it. */
export function readEnvelope(secret: string, envelope: string): string {
  const end = envelope.indexOf("\n");
  const line = envelope.slice(0, end);
  try {
    const [from, , , number] = JSON.parse(line);
    const key = new Uint8Array(hkdfSync("sha256", secret, from, "mooring nodes 2", 32));
    const nonce = new Uint8Array(12);
    new DataView(nonce.buffer).setBigUint64(4, BigInt(number));
    const sealed = Uint8Array.from(atob(envelope.slice(end + 1)), (char) => char.charCodeAt(0));
    const decipher = createDecipheriv("aes-256-gcm", key, nonce);
    decipher.setAAD(new TextEncoder().encode(`mooring nodes 2\n${line}`));
    decipher.setAuthTag(sealed.subarray(-16));
    return decipher.update(sealed.subarray(0, -16), undefined, "utf8") + decipher.final("utf8");
  } catch {
    return envelope;
  }
}
