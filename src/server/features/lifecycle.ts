/**
 * Answers the methods by which a client gets to know a server: `initialize` and `ping` (2025-11-25,
 * Lifecycle), and `server/discover` (2026-07-28, Discovery).
 *
 * @module
 */
import { serverInfoFor } from "../../protocol/downgrade.ts";
import type { Exchange } from "../../protocol/exchange.ts";
import type { JsonObject } from "../../protocol/jsonrpc.ts";
import { prepare } from "../../protocol/prepared.ts";
import type { Implementation, ServerCapabilities } from "../../protocol/shapes.ts";
import { unknownMethod } from "../../protocol/unknown.ts";
import { isModern, type ProtocolVersion } from "../../protocol/versions.ts";
import { checkName, compact } from "./definition.ts";
import type { Feature } from "./feature.ts";

/** What a server says about itself. */
export interface Introduction {
  readonly info: Implementation;
  readonly instructions: string | undefined;
  /** Tells whether the server answers a method now. */
  readonly serves: (method: string) => boolean;
  /** What the application adds to the capabilities that follow from the methods. */
  readonly extra: Pick<ServerCapabilities, "experimental" | "extensions">;
  /** Returns the settings of the extensions in use, by their identifiers. */
  readonly extensions: () => JsonObject | undefined;
}

/** Answers the methods by which clients get to know a server. */
export class Lifecycle implements Feature {
  readonly methods: Feature["methods"] = {
    "initialize": ({ protocolVersion }) => this.#initialize(protocolVersion),
    "server/discover": (exchange) => this.#discover(exchange),
    "ping": () => ({}),
  };
  readonly #introduction: Introduction;
  /** Caches the answers to `initialize` until the capabilities change. */
  readonly #answers = new Map<ProtocolVersion, JsonObject>();

  constructor(introduction: Introduction) {
    const { info, instructions } = introduction;
    checkName("server", info?.name);
    if (typeof info.version !== "string" || info.version === "") {
      throw new TypeError(`Give the server a version: ${JSON.stringify(info.version)}`);
    }
    if (instructions !== undefined && typeof instructions !== "string") {
      throw new TypeError(`Give a string as "instructions": ${typeof instructions}`);
    }
    this.#introduction = introduction;
  }

  /** Drops the cached answers, because other methods are served than before. */
  renew(): void {
    this.#answers.clear();
  }

  #initialize(protocolVersion: ProtocolVersion): JsonObject {
    let answer = this.#answers.get(protocolVersion);
    if (answer === undefined) {
      const serverInfo = serverInfoFor(protocolVersion, this.#introduction.info);
      answer = prepare({ protocolVersion, ...this.#introduce(false), serverInfo });
      this.#answers.set(protocolVersion, answer);
    }
    return answer;
  }

  #discover({ protocolVersion, supportedVersions, method }: Exchange): JsonObject {
    if (!isModern(protocolVersion)) throw unknownMethod(method);
    const { serverInfo: _, ...known } = this.#introduce(true);
    return { supportedVersions, ...known };
  }

  #introduce(extensions: boolean): JsonObject {
    const { info, instructions } = this.#introduction;
    const known = { capabilities: this.#capabilities(extensions), serverInfo: info };
    return instructions === undefined ? known : { ...known, instructions };
  }

  /** Derives the capabilities from the methods that are served. */
  #capabilities(withExtensions: boolean): ServerCapabilities {
    const { serves, extra: { experimental, extensions } } = this.#introduction;
    const used = withExtensions ? this.#introduction.extensions() : undefined;
    const changes = { listChanged: true };
    const subscribe = serves("resources/subscribe") ? { subscribe: true } : {};
    return compact({
      tools: serves("tools/list") ? changes : undefined,
      resources: serves("resources/list") ? { ...subscribe, ...changes } : undefined,
      prompts: serves("prompts/list") ? changes : undefined,
      completions: serves("completion/complete") ? {} : undefined,
      logging: serves("logging/setLevel") ? {} : undefined,
      experimental,
      extensions: used === undefined ? extensions : { ...extensions, ...used },
    });
  }
}
