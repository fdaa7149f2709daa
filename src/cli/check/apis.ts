/**
 * Says what became of the OpenAPI documents of a configuration: how many tools, and what was left out.
 *
 * @module
 */
import { openApiReport } from "../../gateway/upstreams/openapi.ts";
import { quote } from "../../kit.ts";
import type { Config } from "../config/schema.ts";
import { enabledServers } from "../config/settings.ts";
import { messageOf } from "../errors.ts";
import { apiOptions } from "../serve/backend.ts";

/** Complaints about one document that are shown. */
const MAX_COMPLAINTS = 20;

/** Accounts without users: a document is read without any. */
const SOME_ACCOUNTS = { auth: () => ({ headers: () => ({}), refused: async () => false }) };

/** A line about a document. */
export interface ApiLine {
  readonly ok: boolean;
  readonly line: string;
}

/**
 * Reads and converts the documents of all servers that aren't disabled.
 *
 * @param connect Whether those at URLs are fetched as well
 */
export async function examineApis(config: Config, connect: boolean): Promise<readonly ApiLine[]> {
  const lines: ApiLine[] = [];
  for (const [name, entry] of enabledServers(config)) {
    if (!("openapi" in entry)) continue;
    if (!connect && /^https?:/i.test(entry.openapi)) continue;
    try {
      const { title, tools, complaints } = await openApiReport(apiOptions(entry, SOME_ACCOUNTS));
      const count = tools === 1 ? "1 tool" : `${tools} tools`;
      lines.push({
        ok: tools > 0,
        line: `${tools > 0 ? "ok    " : "FAILED"} ${name}: ${count} of ${title}`,
      });
      for (const { kind, about, text } of complaints.slice(0, MAX_COMPLAINTS)) {
        lines.push({ ok: true, line: `warn   ${name}: ${kind}: ${about}: ${text}` });
      }
      const more = complaints.length - MAX_COMPLAINTS;
      if (more > 0) lines.push({ ok: true, line: `warn   ${name}: and ${more} more` });
    } catch (error) {
      lines.push({ ok: false, line: `FAILED ${name}: ${quote("openapi")}: ${messageOf(error)}` });
    }
  }
  return lines;
}
