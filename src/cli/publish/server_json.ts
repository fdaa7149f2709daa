/**
 * Runs `mooring server-json`: writes what publishes a running server in an MCP registry.
 *
 * @module
 */
import { serverJson } from "../../discovery/mod.ts";
import { escapeInvisibleJson, isLoopback } from "../../kit.ts";
import { ExitCode, messageOf, usageError } from "../errors.ts";
import { headersOf } from "../inspect/inspect.ts";
import { withConnection } from "../inspect/client.ts";
import type { Io } from "../io.ts";

/** The options of `mooring server-json`. */
export interface ServerJsonCommandOptions {
  readonly name: string;
  readonly description?: string;
  readonly release?: string;
  /** The endpoint's URL as clients know it. */
  readonly publicUrl?: string;
  /** The name of an npm package that has the server. */
  readonly npm?: string;
  readonly header?: Readonly<Record<string, string>>;
  readonly tokenEnv?: string;
  /** In seconds. */
  readonly timeout: number;
}

/**
 * Writes `server.json` to stdout, from what a server says about itself.
 *
 * @throws {CliError} If the server can't be reached, or the registry would refuse what comes out
 */
export async function serverJsonOf(
  text: string,
  options: ServerJsonCommandOptions,
  io: Io,
): Promise<ExitCode> {
  const { name, description, release, publicUrl, npm, timeout } = options;
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw usageError('Give a URL that begins with "https://" or "http://"');
  }
  io.secrets.add([url.password, ...url.searchParams.values()]);
  const local = isLoopback(url.hostname);
  if (publicUrl === undefined && npm === undefined && local) {
    throw usageError("Give --public-url, --npm or both: only this machine reaches the URL");
  }
  const headers = headersOf(options, io);
  const { redact } = io.secrets;
  const init = { url, headers, timeoutMs: timeout * 1_000, redact };
  const info = await withConnection(init, async ({ client }) => client.getServerVersion());
  // Without credentials and query: they may be a secret
  const remote = publicUrl ?? (local ? undefined : `${url.origin}${url.pathname}`);
  const needsToken = Object.keys(headers).some((key) => key.toLowerCase() === "authorization");
  const asked = { name: "Authorization", isRequired: true, isSecret: true };
  try {
    const json = serverJson(info ?? { name: "", version: "" }, {
      name,
      ...description !== undefined && { description },
      ...release !== undefined && { version: release },
      ...remote !== undefined && {
        remotes: [{ url: remote, ...needsToken && { headers: [asked] } }],
      },
      ...npm !== undefined && { packages: [{ registryType: "npm", identifier: npm }] },
    });
    io.out.write(`${escapeInvisibleJson(JSON.stringify(json, null, 2))}\n`);
    return ExitCode.Ok;
  } catch (error) {
    throw usageError(messageOf(error));
  }
}
