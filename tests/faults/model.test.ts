/**
 * Random lives of clients, held against a reference that says in plain words what has to come of them.
 */
import assert from "node:assert/strict";
import { describe } from "node:test";
import * as fc from "fast-check";
import { as, logMessage, Peer, seen } from "../support/wire.ts";
import { type Accept, type Call, type Limits, Reference, type Session } from "./model/reference.ts";
import { type Flood, Flooder } from "./model/flooder.ts";
import { CHALLENGE, type Client, type Run, World } from "./model/world.ts";
import { property } from "./runs.ts";

/** What happens next. Numbers choose among what there is at that time. */
type Step =
  | { readonly do: "begin"; readonly owner: string; readonly node: number }
  | {
    readonly do: "call";
    readonly of: number;
    readonly node: number;
    readonly id: number;
    readonly accept: Accept;
  }
  | { readonly do: "ping" | "listen" | "delete"; readonly of: number; readonly node: number }
  | { readonly do: "leave" | "push"; readonly of: number; readonly node: number }
  | { readonly do: "say" | "ask" | "finish" | "cut"; readonly of: number }
  | { readonly do: "resume"; readonly of: number; readonly node: number }
  | {
    readonly do: "cancel";
    readonly of: number;
    readonly node: number;
    readonly id: number | string;
  }
  | { readonly do: "reply"; readonly of: number; readonly to: number; readonly node: number }
  | { readonly do: "steal"; readonly of: number; readonly how: number; readonly node: number }
  | { readonly do: "rights"; readonly owner: string; readonly given: boolean }
  | { readonly do: "flood"; readonly what: Flood; readonly node: number }
  | { readonly do: "wait"; readonly ms: number };

const owner = fc.constantFrom("alice", "bob");
const node = fc.nat(1);
const of = fc.nat(20);
const id = fc.integer({ min: 1, max: 3 });
const accept = fc.constantFrom<Accept>("both", "both", "json", "sse");
/** What may happen at the same time, because the order makes no difference. */
const together: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant("say" as const), of }),
  fc.record({ do: fc.constant("push" as const), of, node }),
  fc.record({ do: fc.constant("steal" as const), of, how: fc.nat(6), node }),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant("begin" as const), owner, node }),
  { weight: 6, arbitrary: fc.record({ do: fc.constant("call" as const), of, node, id, accept }) },
  fc.record({ do: fc.constantFrom("ping", "ping", "delete"), of, node }),
  { weight: 3, arbitrary: fc.record({ do: fc.constant("listen" as const), of, node }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("leave", "push"), of, node }) },
  { weight: 9, arbitrary: fc.record({ do: fc.constantFrom("say", "ask", "cut"), of }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("finish" as const), of }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("resume" as const), of, node }) },
  fc.record({
    do: fc.constant("cancel" as const),
    of,
    node,
    id: fc.oneof(id, fc.constantFrom("1", "2")),
  }),
  { weight: 4, arbitrary: fc.record({ do: fc.constant("reply" as const), of, to: of, node }) },
  together,
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("rights" as const), owner, given: fc.boolean() }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("flood" as const),
      what: fc.constantFrom<Flood>("sessions", "calls", "streams"),
      node,
    }),
  },
  fc.record({
    do: fc.constant("wait" as const),
    ms: fc.constantFrom(1_000, 1_000, 15_000, 59_000, 60_000, 300_000),
  }),
);

interface Plan {
  /** One thing after the other, or several at once. */
  readonly steps: readonly (readonly Step[])[];
  /** Whether places are few, or time is short. */
  readonly tight: boolean;
  /** Whether the store takes its time. */
  readonly slow: boolean;
  /** Whether the endpoint knows which scopes the tool needs, or only the tool itself. */
  readonly early: boolean;
  /** Whether somebody else takes all that it may have; else nobody takes part whom the reference ignores. */
  readonly flooded: boolean;
}

