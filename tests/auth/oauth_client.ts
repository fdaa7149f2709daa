/**
 * The official clients with a user behind them who can be sent to an authorization server.
 *
 * @module
 */
import {
  Client as ClientV2,
  type OAuthDiscoveryState,
  StreamableHTTPClientTransport as TransportV2,
  UnauthorizedError as UnauthorizedV2,
} from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client";
// The package maps the types of such paths to files that don't exist.
// @ts-types="@modelcontextprotocol/sdk/client/streamableHttp"
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { Browser, CALLBACK, CLIENT } from "./authorization_server.ts";

const INFO = { name: "oauth-test", version: "1.0.0" };

/** What is kept of tokens. Both clients keep more than these. */
interface Tokens {
  readonly access_token: string;
  readonly token_type: string;
  readonly refresh_token?: string;
  readonly scope?: string;
}

interface StoredClient {
  readonly client_id: string;
  readonly issuer?: string;
}

/** What both clients want to know of a user and keep for them. */
export class User {
  readonly #browser = new Browser();
  readonly #refreshes: boolean;
  #client: StoredClient;
  #discovery: OAuthDiscoveryState | undefined;
  #verifier = "";
  #state = "";
  /** What the client has. */
  current: Tokens | undefined;
  /** Where the user came back to. */
  cameBack: URL | undefined;
  /** How many times the user had to go. */
  visits = 0;

  readonly redirectUrl = CALLBACK;
  readonly clientMetadata = { client_name: "oauth-test", ...CLIENT };

  /**
   * @param issuer The authorization server that knows the client
   * @param refreshes Whether refresh tokens are kept
   */
  constructor(issuer: string, refreshes = true) {
    this.#client = { client_id: CLIENT.client_id, issuer };
    this.#refreshes = refreshes;
  }

  state(): string {
    return this.#state = crypto.randomUUID();
  }
  clientInformation(): StoredClient {
    return this.#client;
  }
  saveClientInformation(client: StoredClient): void {
    this.#client = client;
  }
  tokens(): Tokens | undefined {
    return this.current;
  }
  saveTokens(tokens: Tokens): void {
    this.current = tokens;
    if (!this.#refreshes) delete (this.current as { refresh_token?: string }).refresh_token;
  }
  saveDiscoveryState(state: OAuthDiscoveryState): void {
    this.#discovery = state;
  }
  discoveryState(): OAuthDiscoveryState | undefined {
    return this.#discovery;
  }
  saveCodeVerifier(verifier: string): void {
    this.#verifier = verifier;
  }
  codeVerifier(): string {
    return this.#verifier;
  }
  async redirectToAuthorization(url: URL): Promise<void> {
    this.visits++;
    this.cameBack = await this.#browser.visit(url, CALLBACK);
    const { searchParams } = this.cameBack;
    if (searchParams.get("state") !== this.#state) throw new Error(`Not ours: ${this.cameBack}`);
  }
}

/** A client that is connected, and may be sent for its user's consent. */
export interface OAuthClient {
  readonly sessionId: string | undefined;
  /** Calls a tool; the text of its result. */
  call(name: string): Promise<string>;
  tools(): Promise<string[]>;
  close(): Promise<void>;
}

/** A kind of client. */
export interface OAuthClientKind {
  readonly name: string;
  /** Whether it speaks a version with sessions. */
  readonly sessions: boolean;
  /** Whether it asks for more scopes although it has a refresh token. */
  readonly refreshesAndStepsUp: boolean;
  connect(url: string, user: User): Promise<OAuthClient>;
}

interface Transport {
  readonly sessionId?: string | undefined;
  finish(cameBack: URL): Promise<void>;
}

/** Does something, and does it again once the user has been where the client sent them. */
async function withConsent<T>(user: User, transport: Transport, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    const sent = error instanceof UnauthorizedV2 ||
      (error instanceof Error && error.constructor.name === "UnauthorizedError");
    if (!sent || user.cameBack === undefined) throw error;
    await transport.finish(user.cameBack);
    user.cameBack = undefined;
    return await act();
  }
}

function textOf(content: unknown): string {
  return Array.isArray(content) ? String(content[0]?.text) : "";
}

function v2(name: string, mode: "legacy" | "auto"): OAuthClientKind {
  return {
    name,
    sessions: mode === "legacy",
    refreshesAndStepsUp: true,
    async connect(url, user) {
      // A client that was sent away while it connected begins anew
      let transport: TransportV2;
      let client: ClientV2;
      const finish = (cameBack: URL) => transport.finishAuth(cameBack.searchParams);
      await withConsent(user, { finish }, async () => {
        transport = new TransportV2(new URL(url), { authProvider: user });
        client = new ClientV2(INFO, { versionNegotiation: { mode } });
        await client.connect(transport);
      });
      return {
        get sessionId() {
          return transport.sessionId;
        },
        call: (name) =>
          withConsent(user, { finish }, async () => {
            return textOf((await client.callTool({ name })).content);
          }),
        tools: async () => (await client.listTools()).tools.map(({ name }) => name),
        close: () => client.close(),
      };
    },
  };
}

const v1: OAuthClientKind = {
  name: "SDK v1",
  sessions: true,
  refreshesAndStepsUp: false,
  async connect(url, user) {
    let transport: TransportV1;
    let client: ClientV1;
    const finish = (cameBack: URL) => transport.finishAuth(cameBack.searchParams.get("code") ?? "");
    await withConsent(user, { finish }, async () => {
      transport = new TransportV1(new URL(url), { authProvider: user });
      client = new ClientV1(INFO);
      await client.connect(transport);
    });
    return {
      get sessionId() {
        return transport.sessionId;
      },
      call: (name) =>
        withConsent(user, { finish }, async () => {
          return textOf((await client.callTool({ name })).content);
        }),
      tools: async () => (await client.listTools()).tools.map(({ name }) => name),
      close: () => client.close(),
    };
  },
};

/** The official clients. */
export const OAUTH_CLIENTS: readonly OAuthClientKind[] = [
  v1,
  v2("SDK v2", "legacy"),
  v2("SDK v2 (auto)", "auto"),
];
