/**
 * Runs the client scenarios of the official conformance suite through a gateway: the official client, a
 * gateway, and the suite's server behind it. In those of authorization the user has an account there
 * (`accounts()`), and a browser. Strict: fails when the suite has a scenario that isn't listed
 * here, and when a check doesn't pass or warns.
 *
 * @module
 */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import type { Check } from "./conformance.ts";
import { run } from "./process.ts";
import { commandOf, install, pinned } from "./runtimes.ts";
import { NOTHING, sum, type Tally, tallyLine } from "./tally.ts";
import { bundle } from "./workerd.ts";

const CLIENT = "tests/gateway/conformance_client.ts";
const LIMIT_MS = 240_000;
/** Scenarios that run at a time: each is two processes. */
const LANES = 2;

const OLD = ["2025-11-25"] as const;
const NEW = ["2026-07-28"] as const;
const BOTH = [...OLD, ...NEW] as const;
const FIRST = ["2025-03-26"] as const;
/** An extension's scenarios choose their version. */
const ANY = [""] as const;

const SKILLS =
  "A gateway passes skills on; the client that runs here has none, so nobody reads them";
const GRANT = "The application gets such a token itself, and gives it as the option `auth`";

const NO_PKCE =
  "Without metadata nothing says that the server takes PKCE, so users are sent to none";

/** Scenarios in which an application signs in itself, and gives the tokens as the option `auth`: and versions. */
export const APPLICATION: Readonly<Record<string, readonly string[]>> = {
  "auth/basic-cimd": BOTH,
  "auth/scope-step-up": BOTH,
  "auth/2025-03-26-oauth-endpoint-fallback": FIRST,
};

/** Every client scenario of the suite: the versions that it runs with, or why it doesn't run. */
export const SCENARIOS: Readonly<Record<string, readonly string[] | string>> = {
  "initialize": OLD,
  "tools_call": BOTH,
  "elicitation-sep1034-client-defaults": OLD,
  "sse-retry": OLD,
  "request-metadata": NEW,
  "auth/metadata-default": BOTH,
  "auth/metadata-var1": BOTH,
  "auth/metadata-var2": BOTH,
  "auth/metadata-var3": BOTH,
  "auth/basic-cimd": BOTH,
  "auth/scope-from-www-authenticate": BOTH,
  "auth/scope-from-scopes-supported": BOTH,
  "auth/scope-omitted-when-undefined": BOTH,
  "auth/scope-step-up": BOTH,
  "auth/scope-retry-limit": BOTH,
  "auth/token-endpoint-auth-basic": BOTH,
  "auth/token-endpoint-auth-post": BOTH,
  "auth/token-endpoint-auth-none": BOTH,
  "auth/pre-registration": BOTH,
  "auth/2025-03-26-oauth-metadata-backcompat": FIRST,
  "auth/2025-03-26-oauth-endpoint-fallback": NO_PKCE,
  "auth/resource-mismatch": NEW,
  "auth/offline-access-scope": NEW,
  "auth/offline-access-not-supported": NEW,
  "auth/authorization-server-migration": NEW,
  "auth/iss-supported": NEW,
  "auth/iss-not-advertised": NEW,
  "auth/iss-supported-missing": NEW,
  "auth/iss-wrong-issuer": NEW,
  "auth/iss-unexpected": NEW,
  "auth/iss-normalized": NEW,
  "auth/metadata-issuer-mismatch": NEW,
  "auth/client-credentials-jwt": ANY,
  "auth/client-credentials-basic": ANY,
  "auth/enterprise-managed-authorization": ANY,
  "auth/dpop": ANY,
  "auth/dpop-nonce": ANY,
  "auth/wif-jwt-bearer": GRANT,
  "sep-2322-client-request-state": NEW,
  "http-standard-headers": NEW,
  "http-custom-headers": NEW,
  "http-invalid-tool-headers": NEW,
  "json-schema-ref-no-deref": NEW,
  "json-schema-2020-12-preservation": BOTH,
  "sep-2640-client-no-prefetch": SKILLS,
  "sep-2640-client-verify-digest": SKILLS,
  "sep-2640-client-verify-size": SKILLS,
  "sep-2640-client-verify-frontmatter": SKILLS,
};

/** Checks that the suite skips for every client of 2026, which doesn't send these. */
const NEVER_MADE: ReadonlySet<string | undefined> = new Set([
  "Client sends correct Mcp-Method header on initialize request",
  "Client sends correct Mcp-Method header on notifications/initialized request",
]);