const plan: fc.Arbitrary<Plan> = fc.record({
  steps: fc.array(
    fc.oneof(
      { weight: 4, arbitrary: step.map((one) => [one]) },
      { weight: 1, arbitrary: fc.array(together, { minLength: 2, maxLength: 5 }) },
    ),
    { minLength: 10, maxLength: 50, size: "max" },
  ),
  tight: fc.boolean(),
  slow: fc.boolean(),
  early: fc.boolean(),
  flooded: fc.boolean(),
});

const TIGHT: Limits = {
  ...{ requests: 4, requestsPerPrincipal: 3, streams: 5, streamsPerPrincipal: 3 },
  ...{ idleMs: 60_000, absoluteMs: Infinity },
};
const SHORT: Limits = {
  ...{ requests: 1_000, requestsPerPrincipal: 100, streams: 1_000, streamsPerPrincipal: 100 },
  ...{ idleMs: 60_000, absoluteMs: 600_000 },
};

/** How much there is of each. */
type Counts = Readonly<Record<"sessions" | "streams" | "requests" | "questions", number>>;

/** A share for each of three principals, of whom the reference knows two. */
const SHARED: Limits = {
  ...{ requests: 9, requestsPerPrincipal: 3, streams: 9, streamsPerPrincipal: 3 },
  ...{ sessions: 60, sessionsPerPrincipal: 20 },
  ...{ idleMs: 60_000, absoluteMs: Infinity },
};

/** Both sides, side by side. */
class Trial {
  readonly reference: Reference;
  readonly world: World;
  readonly #flooder: Flooder | undefined;
  readonly #clients = new Map<Session, Client>();
  readonly #runs = new Map<Call, Run>();
  #texts = 0;

  constructor({ tight, slow, early, flooded }: Plan) {
    const limits = flooded ? SHARED : tight ? TIGHT : SHORT;
    this.reference = new Reference(limits, early);
    this.world = new World(limits, slow, early);
    if (flooded) this.#flooder = new Flooder(this.world);
  }

  get #sessions(): Session[] {
    return [...this.#clients.keys()];
  }
  get #calls(): Call[] {
    return [...this.#runs.keys()];
  }

