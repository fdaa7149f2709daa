/**
 * An endpoint of an authorization server, without a network: a `fetch` that tests can break.
 *
 * @module
 */
import type { Fetch } from "../../src/internal/types.ts";

/** What was asked. */
export interface Asked {
  readonly url: string;
  readonly init: RequestInit;
}

/** A `fetch` that writes down what it is asked, and answers as it is told. */
export class FakeEndpoint {
  readonly asked: Asked[] = [];
  /** What it answers. */
  answer: (asked: Asked) => Response | Promise<Response>;

  constructor(answer: FakeEndpoint["answer"]) {
    this.answer = answer;
  }

  readonly fetch: Fetch = async (url, init) => {
    const asked = { url, init };
    this.asked.push(asked);
    return await this.answer(asked);
  };
}

/** An answer that never comes, and a way to see that nobody waits for it any more. */
export function hang({ init }: Asked): Promise<Response> {
  return new Promise((_, reject) => {
    init.signal?.addEventListener("abort", () => reject(init.signal?.reason));
  });
}

/** Ways in which an endpoint can fail at once. */
export const BROKEN: Readonly<Record<string, FakeEndpoint["answer"]>> = {
  "no connection": () => Promise.reject(new TypeError("connection refused")),
  "status 500": () => new Response("down", { status: 500 }),
  "status 404": () => new Response(null, { status: 404 }),
  "a redirect": () => Response.redirect("https://elsewhere.example/"),
  "another success": () => Response.json({ active: true, keys: [] }, { status: 203 }),
  "no JSON": () => new Response("<html>t0ken</html>"),
  "no body": () => new Response(null),
  "no object": () => Response.json([]),
  "too many bytes": () => Response.json({ active: true, keys: [], pad: "x".repeat(300_000) }),
};
