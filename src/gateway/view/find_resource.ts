/**
 * Finds the resource that a client's address refers to.
 *
 * @module
 */
import type { Exchange } from "../../../mod.ts";
import { canonicalUri, unknownResource } from "../../kit.ts";
import type { ManagedSession } from "../session/managed_session.ts";
import type { ListContext } from "../session/upstream_lists.ts";
import type { UpstreamSessions } from "../session/upstream_sessions.ts";
import { type Addresses, isAppAddress, isWebAddress, type UpstreamAddress } from "./addresses.ts";
import { isPermittedUri, listsInTime, upstreamOfUri, type UriUse } from "./merged_lists.ts";

/** A resource that a request is about. */
export interface FoundResource {
  readonly session: ManagedSession;
  /** The address that the upstream knows. */
  readonly uri: string;
}

/** Who looks for a resource, and where. */
export interface FindInit {
  readonly exchange: Pick<Exchange, "mayUse" | "chain" | "protocolVersion">;
  readonly sessions: UpstreamSessions;
  readonly addresses: Addresses | undefined;
}

/**
 * Finds the upstream session that an address belongs to, and the address that the upstream knows.
 *
 * @throws {McpError} If there is none
 */
export async function findResource(
  init: FindInit,
  context: ListContext,
  given: string,
  use: UriUse = "read",
): Promise<FoundResource> {
  const { exchange, sessions, addresses } = init;
  const address = await plainAddress(init, context, given, use);
  const { upstream, uri } = addresses === undefined
    ? { upstream: await upstreamOfUri(sessions, address, context, use), uri: address }
    : await locate(sessions, addresses, context, address, use);
  const isHidden = addresses !== undefined && exchange.mayUse !== undefined &&
    !await mayUse(init, addresses, context, address, { upstream, uri });
  // An address may lead to its upstream without a list.
  const isUsable = !isHidden && await isPermittedUri(sessions, upstream, uri, context, use);
  const session = isUsable ? sessions.get(upstream) : undefined;
  if (session === undefined) throw unknownResource(exchange.protocolVersion, address);
  return { session, uri };
}

/**
 * Returns the one way to write an address by which rules know it, so that the upstream gets what they have
 * judged: as its own list has it, else the canonical one. Without rules, the address as it is.
 *
 * @throws {McpError} If servers may read the address in different ways
 */
async function plainAddress(
  init: FindInit,
  context: ListContext,
  address: string,
  use: UriUse,
): Promise<string> {
  const { exchange: { mayUse, chain, protocolVersion }, sessions: { settings } } = init;
  const isJudged = mayUse !== undefined || chain !== undefined || settings.policies.isSet ||
    settings.middleware !== undefined;
  if (!isJudged) return address;
  const { uri } = canonicalUri(address) ?? {};
  if (uri === address || await isListed(init, context, address, use)) return address;
  if (uri === undefined) throw unknownResource(protocolVersion, address);
  return uri;
}

/** Tells whether an upstream lists a resource, or a template that is referred to, by exactly an address. */
async function isListed(
  { sessions, addresses }: FindInit,
  context: ListContext,
  address: string,
  use: UriUse,
): Promise<boolean> {
  const own = addresses?.split(address);
  const uri = own?.uri ?? address;
  const { lists } = await listsInTime(sessions, "resources", context, { mayBeNone: true });
  const isOwn = ({ name }: { readonly name: string }) => own === undefined || own.upstream === name;
  if (lists.some((list) => isOwn(list) && list.entries.some((entry) => entry.uri === uri))) {
    return true;
  }
  if (use !== "reference") return false;
  const templates = await listsInTime(sessions, "templates", context, { mayBeNone: true });
  return templates.lists.some((list) =>
    isOwn(list) && list.entries.some(({ uriTemplate }) => uriTemplate === uri)
  );
}

async function locate(
  sessions: UpstreamSessions,
  addresses: Addresses,
  context: ListContext,
  address: string,
  use: UriUse,
): Promise<UpstreamAddress> {
  // What the client knows is never taken for another upstream's that came later.
  const owner = sessions.addresses.owner(address);
  if (owner !== undefined) return { upstream: owner, uri: address };
  const split = addresses.split(address);
  if (split !== undefined) return split;
  const upstream = await upstreamOfUri(sessions, address, context, use);
  if (!isWebAddress(address)) sessions.addresses.claim(address, upstream);
  return { upstream, uri: address };
}

/**
 * Returns the address by which the client's lists show a resource, whatever address led to it: the
 * upstream's own one, unless another upstream could be meant by that.
 */
export async function shownAddress(
  { sessions, addresses }: FindInit,
  context: ListContext,
  { session: { name: upstream }, uri }: FoundResource,
): Promise<string> {
  if (addresses === undefined || isWebAddress(uri)) return uri;
  const qualified = addresses.qualified({ upstream, uri });
  if (qualified === undefined) return uri;
  const owner = sessions.addresses.owner(uri);
  if (owner === upstream) return uri;
  const isOthers = owner !== undefined || isAppAddress(uri) || addresses.split(uri) !== undefined ||
    sessions.known.isElsewhere(upstream, uri);
  if (isOthers) return qualified;
  const only = await upstreamOfUri(sessions, uri, context).catch(() => undefined);
  return only === upstream ? uri : qualified;
}

/**
 * Tells whether a principal may use a resource by its other address, too: `authorize` judges the one that
 * lists show.
 */
async function mayUse(
  { exchange, sessions }: FindInit,
  addresses: Addresses,
  context: ListContext,
  address: string,
  own: UpstreamAddress,
): Promise<boolean> {
  const { mayUse } = exchange;
  if (mayUse === undefined || isWebAddress(address)) return true;
  if (address !== own.uri) {
    return await mayUse("resources/read", address) &&
      await mayUseAddress(mayUse, addresses, address);
  }
  const qualified = addresses.qualified(own);
  if (qualified === undefined) return true;
  // The lists have it under this address.
  if (isAppAddress(address)) return await mayUse("resources/read", qualified);
  const only = await upstreamOfUri(sessions, address, context).catch(() => undefined);
  return only === own.upstream || await mayUse("resources/read", qualified);
}

/**
 * Tells whether a principal may use a resource by the address that its upstream knows, where that is
 * another only because it collides: a rule about it must hold whichever upstreams come later.
 */
export async function mayUseAddress(
  mayUse: NonNullable<Exchange["mayUse"]>,
  addresses: Addresses,
  address: string,
): Promise<boolean> {
  if (isAppAddress(address)) return true;
  const own = addresses.split(address);
  return own === undefined || await mayUse("resources/read", own.uri);
}