  /** A text that nobody has said so far. */
  #text(): string {
    return `t${++this.#texts}`;
  }

  #client(session: Session): Client {
    const client = this.#clients.get(session);
    assert.ok(client);
    return client;
  }
  #run(call: Call): Run {
    const run = this.#runs.get(call);
    assert.ok(run);
    return run;
  }

  /** Does one step on both sides. */
  async take(step: Step): Promise<void> {
    const { reference, world } = this;
    if (step.do === "begin") return await this.#begin(step.owner, step.node);
    if (step.do === "wait") return await this.#wait(step.ms);
    if (step.do === "rights") return this.#change(step.owner, step.given);
    if (step.do === "flood") return await this.#flooder?.flood(step.what, step.node);
    if (step.do === "say" || step.do === "ask" || step.do === "finish" || step.do === "cut") {
      const call = pick(this.#calls.slice(-6), step.of);
      if (call !== undefined) await this.#tool(call, step.do);
      return;
    }
    if (step.do === "resume") {
      const call = pick(this.#calls.filter((call) => this.#resumable(call)), step.of);
      if (call !== undefined) await this.#resume(call, step.node);
      return;
    }
    const session = pick(this.#sessions.slice(-5), step.of);
    if (session === undefined) return;
    const client = this.#client(session);
    switch (step.do) {
      case "ping": {
        const { status } = await world.ask((peer) => peer.request(0, "ping"), client, step.node);
        assert.equal(status, reference.ping(session, step.node));
        return;
      }
      case "call":
        return await this.#call(session, step.node, step.id, step.accept);
      case "listen":
        return await this.#listen(session, step.node);
      case "leave":
        return await this.#leave(session);
      case "push": {
        const text = this.#text();
        reference.push(session, text);
        const id = String(client.peer.sessionId);
        const pushed = world.nodes[step.node]?.notify(id, logMessage(text));
        pushed?.catch(() => {});
        return;
      }
      case "delete":
        return await this.#delete(session, step.node);
      case "cancel": {
        const params = { requestId: step.id };
        const message = { jsonrpc: "2.0", method: "notifications/cancelled", params };
        const { status } = await world.ask((peer) => peer.post(message), client, step.node);
        assert.equal(status, session.alive ? 202 : 404);
        // 1 and "1" are different ids
        return reference.cancel(session, typeof step.id === "number" ? step.id : NaN);
      }
      case "reply":
        return await this.#reply(session, step.to, step.node);
      case "steal":
        return await this.#steal(client, step.how, step.node);
    }
  }

  async #begin(owner: string, node: number): Promise<void> {
    const own = this.#sessions.filter((session) => session.alive && session.owner === owner);
    // The reference knows of no eviction: nobody that it knows takes a whole share.
    if (own.length >= (this.reference.limits.sessionsPerPrincipal ?? Infinity)) return;
    const session = this.reference.begin(owner, node);
    const client = await this.world.begin(owner, node);
    assert.equal(client !== undefined, session !== undefined);
    if (session !== undefined && client !== undefined) this.#clients.set(session, client);
  }

  /** A user gains or loses the scope of the tool, from the next request on. */
  #change(owner: string, given: boolean): void {
    for (const { rights } of [this.reference, this.world]) {
      if (given) rights.add(owner);
      else rights.delete(owner);
    }
  }

  async #wait(ms: number): Promise<void> {
    const over = this.reference.wait(ms);
    await this.world.clock.advance(ms);
    await this.world.settle();
    // Whoever asks for a session whose time is over ends it, if nobody else has
    for (const session of over) {
      const client = this.#client(session);
      const { status } = await this.world.ask((peer) => peer.request(0, "ping"), client, 0);
      assert.equal(status, 404);
    }
  }

  async #call(session: Session, node: number, id: number, accept: Accept): Promise<void> {
    const call = this.reference.call(session, node, id, accept);
    const run = this.world.call(this.#client(session), node, id, accept, this.#text());
    await this.world.settle();
    if (typeof call !== "number") return void this.#runs.set(call, run);
    assert.equal(run.status, call);
    assert.equal(run.challenge, call === 403 ? CHALLENGE : undefined);
  }

  async #tool(call: Call, what: "say" | "ask" | "finish" | "cut"): Promise<void> {
    const run = this.#run(call);
    switch (what) {
      case "say": {
        const text = this.#text();
        this.reference.say(call, text);
        return this.world.say(run, text);
      }
      case "ask": {
        const name = `q${++this.#texts}`;
        this.reference.ask(call, name);
        return this.world.question(run, name);
      }
      case "finish":
        this.reference.finish(call);
        return this.world.finish(run);
      case "cut":
        if (call.reader === undefined) return;
        await run.reader?.cancel();
        return this.reference.cut(call);
    }
  }

  /** Whether a client would come back: it was cut off, and hasn't seen the end. */
  #resumable(call: Call): boolean {
    if (!call.stream || call.reader !== undefined) return false;
    const { reader } = this.#run(call);
    if (reader?.lastId === undefined) return false;
    return call.state === "running" || reader.messages.length < call.said.length;
  }

  async #resume(call: Call, node: number): Promise<void> {
    const run = this.#run(call);
    const { client, reader } = run;
    const response = await this.world.ask((peer) => peer.get(reader?.lastId), client, node);
    assert.equal(response.status, this.reference.resume(call, node));
    if (response.status !== 200) return;
    run.reader = this.world.read(response, client, reader?.messages ?? []);
  }

  async #listen(session: Session, node: number): Promise<void> {
    const client = this.#client(session);
    const lastId = client.server?.ended ? undefined : client.server?.lastId;
    const old = client.server;
    const response = await this.world.ask((peer) => peer.get(lastId), client, node);
    const status = this.reference.listen(session, node);
    assert.equal(response.status, status);
    if (response.status !== 200) return;
    await this.world.settle();
    client.server = this.world.read(response, client, old?.messages ?? []);
  }

  async #leave(session: Session): Promise<void> {
    if (session.listening === undefined) return;
    await this.#client(session).server?.cancel();
    this.reference.leave(session);
  }

  async #delete(session: Session, node: number): Promise<void> {
    const client = this.#client(session);
    const { status } = await this.world.ask((peer) => peer.delete(), client, node);
    assert.equal(status, session.alive ? 204 : 404);
    this.reference.delete(session);
  }

  /** A client replies to a question that was asked in some session, which may be another. */
  async #reply(session: Session, to: number, node: number): Promise<void> {
    const asked = [...this.#clients.values()].flatMap(({ questions }) => [...questions]);
    const [name, id] = pick(asked, to) ?? ["", "q-nothing"];
    const text = this.#text();
    const result = { role: "assistant", model: "m", content: { type: "text", text } };
    const message = { jsonrpc: "2.0", id, result };
    const { status } = await this.world.ask(
      (peer) => peer.post(message),
      this.#client(session),
      node,
    );
    assert.equal(status, session.alive ? 202 : 404);
    this.reference.reply(session, name, text);
  }

  /** Somebody else comes with the id of a session. */
  async #steal({ peer, owner }: Client, how: number, node: number): Promise<void> {
    const other = owner === "alice" ? "bob" : "alice";
    const headers = as(other);
    const fetch = this.world.nodes[node];
    assert.ok(fetch);
    const attempt = async (id: string | undefined) => {
      const thief = new Peer(fetch, { headers });
      thief.sessionId = id;
      const response = pick([
        () => thief.call(1, "work", { key: "stolen" }),
        () => thief.post({ jsonrpc: "2.0", method: "notifications/initialized" }),
        () => thief.post({ jsonrpc: "2.0", id: "q-nothing", result: {} }),
        () =>
          thief.post({
            jsonrpc: "2.0",
            method: "notifications/cancelled",
            params: { requestId: 1 },
          }),
        () => thief.get(),
        () => thief.get("s.0"),
        () => thief.delete(),
      ], how)?.();
      assert.ok(response);
      const answering = response.then(seen);
      await this.world.settle();
      return await answering;
    };
    const stolen = await attempt(peer.sessionId);
    const refused = how === 0 && this.reference.refusedEarly(other);
    assert.equal(stolen.status, refused ? 403 : 404);
    assert.deepEqual(stolen, await attempt("U".repeat(32)));
  }

  /** Checks that both sides agree on everything. */
  check(): void {
    const { reference, world } = this;
    const total = { sessions: 0, streams: 0, requests: 0, questions: 0 };
    for (const node of world.nodes) {
      const { streams, requests, questions, sessions } = node.stats();
      total.sessions = sessions;
      total.streams += streams;
      total.requests += requests;
      total.questions += questions;
    }
    const expected = {
      sessions: reference.sessions.filter(({ alive }) => alive).length,
      streams: reference.connections.length,
      requests: reference.running.length,
      questions: reference.running.flatMap(({ asking }) => [...asking]).length,
    };
    if (this.#flooder === undefined) assert.deepEqual(total, expected);
    else this.#checkShare(total, expected);
    for (const call of this.#calls) this.#checkCall(call);
    for (const session of this.#sessions) {
      const messages = this.#client(session).server?.messages ?? [];
      const whole = session.listening !== undefined;
      assert.deepEqual(messages, session.pushed.slice(0, whole ? Infinity : messages.length));
    }
    assert.deepEqual(world.events.of("error").map(({ error }) => error), []);
  }

  /** Checks that the rest, which is the flooder's, is within its share at each node. */
  #checkShare(total: Counts, expected: Counts): void {
    const { sessionsPerPrincipal = 0, streamsPerPrincipal, requestsPerPrincipal } = SHARED;
    const nodes = this.world.nodes.length;
    const most = {
      sessions: sessionsPerPrincipal,
      streams: nodes * streamsPerPrincipal,
      requests: nodes * requestsPerPrincipal,
      questions: 0,
    };
    for (const what of ["sessions", "streams", "requests", "questions"] as const) {
      const rest = total[what] - expected[what];
      assert.ok(rest >= 0 && rest <= most[what], `${rest} ${what} are the flooder's`);
    }
  }

  #checkCall(call: Call): void {
    const { state, stream, reader, said, accept, replies } = call;
    const run = this.#run(call);
    const answer = `=${replies}`;
    if (stream) {
      const messages = run.reader?.messages ?? [];
      const whole = reader !== undefined;
      assert.deepEqual(messages, said.slice(0, whole ? Infinity : messages.length));
      if (whole) assert.equal(run.reader?.ended, false);
      assert.ok(said.indexOf(answer) === -1 || said.indexOf(answer) === said.length - 1);
    } else if (state === "running") assert.equal(run.status, undefined);
    else if (state === "cancelled") assert.deepEqual([run.status, run.body], [202, ""]);
    else if (state === "session-ended") assert.equal(run.status, 404);
    else if (accept === "sse") assert.deepEqual(run.reader?.messages, [answer]);
    else assert.ok(run.body?.includes(`"text":"${replies}"`) && run.status === 200);
  }

  /** Everything comes to its end: every client comes back for what it has not seen. */
  async end(): Promise<void> {
    for (const session of this.#sessions) await this.#leave(session);
    for (const call of this.#calls) await this.#tool(call, "finish");
    await this.world.settle();
    this.check();
    for (const call of this.#calls) {
      if (call.session.alive && this.#resumable(call)) await this.#resume(call, call.node);
      await this.world.settle();
      if (call.session.alive && call.stream) {
        const { reader } = this.#run(call);
        assert.deepEqual(reader?.messages, call.said);
        assert.equal(reader.ended, true);
      }
      this.check();
    }
    for (const session of this.#sessions) {
      if (session.alive) await this.#listen(session, 0);
      await this.world.settle();
      this.check();
      await this.#delete(session, 1);
      await this.world.settle();
      this.check();
    }
    await this.#flooder?.stop();
    this.check();
    for (const node of this.world.nodes) {
      const closed = node.close({ graceMs: 0 });
      await this.world.clock.advance(1);
      await this.world.settle();
      await closed;
    }
    await this.world.clock.advance(120_000);
    assert.equal(this.world.clock.pending, 0);
    // Whoever reads the operator's log could otherwise come with the ids
    const told = JSON.stringify(this.world.events.all);
    for (const { peer } of this.#clients.values()) {
      assert.ok(!told.includes(String(peer.sessionId)), "a session's id is told");
    }
  }
}

function pick<T>(from: readonly T[], at: number): T | undefined {
  return from[at % Math.max(1, from.length)];
}

describe("the whole against a reference", () => {
  property(
    "[OWN-1, OWN-2, OWN-3, STR-4, STR-5, STR-6, STR-8, STR-11, STR-15, SES-5, CAN-2, ASK-1, AUTH-6, AUTH-7, SES-4, CLU-1, CLU-2] whatever clients do, both agree",
    plan,
    { everyday: 300, long: 10_000 },
    async (plan) => {
      const trial = new Trial(plan);
      for (const owner of ["alice", "bob", "alice"]) {
        await trial.take({ do: "begin", owner, node: owner === "bob" ? 1 : 0 });
      }
      for (const steps of plan.steps) {
        await Promise.all(steps.map((step) => trial.take(step)));
        await trial.world.settle();
        trial.check();
      }
      await trial.end();
    },
  );
});
