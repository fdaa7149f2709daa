/**
 * Tells whose fault it is that something gets lost on the way: the server's, or a proxy's before it. From
 * outside both look the same, unless the server says that it does its part.
 *
 * @module
 */
import type { HttpAnswer, NoHttpAnswer } from "./exchange.ts";
import type { Whose } from "./finding.ts";
import type { ProbeTarget, Visit } from "./visit.ts";

/** Something that either the server or a proxy before it does wrong. */
export interface Suspicion {
  /** What to change in the server. */
  readonly server: string;
  /** What to change in a proxy. */
  readonly proxy: string;
  /** Tells whether it is right at a URL; `undefined` if that can't be told there. */
  worksAt(target: ProbeTarget): Promise<boolean | undefined>;
  /** Returns why it must be a proxy, if what the server says leaves no other way. */
  proof(): Promise<string | undefined>;
}

/** Whose fault something is. */
export interface Blame {
  readonly whose: Whose;
  /** Why, to be put behind what was seen. Empty if it can't be told. */
  readonly because: string;
  readonly fix: string;
}

/** Tells whose fault something is: by the server itself where `--direct` names it, or else by proof. */
export async function blame(visit: Visit, suspicion: Suspicion): Promise<Blame> {
  const { server, proxy } = suspicion;
  const { direct } = visit.init;
  const works = direct === undefined ? undefined : await suspicion.worksAt(direct);
  if (works === true) {
    return { whose: "a proxy", because: `. ${direct?.url.host} does it right`, fix: proxy };
  }
  if (works === false) {
    return { whose: "the server", because: `. So does ${direct?.url.host}`, fix: server };
  }
  const proof = await suspicion.proof();
  if (proof !== undefined) return { whose: "a proxy", because: `, though ${proof}`, fix: proxy };
  return {
    whose: "the server or a proxy",
    because: visit.proxy === undefined ? "" : `. ${visit.proxy} is in front`,
    fix: `In the server: ${server}. In a proxy: ${proxy}. --direct URL, the server's own address ` +
      "without proxies, tells which",
  };
}

/** Tells whose fault is what proxies usually do: a proxy's, if one is seen to be in front. */
export function usuallyProxy({ proxy }: Visit): Whose {
  return proxy === undefined ? "the server or a proxy" : "a proxy";
}

/** Tells whether an answer tells pages that a header is in it (Fetch Standard, CORS protocol). */
export function exposes(answer: HttpAnswer | NoHttpAnswer, name: string): boolean {
  if (answer.status === undefined) return false;
  const names = answer.headers.get("access-control-expose-headers") ?? "";
  return names.toLowerCase().split(",").some((one) => one.trim() === name);
}