/** Returns one line for each check that didn't pass, or was skipped although it can be made. */
export function clientProblems(scenario: string, checks: readonly Check[]): string[] {
  const bad = checks.filter(({ status, description }) =>
    status === "SKIPPED" ? !NEVER_MADE.has(description) : status !== "SUCCESS" && status !== "INFO"
  );
  if (bad.length === 0 && !checks.some(({ status }) => status === "SUCCESS")) {
    return [`${scenario}: No check was made`];
  }
  return bad.map(({ id, status, description, errorMessage }) =>
    `${scenario}: ${status} ${id}: ${errorMessage ?? description ?? ""}`
  );
}

/** Returns where a list of the suite and the table of scenarios differ. */
export function tableProblems(listing: string): string[] {
  const listed = [...listing.matchAll(/^ {2}- (\S+) \[/gm)].map(([, name = ""]) => name);
  const known = Object.keys(SCENARIOS);
  return [
    ...listed.filter((name) => !known.includes(name)).map((name) =>
      `Say how the scenario runs: ${name}`
    ),
    ...known.filter((name) => !listed.includes(name)).map((name) =>
      `Remove the scenario, the suite doesn't have it: ${name}`
    ),
  ];
}

/** A scenario in one version. */
interface Run {
  readonly name: string;
  readonly version: string;
  /** Whether an application signs in, and not the gateway. */
  readonly isApplication: boolean;
}

const SUITE = "@modelcontextprotocol/conformance/dist/index.js";

/**
 * Runs the scenarios through a gateway, and names those that are skipped.
 *
 * @param filter Runs only scenarios whose name contains it
 */
export async function conformanceOfGateway(filter = ""): Promise<Tally> {
  const folder = await mkdtemp(join(tmpdir(), "conformance-client-"));
  try {
    const script = join(folder, "client.mjs");
    await writeFile(script, await bundle(CLIENT, "node"));
    const { program, args } = commandOf("node");
    const suite = [...args, pinned(SUITE)];
    const { output } = await run(program, [...suite, "list", "--client"], { limitMs: LIMIT_MS });
    const differences = tableProblems(output);
    for (const difference of differences) console.error(`  ${difference}`);
    let total: Tally = { ...NOTHING, failed: differences.length };
    const runs: Run[] = [];
    for (const [name, how] of Object.entries(SCENARIOS)) {
      if (!name.includes(filter)) continue;
      if (typeof how === "string") {
        console.log(`  skipped ${name}: ${how}`);
        total = sum(total, { ...NOTHING, skipped: 1 });
      } else runs.push(...how.map((version) => ({ name, version, isApplication: false })));
    }
    for (const [name, versions] of Object.entries(APPLICATION)) {
      if (!name.includes(filter)) continue;
      runs.push(...versions.map((version) => ({ name, version, isApplication: true })));
    }
    const lane = async (): Promise<void> => {
      for (let next = runs.shift(); next !== undefined; next = runs.shift()) {
        const { name, version, isApplication } = next;
        const way = isApplication ? ["--application"] : [];
        const results = join(folder, [name.replaceAll("/", "-"), version, ...way].join("-"));
        const command = [program, ...args, script, ...way].join(" ");
        const outcome = await run(program, [
          ...suite,
          "client",
          ...["--command", command, "--scenario", name, "--timeout", String(LIMIT_MS)],
          ...["-o", results],
          ...version === "" ? [] : ["--spec-version", version],
        ], { limitMs: LIMIT_MS });
        const problems = clientProblems(name, await readChecks(results));
        for (const problem of problems) {
          console.error(`  ${[version, ...way].join(" ")} ${problem}`);
        }
        if (problems.length > 0) console.error(outcome.output.slice(-2_000));
        const isGood = problems.length === 0;
        total = sum(total, { ...NOTHING, passed: isGood ? 1 : 0, failed: isGood ? 0 : 1 });
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
    return total;
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Reads the checks in the one file of results that a folder has. */
async function readChecks(folder: string): Promise<Check[]> {
  const entries = await readdir(folder, { recursive: true }).catch(() => []);
  const file = entries.find((entry) => entry.endsWith("checks.json"));
  // The suite's own format
  return file === undefined ? [] : JSON.parse(await readFile(join(folder, file), "utf8"));
}

if (import.meta.main) {
  await install();
  const tally = await conformanceOfGateway(process.argv[2]);
  console.log(tallyLine(tally));
  process.exitCode = tally.failed === 0 ? 0 : 1;
}
