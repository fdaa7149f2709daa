/**
 * The command with sign-in, and a certified provider behind it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import {
  type AuthorizationServer,
  startAuthorizationServer,
} from "../auth/authorization_server.ts";
import { counter, Program, withConfig } from "../cli/program.ts";
import { freePort } from "../support/redis.ts";

/** What differs from one file to the other. */
export interface Served {
  readonly port?: number;
  readonly signIn?: object;
  /** A provider that is there already. */
  readonly provider?: AuthorizationServer;
  readonly [key: string]: unknown;
}

/** Serves two servers with sign-in, whose provider is certified, for as long as `use` takes. */
export async function servingSignIn(
  use: (at: { origin: string; program: Program; folder: string }) => Promise<void>,
  more: Served = {},
): Promise<void> {
  const { port = await freePort(), signIn, provider: known, ...others } = more;
  const origin = `http://127.0.0.1:${port}`;
  const provider = known ?? await startProvider(origin);
  const config = {
    mcpServers: { one: counter("one"), two: counter("two") },
    signIn: {
      provider: { type: "oidc", issuer: provider.issuer, clientId: "editor", scopes: [] },
      allowInsecure: true,
      ...signIn,
    },
    port,
    ...others,
  };
  try {
    await withConfig(config, async (file) => {
      const program = new Program(["serve", "--config", file, "--log", "json"]);
      try {
        await program.url();
        await use({ origin, program, folder: dirname(file) });
        program.signal("SIGTERM");
        assert.equal(await program.ended, 0, program.err);
      } finally {
        program.signal("SIGKILL");
        await program.ended;
      }
    });
  } finally {
    if (known === undefined) await provider.close();
  }
}

/** Starts a provider that sends people back to the command. */
export function startProvider(origin: string): Promise<AuthorizationServer> {
  return startAuthorizationServer({
    scope: "",
    format: "opaque",
    ttlS: 60,
    redirectUris: [`${origin}/signin/callback`],
  });
}
