/**
 * SQLite files whose process dies between any two steps, and whose disk fails or is full for a time. The
 * files are real: what a process that died has committed is found by the next one.
 *
 * @module
 */
import { copyFileSync, existsSync, mkdtempSync, rmSync, statSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SqlFile } from "../../src/sql/file.ts";
import type { SqlValue } from "../../src/sql/sql.ts";
import type { Random } from "./environment.ts";

/** The error in a process that is dead: nobody gets it. */
class ProcessDied extends Error {}

/** The most bytes at the end of the write-ahead log that a power cut takes. */
const MOST_CUT = 20_000;

/** What a process does to its file, until it dies. */
class FaultyFile extends SqlFile {
  readonly #disk: Disk;
  #released = false;
  /** The steps until the process dies. */
  stepsLeft = Infinity;
  dead = false;

  constructor(path: string, disk: Disk) {
    super({ path, maxBytes: 64 * 1024 * 1024, synchronous: "normal" });
    this.#disk = disk;
  }

  override exec(query: string, ...bindings: SqlValue[]) {
    this.#step();
    if (!/^\s*SELECT/i.test(query)) this.#disk.check();
    const result = super.exec(query, ...bindings);
    this.#step();
    return result;
  }

  override atomic<T>(work: () => T): T {
    this.#step();
    const result = super.atomic(work);
    this.#step();
    return result;
  }

  override shrink(): void {
    this.#step();
    super.shrink();
  }

  override close(): void {
    if (!this.dead) this.release();
  }

  #step(): void {
    if (this.dead) throw new ProcessDied();
    if (--this.stepsLeft > 0) return;
    this.#disk.die(this);
    throw new ProcessDied();
  }

  /** Lets go of the file of a process that is dead. */
  release(): void {
    if (!this.#released) super.close();
    this.#released = true;
  }
}

/** The disk of one process after the other. */
export class Disk {
  readonly #folder = mkdtempSync(join(tmpdir(), "simulation-"));
  readonly #dead: FaultyFile[] = [];
  #file: FaultyFile | undefined;
  #path: string;
  #count = 0;
  #failing = 0;
  #error = "";
  /** Called when the process has died at one of its steps. */
  onDeath: () => void = () => {};

  constructor() {
    this.#path = this.#next();
  }

  #next(): string {
    return join(this.#folder, `${++this.#count}.sqlite`);
  }

  /** Opens the file, as a new process does. */
  open(): SqlFile {
    this.#file = new FaultyFile(this.#path, this);
    return this.#file;
  }

  /** Lets the process die some steps later. */
  dieAfter(steps: number): void {
    if (this.#file !== undefined) this.#file.stepsLeft = steps;
  }

  /** Takes the file away from a process that died at one of its steps. */
  die(file: FaultyFile): void {
    if (file !== this.#file) return;
    this.leave();
    this.onDeath();
  }

  /**
   * Leaves the file as it is in a process that has died.
   *
   * @param random Says what a power cut takes of what was not written to the disk yet; nothing when left out
   */
  leave(random?: Random): void {
    const file = this.#file;
    if (file === undefined || file.dead) return;
    file.dead = true;
    this.#dead.push(file);
    const before = this.#path;
    this.#path = this.#next();
    copyFileSync(before, this.#path);
    const [log, next] = [`${before}-wal`, `${this.#path}-wal`];
    if (!existsSync(log)) return;
    copyFileSync(log, next);
    if (random === undefined) return;
    const { size } = statSync(next);
    truncateSync(next, random.int(Math.max(0, size - MOST_CUT), size));
  }

  /** Lets writes fail, until the returned function is called. */
  fail(error: string): () => void {
    this.#failing += 1;
    this.#error = error;
    return () => void (this.#failing -= 1);
  }

  /** Throws if writes fail at present. */
  check(): void {
    if (this.#failing > 0) throw new Error(this.#error);
  }

  /** Counts the rows of a table. */
  count(table: string): number {
    const rows = this.#file?.exec(`SELECT count(*) AS rows FROM ${table}`).toArray() ?? [];
    return Number(rows[0]?.rows ?? 0);
  }

  /** Removes everything. */
  remove(): void {
    for (const file of this.#dead) file.release();
    this.#file?.release();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
