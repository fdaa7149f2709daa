/**
 * Faults in what is published about a server.
 *
 * @module
 */
import type { FaultsByFile } from "../mutations.ts";

/** The faults of server cards and `server.json`. */
export const DISCOVERY: FaultsByFile = {
  "discovery/server_card.ts": {
    tests: ["wire/server_card.test.ts"],
    faults: [
      ["FND-1", '"cache-control": "public, max-age=3600"', '"cache-control": "no-store"'],
      ["FND-1", "if (hasTag(", "if (false && hasTag("],
      ["FND-1", 'tags.includes("*") || ', ""],
      ["FND-1", 'method !== "GET" && method !== "HEAD"', "false"],
      ["FND-1", 'endpoint.username !== "" || endpoint.password !== ""', "false"],
      ["FND-1", "served !== undefined && isSamePath(asked, cardPath(served))", "false"],
      ["FND-2", '.split(".").reverse()', '.split(".")'],
      ["FND-2", "const catalogReply = catalog\n", "const catalogReply = true\n"],
    ],
  },
  "discovery/public_info.ts": {
    tests: ["unit/discovery/server_json.test.ts"],
    faults: [
      ["FND-3", "given.length <= NAME_LENGTH && ", ""],
      ["FND-3", "[...given].length", "given.length"],
      ["FND-3", "|^latest$", ""],
      ["FND-3", "(isFixed || fallback !== undefined)", "isFixed"],
      ["FND-3", ") checkSecret(`${name}.${key}`, variable);", ") void [key, variable];"],
    ],
  },
};
