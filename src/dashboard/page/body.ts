/**
 * Reads the body of a request within limits.
 *
 * @module
 */
import type { Clock } from "../../../mod.ts";

/** The time for a whole body, in milliseconds. */
const BODY_MS = 10_000;

/**
 * Reads a body as text. Returns `undefined` if it has more bytes than allowed, isn't UTF-8, or isn't
 * complete within ten seconds.
 */
export async function readText(
  request: Request,
  most: number,
  clock: Clock,
): Promise<string | undefined> {
  if (Number(request.headers.get("content-length") ?? 0) > most) return undefined;
  const reader = request.body?.getReader();
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let late = false;
  const stop = clock.timer(BODY_MS, () => {
    late = true;
    void reader?.cancel().catch(() => {});
  });
  let bytes = 0;
  let text = "";
  try {
    for (let read = await reader?.read(); read?.value !== undefined; read = await reader?.read()) {
      bytes += read.value.byteLength;
      if (bytes > most) {
        await reader?.cancel();
        return undefined;
      }
      text += decoder.decode(read.value, { stream: true });
    }
    return late ? undefined : text + decoder.decode();
  } catch {
    return undefined;
  } finally {
    stop();
  }
}
