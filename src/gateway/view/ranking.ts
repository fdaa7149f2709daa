/**
 * Ranks tools by how well their texts fit a query (BM25).
 *
 * @module
 */
import type { JsonObject } from "../../../mod.ts";
import { isObject } from "../../kit.ts";

/** The most characters of one tool that are indexed, and of a query. */
const MAX_TEXT = 8192;
/** The most words of a query. */
const MAX_QUERY_WORDS = 32;
/** Limits how deeply the properties of an input schema are read. */
const MAX_DEPTH = 4;

/** Say how much a word counts by where it stands. */
const WEIGHTS = { name: 3, title: 2, description: 1, argument: 1, about: 0.5 } as const;
/** How much a name counts that begins with a word of the query, or the other way round. */
const SIMILAR = 0.5;
/** The characters that a word must have to be compared by its beginning. */
const MIN_START = 3;

/** The usual constants of BM25: how soon repetition stops to count, and how much length does. */
const K1 = 1.2;
const B = 0.75;

/** The words of one tool. */
interface Words {
  /** Maps words to how often they occur, weighted. */
  readonly counts: ReadonlyMap<string, number>;
  /** The words of its name. */
  readonly name: readonly string[];
  readonly length: number;
}

/** The words of tools for as long as their entries are listed. */
const INDEX = new WeakMap<JsonObject, Words>();

/**
 * Returns the tools that a query fits, the best first. What is ranked depends on these tools alone: one
 * that isn't among them changes nothing.
 *
 * @param tools Entries of lists of tools. The same objects are read once
 */
export function rankTools(tools: readonly JsonObject[], query: string): readonly JsonObject[] {
  const wanted = [...new Set(wordsOf(query))].slice(0, MAX_QUERY_WORDS);
  const all = tools.map((tool) => ({ tool, words: indexed(tool) }));
  const average = all.reduce((sum, { words }) => sum + words.length, 0) / (all.length || 1);
  const scores = new Map<JsonObject, number>();
  for (const word of wanted) {
    const found = all.flatMap(({ tool, words }) => {
      const count = words.counts.get(word) ?? similar(words, word);
      return count === 0 ? [] : [{ tool, words, count }];
    });
    const rarity = Math.log(1 + (all.length - found.length + 0.5) / (found.length + 0.5));
    for (const { tool, words, count } of found) {
      const norm = count + K1 * (1 - B + B * words.length / (average || 1));
      scores.set(tool, (scores.get(tool) ?? 0) + rarity * count * (K1 + 1) / norm);
    }
  }
  const exact = query.trim().toLowerCase();
  const score = (tool: JsonObject) =>
    String(tool.name).toLowerCase() === exact ? Infinity : scores.get(tool) ?? 0;
  // Sorting is stable: what fits as well as another stays in the order of the list.
  return tools.map((tool) => ({ tool, score: score(tool) })).filter(({ score }) => score > 0)
    .sort((a, b) => a.score === b.score ? 0 : b.score - a.score).map(({ tool }) => tool);
}

function similar({ name }: Words, word: string): number {
  if (word.length < MIN_START) return 0;
  const fits = name.some((own) =>
    own.length >= MIN_START && (own.startsWith(word) || word.startsWith(own))
  );
  return fits ? SIMILAR * WEIGHTS.name : 0;
}

function indexed(tool: JsonObject): Words {
  let words = INDEX.get(tool);
  if (words === undefined) INDEX.set(tool, words = index(tool));
  return words;
}

function index(tool: JsonObject): Words {
  const counts = new Map<string, number>();
  let length = 0;
  let room = MAX_TEXT;
  const add = (text: unknown, weight: number): readonly string[] => {
    if (typeof text !== "string" || room <= 0) return [];
    const words = wordsOf(text.slice(0, room));
    room -= text.length;
    for (const word of words) counts.set(word, (counts.get(word) ?? 0) + weight);
    length += words.length * weight;
    return words;
  };
  const name = add(tool.name, WEIGHTS.name);
  add(isObject(tool.annotations) ? tool.annotations.title : undefined, WEIGHTS.title);
  add(tool.title, WEIGHTS.title);
  add(tool.description, WEIGHTS.description);
  const addArguments = (schema: unknown, depth: number): void => {
    const { properties, items } = isObject(schema) ? schema : {};
    if (depth > MAX_DEPTH || room <= 0) return;
    if (items !== undefined) addArguments(items, depth + 1);
    for (const [key, property] of Object.entries(isObject(properties) ? properties : {})) {
      if (room <= 0) return;
      add(key, WEIGHTS.argument);
      add(isObject(property) ? property.description : undefined, WEIGHTS.about);
      addArguments(property, depth + 1);
    }
  };
  addArguments(tool.inputSchema, 1);
  return { counts, name, length };
}

const LETTERS = /[\p{L}\p{M}\p{N}]+/gu;
/** Matches scripts that are written without spaces: each of their characters is a word. */
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]/u;
/** Matches where a word begins inside of a name such as `createIssue` or `HTTPServer`. */
const INNER_WORD = /(?<=[\p{Ll}\p{N}])(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})/u;

/** Splits a text into words, without their endings. */
function wordsOf(text: string): readonly string[] {
  const runs = text.slice(0, MAX_TEXT).match(LETTERS) ?? [];
  return runs.flatMap((run) => UNSPACED.test(run) ? [...run] : run.split(INNER_WORD))
    .map((word) => stem(word.toLowerCase())).filter((word) => !STOP_WORDS.has(word));
}

/** Lists words that say nothing about a tool. */
const STOP_WORDS: ReadonlySet<string> = new Set(
  "a an and are as at be by for from if in is it of on or that the this to with".split(" "),
);

/** Removes the usual English endings, so that "issues" fits "issue" and "creating" fits "create". */
function stem(word: string): string {
  if (word.length <= 3 || !/^[a-z]+$/.test(word)) return word;
  const singular = word.replace(/ies$/, "y").replace(/(?<=[^s])s$/, "");
  const short = singular.replace(/(?:ing|ed)$/, "");
  return (short.length < MIN_START ? singular : short).replace(/e$/, "");
}
