/**
 * Faults in who sends a request and what it may do.
 *
 * @module
 */
import type { FaultsByFile } from "../mutations.ts";

/** The faults of authentication and authorization. */
export const AUTH: FaultsByFile = {
  "auth/authenticate.ts": {
    tests: [
      "unit/auth/authenticate.test.ts",
      "unit/auth/underscore_headers.test.ts",
      "wire/auth.test.ts",
      "auth/principal_rate_limit.test.ts",
    ],
    faults: [
      ["AUTH-3", "expiresAt <= settings.clock.now()", "expiresAt < settings.clock.now()"],
      ["AUTH-1", ' && id !== "" &&', " &&"],
      ["AUTH-1", "(scopes === undefined || Array.isArray(scopes))", "true"],
      ["AUTH-1", " && !Number.isNaN(expiresAt)", ""],
      ["AUTH-1", 'message: "Internal error"', "message: String(error)"],
      ["AUTH-1", "joinChallenges(settings.challenge, challenge)", "challenge"],
      ["AUTH-4", 'status: 503, message, headers: { "retry-after": "1" }', "status: 401, message"],
      ["AUTH-8", "refused ?? checkRateLimit(inbound, rateLimit, inbound.principal)", "refused"],
      ["AUTH-8", "rateLimit, inbound.principal)", "rateLimit)"],
      ["GATE-11", "dropUnderscoreHeaders(source)", "source"],
    ],
  },
  "auth/authorize.ts": {
    tests: ["wire/auth.test.ts", "auth/authorize.test.ts", "auth/lists.test.ts"],
    faults: [
      ["AUTH-5", "routes.every(({ scopes = [] })", "routes.some(({ scopes = [] })"],
      ["AUTH-5", 'if (typeof verdict === "boolean") return verdict;', "if (verdict) return true;"],
      [
        "AUTH-5",
        "else hidden.set(request, verdict);",
        'else hidden.set(request, "item");',
      ],
      [
        "AUTH-5",
        "lackingScopes(inbound, settings, allowed)",
        "lackingScopes(inbound, settings, requests)",
      ],
      [
        "AUTH-5",
        'const verdict = allowed ? undefined : "method";',
        'const verdict = allowed ? undefined : "item";',
      ],
      [
        "AUTH-5",
        "(settings.authorize !== undefined) return decide",
        "(route === null) return decide",
      ],
      [
        "AUTH-5",
        '(usable) => usable ? verdict : "item"',
        "() => verdict",
      ],
      [
        "AUTH-5",
        "new MissingScopesError(routes.flatMap",
        "new MissingScopesError(routes.slice(0, 1).flatMap",
      ],
      ["MID-4", "if (hidden === undefined) requireScopes(principal, route);", ""],
    ],
  },
  "auth/bound_tokens.ts": {
    tests: ["unit/auth/dpop.test.ts"],
    faults: [
      ["DPOP-1", "Object.keys(cnf).length !== 1", "Object.keys(cnf).length === 0"],
      ["DPOP-1", "else if (isBound(principal)) throw invalidToken(BOUND, required);", ""],
      ["DPOP-5", "challenge: accepts ? `${challenge}, ${own}` : own", "challenge: own"],
    ],
  },
  "auth/dpop.ts": {
    tests: ["unit/auth/dpop.test.ts"],
    faults: [
      ["DPOP-2", "key !== thumbprint) {", "key === undefined) {"],
      ["DPOP-2", "if (htm !== request.method) throw", "if (htm === undefined) throw"],
      ["DPOP-2", "ath !== await sha256(token)) {", "ath === undefined) {"],
      ["DPOP-2", "address.pathname !== own.pathname || ", ""],
      ["DPOP-2", "URL.parse(one)?.origin === address.origin", "one !== address.origin"],
      ["DPOP-2", "Math.abs(this.#clock.now()", "(this.#clock.now()"],
      ["DPOP-2", 'typ: "dpop+jwt",', ""],
      ["DPOP-3", "const keepMs = 2 * this.#maxAgeMs;", "const keepMs = this.#maxAgeMs;"],
      ["DPOP-3", "`${key} ${jti}`", "`${jti}`"],
    ],
  },
  "auth/dpop_nonces.ts": {
    tests: ["unit/auth/dpop.test.ts"],
    faults: [["DPOP-4", "age > this.#maxAgeMs + NONCE_MS", "age === Infinity"]],
  },
  "auth/used_proofs.ts": {
    tests: ["unit/auth/dpop.test.ts"],
    faults: [
      ["DPOP-3", "if (this.#proofs.has(proof)) return", "if (this.#proofs.size < 0) return"],
      ["DPOP-3", "if (this.#proofs.full) throw", "if (this.#proofs.size < 0) throw"],
    ],
  },
  "auth/bearer.ts": {
    tests: ["unit/auth/bearer.test.ts"],
    faults: [
      [
        "AUTH-4",
        "if (hasScopes(principal, required)) return principal;",
        "if (required) return principal;",
      ],
      [
        "AUTH-4",
        "const BEARER = /^bearer +([A-Za-z0-9\\-._~+/]+=*) *$/i;",
        "const BEARER = /^bearer +([A-Za-z0-9\\-._~+/]+=*)/i;",
      ],
      ["AUTH-4", "header.length <= MAX_AUTHORIZATION ? BEARER", "header ? BEARER"],
      [
        "AUTH-4",
        String.raw`/^bearer(?: |$)/i.test(header)`,
        String.raw`/^bearer/i.test(header)`,
      ],
      ["AUTH-4", "principal.then((value) => admit(value, required))", "principal"],
    ],
  },
  "auth/bounded_fetch.ts": {
    tests: ["unit/auth", "auth/keys.test.ts"],
    faults: [
      ["AUTH-4", "if (bytes > MAX_BYTES)", "if (bytes < 0)"],
      ["AUTH-4", 'redirect: "manual"', 'redirect: "follow"'],
      ["AUTH-4", "    } finally {\n      stop();", "    } finally {"],
      ["AUTH-4", "if (status !== 200) {", "if (status >= 500) {"],
      ["AUTH-4", "Promise.race([aborted, response])", "response"],
      ["AUTH-4", "`${problem}: ${origin}${pathname}`", "`${problem}: ${url}`"],
    ],
  },
  "auth/challenge.ts": {
    tests: ["unit/auth", "wire/auth.test.ts"],
    faults: [
      ["AUTH-1", String.raw`value.replace(/["\\]/g, encodeURIComponent)`, "value"],
      ["AUTH-1", "return bearer === null ? `${own}, ${base}`", "return bearer === null ? base"],
      ["AUTH-4", "if (/^bearer$/i.test(own)) return base;", ""],
    ],
  },
  "auth/check.ts": {
    tests: ["unit/auth", "auth/keys.test.ts"],
    faults: [
      ["AUTH-4", ' || url.password !== ""', ""],
      ["AUTH-4", "&& !allowHttp &&", "&&"],
    ],
  },
  "auth/errors.ts": {
    tests: ["unit/auth", "auth/authorize.test.ts"],
    faults: [
      ["AUTH-1", String.raw`&& /^[!-~](?:[ -~]*[!-~])?$/.test(challenge)`, ""],
      ["AUTH-1", "challenge === undefined ? scopes : []", "scopes"],
    ],
  },
  "auth/introspection.ts": {
    tests: ["unit/auth/introspection.test.ts"],
    faults: [
      ["AUTH-4", "iss !== expected.issuer", "!String(iss).startsWith(expected.issuer)"],
      [
        "AUTH-4",
        "accepted.includes(one)",
        "accepted.some((known) => one.startsWith(known))",
      ],
      ["AUTH-4", "exp > now)", "exp >= now)"],
      ["AUTH-4", "nbf <= now)", "nbf < now)"],
      ["AUTH-4", "if (cnf !== undefined && !expected.mayBeBound) return KEY_BOUND;", ""],
      ["AUTH-4", "if (active !== true)", "if (active === undefined)"],
      ["AUTH-4", "/^refresh/i", "/^refresh/"],
      ["AUTH-4", ' || sub === ""', ""],
      ["AUTH-4", "return Object.freeze({", "return ({"],
      ["AUTH-4", "claims: freezeDeep(response)", "claims: Object.freeze(response)"],
      ["AUTH-4", "{ expiresAt: exp * 1000 }", "{ expiresAt: exp }"],
    ],
  },
  "auth/jwt.ts": {
    tests: ["unit/auth/jwt.test.ts"],
    faults: [
      ["AUTH-4", '    issuer: stringOption("issuer", options.issuer),\n', ""],
      ["AUTH-4", "{ ...expected, audience, currentDate }", "{ ...expected, currentDate }"],
      ["AUTH-4", '["sub", "exp"]', '["sub"]'],
      ["AUTH-4", "    algorithms: algorithmsOption(options.algorithms),\n", ""],
      ["AUTH-4", "    clockTolerance: toleranceS,\n", ""],
      ["AUTH-4", "(exp + toleranceS) * 1000", "exp * 1000"],
      ["AUTH-4", "claims.cnf !== undefined && proofs === undefined", "claims.cnf === null"],
      ["AUTH-4", "++tries > MAX_TRIES", "++tries > 2 * MAX_TRIES"],
      ["AUTH-4", 'key.kty === "oct" || ', ""],
      ["AUTH-4", "|| key.d !== undefined ", ""],
      ["AUTH-4", "{ ...expected, audience, currentDate }", "{ ...expected, audience }"],
      ["AUTH-4", ' || sub === ""', ""],
    ],
  },
  "auth/protected_resource.ts": {
    tests: ["unit/auth/protected_resource.test.ts"],
    faults: [
      ["AUTH-4", "isSamePath(asked, path) ||", "asked.startsWith(path) ||"],
      ["AUTH-4", "|| isSamePath(asked, WELL_KNOWN)", "|| asked.startsWith(WELL_KNOWN)"],
      [
        "AUTH-4",
        "    ...options.metadata,\n    resource,",
        "    resource,\n    ...options.metadata,",
      ],
      ["AUTH-4", '|| resource.includes("#")', ""],
    ],
  },
  "auth/remote_keys.ts": {
    tests: ["unit/auth/remote_keys.test.ts", "auth/keys.test.ts"],
    faults: [
      ["AUTH-4", "age >= cacheMs * STALE_FACTOR", "age > cacheMs * STALE_FACTOR"],
      ["AUTH-4", "if (age < cacheMs ||", "if (age <= cacheMs ||"],
      ["AUTH-4", "|| this.#since(this.#triedAt) < RETRY_MS", ""],
      ["AUTH-4", "if (this.#lookups > 0) {", "if (this.#lookups >= 0) {"],
      ["AUTH-4", "      this.#lookups--;\n", ""],
      ["AUTH-4", "body.keys.length <= MAX_KEYS", "body.keys.length < MAX_KEYS"],
      ["AUTH-4", ".finally(() => this.#pending = undefined)", ""],
      ["AUTH-4", "Math.abs(this.#init.clock.now() - then)", "this.#init.clock.now() - then"],
      ["AUTH-4", "if (this.#triedAt > keys.fetchedAt) throw new Unavailable();", ""],
      ["AUTH-4", "if (this.#pending !== undefined) return this.#pending;", ""],
    ],
  },
  "protocol/route.ts": {
    tests: ["unit/auth", "auth/authorize.test.ts", "gateway/rights.test.ts"],
    faults: [
      ["AUTH-5", "needed.every(", "needed.some("],
      [
        "AUTH-5",
        "Array.isArray(granted) && granted.includes(scope)",
        "String(granted).includes(scope)",
      ],
      ["AUTH-6", "    requireScopes(principal, route);\n", ""],
      [
        "AUTH-5",
        "if (route.hide !== undefined) return route.hide(exchange, hidden);",
        "",
      ],
      ["AUTH-5", 'if (hidden === "method") throw unknownMethod(method);', ""],
    ],
  },
  "auth/scopes.ts": {
    tests: ["unit/auth", "auth/authorize.test.ts"],
    faults: [
      ["AUTH-5", ' && scope !== "offline_access"', ""],
      ["AUTH-5", "kept.slice(0, MAX_GRANTED)", "kept"],
      ["AUTH-4", "of scopes) for (const other", "of [...scopes]) for (const other"],
    ],
  },
  "auth/token_cache.ts": {
    tests: ["unit/auth/introspection.test.ts"],
    faults: [
      ["AUTH-4", "now < entry.until", "now <= entry.until"],
      ["AUTH-4", "entry.at <= now && ", ""],
      ["AUTH-4", "principal.expiresAt ?? Infinity", "Infinity"],
      [
        "AUTH-4",
        "this.#pending.size >= this.#init.maxPending",
        "this.#pending.size > this.#init.maxPending",
      ],
      ["AUTH-4", "new BoundedMap(init.maxEntries)", "new BoundedMap(init.maxEntries - 1)"],
      ["AUTH-4", ".finally(() => this.#pending.delete(key))", ""],
      ["AUTH-4", "        this.#entries.set(key, entry);\n", ""],
      ["AUTH-4", "if (pending !== undefined) return await pending;", ""],
      ["AUTH-4", "new Uint8Array(digest)", "new Uint8Array(digest, 0, 1)"],
    ],
  },
  "auth/underscore_headers.ts": {
    tests: ["unit/auth/underscore_headers.test.ts", "wire/gate.test.ts"],
    faults: [
      ["GATE-11", "return isHiddenHeader(name) ? null : this", "return this"],
      ["GATE-11", "return !isHiddenHeader(name) && this", "return this"],
      ["GATE-11", "if (!isHiddenHeader(entry[0])) yield", "yield"],
      ["GATE-11", " && !PARAM_HEADER.test(text)", ""],
      ["GATE-11", "/^mcp-param-/i", "/mcp-param-/i"],
    ],
  },
};
