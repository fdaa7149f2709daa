/**
 * An upstream that is a program, started anew for each session.
 *
 * @module
 */
import { openSession } from "./peer_session.ts";
import { StdioChannel } from "./stdio_channel.ts";
import { checkStdioOptions, type StdioOptions } from "./stdio_options.ts";
import type { Upstream } from "./types.ts";

/**
 * An upstream that is a program. Every session of the gateway gets a process of its own, which ends
 * with it: at first its stdin is closed, then it and whatever it has started get SIGTERM, then SIGKILL.
 * What it writes to stderr becomes `upstream-output` events.
 *
 * @throws {TypeError} If an option is of the wrong kind
 * @throws {RangeError} If a number is out of range
 *
 * @example
 * ```ts
 * import { stdio } from "@mooring/mcp/gateway";
 *
 * const files = stdio({ command: "mcp-server-filesystem", args: ["/srv/files"] });
 * console.assert(files.kind === "stdio");
 * ```
 */
export function stdio(options: StdioOptions): Upstream {
  const settings = checkStdioOptions(options);
  return {
    kind: "stdio",
    identity: settings.identity,
    async open(init) {
      init.signal.throwIfAborted();
      const channel = await StdioChannel.start(settings, init);
      return await openSession(channel, init, settings);
    },
  };
}
