/**
 * Sends a request to some node, and reads the whole response.
 *
 * @module
 */
import type { SimulatedNode } from "./node.ts";
import { ProcessDied } from "./process.ts";
import type { Environment, Random } from "./environment.ts";
import type { Run } from "./tools.ts";

/** What a client needs. */
export interface ClientSurroundings {
  readonly environment: Environment;
  /** Whether nothing goes wrong, so that nothing may be refused or late. */
  readonly calm: boolean;
  /** Whether what was acknowledged may be lost. */
  readonly forgetful: boolean;
  /** The runs of all tools. */
  readonly runs: readonly Run[];
  /** The nodes that aren't dead. */
  readonly nodes: readonly SimulatedNode[];
  /** Picks one of them. */
  node(random: Random): SimulatedNode;
  note(text: string): void;
  fail(what: string): void;
}

/** A client that is simulated. */
export interface SimulatedPeer {
  readonly name: string;
  /** Does all that is planned. */
  run(): Promise<void>;
  /** Holds what it got against what is promised. */
  check(): void;
}

/** A response that has come as a whole. */
export interface WholeResponse {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** Sends a request to some node. Returns `undefined` when that dies before all of the response is there. */
export async function sendWhole(
  around: ClientSurroundings,
  random: Random,
  request: Request,
): Promise<WholeResponse | undefined> {
  const node = around.node(random);
  try {
    const response = await node.fetch(request);
    const text = await node.alive(response.text());
    return { status: response.status, headers: response.headers, text };
  } catch (error) {
    if (!(error instanceof ProcessDied)) around.note(`${request.url}: ${error}`);
    return undefined;
  }
}
