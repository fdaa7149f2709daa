/**
 * Keeps the addresses of resources apart by upstream: gives each upstream's address a form of its own
 * where it could be another's, and finds the upstream again.
 *
 * @module
 */
import type { UpstreamSessions } from "../session/upstream_sessions.ts";
import { split } from "./names.ts";

/** An upstream's resource, or its template. */
export interface UpstreamAddress {
  readonly upstream: string;
  /** The address that the upstream knows. */
  readonly uri: string;
}

/** RFC 3986 §3.1. The upstream's name follows the scheme, as a part of the host if there is one. */
const SCHEME = /^[A-Za-z][A-Za-z0-9+.-]*:(?:\/\/)?/;

const UPSTREAM = /^[A-Za-z0-9_.-]{1,64}$/;

/** The most addresses of one result that all templates are compared with; more get the upstream's name. */
const MAX_LOOKUPS = 1000;

/**
 * Matches what always has the upstream's name: pages of MCP Apps (MCP Apps, UI Resource Format) and files of
 * skills (Skills extension), which servers needn't list.
 */
const ALWAYS = /^(?:ui|skill):\/\//i;

/** Matches files of skills. The name is a directory of its own, since the last one is that of the skill. */
const SKILL = /^skill:\/\//i;

/**
 * Matches what clients may fetch from the web themselves (2026-07-28, Resources, Common URI Schemes): under
 * another host it would be another page.
 */
const WEB = /^https?:/i;

/** Tells whether an address is one of the web, which is the same whichever upstream gives it. */
export function isWebAddress(uri: string): boolean {
  return WEB.test(uri);
}

/** Tells whether an address always has the upstream's name: that of an app's page, or of a skill's file. */
export function isAlwaysQualified(uri: string): boolean {
  return ALWAYS.test(uri);
}

/**
 * Returns the literal start of a template, by which templates of two upstreams collide: both may match the
 * same addresses, and none is closer.
 */
export function templateStart(template: string): string {
  const open = template.indexOf("{");
  return open < 0 ? template : template.slice(0, open);
}

/** Translates addresses between the upstreams of a merged view and its clients. */
export class Addresses {
  readonly #separator: string;
  readonly #upstreams: ReadonlyMap<string, unknown>;

  /** @param upstreams The upstreams of the view, as they are at any time */
  constructor(separator: string, upstreams: ReadonlyMap<string, unknown>) {
    this.#separator = separator;
    this.#upstreams = upstreams;
  }

  /**
   * Returns the form of an address that only one upstream has: `ui://chart/page` of `sales` becomes
   * `ui://sales__chart/page`. It depends on nothing but the two.
   *
   * @returns `undefined` if the form wouldn't lead back to the same address
   */
  qualified({ upstream, uri }: UpstreamAddress): string | undefined {
    if (isWebAddress(uri)) return undefined;
    const [scheme = ""] = SCHEME.exec(uri) ?? [];
    const slash = SKILL.test(uri) ? "/" : "";
    const own = `${slash}${uri.slice(scheme.length)}`;
    const address = `${scheme}${upstream}${this.#separator}${own}`;
    const back = this.#parse(address, () => true);
    return back?.upstream === upstream && back.uri === uri ? address : undefined;
  }

  /** Splits a qualified address; `undefined` if it isn't one of an upstream of the view. */
  split(address: string): UpstreamAddress | undefined {
    if (isWebAddress(address)) return undefined;
    return this.#parse(address, (name) => this.#upstreams.has(name));
  }

  /** Returns a function that returns the address which a client gets for one in a result of an upstream. */
  references(sessions: UpstreamSessions, upstream: string): (uri: string) => string {
    let lookups = 0;
    return (uri) => {
      if (isWebAddress(uri)) return uri;
      const isOwn = !isAlwaysQualified(uri) && this.split(uri) === undefined &&
        ++lookups <= MAX_LOOKUPS && !sessions.known.isElsewhere(upstream, uri) &&
        sessions.addresses.claim(uri, upstream);
      return isOwn ? uri : this.qualified({ upstream, uri }) ?? uri;
    };
  }

  #parse(address: string, isUpstream: (name: string) => boolean): UpstreamAddress | undefined {
    const [scheme = ""] = SCHEME.exec(address) ?? [];
    // A template without a literal start has no scheme before it is expanded.
    for (const start of scheme === "" ? [scheme] : [scheme, ""]) {
      const found = split(`${address.slice(start.length)}`, this.#separator);
      if (found !== undefined && UPSTREAM.test(found.upstream) && isUpstream(found.upstream)) {
        const { upstream, name } = found;
        if (!SKILL.test(start)) return { upstream, uri: `${start}${name}` };
        if (name.startsWith("/")) return { upstream, uri: `${start}${name.slice(1)}` };
      }
    }
    return undefined;
  }
}
