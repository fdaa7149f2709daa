/**
 * Anybody's MCP servers behind one endpoint.
 *
 * @module
 */
export type {
  Downstream,
  OpenInit,
  Upstream,
  UpstreamCall,
  UpstreamFacts,
  UpstreamSession,
} from "./types.ts";
