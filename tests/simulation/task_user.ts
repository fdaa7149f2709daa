/**
 * A client whose calls are tasks: it polls, answers and cancels them at any node.
 *
 * @module
 */
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { NODE_LOST } from "../../src/protocol/node_loss.ts";
import { as } from "../support/wire.ts";
import { envelope, headersFor } from "../support/modern.ts";
import type { Random } from "./environment.ts";
import type { Action, ClientPlan, Plan } from "./plan.ts";
import { type ClientSurroundings, sendWhole, type SimulatedPeer } from "./request.ts";
import { stoppedLate } from "./times.ts";

const CAPABILITIES = {
  extensions: { "io.modelcontextprotocol/tasks": {} },
  elicitation: { form: {} },
};
const ENDED = new Set(["completed", "failed", "cancelled"]);
/** The time between two polls, in milliseconds. */
const POLL_MS = 500;
/** The time for which it polls, in milliseconds. */
const PATIENCE_MS = 120_000;
/** The times of the polls after the end, which must say the same, in milliseconds. */
const CHECKS_MS = [500, 1_000, 3_000, 20_000];
/** The time in which a cancelled task stops while nothing goes wrong, in milliseconds. */
const CANCEL_MS = 1_000;

/** What became of a task. */
interface TaskRecord {
  readonly call: string;
  readonly action: Action & { readonly do: "call" };
  id: string | undefined;
  /** Its ends, as they were read one after the other. */
  readonly ends: JsonObject[];
  /** Whether the client has asked for its cancellation. */
  cancelled: boolean;
  /** When it was told that the task is cancelled. */
  cancelledAt: number;
}

/** One client, from its first task to its last. */
export class TaskUser implements SimulatedPeer {
  readonly name: string;
  readonly #whole: Plan;
  readonly #plan: ClientPlan;
  readonly #random: Random;
  readonly #around: ClientSurroundings;
  readonly #tasks: TaskRecord[] = [];
  #ids = 0;

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

  async run(): Promise<void> {
    await Promise.all(this.#plan.actions.map(async (action) => {
      if (action.do !== "call") return;
      await this.#around.environment.sleep(action.at);
      await this.#task(action);
    }));
  }

  async #task(action: Action & { readonly do: "call" }): Promise<void> {
    const { environment, note } = this.#around;
    const call = `${this.name}/${++this.#ids}`;
    const record: TaskRecord = {
      ...{ call, action, id: undefined, ends: [], cancelled: false, cancelledAt: Infinity },
    };
    this.#tasks.push(record);
    const { again, steps, stepMs, ask } = action;
    const args = { call, steps, stepMs, ask };
    const name = again ? "job_again" : "job";
    const { taskId } = await this.#send("tools/call", { name, arguments: args });
    if (typeof taskId !== "string") return note(`${call}: no task`);
    record.id = taskId;
    if (action.cancelMs > 0) environment.after(action.cancelMs, () => void this.#cancel(record));
    const end = environment.now + PATIENCE_MS;
    while (record.ends.length === 0 && environment.now < end) {
      await environment.sleep(POLL_MS);
      // At two nodes at once: only one may begin it again.
      const [task = {}, other = {}] = await Promise.all([
        this.#send("tasks/get", { taskId }),
        this.#send("tasks/get", { taskId }),
      ]);
      const ended = [task, other].find(({ status }) => ENDED.has(String(status)));
      if (ended !== undefined) record.ends.push(ended);
      if (task.status === "input_required" && isObject(task.inputRequests)) {
        const answer = { action: "accept", content: { word: call } };
        const inputResponses = Object.fromEntries(
          Object.keys(task.inputRequests).map((key) => [key, answer]),
        );
        await this.#send("tasks/update", { taskId, inputResponses });
      }
    }
    for (const ms of CHECKS_MS) {
      await environment.sleep(ms);
      const task = await this.#send("tasks/get", { taskId });
      if (task.status !== undefined && record.ends.length > 0) record.ends.push(task);
    }
    note(`${call}: ${record.ends.map(({ status }) => status)}`);
  }

  async #cancel(record: TaskRecord): Promise<void> {
    if (record.ends.length > 0) return;
    record.cancelled = true;
    const result = await this.#ask("tasks/cancel", { taskId: record.id });
    if (result !== undefined) record.cancelledAt = this.#around.environment.now;
  }

  async #send(method: string, params: JsonObject): Promise<JsonObject> {
    return await this.#ask(method, params) ?? {};
  }

  /** Sends a request. Returns its result, or `undefined` if there is none. */
  async #ask(method: string, params: JsonObject): Promise<JsonObject | undefined> {
    const _meta = envelope(CAPABILITIES);
    const { taskId } = params;
    const headers: Record<string, string> = {
      ...{ "content-type": "application/json", accept: "application/json" },
      ...{ ...as(this.#plan.owner), ...headersFor(method, params) },
      ...typeof taskId === "string" && { "mcp-name": taskId },
    };
    const id = ++this.#ids;
    const body = JSON.stringify({ jsonrpc: "2.0", id, method, params: { ...params, _meta } });
    const request = new Request("https://mcp.example/mcp", { method: "POST", headers, body });
    const response = await sendWhole(this.#around, this.#random, request);
    if (response?.status !== 200) {
      if (this.#around.calm) this.#around.fail(`${this.name} got ${response?.status}: ${method}`);
      return undefined;
    }
    const { result }: JsonObject = JSON.parse(response.text);
    return isObject(result) ? result : undefined;
  }

  check(): void {
    for (const task of this.#tasks) this.#checkTask(task);
  }

  #checkTask({ call, action, id, ends, cancelled, cancelledAt }: TaskRecord): void {
    const { calm, forgetful } = this.#around;
    const fail = (what: string) => this.#around.fail(`${call} ${what}`);
    const runs = this.#around.runs.filter((run) => run.call === call);
    if (runs.length > (action.again ? 2 : 1)) fail(`ran ${runs.length} times`);
    if (id === undefined || forgetful) return;
    const [end] = ends;
    if (end === undefined) return fail("has no end");
    if (ends.some((each) => JSON.stringify(each) !== JSON.stringify(end))) {
      fail(`ended as ${ends.map((each) => JSON.stringify(each))}`);
    }
    if (end.status === "cancelled" && !cancelled) fail("was cancelled by nobody");
    if (end.status === "completed" && isObject(end.result)) {
      const { content } = end.result;
      const text = Array.isArray(content) ? content[0]?.text : undefined;
      if (text !== `${call} ${action.ask ? call : ""}`) fail(`got ${JSON.stringify(end.result)}`);
    }
    const lost = end.status === "failed" && isObject(end.error) &&
      end.error.message === NODE_LOST.message;
    if (lost && !runs.some(({ node }) => node.doubtful)) fail("is lost although its node is not");
    for (const { ended = Infinity } of runs) {
      const late = stoppedLate(this.#whole, cancelledAt, ended);
      if (late !== undefined) fail(late);
    }
    if (calm && runs.some(({ ended = Infinity }) => ended > cancelledAt + CANCEL_MS)) {
      fail("ran on although it was cancelled");
    }
    if (calm && !cancelled && end.status !== "completed") fail(`got ${JSON.stringify(end)}`);
  }
}
