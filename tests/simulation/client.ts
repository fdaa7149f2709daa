/**
 * Clients of both eras, and the history of what each sent and got.
 *
 * @module
 */
import { APPROVAL_KEY } from "../../src/calls/questions/approval.ts";
import { operatorView } from "../../src/handler/operator_view.ts";
import { shortHash } from "../../src/internal/random.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { NODE_LOST } from "../../src/protocol/node_loss.ts";
import { as } from "../support/wire.ts";
import { envelope, headersFor } from "../support/modern.ts";
import { NodeDied, type SimulatedNode } from "./node.ts";
import type { Random } from "./environment.ts";
import type { Action, ClientPlan, Plan } from "./plan.ts";
import type { ClientSurroundings, SimulatedPeer } from "./request.ts";
import { lastFaultEnds, LATE_TRIPS, stoppedLate } from "./times.ts";

const URL = "https://mcp.example/mcp";
const VERSION = "2025-11-25";
/** The time for which a client comes back for an answer, in milliseconds. */
const PATIENCE_MS = 120_000;
/** The time for which it waits for a stream to begin, in milliseconds. */
const GET_MS = 3_000;
/** The time before it comes back, in milliseconds. */
const AGAIN_MS = 200;
/** The most that a call of a calm plan takes beyond its steps, besides the client's coming back. */
const LATE_MS = 3_000;
/** The time in which a cancelled call stops while nothing goes wrong, in milliseconds. */
const CANCEL_MS = 1_000;
/**
 * The most that the answer for a node that has died takes, in milliseconds: ten seconds, and what the client
 * takes to come back.
 */
const LOST_MS = 16_000;
/**
 * The most that an answer takes after the last fault, in milliseconds, besides the run itself and the
 * packets: that a node is found lost, that the client comes back, and that it finds a stream.
 */
const LATEST_MS = 12_000;
/** The time in which the connection before a stream's new one is closed, in milliseconds. */
const REPLACED_MS = 75_000;

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

interface Reading {
  lastId: string | undefined;
}

/** One client, from its first request to its last. */
export class SimulatedUser implements SimulatedPeer {
  readonly calls: CallRecord[] = [];
  /** The notifications that it got. */
  readonly heard: string[] = [];
  readonly name: string;
  readonly #whole: Plan;
  readonly #plan: ClientPlan;
  readonly #around: ClientSurroundings;
  readonly #random: Random;
  sessionId: string | undefined;
  /** Whether the client doesn't know what became of its first request. */
  unclear = false;
  /** Whether the session was lost, as a failover may lose it. */
  gone = false;
  #ids = 0;
  #writes = 0;
  /** The writes that may yet have their effect: those that failed may, at any time. */
  #writing = 0;
  #done = false;
  #following: ReadableStreamDefaultReader<Uint8Array> | undefined;
  /** The stream that replaces the present one, and what happens when that has closed. */
  #next: { readonly response: Response; readonly closed: () => void } | undefined;
  /** When the client was told that its session has ended. */
  #endedAt = Infinity;

  constructor(
    name: string,
    plan: Plan,
    client: ClientPlan,
    random: Random,
    around: ClientSurroundings,
  ) {
    this.name = name;
    this.#whole = plan;
    this.#plan = client;
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
    this.#checkTables();
    for (let tries = 0; this.sessionId !== undefined && tries < 50; tries++) {
      const response = await this.#send("DELETE");
      await response?.body?.cancel();
      if (response !== undefined && response.status < 300) this.#endedAt = environment.now;
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
      if (response !== undefined) await this.#text(response);
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
    if (action.do === "listen") return await this.#listenAgain();
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
      name: action.approve ? "approved" : action.again ? "again" : "work",
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
      const inputResponses = {
        word: { action: "accept", content: { word: record.call } },
        ...action.approve && { [APPROVAL_KEY]: { action: "accept", content: { approve: true } } },
      };
      const { requestState } = answer.result;
      const retry = { ...params, inputResponses, requestState };
      // The same approval once more, at another node perhaps
      const thief = action.approve ? this.#retryAgain(record, retry) : undefined;
      await this.#exchange(record, retry);
      await thief;
    }
    record.ended = environment.now;
    note(`${record.call}: ${record.statuses} ${record.progress} ${JSON.stringify(record.answers)}`);
  }

