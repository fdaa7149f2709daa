/**
 * Takes an operator's name from the header that a proxy in front of the dashboard writes.
 *
 * @module
 */
import { BlockList, isIPv6 } from "node:net";
import type { OperatorPrincipal } from "../../dashboard/mod.ts";
import { peerAddress } from "../../kit.ts";

/** Where a proxy writes the name of the operator that it has signed in, and where it connects from. */
export interface OperatorProxy {
  /** The header. */
  readonly header: string;
  /** The addresses, and networks such as `10.0.0.0/8`, that the proxy connects from. */
  readonly from: readonly string[];
}

/** The characters of a name. */
const MOST_NAME = 100;

/**
 * Returns a function that finds the operator of a request: nobody, unless the request comes from the proxy. A
 * header that stands there twice, one of them the client's own, names nobody.
 */
export function proxiedOperator(
  { header, from }: OperatorProxy,
): (request: Request, context: unknown) => OperatorPrincipal | undefined {
  const proxies = new BlockList();
  for (const network of from) {
    const [address = "", bits] = network.split("/");
    const family = isIPv6(address) ? "ipv6" : "ipv4";
    if (bits === undefined) proxies.addAddress(address, family);
    else proxies.addSubnet(address, Number(bits), family);
  }
  return (request, context) => {
    const peer = peerAddress(context, () => request);
    if (peer === undefined || !proxies.check(peer, isIPv6(peer) ? "ipv6" : "ipv4")) {
      return undefined;
    }
    const name = request.headers.get(header)?.trim() ?? "";
    if (name === "" || name.length > MOST_NAME || name.includes(",")) return undefined;
    return { id: name };
  };
}
