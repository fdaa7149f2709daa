/**
 * What every {@linkcode Documents} must do.
 *
 * @module
 */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import type { MaybePromise } from "../../src/internal/types.ts";
import { type Documents, MOST_DOCUMENT_BYTES } from "../../src/cluster/types.ts";
import { uniqueId } from "./unique.ts";

/** Documents under test. */
export interface DocumentsUnderTest {
  /** As each of the nodes sees them: the same in memory, one for each node elsewhere. */
  documents(): Documents;
  close(): MaybePromise<void>;
}

/** Makes a place for documents. */
export type MakeDocuments = () => MaybePromise<DocumentsUnderTest>;

/** Runs the suite against what `make` makes. */
export function documentsContract(name: string, make: MakeDocuments): void {
  async function using(run: (a: Documents, b: Documents) => Promise<void>): Promise<void> {
    const made = await make();
    try {
      await run(made.documents(), made.documents());
    } finally {
      await made.close();
    }
  }

  describe(`${name}`, () => {
    test("[CLU-9] what one node puts all get, with versions that rise by one", async () => {
      await using(async (a, b) => {
        const name = uniqueId();
        assert.equal(await b.get(name), undefined);
        assert.equal(await a.put(name, '{"a":1}'), 1);
        assert.deepEqual(await b.get(name), { version: 1, text: '{"a":1}' });
        assert.equal(await b.put(name, "null"), 2);
        assert.deepEqual(await a.get(name), { version: 2, text: "null" });
      });
    });

    test("[CLU-9] who expects another version than there is changes nothing", async () => {
      await using(async (a, b) => {
        const name = uniqueId();
        assert.equal(await a.put(name, "1", 1), undefined);
        assert.equal(await a.put(name, "1", 0), 1);
        assert.equal(await b.put(name, "2", 0), undefined);
        assert.equal(await b.put(name, "2", 1), 2);
        assert.equal(await a.put(name, "3", 1), undefined);
        assert.deepEqual(await a.get(name), { version: 2, text: "2" });
      });
    });

    test("[CLU-9] of many who expect the same version one succeeds", async () => {
      await using(async (a, b) => {
        const name = uniqueId();
        const versions = await Promise.all(
          Array.from({ length: 10 }, (_, i) => (i % 2 === 0 ? a : b).put(name, `${i}`, 0)),
        );
        assert.deepEqual(versions.filter((version) => version !== undefined), [1]);
        assert.equal((await a.get(name))?.text, `${versions.indexOf(1)}`);
      });
    });

    test("[CLU-9] names are apart, odd ones too, and texts come back as they were", async () => {
      await using(async (a, b) => {
        const name = uniqueId();
        const texts = ["", '"ü😀\\u2028\\0"', `"${"x".repeat(MOST_DOCUMENT_BYTES - 2)}"`];
        for (const [i, text] of texts.entries()) await a.put(`${name}:${i}`, text);
        for (const [i, text] of texts.entries()) {
          assert.equal((await b.get(`${name}:${i}`))?.text, text);
        }
        assert.equal(await b.get("__proto__"), undefined);
        assert.equal(await b.get(name), undefined);
      });
    });
  });
}