  async #retryAgain({ id }: CallRecord, params: JsonObject): Promise<void> {
    const message = { jsonrpc: "2.0", id, method: "tools/call", params };
    const response = await this.#post(message);
    if (response === undefined) return;
    await this.#text(response);
  }

  /** Reads a whole body. Returns `undefined` if it breaks off: a node that dies leaves it without an end. */
  async #text(response: Response): Promise<string | undefined> {
    const text = response.text();
    return await (this.#nodes.get(response)?.alive(text) ?? text).catch(() => undefined);
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
    let cut = record.action.leave ? 1 : record.action.cutAfter;
    const end = environment.now + PATIENCE_MS;
    for (;;) {
      if (response !== undefined) {
        record.statuses.push(response.status);
        if (response.status === 200) {
          const take = (received: JsonObject) => this.#take(record, received);
          const idleMs = record.era === "2025" ? record.action.idleMs : 0;
          await this.#read(response, reading, cut, take, false, idleMs);
          cut = 0;
        } else await this.#text(response);
        if (response.status !== 200 && response.status < 500) break;
      }
      if (record.action.leave) break;
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
    else if (message.method === "elicitation/create") {
      void this.#reply(message, record.call, record.action.approve);
    } else if (message.method === "notifications/progress" && isObject(message.params)) {
      if (message.params.progressToken !== record.call) {
        this.#around.fail(`${record.call} got the progress of ${message.params.progressToken}`);
      }
      // "Still running", which says nothing of the tool
      if (Number(message.params.progress) < 1) return;
      record.progress.push(Number(message.params.progress));
    }
  }

  async #reply({ id }: JsonObject, call: string, approve = false): Promise<void> {
    const content = approve ? { approve: true } : { word: call };
    const result = { action: "accept", content };
    if (approve) void this.#post({ jsonrpc: "2.0", id, result });
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
    // It may be cancelled at any time.
    else if (response === undefined || response.status >= 500) record.cancelledAt = Infinity;
  }

  async #steal(): Promise<void> {
    const ping = { jsonrpc: "2.0", id: "steal", method: "ping" };
    const thief = as("mallory");
    const stolen = await this.#post(ping, thief);
    const stolenText = stolen && await this.#text(stolen);
    const unknown = await this.#post(ping, { ...thief, "mcp-session-id": "A".repeat(43) });
    const unknownText = unknown && await this.#text(unknown);
    if (stolen === undefined || unknown === undefined) return;
    if (stolen.status === 200) this.#around.fail(`${this.name}: a thief got ${stolenText}`);
    if (stolenText === undefined || unknownText === undefined) return;
    if (stolen.status >= 500 || unknown.status >= 500) return;
    if (stolen.status !== unknown.status || stolenText !== unknownText) {
      this.#around.fail(`${this.name}: a foreign session looks unlike an unknown one`);
    }
  }

  async #state(): Promise<void> {
    const alone = this.#writing === 0;
    const write = ++this.#writes;
    const value = `${this.name} ${++this.#ids}`;
    const said = async (name: string, args: JsonObject) => {
      const id = ++this.#ids;
      const params = { name, arguments: args };
      const response = await this.#post({ jsonrpc: "2.0", id, method: "tools/call", params }, {
        accept: "application/json",
      });
      if (response?.status !== 200) return undefined;
      const { result }: JsonObject = JSON.parse(await this.#text(response) ?? "{}");
      if (!isObject(result) || result.isError || !Array.isArray(result.content)) return undefined;
      return String(result.content[0]?.text);
    };
    this.#writing += 1;
    const written = await said("set", { value });
    this.#writing -= 1;
    if (written === undefined) return void (this.#writing += 1);
    const read = await said("get", {});
    if (read === undefined || this.#around.forgetful) return;
    // Another write of the same client may be later.
    const isOther = alone && this.#writes === write ? read !== value : !read.startsWith(this.name);
    if (isOther) this.#around.fail(`${this.name} wrote ${value} and read ${read}`);
  }

  /** Opens the session's stream while another one is open, which must then be closed. */
  async #listenAgain(): Promise<void> {
    const { environment, fail } = this.#around;
    if (this.#next !== undefined || this.#following === undefined) return;
    const response = await this.#send("GET");
    if (response?.status !== 200 || this.#done || this.#next !== undefined) {
      return void response?.body?.cancel().catch(() => {});
    }
    const closed = new Promise<true>((resolve) => {
      this.#next = { response, closed: () => resolve(true) };
    });
    if (await this.#within(REPLACED_MS, closed)) return;
    fail(`${this.name} has two streams of one session`);
    await environment.sleep(0);
  }

  /** Listens to the session until the client is done. */
  async #follow(): Promise<void> {
    const reading: Reading = { lastId: undefined };
    while (!this.#done && !this.gone) {
      const headers: Record<string, string> = {};
      if (reading.lastId !== undefined) headers["last-event-id"] = reading.lastId;
      const next = this.#next;
      this.#next = undefined;
      next?.closed();
      const response = next?.response ?? await this.#send("GET", undefined, headers);
      if (response?.status === 404 && !this.#done) this.gone = true;
      if (response?.status === 200) {
        await this.#read(response, reading, 0, (message) => {
          if (!isObject(message.params)) return;
          // Where a call can't have a stream of its own, its question comes here.
          const { message: asked } = message.params;
          if (message.method === "elicitation/create") {
            const approves = this.calls.every(({ call }) => call !== asked);
            return void this.#reply(message, String(asked), approves);
          }
          if (message.method !== "notifications/message") return;
          this.heard.push(String(message.params.data));
        }, true);
      } else if (response !== undefined) await this.#text(response);
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
      const text = await this.#text(response);
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

  /** In a calm plan no call is in a table any more once all have been answered. */
  #checkTables(): void {
    const { calm, nodes, fail } = this.#around;
    const { sessionId } = this;
    const answered = this.calls.every(({ answers, action }) => answers.length > 0 && !action.leave);
    if (!calm || sessionId === undefined || !answered) return;
    const session = shortHash(sessionId);
    for (const node of nodes) {
      const live = operatorView(node.handler).liveSessions().find((each) =>
        each.session === session
      );
      if (live !== undefined && live.calls > 0) {
        fail(`${this.name}: ${node.name} keeps ${live.calls} calls that were answered`);
      }
    }
  }

  check(): void {
    const { forgetful, fail } = this.#around;
    // Only the node of a pinned session can end it in time, or serve it.
    const mortal = this.#whole.pinned && this.#whole.faults.length > 0;
    if (this.gone && !forgetful && !mortal) fail(`${this.name} lost its session`);
    const heard = new Set(this.heard);
    if (heard.size < this.heard.length && !forgetful) {
      fail(`${this.name} heard something twice: ${this.heard}`);
    }
    for (const call of this.calls) this.#checkCall(call);
  }

  #checkCall(record: CallRecord): void {
    const { calm, forgetful } = this.#around;
    const { call, answers, progress, action, statuses, lost, resumable, cancelledAt } = record;
    const runs = this.#around.runs.filter((run) => run.call === call);
    const fail = (what: string) => this.#around.fail(`${call} ${what}`);
    const limited = this.#whole.share !== undefined && statuses.includes(503);
    if ((record.era === "2025" || action.approve) && runs.length > 1 && !action.again) {
      fail("ran twice");
    }
    const effects = runs.filter(({ effect }) => effect).length;
    if (effects > 1 && !action.again) fail("had its effect twice");
    if (answers.length > 1) fail("got two answers");
    // A client that waits for less than packets take has nothing to come back with.
    const hasty = action.idleMs > 0 && action.idleMs < LATE_TRIPS * this.#whole.delayMs;
    const refused = lost && !hasty || statuses.some((status) => status !== 200);
    if (calm && refused && cancelledAt === undefined && !limited && !action.leave) {
      fail(`got ${statuses}, lost: ${lost}`);
    }
    const gone = this.#whole.pinned && statuses.includes(404);
    const owed = resumable && cancelledAt === undefined && !forgetful && !gone && !action.leave;
    if (owed && answers.length === 0) fail(`got no answer: ${statuses}`);
    if (progress.some((step, i) => step <= (progress[i - 1] ?? 0))) fail(`got ${progress}`);
    // What could not be stored in time is lost, and reported.
    const told = runs.some(({ node, begun, ended = Infinity }) =>
      node.troubles.some((at) => at >= begun && at <= ended + LATE_MS)
    );
    // Where a user has no stream left, what isn't the answer is dropped.
    const crowded = this.#whole.share !== undefined && this.#whole.faults.length > 0;
    const whole = !forgetful && !told && !this.#whole.pinned && !crowded;
    if (whole && progress.some((step, i) => step !== i + 1)) fail(`got ${progress}`);
    const [answer] = answers;
    if (isObject(answer?.result) && !answer.result.isError) {
      const { content } = answer.result;
      const text = Array.isArray(content) ? content[0]?.text : undefined;
      const word = action.ask ? call : "";
      if (text !== `${call} ${word}`) fail(`got ${JSON.stringify(answer.result)}`);
      if (progress.length !== action.steps && whole) fail(`missed progress: ${progress}`);
      if (runs.length === 0) fail("has a result of no run");
    } else if (answer !== undefined && calm && cancelledAt === undefined && !limited) {
      // Only one of two that send the same approval is let in.
      if (!(action.approve && record.era === "2026")) fail(`got ${JSON.stringify(answer)}`);
    }
    if (owed && answers.length > 0) this.#checkTime(record);
    this.#checkCancelled(record);
    const dead = isObject(answer?.error) && answer.error.message === NODE_LOST.message;
    const isKilled = this.#whole.faults.every((fault) => fault.do === "kill");
    const diedAt = Math.max(...runs.map(({ node }) => node.dead ? node.diedAt : -Infinity));
    if (dead && isKilled && (record.ended ?? Infinity) > diedAt + LOST_MS) {
      fail(
        `got to know only after ${(record.ended ?? Infinity) - diedAt} ms that its node had died`,
      );
    }
    if (dead && !forgetful && runs.length > 0 && !runs.some(({ node }) => node.doubtful)) {
      fail("is lost although its node is not");
    }
    if (!calm) return;
    const took = (record.ended ?? Infinity) - record.began;
    const late = LATE_MS + LATE_TRIPS * this.#whole.delayMs;
    if (took > action.steps * action.stepMs + late) fail(`took ${took} ms`);
    for (const { begun, ended = Infinity } of runs) {
      // A cancellation may arrive before the call.
      if (begun > record.cancelSentAt) continue;
      if (cancelledAt !== undefined && ended > cancelledAt + CANCEL_MS) {
        fail("ran on although it was cancelled");
      }
    }
    if (runs.some(({ ended = Infinity }) => ended > this.#endedAt + CANCEL_MS)) {
      fail("ran on although its session had ended");
    }
  }

  /** A cancelled call stops in time, although its node heard nothing for some seconds. */
  #checkCancelled({ call, cancelSentAt, cancelledAt = Infinity }: CallRecord): void {
    for (const { call: name, begun, ended = Infinity } of this.#around.runs) {
      // A cancellation may arrive before the call.
      if (name !== call || begun > cancelSentAt) continue;
      const late = stoppedLate(this.#whole, cancelledAt, ended);
      if (late !== undefined) this.#around.fail(`${call} ${late}`);
    }
  }

  /** An answer comes in time once nothing goes wrong any more, whatever has gone wrong before. */
  #checkTime({ call, began, ended = Infinity, action }: CallRecord): void {
    const { delayMs } = this.#whole;
    const over = Math.max(began, lastFaultEnds(this.#whole));
    // What ran when the last fault came may run once more, from its beginning.
    const runMs = action.steps * action.stepMs * (action.again ? 2 : 1);
    if (ended - over - runMs > LATEST_MS + LATE_TRIPS * delayMs) {
      this.#around.fail(`${call} was answered ${ended - over} ms after the last fault`);
    }
  }
}
