/**
 * Faults in the gateway.
 *
 * @module
 */
import type { FaultsByFile } from "../mutations.ts";

const RIGHTS_CHANGE = "gateway/rights_change.test.ts";
const POLICY = "gateway/policy.test.ts";
const REFERENCE = "faults/policy.test.ts";
const SLOW = "gateway/slow_upstreams.test.ts";
const LIMITS = "gateway/limits.test.ts";

const FRAGILE = "gateway/fragile_programs.test.ts";
const SHARED = "gateway/shared_program.test.ts";
const KEPT = "gateway/kept_sessions.test.ts";
const SEARCH = "gateway/tool_search.test.ts";
const APPS = "gateway/apps.test.ts";
const OPERATIONS = "unit/gateway/openapi_operations.test.ts";

/** The faults of the gateway. */
export const GATEWAY: FaultsByFile = {
  "gateway/openapi/operations.ts": {
    tests: [OPERATIONS],
    faults: [
      [
        "OAPI-15",
        'if (isRequired) throw new Unusable("it needs',
        'if (false) throw new Unusable("it needs',
      ],
      ["OAPI-16", "types: typesOf(encoding, references),", "types: new Map(),"],
      ["OAPI-20", "if (known !== undefined) return known;\n", ""],
      ["OAPI-20", "if (!MEDIA_TYPE.test(mediaType.trim())) return undefined;", ""],
    ],
  },
  "gateway/openapi/schemas.ts": {
    tests: [OPERATIONS],
    faults: [
      ["OAPI-15", "return this.#init.isArguments && depth === 0;", "return false;"],
      ["OAPI-16", '${files ? "files" : "texts"} ', ""],
    ],
  },
  "gateway/openapi/request.ts": {
    tests: ["unit/gateway/openapi_arguments.test.ts"],
    faults: [
      ["OAPI-16", "body.files.has(name) ? undefined : body.encoding.get(name)", "undefined"],
    ],
  },
  "gateway/upstreams/openapi.ts": {
    tests: ["accounts/openapi.test.ts"],
    faults: [
      ["OAPI-19", "if (error instanceof SignInRequiredError) throw error;", ""],
      ["OAPI-19", "signIn: apiSignIn(settings.auth),", ""],
    ],
  },
  "gateway/client/era_memory.ts": {
    tests: [FRAGILE],
    faults: [
      ["GTW-16", "    skip();\n", ""],
      ["GTW-16", 'if (signal.aborted || !isKind(error, "closed")) throw error;', "throw error;"],
    ],
  },
  "gateway/client/handshake.ts": {
    tests: [FRAGILE],
    faults: [
      ["GTW-16", "if (isSilent && !isAnswered) onSilent?.();", ""],
      ["GTW-16", "facts = await inTime().catch(() => undefined);", ""],
    ],
  },
  "gateway/view/tool_search.ts": {
    tests: [SEARCH, POLICY],
    faults: [
      [
        "POL-12",
        "policies.rulesOf(principal, name)?.tools.isClosed !== true",
        "true",
      ],
      ["SRCH-4", "if (mayUse === undefined) return tools;", "return tools;"],
      ["SRCH-4", "tools.length === 0 && mayBeHidden ? undefined", "false ? undefined"],
      ["SRCH-6", "tools.length + visible.length > MAX_TOOLS", "false"],
    ],
  },
  "gateway/client/fetch_list.ts": {
    tests: ["unit/gateway/work.test.ts"],
    faults: [
      [
        "POL-13",
        "if (!isSimple(listed, MOST_VALUES, MOST_DEPTH)) return",
        "if (listed === null) return",
      ],
    ],
  },
  "gateway/view/view.ts": {
    tests: [SEARCH, APPS],
    faults: [
      ["SRCH-3", "search === undefined ? given : callWithin(given) ?? given;", "given;"],
      ["APP-5", "if (!this.#isLate(message, principal)) return", "if (message) return"],
    ],
  },
  "gateway/policy/definition.ts": {
    tests: [POLICY],
    faults: [
      [
        "POL-4",
        "if (target === undefined) return rest;",
        "if (target === undefined) return result;",
      ],
      [
        "POL-4",
        "return { ...entry, inputSchema: withoutUnused(stripped) };",
        "return { ...entry, inputSchema: stripped };",
      ],
    ],
  },
  "gateway/policy/entry_rules.ts": {
    tests: [POLICY, REFERENCE],
    faults: [
      ["POL-3", "this.ownName(shown) !== own || ", ""],
      ["POL-7", "if (pinned !== digest) return", "if (pinned === undefined) return"],
      [
        "POL-1",
        "canonical && { any: canonical.forms, each: [canonical.lower, canonical.uri] }",
        "{ any: [own], each: [own] }",
      ],
    ],
  },
  "gateway/session/relay.ts": {
    tests: [POLICY],
    faults: [
      ["POL-5", " || passed?.approved !== true);", " || true);"],
    ],
  },
  "gateway/session/upstream_sessions.ts": {
    tests: [POLICY],
    faults: [
      [
        "POL-2",
        "if (rules === undefined || !kinds.some((kind) => rules[kind].restricts)) {",
        "if (true) {",
      ],
      ["POL-2", "if (this.#comparing.has(key)) return void this.#comparing.set(key, true);", ""],
    ],
  },
  "gateway/view/permitted_use.ts": {
    tests: [POLICY],
    faults: [
      [
        "POL-5",
        "sealState({ asksApproval: true }, { once: true })",
        "sealState({ asksApproval: true })",
      ],
      [
        "POL-5",
        "state?.asksApproval === true ? question.answer : undefined",
        "question.answer",
      ],
      ["POL-6", "      decision = { allowed: false };\n", "      decision = { allowed: true };\n"],
    ],
  },
  "gateway/view/methods.ts": {
    tests: [POLICY, REFERENCE],
    faults: [
      [
        "POL-2",
        "exchange.mayUse === undefined && !mayBeWithheld",
        "exchange.mayUse === undefined",
      ],
    ],
  },
  "gateway/client/common_session.ts": {
    tests: [SHARED],
    faults: [
      ["SHP-2", 'if (this.settings.share === "all") return { capabilities: {} };', ""],
      ["SHP-5", "if (!members.delete(member) || members.size > 0) return {};", ""],
      [
        "SHP-5",
        "const result = members.size === 0 ? await member.send(call) : {};",
        "const result = await member.send(call);",
      ],
      ["SHP-7", 'if (this.settings.share === "all") return;', ""],
      ["SHP-9", 'if (this.settings.share === "all" || !isKnown)', "if (!isKnown)"],
      ["SHP-10", 'others.length === 0 && method !== "roots/list"', "true"],
      ["SHP-14", "if (this.isUnused) this.end();", ""],
      ["SHP-15", "for (const stop of [...this.#stops]) stop.abort(error);", ""],
      ["SHP-16", "if (this.#common.isBusyWithout(this)) return;", ""],
      ["SHP-17", "this.members.size + this.#joining >= this.settings.limits.sessions", "false"],
    ],
  },
  "gateway/client/fair_calls.ts": {
    tests: [SHARED],
    faults: [
      ["SHP-18", "if (next !== undefined && lane.running >= next.running) continue;", ""],
      ["SHP-18", "(this.#owners.get(lane.owner ?? lane) ?? 0) < callsPerOwner", "true"],
      ["SHP-19", "if (lane.waiting.size >= this.#options.waitingPerSession) throw busy();", ""],
    ],
  },
  "gateway/client/common_sessions.ts": {
    tests: [SHARED],
    faults: [
      ["SHP-1", "if (user === undefined) return undefined;", ""],
      ["SHP-2", "JSON.stringify([name, user, rest], sorted)", "JSON.stringify([name, user])"],
    ],
  },
  "gateway/session/crashes.ts": {
    tests: ["unit/gateway/crashes.test.ts", FRAGILE],
    faults: [
      ["GTW-17", "ranMs >= STABLE_MS ? 0 :", ""],
      ["GTW-17", "return `${upstream} ${owner}`;", "return `${upstream} ${owner.length}`;"],
      ["GTW-17", "this.#kept.size < this.#most", "true"],
      ["GTW-17", "this.#unprobed.add(upstream);", ""],
      ["GTW-17", "return count >= MANY;", "return count > MANY;"],
    ],
  },
  "gateway/view/addresses.ts": {
    tests: [APPS, "unit/gateway/addresses.test.ts"],
    faults: [
      [
        "APP-1",
        "return back?.upstream === upstream && back.uri === uri ? address : undefined;",
        "return address;",
      ],
      ["APP-1", "&& isUpstream(found.upstream)", ""],
      ["APP-3", "!sessions.known.isElsewhere(upstream, uri) &&", ""],
      ["APP-3", "this.split(uri) === undefined &&", ""],
      ["APP-3", "++lookups <= MAX_LOOKUPS && ", ""],
    ],
  },
  "gateway/view/merged_lists.ts": {
    tests: [APPS, POLICY, REFERENCE],
    faults: [
      ["POL-1", "if (!isTemplate && !rules.resources.allows(uri)) return -1;", ""],
      [
        "POL-2",
        'templates.restricts || (use !== "read" && resources.restricts)',
        "templates.restricts",
      ],
      ["APP-3", " && sessions.addresses.claim(uri, upstream)", ""],
      ["APP-1", "addresses.split(uri) === undefined && ", ""],
      ["APP-1", "const isOwn = !isAlwaysQualified(uri) && ", "const isOwn = "],
      ["APP-1", 'kind === "templates" ? templateStart(uri) : uri', "uri"],
      ["APP-3", "for (const name of missing)", "for (const name of missing.slice(missing.length))"],
    ],
  },
  "gateway/view/find_resource.ts": {
    tests: [APPS],
    faults: [
      ["APP-3", "if (owner !== undefined) return { upstream: owner, uri: address };", ""],
      ["APP-3", "if (!isWebAddress(address)) sessions.addresses.claim(address, upstream);", ""],
      [
        "APP-5",
        "if (address !== own.uri) {",
        "if (address !== own.uri) return true; else if (address === undefined) {",
      ],
      [
        "APP-5",
        'if (isAlwaysQualified(address)) return await mayUse("resources/read", qualified);',
        "if (isAlwaysQualified(address)) return true;",
      ],
      ["APP-5", 'only === own.upstream || await mayUse("resources/read", qualified)', "true"],
    ],
  },
  "gateway/view/app_tools.ts": {
    tests: [APPS],
    faults: [
      ["APP-4", "if (!entries.some(hasPage)) return [];", ""],
      ["APP-4", ".filter(isForApps)", ""],
      ["APP-4", "if (!verdicts.every((verdict) => verdict)) return undefined;", ""],
      [
        "APP-4",
        "for (const upstream of missing) {",
        "for (const upstream of missing.slice(missing.length)) {",
      ],
    ],
  },
  "gateway/session/known_addresses.ts": {
    tests: ["unit/gateway/addresses.test.ts"],
    faults: [
      ["APP-3", "this.#owners.delete(oldest)", "oldest"],
    ],
  },
  "gateway/shared/extensions.ts": {
    tests: [APPS, "unit/gateway/addresses.test.ts"],
    faults: [
      ["APP-10", "...new Set(types.flat())", "...new Set(types[0])"],
      ["APP-10", "merge !== undefined || given.length === all.length", "true"],
      ["APP-10", "if (merged === undefined) withheld", "if (false) withheld"],
      ["APP-10", "new Set([TASKS, SKILLS, ...AUTHORIZATION])", "new Set([TASKS, SKILLS])"],
      ["APP-6", "passed.length > MAX_EXTENSIONS", "false"],
      ["APP-6", " && !left.has(id)", ""],
    ],
  },
  "gateway/session/change_listener.ts": {
    tests: ["gateway/listeners.test.ts"],
    faults: [
      ["APP-9", "if (!known.some((kind) => rules[kind].restricts))", "if (true)"],
      ["APP-9", "if (this.#rulesOf(upstream)?.resources.allows(uri) === false) return;", ""],
      ["APP-9", "filter((address) => !isWanted(address))", "filter(() => true)"],
    ],
  },
  "gateway/session/upstream_task.ts": {
    tests: ["gateway/tasks.test.ts"],
    faults: [
      ["APP-11", "if (!this.#hasEnded) void this.cancel();", ""],
      [
        "APP-11",
        "const { [RELATED_TASK]: _, ...meta } = isObject(_meta) ? _meta : {};\n      return",
        "const meta = isObject(_meta) ? _meta : {};\n      return",
      ],
    ],
  },
  "gateway/view/tasks.ts": {
    tests: ["gateway/tasks.test.ts"],
    faults: [
      [
        "APP-12",
        "for (const [id, task] of this.#running) if (isWithheld(task))",
        "for (const [id, task] of this.#running) if (!task)",
      ],
      [
        "APP-12",
        "      if (!isFollowed) void cancelTask(unfollowed);\n      throw error;",
        "      throw error;",
      ],
      ["APP-11", "this.#running.delete(id);", ""],
      ["APP-11", "if (this.#asking.has(mark)) return;", "return;"],
    ],
  },
  "gateway/session/client_tasks.ts": {
    tests: ["gateway/client_tasks.test.ts"],
    faults: [
      ["APP-13", "return { ...result, task: { ...task, taskId } };", "return result;"],
      ["APP-13", "mayBeTask ? params : plain", "params"],
    ],
  },
  "gateway/view/skills.ts": {
    tests: ["gateway/skills.test.ts"],
    faults: [
      [
        "EXT-12",
        "if (policies.rulesOf(principal, upstream)?.resources.allows(own) === false) return undefined;",
        "",
      ],
      ["EXT-12", "given.length > 0 && shown.length === 0", "false"],
    ],
  },
  "gateway/session/sharing_key.ts": {
    tests: [KEPT],
    faults: [
      ["GTW-18", "if (!isAnonymous(principal)) return", "return"],
      ["GTW-18", " || request.headers.has(HOPS_HEADER)", ""],
      ["GTW-18", "[ownerKey(principal), peer, program]", "[ownerKey(principal)]"],
    ],
  },
  "gateway/session/stateless.ts": {
    tests: [KEPT],
    faults: [
      ["GTW-18", "(share === undefined || sessions.share === share) && ", ""],
      ["GTW-18", "count >= MOST_EACH && ", "false && "],
      ["GTW-18", "value.users > 0 || !mayGo(value)", "!mayGo(value)"],
      [
        "GTW-18",
        "if (this.#shared.size === 0) this.#served.capacity.reclaimers.add(this.#reclaim);",
        "",
      ],
      ["GTW-18", "this.#hasReported = true;", ""],
    ],
  },
  "gateway/session/rights.ts": {
    tests: [RIGHTS_CHANGE],
    faults: [
      ["AUTH-7", "JSON.stringify([scopes, shortHash", "JSON.stringify([shortHash"],
      ["AUTH-7", 'shortHash(JSON.stringify(claims) ?? "")', '""'],
      ["AUTH-7", ", shortHash(token)]", "]"],
      ["AUTH-7", "shortHash(token)", "token"],
    ],
  },
  "gateway/session/list_cache.ts": {
    tests: ["unit/gateway/list_cache.test.ts", RIGHTS_CHANGE, SLOW, "gateway/core_changes.test.ts"],
    faults: [
      [
        "AUTH-7",
        "const entries = this.#byRights.get(rights);",
        "const [entries] = this.#byRights.values();",
      ],
      ["AUTH-7", "byRights.set(rights, pending)", 'byRights.set("", pending)'],
      ["GTW-8", "      this.#pending.delete(key);\n", ""],
      ["AUTH-7", "(MAX_RIGHTS)", "(2 * MAX_RIGHTS)"],
      [
        "AUTH-7",
        "    // Those used last go to the end.\n    this.#byRights.set(rights, entries);\n",
        "",
      ],
      ["GTW-8", "if (generation !== this.generation(upstream, kind)) return;", ""],
      [
        "GTW-8",
        "for (const entries of this.#byRights.values()) entries.delete(key);",
        "this.#byRights.values().next().value?.delete(key);",
      ],
      ["GTW-14", "entry.expiresAt <= this.#clock.now()", "entry.expiresAt < this.#clock.now()"],
      ["GTW-14", "pending?.isAbandoned === true ? undefined : pending", "pending"],
      ["GTW-14", "if (byRights.get(rights) === pending) byRights.delete(rights);", ""],
      ["GTW-11", "      this.#pending.delete(keyOf(upstream, kind));\n", ""],
      ["GTW-11", "      this.#delete(keyOf(upstream, kind));\n", ""],
    ],
  },
  "gateway/session/capacity.ts": {
    tests: ["unit/gateway/capacity.test.ts", LIMITS],
    faults: [
      [
        "GTW-14",
        "queue(limits.upstreamSessions, limits.upstreamSessionsPerPrincipal)",
        "queue(limits.upstreamSessions, limits.upstreamSessions)",
      ],
      [
        "GTW-14",
        "queue(limits.programs, limits.programsPerPrincipal)",
        "queue(limits.programs, limits.programs)",
      ],
      ["GTW-14", "error.isShare ? `${kind}PerPrincipal` : kind", "kind"],
      ["GTW-14", "shareKey(ownerKey(principal))", "ownerKey(principal)"],
      ["GTW-14", "shareKey(ownerKey(principal))", "principal.id"],
      ["GTW-14", "if (!(error instanceof NoSlotError)) throw error;", ""],
      ["GTW-14", "isAnonymous(principal) ? undefined : ", ""],
    ],
  },
  "gateway/session/in_time.ts": {
    tests: ["unit/gateway/in_time.test.ts", SLOW],
    faults: [
      ["GTW-14", "if (isRecent && (!isAlone || failure.isSlow)) throw failure.error;", ""],
      ["GTW-14", "(!isAlone || failure.isSlow)", "true"],
      ["GTW-14", "clock.now() < failure.retryAt", "true"],
      ["GTW-14", "if (failure !== undefined && !isAlone) {", "if (failure === null) {"],
      ["GTW-14", "if (!pending.isLate) report(", "report("],
      ["GTW-14", "  pending.leaveOut();\n  // While", "  // While"],
      ["GTW-14", "isAlone ? undefined : 0", "undefined"],
      ["GTW-14", "isAlone ? undefined : 0", "0"],
      ["GTW-14", "{ error, isSlow: true }", "{ error, isSlow: false }"],
      ["GTW-14", "      release();\n", ""],
      ["GTW-14", "this.answer.then(release, release);", "this.answer.then(release);"],
      ["GTW-14", "if (this.isLate) return;", ""],
      ["GTW-14", "deadline(clock, waitMs, signal)", "deadline(clock, Infinity, signal)"],
      ["GTW-14", " || signal.aborted) throw error;", ") throw error;"],
    ],
  },
  "gateway/session/recent_failures.ts": {
    tests: ["unit/gateway/recent_failures.test.ts", SLOW],
    faults: [
      [
        "GTW-14",
        "failure.forgetAt <= this.#clock.now() ? undefined",
        "failure.forgetAt < this.#clock.now() ? undefined",
      ],
      ["GTW-14", "this.#kept.size < this.#most", "this.#kept.size <= this.#most"],
      ["GTW-14", "if (forgetAt > now && this.#kept.size", "if (this.#kept.size"],
      ["GTW-14", "    this.remove(upstream, key);\n", ""],
      ["GTW-14", "now + this.#retryMs + KEPT_MS", "now + KEPT_MS"],
      ["GTW-14", "retryAt: now + retryMs", "retryAt: now"],
      ["GTW-14", "key.startsWith(`${upstream} `)", "key.startsWith(upstream)"],
    ],
  },
  "gateway/session/upstream_lists.ts": {
    tests: [SLOW, RIGHTS_CHANGE, "gateway/core_lists.test.ts"],
    faults: [
      [
        "AUTH-7",
        "return `${shortHash(rightsKey(context))} ${this.#sessions.owner}`;",
        "return `${this.#sessions.owner}`;",
      ],
      ["GTW-14", "if (pending.isLate) this.#notifyChanged(name, facts);", ""],
      [
        "GTW-14",
        "if (pending.isLate && entries.length > 0) this.#notifyChanged(name, facts, kind);",
        "",
      ],
      ["GTW-14", "if (this.#openings.get(name) === opening) this.#openings.delete(name);", ""],
      ["GTW-14", "isProgram ? openTimeoutMs + listTimeoutMs : listTimeoutMs", "listTimeoutMs"],
      ["GTW-14", "isAlone ? aloneMs : listWaitMs", "listWaitMs"],
      ["GTW-8", "isLasting ? Infinity : keepMs", "Infinity"],
      ["GTW-8", "isLasting ? Infinity : keepMs", "keepMs"],
      [
        "GTW-14",
        "pending.isLate ? Math.max(listCacheMs, LATE_LIST_MS) : listCacheMs",
        "listCacheMs",
      ],
    ],
  },
  "gateway/shared/login.ts": {
    tests: ["gateway/login.test.ts"],
    faults: [
      ["GTW-15", '  "authorization",\n', ""],
      ["GTW-15", '  "cookie",\n', ""],
      ["GTW-15", '  "x-api-key",\n', ""],
      ["GTW-15", '  "mcp-session-id",\n', ""],
      ["GTW-15", '  "last-event-id",\n', ""],
      ["GTW-15", '  "cf-access-",\n', ""],
      ["GTW-15", '.replaceAll("_", "-")', ""],
      ["GTW-15", "hyphened.startsWith(prefix)", "hyphened === prefix"],
      ["GTW-15", "new Request(withoutToken(request.url)", "new Request(request.url"],
      ["GTW-15", "    stripped.set(shown, shown);\n", ""],
    ],
  },
  "gateway/shared/slot_queue.ts": {
    tests: ["unit/gateway/slot_queue.test.ts", LIMITS],
    faults: [
      ["GTW-14", "new Slots(most, mostEach)", "new Slots(most)"],
      [
        "GTW-14",
        "if (!this.#places.take(owner)) throw this.#refusal();",
        "this.#places.take(owner);",
      ],
      ["GTW-14", "Math.min(most, MAX_WAITING), mostEach", "Math.min(most, MAX_WAITING)"],
      ["GTW-14", "Math.min(most, MAX_WAITING)", "most"],
      ["GTW-14", "if (waiter.isAdmitted) this.#give(owner);", ""],
      ["GTW-14", "if (isReleased) return;", ""],
      ["GTW-14", "      limit.clear();\n", ""],
      ["GTW-14", "      this.#places.give(owner);\n", ""],
      ["GTW-14", "      this.#waiting.delete(waiter);\n", ""],
      ["GTW-14", "waiter.isAdmitted || !this.#slots.take", "!this.#slots.take"],
      [
        "GTW-14",
        "!this.#slots.take(waiter.owner)) continue;",
        "!this.#slots.take(waiter.owner)) return;",
      ],
      ["GTW-14", "new NoSlotError(!this.#slots.full)", "new NoSlotError(this.#slots.full)"],
    ],
  },
  "gateway/shared/task_queue.ts": {
    tests: ["unit/gateway/task_queue.test.ts", "gateway/outgoing_bounds.test.ts"],
    faults: [
      ["GTW-8", "this.#running < this.#most", "this.#running <= this.#most"],
      [
        "GTW-8",
        "this.#waiting.length >= this.#mostWaiting",
        "this.#waiting.length > this.#mostWaiting",
      ],
      [
        "GTW-8",
        "if (next === undefined) this.#running--;",
        "this.#running--;\n      if (next === undefined) return;",
      ],
      ["GTW-8", "this.#waiting.shift()", "this.#waiting.pop()"],
      ["GTW-8", "this.#run(task, true)", "this.#run(task)"],
    ],
  },
};
