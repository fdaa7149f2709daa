/**
 * What an endpoint of two nodes has to do, told as plainly as can be: no streams, no promises, no bytes.
 *
 * @module
 */

/** The limits of each node, and of each session. */
export interface Limits {
  readonly requests: number;
  readonly requestsPerPrincipal: number;
  readonly streams: number;
  readonly streamsPerPrincipal: number;
  readonly idleMs: number;
  readonly absoluteMs: number;
  /** So many that those of whom the reference knows never reach them. */
  readonly sessions?: number;
  readonly sessionsPerPrincipal?: number;
}

/** What a client takes. */
export type Accept = "both" | "json" | "sse";

/** A session. */
export interface Session {
  readonly owner: string;
  readonly createdAt: number;
  usedAt: number;
  alive: boolean;
  /** The node where its server-to-client stream is read. */
  listening: number | undefined;
  /** What its server-to-client stream holds, in order. */
  readonly pushed: string[];
}

/** A call of a tool. */
export interface Call {
  readonly session: Session;
  readonly node: number;
  readonly id: number;
  readonly accept: Accept;
  readonly startedAt: number;
  state: "running" | "answered" | "cancelled" | "session-ended";
  /** Whether its answer has become a stream. */
  stream: boolean;
  /** The node where its stream is read. */
  reader: number | undefined;
  /** What its stream holds, in order. */
  readonly said: string[];
  /** The questions that are open. */
  readonly asking: Set<string>;
  /** What was replied, in order. */
  readonly replies: string[];
}

/** How long a call may take before its answer becomes a stream, in milliseconds. */
export const PATIENCE_MS = 1_000;

/** All sessions and calls, and what has to become of them. */
export class Reference {
  now = 0;
  /** Who may call the tool at this moment. */
  readonly rights = new Set(["alice", "bob"]);
  readonly sessions: Session[] = [];
  readonly calls: Call[] = [];
  readonly limits: Limits;
  readonly #early: boolean;

  /** @param early Whether the endpoint knows what the tool needs, before the session is looked at */
  constructor(limits: Limits, early: boolean) {
    this.limits = limits;
    this.#early = early;
  }

  /** Whether somebody is refused by the endpoint, whatever the session. */
  refusedEarly(owner: string): boolean {
    return this.#early && !this.rights.has(owner);
  }

  get running(): Call[] {
    return this.calls.filter(({ state }) => state === "running");
  }

  /** The connections that are open: where, and whose. */
  get connections(): { readonly node: number; readonly owner: string }[] {
    const all = [
      ...this.calls.map(({ reader, session: { owner } }) => ({ node: reader, owner })),
      ...this.sessions.map(({ listening, owner }) => ({ node: listening, owner })),
    ];
    return all.flatMap(({ node, owner }) => node === undefined ? [] : [{ node, owner }]);
  }

