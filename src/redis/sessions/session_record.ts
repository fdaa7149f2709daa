/**
 * Encodes session records for Redis and decodes them.
 *
 * @module
 */
import { isObject } from "../../protocol/jsonrpc.ts";
import type { ClientFacts } from "../../protocol/exchange.ts";
import { isLogLevel } from "../../protocol/shapes.ts";
import { isVersion } from "../../protocol/versions.ts";
import type { SessionRecord } from "../../sessions/types.ts";
import { foreignData, parseJson } from "../replies.ts";
import type { Sealer } from "../seal.ts";

/**
 * The form of the encoded fields. A form that older nodes would misread gets a higher number: they
 * then refuse the record, and newer nodes serve its session. Fields may be added without.
 */
const FORM = 1;
/** Limits the remembered records. */
const MOST_RECORDS = 8_192;
/** The most characters of the remembered records, as they are stored. */
const MOST_CHARS = 8 * 1024 * 1024;

/** The texts of `initialized` in a record. */
const INITIALIZED = new Map<string, SessionRecord["initialized"]>([["1", true], ["s", "sending"]]);

/** Returns the text of `initialized` in a record; an empty one for `false`. */
export function initText(initialized: SessionRecord["initialized"]): string {
  return initialized === "sending" ? "s" : initialized ? "1" : "";
}

/** The part of a record that its sealed text contains. */
type SealedRecord = Omit<SessionRecord, "initialized" | "logLevel">;

/** Encodes the sealed part of a session's record as JSON. */
export function writeRecord(
  { id, owner, createdAt, protocolVersion, client }: SealedRecord,
): string {
  return JSON.stringify({ form: FORM, id, owner, createdAt, protocolVersion, client });
}

/**
 * Decodes what {@linkcode writeRecord} has encoded.
 *
 * @throws {Error} If a newer version wrote it in a form that this one doesn't know, or if the data
 * can't be a record of this store
 */
export function readRecord(id: string, text: string): SealedRecord {
  const what = "session";
  const value = parseJson(text, what);
  if (!isObject(value) || value.id !== id) throw foreignData(what);
  const { form, owner, createdAt, protocolVersion, client } = value;
  if (form !== FORM) throw new Error(`Update this node: a newer one wrote the session: ${form}`);
  if (
    typeof createdAt !== "number" || !isClient(client) ||
    owner !== undefined && typeof owner !== "string" ||
    protocolVersion !== undefined && !isVersion(protocolVersion)
  ) throw foreignData(what);
  return { id, owner, createdAt, protocolVersion, client };
}

function isClient(value: unknown): value is ClientFacts {
  return isObject(value) && isObject(value.capabilities) &&
    (value.info === undefined || isObject(value.info) && typeof value.info.name === "string" &&
        typeof value.info.version === "string");
}

/** Limits what {@linkcode SessionRecords} remembers. */
export interface RecordLimits {
  /** Limits the records. */
  readonly records?: number;
  /** Limits their characters as they are stored. */
  readonly chars?: number;
}

/**
 * Seals records and opens them. What was opened is remembered by its sealed text, so that a session
 * that has not changed is decrypted once.
 */
export class SessionRecords {
  readonly #sealer: Sealer;
  readonly #most: Required<RecordLimits>;
  readonly #opened = new Map<string, SealedRecord>();
  #chars = 0;

  constructor(sealer: Sealer, { records = MOST_RECORDS, chars = MOST_CHARS }: RecordLimits = {}) {
    this.#sealer = sealer;
    this.#most = { records, chars };
  }

  /** Returns the numbers of the records that are remembered, and of their characters. */
  get size(): Required<RecordLimits> {
    return { records: this.#opened.size, chars: this.#chars };
  }

  /** Seals the part of a record that the session's owner has not changed. */
  seal(record: SealedRecord): string {
    return this.#sealer.seal(writeRecord(record), "session", record.id);
  }

  /**
   * Opens a session's record.
   *
   * @param init The field that says whether the session is initialized
   * @param level The field with the log level, or an empty string
   * @throws {Error} If it is not the record of this session, or a newer version wrote it
   */
  open(id: string, sealed: string, init: string, level: string): SessionRecord {
    const known = this.#opened.get(sealed);
    const logLevel = isLogLevel(level) ? level : undefined;
    // It may be the record of another session.
    if (known !== undefined && known.id !== id || level !== "" && logLevel === undefined) {
      throw foreignData("session");
    }
    const record = known ?? readRecord(id, this.#sealer.open(sealed, "session", id));
    if (known === undefined) this.#remember(sealed, record);
    return { ...record, initialized: INITIALIZED.get(init) ?? false, logLevel };
  }

  #remember(sealed: string, record: SealedRecord): void {
    this.#opened.set(sealed, record);
    this.#chars += sealed.length;
    for (const oldest of this.#opened.keys()) {
      if (this.#opened.size <= this.#most.records && this.#chars <= this.#most.chars) return;
      this.#opened.delete(oldest);
      this.#chars -= oldest.length;
    }
  }
}
