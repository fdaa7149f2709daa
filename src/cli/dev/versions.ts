/**
 * Keeps the version of a server that answers, and replaces it when files change: the next version is started
 * beside it, and takes over once it can be called. One that doesn't start changes nothing.
 *
 * @module
 */
import type { Clock } from "../../../mod.ts";
import type { DevFailure } from "./failure.ts";
import type { FileStamps } from "./file_stamps.ts";
import { type DevVersion, LaunchError, type LaunchInit } from "./launch.ts";

/** Options for {@linkcode Versions}. */
export interface VersionsInit {
  readonly launch: (init: Pick<LaunchInit, "number" | "signal">) => Promise<DevVersion>;
  readonly stamps: FileStamps | undefined;
  readonly clock: Clock;
  /** How long a request waits for a version, in milliseconds. */
  readonly waitMs: number;
  /** How long the calls of a version that was replaced may take, in milliseconds. */
  readonly graceMs: number;
  /** Called when a version begins to answer, when one doesn't, and when files have changed. */
  readonly report: (report: VersionReport) => void;
}

/** What happened to the versions. */
export type VersionReport =
  | { readonly type: "changed"; readonly files: readonly string[] }
  | { readonly type: "answers"; readonly number: number; readonly ms: number }
  | { readonly type: "failed"; readonly failure: DevFailure; readonly answering: boolean }
  | { readonly type: "ended"; readonly failure: DevFailure };

/** Thrown when no version answers. */
export class NoVersionError extends Error {
  override readonly name = "NoVersionError";
  readonly failure: DevFailure;

  constructor(failure: DevFailure) {
    super(failure.message);
    this.failure = failure;
  }
}

/** The most requests that wait for a version. */
export const MOST_WAITING = 1_000;

/** The version that answers, and the next one. */
export class Versions {
  readonly #init: VersionsInit;
  readonly #listeners = new Set<(version: DevVersion) => void>();
  readonly #calls = new Map<DevVersion, number>();
  readonly #idle = new Map<DevVersion, () => void>();
  #current: DevVersion | undefined;
  #failure: DevFailure | undefined;
  #work: Promise<void> | undefined;
  #candidate: AbortController | undefined;
  #again = false;
  #number = 0;
  #waiting = 0;
  #isClosed = false;
  readonly #retiring = new Set<Promise<void>>();

  constructor(init: VersionsInit) {
    this.#init = init;
  }

  /** What is wrong with the files as they are, if anything is. */
  get failure(): DevFailure | undefined {
    return this.#failure;
  }

  /** The version that answers, without waiting. */
  get answering(): DevVersion | undefined {
    return this.#current;
  }

  /** Calls a listener with each version that begins to answer. Returns what ends that. */
  onAnswering(listener: (version: DevVersion) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Looks whether files have changed, and begins the next version if so. Never rejects. */
  async look(): Promise<void> {
    const files = await this.#init.stamps?.look().catch(() => []) ?? [];
    if (files.length > 0) this.#changed(files);
  }

  /** Starts the first version. Resolves when it answers, or doesn't. */
  async start(): Promise<void> {
    await this.#init.stamps?.look();
    await this.#begin();
  }

  /**
   * Returns the version of the files as they are now.
   *
   * @throws {NoVersionError} If none answers, or not in time
   */
  async current(): Promise<DevVersion> {
    await this.look();
    if (this.#work === undefined && (this.#current === undefined || this.#current.hasEnded())) {
      // It has ended by itself. One that never began waits for a change
      if (this.#failure === undefined) void this.#begin();
    }
    if (this.#work !== undefined) await this.#wait();
    const current = this.#current;
    if (current !== undefined && !current.hasEnded()) return current;
    throw new NoVersionError(
      this.#failure ?? { message: "The server has ended: call again", output: "" },
    );
  }

  /** Keeps a version for a call that it has. Returns what ends that. */
  hold(version: DevVersion): () => void {
    this.#calls.set(version, (this.#calls.get(version) ?? 0) + 1);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      const left = (this.#calls.get(version) ?? 1) - 1;
      if (left > 0) return void this.#calls.set(version, left);
      this.#calls.delete(version);
      this.#idle.get(version)?.();
    };
  }

  /** Ends every version. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#candidate?.abort(new Error("Closed"));
    await this.#work;
    await this.#current?.close();
    for (const idle of this.#idle.values()) idle();
    await Promise.all(this.#retiring);
  }

  async #wait(): Promise<void> {
    if (this.#waiting >= MOST_WAITING) {
      throw new NoVersionError({ message: "Call again: too many calls wait", output: "" });
    }
    this.#waiting++;
    const late = Promise.withResolvers<void>();
    const stop = this.#init.clock.timer(this.#init.waitMs, () => {
      late.reject(
        new NoVersionError({ message: "Call again: the server still starts", output: "" }),
      );
    });
    try {
      // A change meanwhile makes another one
      while (this.#work !== undefined) await Promise.race([this.#work, late.promise]);
    } finally {
      stop();
      late.resolve();
      this.#waiting--;
    }
  }

  #changed(files: readonly string[]): void {
    this.#init.report({ type: "changed", files });
    void this.#begin();
  }

  #begin(): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    if (this.#work !== undefined) {
      this.#again = true;
      this.#candidate?.abort(new Error("Changed again"));
      return this.#work;
    }
    return this.#work = this.#replace().finally(() => this.#work = undefined);
  }

  async #replace(): Promise<void> {
    do {
      this.#again = false;
      await this.#next();
    } while (this.#again && !this.#isClosed);
  }

  async #next(): Promise<void> {
    const before = this.#current;
    // At a port of its own there can be only one
    if (before?.isFixed) await this.#retire(before);
    const candidate = this.#candidate = new AbortController();
    const began = this.#init.clock.now();
    try {
      const version = await this.#init.launch({
        number: ++this.#number,
        signal: candidate.signal,
      });
      if (this.#isClosed) return await version.close();
      this.#current = version;
      this.#failure = undefined;
      void version.ended.then((failure) => this.#ended(version, failure));
      const ms = this.#init.clock.now() - began;
      this.#init.report({ type: "answers", number: version.number, ms });
      for (const listener of [...this.#listeners]) listener(version);
      if (before !== undefined && !before.isFixed) this.#later(this.#retire(before));
    } catch (error) {
      if (candidate.signal.aborted) return;
      this.#failure = error instanceof LaunchError
        ? error.failure
        : { message: error instanceof Error ? error.message : String(error), output: "" };
      if (before?.isFixed) this.#current = undefined;
      const answering = this.#current !== undefined && !this.#current.hasEnded();
      this.#init.report({ type: "failed", failure: this.#failure, answering });
    }
  }

  #later(done: Promise<void>): void {
    this.#retiring.add(done);
    void done.finally(() => this.#retiring.delete(done));
  }

  #ended(version: DevVersion, failure: DevFailure): void {
    if (version !== this.#current || this.#isClosed) return;
    this.#current = undefined;
    this.#init.report({ type: "ended", failure });
  }

  /** Ends a version once its calls are done, or the grace period is over. */
  async #retire(version: DevVersion): Promise<void> {
    if (version === this.#current) this.#current = undefined;
    if (this.#calls.has(version)) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#idle.set(version, resolve);
      const stop = this.#init.clock.timer(this.#init.graceMs, resolve);
      await promise;
      stop();
      this.#idle.delete(version);
    }
    await version.close();
  }
}
