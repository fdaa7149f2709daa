/**
 * Lists faults in how nodes, the store and clients meet, for `deno task plant`: each breaks a promise only
 * at some interleavings, and the simulation must find it.
 *
 * @module
 */

/** A fault: what it is, its file in `src/`, the text to find there once, and the one that replaces it. */
export type Plant = readonly [name: string, file: string, find: string, replace: string];

const LOG = "redis/scripts/event_log.ts";
const TASKS = "redis/scripts/tasks.ts";
const TOKENS = "signin/tokens/tokens.ts";
const READER = "streams/logged_connection.ts";

/** The faults. */
export const PLANTS: readonly Plant[] = [
  [
    "an event is appended without the fence",
    LOG,
    "  if s.ended > 0 or fenced(name) then return 0 end\n  return append",
    "  if s.ended > 0 then return 0 end\n  return append",
  ],
  [
    "an answer is appended without the fence",
    LOG,
    "if s.ended > 0 or foreign then return 0 end",
    "if s.ended > 0 then return 0 end",
  ],
  [
    "a stream is ended without the fence",
    LOG,
    "  if s.ended > 0 or fenced(name) then return 0 end\n  return finish",
    "  if s.ended > 0 then return 0 end\n  return finish",
  ],
  [
    "a batch that is sent again is applied again",
    LOG,
    "if earlier == batch then return text end",
    "",
  ],
  [
    "a write is not published",
    LOG,
    "if #changes > 0 then redis.call('PUBLISH', ARGV[8], cjson.encode(changes)) end",
    "",
  ],
  [
    "a run is ended although it has changed",
    LOG,
    "if s.ended > 0 or redis.call('HGET', streams, 'r:' .. name) ~= list[1] then return 0 end\n  for",
    "if s.ended > 0 then return 0 end\n  for",
  ],
  [
    "a stream is opened without the mark of its run",
    LOG,
    "if run ~= '' and s.ended == 0 and",
    "if s.new == 0 and",
  ],
  [
    "an answered request stays in the mark of its run",
    LOG,
    "if run then answered(name, run, id) end",
    "",
  ],
  [
    "the end of a stream keeps its run",
    LOG,
    "local function finish(name, s)\n  unrun(name)",
    "local function finish(name, s)",
  ],
  [
    "a reader misses what came while it was deaf",
    "redis/events/event_log.ts",
    "if (!first) return wake();",
    "if (!first) return;",
  ],
  [
    "a reader misses what came before its subscription",
    "redis/events/event_log.ts",
    ".then((changed) => changed && watching && wake());",
    ".catch(() => {});",
  ],
  [
    "nobody subscribes again after a connection was lost",
    "redis/clients/subscriber.ts",
    "      for (const channel of this.#channels.keys()) this.#wanted.add(channel);\n",
    "",
  ],
  [
    "commands that waited for a connection are sent twice",
    "redis/clients/commands.ts",
    "      this.#waiting.delete(call);\n      this.#dispatch(call);",
    "      this.#dispatch(call);",
  ],
  [
    "scripts are not sent again to a server that lacks them",
    "redis/clients/commands.ts",
    "if (!isNoScript(error)) throw error;",
    "if (isNoScript(error)) throw error;",
  ],
  [
    "the sequence check lets a message in twice",
    "cluster/messages/sequence_numbers.ts",
    " || received.has(number)) return false;",
    ") return false;",
  ],
  [
    "a forwarded request that may have arrived is sent again",
    "cluster/forwarding/forwarding.ts",
    "if (!(error instanceof NotDelivered) || --left",
    "if (--left",
  ],
  [
    "messages overtake each other",
    "cluster/messages/messenger.ts",
    "Promise.all([ready, this.#last])",
    "Promise.all([ready])",
  ],
  [
    "a cancellation stays at the node that got it",
    "cluster/messages/node_messages.ts",
    "sessions.live.get(session)?.inflight.cancel(request, reason, agoMs);",
    "",
  ],
  [
    "a cancellation is published once",
    "cluster/cluster.ts",
    "const tries = repeats ? AGAIN_TRIES : 1;",
    "const tries = 1;",
  ],
  [
    "a response to a question stays at the node that got it",
    "cluster/question_responses.ts",
    "if (asker === undefined || asker === nodes.node) return unmatched();",
    "return unmatched();",
  ],
  [
    "the end of a session stays at the node that ended it",
    "cluster/messages/node_messages.ts",
    "return sessions.endedElsewhere(message.session, message.reason);",
    "return;",
  ],
  [
    "a node is taken for lost without asking",
    "cluster/lost_nodes/lost_runs.ts",
    "      if (!await presence.isLost(node)) return;\n",
    "",
  ],
  [
    "a resumed stream isn't looked after",
    "cluster/lost_nodes/lost_runs.ts",
    "    this.#followed.add(followed);\n",
    "",
  ],
  [
    "a node is never taken for lost",
    "cluster/types.ts",
    "export const SILENT_MS = 6_000;",
    "export const SILENT_MS = 6_000_000;",
  ],
  [
    "signs of life are renewed too late",
    "cluster/types.ts",
    "export const PRESENT_MS = 2_000;",
    "export const PRESENT_MS = 20_000;",
  ],
  [
    "a reader sends again what it has sent",
    READER,
    "    this.#lastSent = n;\n    this.#newest",
    "    this.#newest",
  ],
  [
    "a wakeup during a read is lost",
    READER,
    "      this.#busy = false;\n      this.#pump();",
    "      this.#busy = false;",
  ],
  [
    "the end of a stream isn't noticed",
    READER,
    "this.#lastSent >= slice.last) this",
    "this.#lastSent > slice.last) this",
  ],
  [
    "an answer that could not be stored is given up",
    "streams/logged_reply.ts",
    "answer ? () => this.#sendUnlogged(data) : undefined",
    "undefined",
  ],
  [
    "a stream ends before its answer is stored",
    "streams/logged_reply.ts",
    "    if (this.#answering === undefined) this.#end();\n    else this.#answering.then(() => this.#end());",
    "    this.#end();",
  ],
  [
    "a cancelled call runs on",
    "calls/lifetime/scope.ts",
    "if (this.#reason !== undefined) this.#controller.abort(this.#reason);",
    "",
  ],
  [
    "a call stays in the table",
    "calls/call.ts",
    "this.#inflight.delete(this);",
    "",
  ],
  [
    "a call keeps its place",
    "calls/call.ts",
    "slots.give(this.#inbound.share);",
    "",
  ],
  [
    "a session's state outlives it",
    "redis/scripts/session.ts",
    "redis.call('DEL', record, state, uris)",
    "redis.call('DEL', record)",
  ],
  [
    "a write to a session's state is lost",
    "redis/scripts/session.ts",
    "redis.call('HSET', state, ARGV[1], ARGV[2])",
    "",
  ],
  [
    "another lease is renewed by anybody",
    "redis/leases.ts",
    "if holder ~= ARGV[2] and (holder or token >= tonumber(ARGV[4])) then return 0 end",
    "",
  ],
  [
    "leases are not renewed",
    "redis/leases.ts",
    "else this.#renewOne(holder, holding);",
    "",
  ],
  [
    "an approval counts at each node",
    "calls/state/single_use.ts",
    "first = await claim(`used:${id}`, holder, 2 * this.#ttlMs) === holder;",
    "first = true;",
  ],
  [
    "a claim is taken over",
    "redis/nodes.ts",
    "if value and value ~= ARGV[2] then return value end",
    "",
  ],
  [
    "a used code ends nothing",
    TOKENS,
    'await grants.stop(code.grant.id, "code-reused");',
    "",
  ],
  [
    "two nodes redeem a code",
    TOKENS,
    "const write = { ttlMs: USED_CODE_MS, expected: version };",
    "const write = { ttlMs: USED_CODE_MS };",
  ],
  [
    "each use of a refresh token makes another successor",
    TOKENS,
    "const isNew = turn === grant.turn;",
    "const isNew = true;",
  ],
  [
    "an old refresh token stays good",
    TOKENS,
    "return usedAt !== undefined && clock.now() - usedAt <= lifetimes.graceMs;",
    "return usedAt !== undefined;",
  ],
  [
    "a refresh token that is reused ends nothing",
    TOKENS,
    'await grants.stop(grant.id, "refresh-token-reused");',
    "",
  ],
  [
    "a task that has ended changes",
    TASKS,
    "if not t or t.ended or t.runner ~= ARGV[3] then return 0 end",
    "if not t or t.runner ~= ARGV[3] then return 0 end",
  ],
  [
    "a task is changed by a node that has lost it",
    TASKS,
    "if not t or t.ended or t.runner ~= ARGV[3] then return 0 end",
    "if not t or t.ended then return 0 end",
  ],
  [
    "two nodes run a task again",
    TASKS,
    "or t.ended or t.runner ~= '' then return 0 end",
    "or t.ended then return 0 end",
  ],
  [
    "a cancelled task runs on",
    "tasks/extension.ts",
    "      peers.sendRepeatedly(nodeOf(task.runner), { task: id });\n",
    "",
  ],
  [
    "the tasks of a node that died have no end",
    "tasks/beats.ts",
    "await this.#init.store.lose(id, runner, lostProgress(this.#init.clock));",
    "",
  ],
  [
    "a share doesn't count what other nodes have",
    "redis/quotas.ts",
    "    free = free - tonumber(units)\n",
    "",
  ],
  [
    "a node that heard nothing of a session's end doesn't look it up",
    "sessions/sessions.ts",
    "live === undefined || await this.store.peek(id) !== undefined",
    "true",
  ],
  [
    "a call that ran when the process ended has no answer",
    "sql/sqlite_store.ts",
    "  log.endInterrupted();\n",
    "",
  ],
  [
    "what belongs together is stored in parts",
    "sql/sql.ts",
    "this.#sql.atomic === undefined ? work() : this.#sql.atomic(work);",
    "work();",
  ],
  [
    "a session that has ended stays in the file",
    "sql/session_store.ts",
    "    if (known) this.#delete(id);\n",
    "",
  ],
  [
    "a session's state is not stored in the file",
    "sql/session_store.ts",
    '    this.#tables.add(\n      "INSERT OR REPLACE INTO mooring_state',
    '    this.#tables.read(\n      "SELECT ?, ?, ? -- INSERT OR REPLACE INTO mooring_state',
  ],
];
