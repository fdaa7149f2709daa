/**
 * The published schemas of `server.json` and of server cards.
 *
 * @module
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Validator } from "@cfworker/json-schema";

function validator(file: string, ref?: string): Validator {
  const url = new URL(`../../fixtures/discovery/${file}`, import.meta.url);
  const schema = JSON.parse(readFileSync(url, "utf8"));
  return new Validator(ref === undefined ? schema : { ...schema, $ref: ref }, "7", false);
}

const SERVER_JSON = validator("server.schema.json");
const SERVER_CARD = validator("server-card.schema.json", "#/$defs/ServerCard");

/** Fails if a document is not a `server.json`. */
export function assertServerJson(document: unknown): void {
  assertValid(SERVER_JSON, document);
}

/** Fails if a document is no server card. */
export function assertServerCard(document: unknown): void {
  assertValid(SERVER_CARD, document);
}

function assertValid(validator: Validator, document: unknown): void {
  const { valid, errors } = validator.validate(JSON.parse(JSON.stringify(document)));
  assert.ok(valid, JSON.stringify(errors));
}
