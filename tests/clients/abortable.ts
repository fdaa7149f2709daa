/**
 * A `fetch` whose answers end when they are aborted, whatever the garbage collector has done: Deno
 * may let go of what ties a request's signal to an answer that is still being read.
 *
 * @module
 */

const held = new Set<AbortSignal>();

/** The same `fetch`, with its signals held and tied to the bodies of its answers. */
export function abortable(send: typeof fetch = fetch): typeof fetch {
  return async (input, init) => {
    const signal = init?.signal;
    if (signal) held.add(signal);
    const response = await send(input, init);
    if (!signal || response.body === null) return response;
    return new Response(response.body.pipeThrough(new TransformStream(), { signal }), response);
  };
}
