/**
 * Clients of both eras, and the history of what each sent and got.
 *
 * @module
 */
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { as } from "../support/wire.ts";
import { envelope, headersFor } from "../support/modern.ts";
import { NodeDied, type SimulatedNode } from "./node.ts";
import type { Environment, Random } from "./environment.ts";
import type { Action, ClientPlan } from "./plan.ts";

const URL = "https://mcp.example/mcp";
const VERSION = "2025-11-25";
/** The time for which a client comes back for an answer, in milliseconds. */
const PATIENCE_MS = 120_000;
/** The time for which it waits for a stream to begin, in milliseconds. */
const GET_MS = 3_000;
/** The time before it comes back, in milliseconds. */
const AGAIN_MS = 200;

/** What became of a call. */
export interface CallRecord {
  readonly call: string;
  readonly id: number;
  readonly era: string;
  readonly action: Action & { readonly do: "call" };
  readonly began: number;
  /** Every response that came for it. */
  readonly answers: JsonObject[];
  readonly progress: number[];
  /** The statuses that it got, that of the POST first. */
  readonly statuses: number[];
  /** Whether the client has an id with which it can come back. */
  resumable: boolean;
  /** Whether its connection broke before a status came, or for good. */
  lost: boolean;
  cancelledAt: number | undefined;
  /** When the cancellation was sent. */
  cancelSentAt: number;
  ended: number | undefined;
}

/** What a client needs. */
export interface ClientSurroundings {
  readonly environment: Environment;
  /** A node that isn't dead. */
  node(random: Random): SimulatedNode;
  note(text: string): void;
  fail(what: string): void;
}

interface Reading {
  lastId: string | undefined;
}

/** One client, from its first request to its last. */
export class SimulatedUser {
  readonly calls: CallRecord[] = [];
  /** The notifications that it got. */
  readonly heard: string[] = [];
  readonly name: string;
  readonly #plan: ClientPlan;
  readonly #around: ClientSurroundings;
  readonly #random: Random;
  sessionId: string | undefined;
  /** Whether the client doesn't know what became of its first request. */
  unclear = false;
  /** Whether the session was lost, as a failover may lose it. */
  gone = false;
  #ids = 0;
  #done = false;
  #following: ReadableStreamDefaultReader<Uint8Array> | undefined;

  constructor(name: string, plan: ClientPlan, random: Random, around: ClientSurroundings) {
    this.name = name;
    this.#plan = plan;
    this.#random = random;
    this.#around = around;
  }

  /** Does all that is planned, and ends the session. */
  async run(): Promise<void> {
    const { environment } = this.#around;
    const { era, actions } = this.#plan;
    if (era === "2025" && !await this.#begin()) return;
    const following = era === "2025" ? this.#follow() : undefined;
    await Promise.all(actions.map(async (action) => {
      await environment.sleep(action.at);
      await this.#act(action);
    }));
    await environment.sleep(1_000);
    this.#done = true;
    await this.#following?.cancel().catch(() => {});
    for (let tries = 0; this.sessionId !== undefined && tries < 50; tries++) {
      const response = await this.#send("DELETE");
      await response?.body?.cancel();
      if (response !== undefined && response.status < 500) break;
      await environment.sleep(AGAIN_MS);
    }
    await following;
  }

  async #begin(): Promise<boolean> {
    const { environment } = this.#around;
    for (let tries = 0; tries < 50; tries++) {
      const response = await this.#post({
        ...{ jsonrpc: "2.0", id: 0, method: "initialize" },
        params: {
          protocolVersion: VERSION,
          capabilities: { elicitation: {} },
          clientInfo: { name: "simulated", version: "1.0.0" },
        },
      });
      await response?.text().catch(() => {});
      // A session may have begun that the client knows nothing of.
      if (response?.status !== 200) this.unclear = true;
      if (response?.status === 200) {
        this.sessionId = response.headers.get("mcp-session-id") ?? undefined;
        const initialized = { jsonrpc: "2.0", method: "notifications/initialized" };
        for (let again = 0; again < 50; again++) {
          if ((await this.#post(initialized))?.status === 202) return true;
          await environment.sleep(AGAIN_MS);
        }
        return true;
      }
      await environment.sleep(AGAIN_MS);
    }
    this.#around.fail(`${this.name} can't begin a session`);
    return false;
  }

