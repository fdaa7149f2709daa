/**
 * One face for the clients of others, so that one list of scenarios is for all of them.
 *
 * @module
 */

/** How to connect. */
export interface ClientInit {
  readonly url: string;
  /** Headers of every request. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Sends the requests. */
  readonly fetch?: typeof fetch;
  /** The program and arguments of a server to start, instead of the URL. */
  readonly command?: readonly [string, ...string[]];
}

/** A notification that came. */
export interface Told {
  readonly method: string;
  readonly params?: Readonly<Record<string, unknown>>;
}

/** How to call a tool. */
export interface CallInit {
  readonly onProgress?: (progress: number, total?: number) => void;
  readonly signal?: AbortSignal;
  /** How long the client waits for the answer, in milliseconds. */
  readonly timeoutMs?: number;
}

/** What a tool said. */
export interface Said {
  readonly text: string;
  readonly isError: boolean;
}

/** A connected client. */
export interface Connected {
  /** The session that the client is in, as it sees it. */
  readonly sessionId: string | undefined;
  readonly protocolVersion: string | undefined;
  readonly serverName: string | undefined;
  /** What went wrong on the way, without a call that it made fail. */
  readonly errors: readonly Error[];
  /** Every notification that nobody else took. */
  readonly told: readonly Told[];
  ping(): Promise<void>;
  tools(): Promise<readonly string[]>;
  resources(): Promise<readonly string[]>;
  templates(): Promise<readonly string[]>;
  prompts(): Promise<readonly string[]>;
  read(uri: string): Promise<string>;
  prompt(name: string, args?: Readonly<Record<string, string>>): Promise<string>;
  complete(prompt: string, argument: string, value: string): Promise<readonly string[]>;
  call(name: string, args?: Readonly<Record<string, unknown>>, init?: CallInit): Promise<Said>;
  /** Asks to be told when a resource changes. */
  subscribe(uri: string): Promise<void>;
  unsubscribe(uri: string): Promise<void>;
  /** Asks for log messages from a level on. */
  logFrom(level: "debug" | "info" | "error"): Promise<void>;
  /** Ends the session. */
  terminate(): Promise<void>;
  /** Closes the connection without ending the session. */
  close(): Promise<void>;
}

/** Makes clients of one kind. */
export interface ClientKind {
  readonly name: string;
  connect(init: ClientInit): Promise<Connected>;
}

/** What the client says that it is. */
export const INFO = { name: "real-client", version: "1.0.0" };

/** How it answers what the server asks. */
export const ANSWERS = {
  form: { action: "accept", content: { username: "ada", email: "ada@example.com" } },
  model: {
    role: "assistant",
    content: { type: "text", text: "Forty-two" },
    model: "a-model",
    stopReason: "endTurn",
  },
} as const;

/** What the client works on. */
export const ROOTS: { roots: { uri: string; name: string }[] } = {
  roots: [{ uri: "file:///home/ada", name: "home" }],
};

/** The text of the blocks that are text. */
export function textOf(content: unknown): string {
  const blocks = Array.isArray(content) ? content : [content];
  return blocks.map((block) => typeof block?.text === "string" ? block.text : "").join("");
}
