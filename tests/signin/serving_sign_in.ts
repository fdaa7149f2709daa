/**
 * The command with sign-in, and a certified provider behind it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { startAuthorizationServer } from "../auth/authorization_server.ts";
import { counter, Program, withConfig } from "../cli/program.ts";
import { freePort } from "../support/redis.ts";

/** Serves two servers with sign-in, whose provider is certified, for as long as `use` takes. */
export async function servingSignIn(
  use: (at: { origin: string; program: Program; folder: string }) => Promise<void>,
  more: object = {},
): Promise<void> {
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const provider = await startAuthorizationServer({
    scope: "",
    format: "opaque",
    ttlS: 60,
    redirectUris: [`${origin}/signin/callback`],
  });
  const config = {
    mcpServers: { one: counter("one"), two: counter("two") },
    signIn: {
      provider: { type: "oidc", issuer: provider.issuer, clientId: "editor", scopes: [] },
      allowInsecure: true,
    },
    port,
    ...more,
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
    await provider.close();
  }
}