  #hasPlace(node: number, whose: string): boolean {
    const here = this.connections.filter((connection) => connection.node === node);
    const own = here.filter(({ owner }) => owner === whose);
    return here.length < this.limits.streams && own.length < this.limits.streamsPerPrincipal;
  }

  #busy(node: number, whose: string): boolean {
    const here = this.running.filter((call) => call.node === node);
    const own = here.filter(({ session: { owner } }) => owner === whose);
    const { requests, requestsPerPrincipal } = this.limits;
    return here.length >= requests || own.length >= requestsPerPrincipal;
  }

  begin(owner: string, node: number): Session | undefined {
    if (this.#busy(node, owner)) return undefined;
    const { now } = this;
    const session = { owner, createdAt: now, usedAt: now, alive: true, listening: undefined };
    return this.sessions[this.sessions.push({ ...session, pushed: [] }) - 1];
  }

  ping(session: Session, node: number): 200 | 404 | 503 {
    if (!this.use(session)) return 404;
    return this.#busy(node, session.owner) ? 503 : 200;
  }

  call(session: Session, node: number, id: number, accept: Accept): Call | 403 | 404 | 503 {
    if (this.refusedEarly(session.owner)) return 403;
    if (!this.use(session)) return 404;
    if (this.#busy(node, session.owner)) return 503;
    // What the session was opened with doesn't count, nor what earlier calls were allowed
    if (!this.rights.has(session.owner)) return 403;
    const call: Call = {
      ...{ session, node, id, accept, startedAt: this.now, state: "running", stream: false },
      ...{ reader: undefined, said: [], asking: new Set<string>(), replies: [] },
    };
    this.calls.push(call);
    return call;
  }

  /** The owner uses a session. Anybody else gets what an unknown one gets, and this isn't called. */
  use(session: Session): boolean {
    if (session.alive) session.usedAt = this.now;
    return session.alive;
  }

  /** Whether there is a stream to speak on, which there is from the first word on. */
  #open(call: Call): boolean {
    if (call.stream) return true;
    if (call.accept === "json" || !this.#hasPlace(call.node, call.session.owner)) return false;
    call.stream = true;
    call.reader = call.node;
    return true;
  }

  say(call: Call, text: string): void {
    if (call.state === "running" && this.#open(call)) call.said.push(text);
  }

  ask(call: Call, name: string): void {
    if (call.state !== "running") return;
    const { session } = call;
    if (this.#open(call)) call.said.push(`?${name}`);
    else if (session.listening !== undefined) session.pushed.push(`?${name}`);
    else return;
    call.asking.add(name);
  }

  reply(session: Session, name: string, text: string): void {
    if (!this.use(session)) return;
    for (const call of this.calls) {
      if (call.session === session && call.asking.delete(name)) call.replies.push(text);
    }
  }

  #end(call: Call, state: Exclude<Call["state"], "running">): void {
    call.state = state;
    call.asking.clear();
    call.reader = undefined;
    call.session.usedAt = this.now;
  }

  finish(call: Call): void {
    if (call.state !== "running") return;
    if (call.stream) call.said.push(`=${call.replies}`);
    this.#end(call, "answered");
  }

  cancel(session: Session, id: number): void {
    if (!this.use(session)) return;
    for (const call of this.running) {
      if (call.session === session && call.id === id) this.#end(call, "cancelled");
    }
  }

  cut(call: Call): void {
    call.reader = undefined;
    call.session.usedAt = this.now;
  }

  resume(call: Call, node: number): 200 | 404 | 503 {
    if (!this.use(call.session)) return 404;
    if (!this.#hasPlace(node, call.session.owner)) return 503;
    if (call.state === "running") call.reader = node;
    return 200;
  }

  listen(session: Session, node: number): 200 | 404 | 503 {
    if (!this.use(session)) return 404;
    // The newer one takes over, and what the older one held is free again
    session.listening = undefined;
    if (!this.#hasPlace(node, session.owner)) return 503;
    session.listening = node;
    return 200;
  }

  leave(session: Session): void {
    session.listening = undefined;
    session.usedAt = this.now;
  }

  push(session: Session, text: string): void {
    if (session.alive) session.pushed.push(text);
  }

  delete(session: Session): void {
    session.alive = false;
    session.listening = undefined;
    for (const call of this.calls) {
      if (call.session !== session) continue;
      if (call.state === "running") this.#end(call, "session-ended");
      call.reader = undefined;
    }
  }

  /** Time passes. Gives the sessions whose time is over. */
  wait(ms: number): Session[] {
    const before = this.now;
    this.now += ms;
    for (const call of this.running) {
      const due = call.startedAt + PATIENCE_MS;
      if (due > before && due <= this.now) this.#open(call);
    }
    const over = this.sessions.filter((session) => session.alive && this.#isOver(session));
    for (const session of over) this.delete(session);
    return over;
  }

  #isOver(session: Session): boolean {
    const held = session.listening !== undefined ||
      this.calls.some((call) =>
        call.session === session && (call.state === "running" || call.reader !== undefined)
      );
    if (this.now - session.createdAt >= this.limits.absoluteMs) return true;
    return !held && this.now - session.usedAt >= this.limits.idleMs;
  }
}
