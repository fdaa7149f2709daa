/**
 * Creates the options for events from a configuration.
 *
 * @module
 */
import type { McpHandlerOptions } from "../../../mod.ts";
import { hashedAddresses } from "../../audit/mod.ts";
import { fullAddress, shortAddress } from "../../kit.ts";
import type { Config } from "../config/schema.ts";
import { CliError, ExitCode, messageOf } from "../errors.ts";

type EventOptions = NonNullable<McpHandlerOptions["events"]>;
type NameAddress = Extract<EventOptions["address"], (...args: never[]) => unknown>;

/**
 * Creates the options for events. Behind a proxy, a sender's address is the last entry of the header that the
 * proxy writes: that of `rateLimit`, unless another one is named.
 *
 * @param node The name of this node
 * @throws {CliError} If addresses are to be hashed, and the package for that isn't installed
 */
export function eventOptions(
  { events = {}, rateLimit, secret }: Config,
  node: string | undefined,
): EventOptions {
  const { address = "full", addressHeader = rateLimit?.header } = events;
  const find: NameAddress = (peer, { headers }) => {
    const value = addressHeader === undefined ? undefined : headers.get(addressHeader);
    return value?.split(",").at(-1)?.trim() || peer;
  };
  return {
    ...node !== undefined && { nodeName: node },
    address: address === "none" ? address : addressForm(address, find, [secret].flat()[0]),
  };
}

function addressForm(
  form: "full" | "short" | "hashed",
  find: NameAddress,
  secret: string | undefined,
): NameAddress {
  switch (form) {
    case "full":
      return (peer, request) => fullAddress(find(peer, request));
    case "short":
      return (peer, request) => shortAddress(find(peer, request));
    case "hashed":
      try {
        // Nodes with the same secret write the same hash
        return hashedAddresses(secret === undefined ? {} : { secret }, find);
      } catch (cause) {
        throw new CliError(messageOf(cause), ExitCode.Failed, { cause });
      }
  }
}
