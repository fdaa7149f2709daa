/**
 * A sign-in for the nodes of a simulation, and the provider that knows who the users are.
 *
 * @module
 */
import type { Clock } from "../../src/internal/clock.ts";
import type { Store } from "../../src/cluster/types.ts";
import { type Provider, type SignIn, signIn } from "../../src/signin/mod.ts";
import type { Random } from "./environment.ts";

/** Where the users sign in. */
export const ISSUER = "https://mcp.example";
/** Where the client gets its codes. */
export const REDIRECT = "https://client.example/callback";
/** The client's id. */
export const CLIENT = "editor";
/** The time for which a used refresh token is good, in milliseconds. */
export const GRACE_MS = 5_000;

/** What a node gives its sign-in. */
export interface SignInSurroundings {
  readonly store: Store;
  readonly clock: Clock;
  readonly key: string;
  readonly random: Random;
  /** Waits, as long as the node is alive. */
  pause(ms: number): Promise<void>;
}

/** Makes the sign-in of a node. The provider answers late. */
export function signInOf({ store, clock, key, random, pause }: SignInSurroundings): SignIn {
  const login = async (user: string) => {
    await pause(random.int(1, 300));
    return { subject: user, issuer: "https://login.example", claims: {}, credential: user };
  };
  const provider: Provider = {
    name: "login.example",
    async authorizationUrl({ state }) {
      return new URL(`https://login.example/?state=${encodeURIComponent(state)}`);
    },
    finish: (_login, callback) => login(callback.get("user") ?? ""),
    refresh: (credential) => login(credential),
  };
  return signIn({
    ...{ issuer: ISSUER, resource: `${ISSUER}/mcp`, provider, store, clock, keys: [key] },
    scopes: { "notes:read": "Read your notes" },
    clients: [{ id: CLIENT, name: "The Editor", redirectUris: [REDIRECT] }],
    lifetimes: { graceMs: GRACE_MS },
  });
}
