/**
 * A server with skills, and requests to it.
 *
 * @module
 */
import type { JsonObject } from "../../../src/protocol/jsonrpc.ts";
import { McpServer } from "../../../src/server/server.ts";
import { type Skills, skills, type SkillsOptions } from "../../../src/skills/mod.ts";
import { FakeExchange, type FakeExchangeInit } from "../../support/exchange.ts";
import { dispatch } from "../../../src/protocol/route.ts";

/** The text of a `SKILL.md`. */
export function manifest(name: string, more = "", body = "Do it well.\n"): string {
  return `---\nname: ${name}\ndescription: Does ${name}.\n${more}---\n\n${body}`;
}

/** A server that uses the extension. */
export class World {
  readonly server = new McpServer({ name: "test", version: "1.0.0" });
  readonly skills: Skills;

  constructor(options?: SkillsOptions) {
    this.skills = this.server.use(skills(options));
  }

  /** Answers a request of the 2026 era, unless something else is said. */
  async send(method: string, params?: JsonObject, init?: FakeExchangeInit): Promise<JsonObject> {
    const exchange = new FakeExchange(method, params, { protocolVersion: "2026-07-28", ...init });
    const { _meta, ...result } = await dispatch(this.server, exchange);
    return result;
  }

  /** What reading a resource gives. */
  async read(uri: string): Promise<JsonObject> {
    const { contents } = await this.send("resources/read", { uri });
    return (contents as JsonObject[])[0] ?? {};
  }

  /** The URIs in the list of resources. */
  async resources(): Promise<unknown[]> {
    const { resources } = await this.send("resources/list");
    return (resources as JsonObject[]).map(({ uri }) => uri);
  }

  /** The URIs in the list of skills. */
  async listed(): Promise<unknown[]> {
    const { skills } = await this.send("skills/list");
    return (skills as JsonObject[]).map(({ uri }) => uri);
  }
}