  async #act(action: Action): Promise<void> {
    if (action.do === "call") return await this.#call(action);
    if (this.sessionId === undefined) return;
    if (action.do === "steal") return await this.#steal();
    if (action.do === "state") return await this.#state();
    const text = `${this.name} hears ${++this.#ids}`;
    const node = this.#around.node(this.#random);
    const data = { level: "error", data: text };
    node.run(() =>
      void node.handler.notify(this.sessionId ?? "", {
        method: "notifications/message",
        params: data,
      })
        .catch(() => {})
    );
  }

  async #call(action: Action & { readonly do: "call" }): Promise<void> {
    const { environment, note } = this.#around;
    const { era } = this.#plan;
    const id = ++this.#ids;
    const record: CallRecord = {
      ...{ call: `${this.name}/${id}`, id, era, action, began: environment.now },
      ...{ answers: [], progress: [], statuses: [], resumable: false, lost: false },
      ...{ cancelledAt: undefined, cancelSentAt: 0, ended: undefined },
    };
    this.calls.push(record);
    const { steps, stepMs, ask, cancelMs } = action;
    const params: JsonObject = {
      name: action.again ? "again" : "work",
      arguments: { call: record.call, steps, stepMs, ask },
      _meta: { progressToken: record.call },
    };
    if (era === "2025" && cancelMs > 0) {
      environment.after(cancelMs, () => void this.#cancel(record));
    }
    await this.#exchange(record, params);
    const [answer] = record.answers;
    if (era === "2026" && isObject(answer?.result) && isObject(answer.result.inputRequests)) {
      record.answers.length = 0;
      const word = { action: "accept", content: { word: record.call } };
      const { requestState } = answer.result;
      await this.#exchange(record, { ...params, inputResponses: { word }, requestState });
    }
    record.ended = environment.now;
    note(`${record.call}: ${record.statuses} ${record.progress} ${JSON.stringify(record.answers)}`);
  }

  async #exchange(record: CallRecord, params: JsonObject): Promise<void> {
    const { environment } = this.#around;
    const message = { jsonrpc: "2.0", id: record.id, method: "tools/call", params };
    const reading: Reading = { lastId: undefined };
    let response = await this.#post(message);
    if (response === undefined) {
      record.lost = true;
      return;
    }
    let cut = record.action.cutAfter;
    const end = environment.now + PATIENCE_MS;
    for (;;) {
      if (response !== undefined) {
        record.statuses.push(response.status);
        if (response.status === 200) {
          const take = (received: JsonObject) => this.#take(record, received);
          const idleMs = record.era === "2025" ? record.action.idleMs : 0;
          await this.#read(response, reading, cut, take, false, idleMs);
          cut = 0;
        } else await response.text().catch(() => {});
        if (response.status !== 200 && response.status < 500) break;
      }
      record.resumable ||= reading.lastId !== undefined;
      const over = record.answers.length > 0 || !record.resumable || environment.now > end;
      if (over || this.sessionId === undefined || record.cancelledAt !== undefined) break;
      await environment.sleep(AGAIN_MS);
      response = await this.#send("GET", undefined, { "last-event-id": reading.lastId ?? "" });
    }
    if (record.answers.length === 0) record.lost ||= !record.resumable;
  }

  #take(record: CallRecord, message: JsonObject): void {
    if (message.id === record.id && message.method === undefined) record.answers.push(message);
    else if (message.method === "elicitation/create") void this.#reply(record, message);
    else if (message.method === "notifications/progress" && isObject(message.params)) {
      if (message.params.progressToken !== record.call) {
        this.#around.fail(`${record.call} got the progress of ${message.params.progressToken}`);
      }
      // "Still running", which says nothing of the tool
      if (Number(message.params.progress) < 1) return;
      record.progress.push(Number(message.params.progress));
    }
  }

  async #reply(record: CallRecord, { id }: JsonObject): Promise<void> {
    const result = { action: "accept", content: { word: record.call } };
    for (let tries = 0; tries < 20; tries++) {
      const response = await this.#post({ jsonrpc: "2.0", id, result });
      if (response !== undefined && response.status < 500) return;
      await this.#around.environment.sleep(AGAIN_MS);
    }
  }

  async #cancel(record: CallRecord): Promise<void> {
    if (record.answers.length > 0) return;
    const params = { requestId: record.id };
    record.cancelSentAt = this.#around.environment.now;
    const response = await this.#post({
      ...{ jsonrpc: "2.0", method: "notifications/cancelled", params },
    });
    if (response?.status === 202) record.cancelledAt = this.#around.environment.now;
  }

  async #steal(): Promise<void> {
    const ping = { jsonrpc: "2.0", id: "steal", method: "ping" };
    const thief = as("mallory");
    const stolen = await this.#post(ping, thief);
    const stolenText = await stolen?.text().catch(() => undefined);
    const unknown = await this.#post(ping, { ...thief, "mcp-session-id": "A".repeat(43) });
    const unknownText = await unknown?.text().catch(() => undefined);
    if (stolen === undefined || unknown === undefined) return;
    if (stolen.status === 200) this.#around.fail(`${this.name}: a thief got ${stolenText}`);
    if (stolen.status >= 500 || unknown.status >= 500) return;
    if (stolen.status !== unknown.status || stolenText !== unknownText) {
      this.#around.fail(`${this.name}: a foreign session looks unlike an unknown one`);
    }
  }

  async #state(): Promise<void> {
    const value = `${this.name} ${++this.#ids}`;
    const said = async (name: string, args: JsonObject) => {
      const id = ++this.#ids;
      const params = { name, arguments: args };
      const response = await this.#post({ jsonrpc: "2.0", id, method: "tools/call", params }, {
        accept: "application/json",
      });
      if (response?.status !== 200) return undefined;
      const { result }: JsonObject = await response.json().catch(() => ({}));
      if (!isObject(result) || result.isError || !Array.isArray(result.content)) return undefined;
      return String(result.content[0]?.text);
    };
    if (await said("set", { value }) === undefined) return;
    const read = await said("get", {});
    // Another write of the same client may be later.
    if (read !== undefined && !read.startsWith(this.name)) {
      this.#around.fail(`${this.name} wrote ${value} and read ${read}`);
    }
  }

  /** Listens to the session until the client is done. */
  async #follow(): Promise<void> {
    const reading: Reading = { lastId: undefined };
    while (!this.#done && !this.gone) {
      const headers: Record<string, string> = {};
      if (reading.lastId !== undefined) headers["last-event-id"] = reading.lastId;
      const response = await this.#send("GET", undefined, headers);
      if (response?.status === 404 && !this.#done) this.gone = true;
      if (response?.status === 200) {
        await this.#read(response, reading, 0, (message) => {
          if (message.method !== "notifications/message" || !isObject(message.params)) return;
          this.heard.push(String(message.params.data));
        }, true);
      } else await response?.text().catch(() => {});
      await this.#around.environment.sleep(AGAIN_MS);
    }
  }

  async #read(
    response: Response,
    reading: Reading,
    cutAfter: number,
    take: (message: JsonObject) => void,
    following = false,
    idleMs = 0,
  ): Promise<void> {
    if (!response.headers.get("content-type")?.startsWith("text/event-stream")) {
      const node = this.#nodes.get(response);
      const text = await (node?.alive(response.text()) ?? response.text()).catch(() => undefined);
      if (text !== undefined) take(JSON.parse(text));
      return;
    }
    const reader = response.body?.getReader();
    if (reader === undefined) return;
    if (following) this.#following = reader;
    const decoder = new TextDecoder();
    const node = this.#nodes.get(response);
    let text = "";
    let count = 0;
    try {
      for (;;) {
        const next = node?.alive(reader.read()) ?? reader.read();
        const read = await (idleMs > 0 ? this.#within(idleMs, next) : next);
        if (read === undefined) {
          void reader.cancel().catch(() => {});
          return;
        }
        const { done, value } = read;
        if (done) return;
        const frames = (text + decoder.decode(value, { stream: true })).split("\n\n");
        text = frames.pop() ?? "";
        for (const frame of frames) {
          const [, id] = /^id: (.*)$/m.exec(frame) ?? [];
          const [, data] = /^data: (.+)$/m.exec(frame) ?? [];
          if (id !== undefined) reading.lastId = id;
          if (data !== undefined) take(JSON.parse(data));
          if (cutAfter > 0 && ++count >= cutAfter && reading.lastId !== undefined) {
            await reader.cancel();
            return;
          }
        }
      }
    } catch (error) {
      if (!(error instanceof NodeDied)) this.#around.note(`${this.name}: ${error}`);
    }
  }

  /** Waits for a time at most. Returns `undefined` when it is over. */
  #within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      const stop = this.#around.environment.after(ms, () => resolve(undefined));
      promise.finally(stop).then(resolve, reject);
    });
  }

  readonly #nodes = new WeakMap<Response, SimulatedNode>();

  #post(message: JsonObject, more: Readonly<Record<string, string>> = {}) {
    if (this.#plan.era === "2025") return this.#send("POST", message, more);
    const params: JsonObject = isObject(message.params) ? message.params : {};
    const meta = isObject(params._meta) ? params._meta : {};
    const _meta = envelope({ elicitation: {} }, meta);
    const whole = { ...message, params: { ...params, _meta } };
    return this.#send("POST", whole, { ...headersFor(String(message.method), params), ...more });
  }

  /** Sends a request to some node. Returns `undefined` when that dies before it answers. */
  async #send(
    method: string,
    message?: JsonObject,
    more: Readonly<Record<string, string>> = {},
  ): Promise<Response | undefined> {
    const node = this.#around.node(this.#random);
    const headers: Record<string, string> = {
      ...{ "content-type": "application/json", ...as(this.#plan.owner) },
      accept: method === "GET" ? "text/event-stream" : "application/json, text/event-stream",
      ...this.sessionId === undefined ? {} : { "mcp-session-id": this.sessionId },
      ...this.#plan.era === "2025" ? { "mcp-protocol-version": VERSION } : {},
      ...more,
    };
    if (message?.method === "initialize") delete headers["mcp-protocol-version"];
    const body = message === undefined ? null : JSON.stringify(message);
    try {
      const fetched = node.fetch(new Request(URL, { method, headers, body }));
      // A client tries another node when one stands still; a call isn't sent twice.
      const response = await (method === "GET" ? this.#within(GET_MS, fetched) : fetched);
      if (response === undefined) {
        fetched.then((late) => late.body?.cancel()).catch(() => {});
        return undefined;
      }
      this.#nodes.set(response, node);
      return response;
    } catch (error) {
      if (!(error instanceof NodeDied)) this.#around.note(`${this.name}: ${error}`);
      return undefined;
    }
  }
}
