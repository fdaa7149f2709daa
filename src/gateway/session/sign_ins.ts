/**
 * Keeps the questions to sign in at upstreams that one client was asked, and tells it when they are settled.
 *
 * @module
 */
import type { Notification } from "../../../mod.ts";
import type { SignInAsker, SignInNeed, SignInQuestion, UpstreamSignIn } from "../types.ts";

/** Options for {@linkcode SignIns}. */
export interface SignInsInit {
  /** Aborts when the client's sessions end. */
  readonly closing: AbortSignal;
  /** Whether the questions end with the client's session. */
  readonly isSession: boolean;
  /** Sends a notification to the client. */
  readonly notify: (notification: Notification) => void;
  /** Called when the user has signed in at an upstream. */
  readonly onSignedIn: (upstream: string) => void;
}

interface OpenSignIn {
  readonly need: string;
  readonly question: Promise<SignInQuestion>;
}

/** The questions of one client: one for each upstream at a time. */
export class SignIns {
  readonly #init: SignInsInit;
  readonly #open = new Map<string, OpenSignIn>();
  /** What asks, by the ids of the questions that aren't settled. */
  readonly #waiting = new Map<string, UpstreamSignIn>();

  constructor(init: SignInsInit) {
    this.#init = init;
  }

  /**
   * Returns the question for an upstream: the one that waits, if it wants the same.
   *
   * @throws {McpError} If nobody may be asked
   */
  async ask(signIn: UpstreamSignIn, need: SignInNeed, asker: SignInAsker): Promise<SignInQuestion> {
    const { upstream } = asker;
    const key = JSON.stringify([need.scopes, need.url, need.isStepUp]);
    const known = this.#open.get(upstream);
    if (known?.need === key) {
      const question = await known.question;
      if (await signIn.isOpen(question.id)) return question;
    }
    const open: OpenSignIn = { need: key, question: signIn.begin(need, asker) };
    this.#open.set(upstream, open);
    const drop = () => {
      if (this.#open.get(upstream) === open) this.#open.delete(upstream);
    };
    try {
      const question = await open.question;
      void this.#watch(signIn, upstream, question).finally(drop);
      return question;
    } catch (error) {
      drop();
      throw error;
    }
  }

  /** Ends the questions of a session that has ended: their links lead nowhere. */
  async close(): Promise<void> {
    if (!this.#init.isSession) return;
    const cancels = [...this.#waiting].map(([id, signIn]) => signIn.cancel(id));
    this.#waiting.clear();
    await Promise.allSettled(cancels);
  }

  async #watch(signIn: UpstreamSignIn, upstream: string, { id }: SignInQuestion): Promise<void> {
    const { closing, notify, onSignedIn } = this.#init;
    this.#waiting.set(id, signIn);
    try {
      if (!await signIn.settled(id, closing)) return void this.#waiting.delete(id);
    } catch {
      // Those of a session that ends are cancelled with it
      if (!closing.aborted) this.#waiting.delete(id);
      return;
    }
    this.#waiting.delete(id);
    onSignedIn(upstream);
    notify({ method: "notifications/elicitation/complete", params: { elicitationId: id } });
  }
}
