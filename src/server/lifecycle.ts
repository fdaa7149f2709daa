/**
 * How a client and a server get to know each other: `initialize` and `ping`, or `server/discover`.
 *
 * @module
 */
import type { Exchange } from "../protocol/exchange.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import { prepare } from "../protocol/prepared.ts";
import type { Implementation, ServerCapabilities } from "../protocol/shapes.ts";
import { unknownMethod } from "../protocol/unknown.ts";
import { type ProtocolVersion, VERSIONS } from "../protocol/versions.ts";
import { checkName } from "./definition.ts";
import type { Feature } from "./feature.ts";

/** What a server says of itself. */
export interface Introduction {
  readonly info: Implementation;
  readonly instructions: string | undefined;
  /** What it can do now, for a client that knows extensions or for one that doesn't. */
  readonly capabilities: (extensions: boolean) => ServerCapabilities;
}

/** The methods by which clients get to know a server. */
export class Lifecycle implements Feature {
  readonly methods: Feature["methods"] = {
    "initialize": ({ protocolVersion }) => this.#greet(protocolVersion),
    "server/discover": (exchange) => this.#discover(exchange),
    "ping": () => ({}),
  };
  readonly #introduction: Introduction;
  /** Answers to `initialize`, the same until something else is served. */
  readonly #greetings = new Map<ProtocolVersion, JsonObject>();

  constructor(introduction: Introduction) {
    const { info, instructions } = introduction;
    checkName("server", info?.name);
    if (typeof info.version !== "string" || info.version === "") {
      throw new TypeError(`Give the server a version: ${JSON.stringify(info.version)}`);
    }
    if (instructions !== undefined && typeof instructions !== "string") {
      throw new TypeError(`Give a text as "instructions": ${typeof instructions}`);
    }
    this.#introduction = introduction;
  }

  /** Something else is served than before. */
  renew(): void {
    this.#greetings.clear();
  }

  #greet(protocolVersion: ProtocolVersion): JsonObject {
    let greeting = this.#greetings.get(protocolVersion);
    if (greeting === undefined) {
      greeting = prepare({ protocolVersion, ...this.#introduce(false) });
      this.#greetings.set(protocolVersion, greeting);
    }
    return greeting;
  }

  #discover({ protocolVersion, supportedVersions, method }: Exchange): JsonObject {
    if (VERSIONS[protocolVersion].era === "2025") throw unknownMethod(method);
    const { serverInfo: _, ...known } = this.#introduce(true);
    return { supportedVersions, ...known };
  }

  #introduce(extensions: boolean): JsonObject {
    const { info, instructions, capabilities } = this.#introduction;
    const known = { capabilities: capabilities(extensions), serverInfo: info };
    return instructions === undefined ? known : { ...known, instructions };
  }
}
