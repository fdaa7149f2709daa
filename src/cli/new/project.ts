/**
 * Has the files of a new project.
 *
 * @module
 */
import { VERSION } from "../version.ts";
import type { Choices } from "./choices.ts";
import { clientFiles, type ProjectClient } from "./clients.ts";
import { mainFile, serverFile, SIGN_IN_ENV, testFile } from "./templates.ts";

/** The versions of what a project needs besides Mooring. */
export const NEEDED = {
  zod: "^4.6.7",
  "@modelcontextprotocol/client": "^2.4.0",
  "@types/node": "^24.19.2",
  typescript: "^5.9.3",
  jose: "^6.2.17",
  hono: "^4.13.19",
  oauth4webapi: "^3.8.8",
  "ipaddr.js": "^2.5.0",
  "@noble/hashes": "^2.4.0",
} as const;

/** What sign-in needs. */
const SIGN_IN_NEEDS = ["jose", "hono", "oauth4webapi", "ipaddr.js", "@noble/hashes"] as const;

/** What a project is made of. */
export interface ProjectInit {
  /** The name of the folder. */
  readonly name: string;
  readonly choices: Choices;
  readonly clients: readonly ProjectClient[];
  /** A secret that nobody else has, for the bearer token. */
  readonly token: string;
  /**
   * What to install as `@mooring/mcp`.
   *
   * @default This version
   */
  readonly package?: string | undefined;
}

/** A new project. */
export interface Project {
  /** The files, by their paths below the project's folder, with slashes. */
  readonly files: Readonly<Record<string, string>>;
  /** The commands from the empty folder to the first call, each in its own line. */
  readonly steps: readonly string[];
}

/** The endpoint's URL. Sign-in needs a name, which `http:` redirects of providers allow. */
const URL_OF: Readonly<Record<Choices["auth"], string>> = {
  none: "http://127.0.0.1:8000/mcp",
  bearer: "http://127.0.0.1:8000/mcp",
  "sign-in": "http://localhost:8000/mcp",
};

/** Returns a name that a package and a server may have. */
export function projectName(folder: string): string {
  return folder.toLowerCase().replace(/[^a-z0-9-]+/g, "-").replace(/^[^a-z]+|-+$/g, "")
    .slice(0, 64) || "my-server";
}

/** Returns the files of a project. */
export function projectOf(init: ProjectInit): Project {
  const { name, choices, clients, token } = init;
  const { runtime, transport, auth } = choices;
  const url = URL_OF[auth];
  const commands = commandsOf(init, url);
  const program = { deno: ["deno", "run", "-A"], bun: ["bun"], node: ["node"] }[runtime];
  return {
    files: {
      "server.ts": serverFile(name, auth),
      "main.ts": mainFile(choices),
      "server.test.ts": testFile(auth),
      ...manifest(init, commands),
      ...auth === "bearer" && { ".env": `MCP_TOKEN=${token}\n` },
      ...auth === "sign-in" && { ".env": SIGN_IN_ENV },
      ".gitignore": ["node_modules/", ".env", ""].join("\n"),
      ...clientFiles({ name, choices, command: [...program, "main.ts"], url, clients }),
      "README.md": readme(init, commands, url),
    },
    steps: transport === "http" && auth !== "sign-in"
      ? [commands.install, `${commands.run("start")}   # in another terminal`, commands.run("call")]
      : [commands.install, commands.run(auth === "sign-in" ? "start" : "call")],
  };
}

/** How one installs the project and runs its scripts. */
interface Commands {
  readonly install: string;
  readonly scripts: Readonly<Record<string, string>>;
  readonly run: (script: string) => string;
}

function commandsOf({ name, choices, package: given }: ProjectInit, url: string): Commands {
  const { runtime, transport, auth } = choices;
  const mooring = runtime === "deno"
    ? `deno run -A --quiet npm:@mooring/mcp@${given ?? `^${VERSION}`}/mooring`
    : "mooring";
  const env = auth === "none" ? "" : "--env-file=.env ";
  const start = {
    deno: `deno run -A ${env}main.ts`,
    bun: `bun ${env}main.ts`,
    node: `node ${env}main.ts`,
  }[runtime];
  // The command and what it starts read .env from their environment
  const withEnv = auth === "none"
    ? mooring
    : runtime === "deno"
    ? mooring.replace("-A", "-A --env-file=.env")
    : `${runtime} --env-file=.env node_modules/@mooring/mcp/bin/mooring.js`;
  const target = transport === "stdio" ? ".mcp.json" : url;
  const token = auth === "bearer" ? " --token-env MCP_TOKEN" : "";
  const server = transport === "stdio" ? ` --server ${name}` : "";
  const scripts = {
    start,
    test: { deno: "deno test -A", bun: "bun test", node: "node --test" }[runtime],
    check: runtime === "deno" ? "deno check" : "tsc",
    dev: `${withEnv} dev main.ts`,
    ...auth !== "sign-in" &&
      { call: `${withEnv} inspect ${target}${server}${token} --call list_tasks` },
  };
  return {
    scripts,
    install: { deno: "deno install", bun: "bun install", node: "npm install" }[runtime],
    run: (script) =>
      runtime === "deno"
        ? `deno task ${script}`
        : runtime === "bun"
        ? `bun run ${script}`
        : script === "start" || script === "test"
        ? `npm ${script}`
        : `npm run ${script}`,
  };
}

/** Returns the file that says what to install and what there is to run. */
function manifest(
  { name, choices: { runtime, auth }, package: given }: ProjectInit,
  { scripts }: Commands,
): Record<string, string> {
  const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
  const mooring = given ?? `^${VERSION}`;
  const signIn = auth === "sign-in" ? SIGN_IN_NEEDS : [];
  const ranges = (names: readonly (keyof typeof NEEDED)[]) =>
    Object.fromEntries(names.map((name) => [name, NEEDED[name]]));
  if (runtime === "deno") {
    const needed = { ...ranges(["zod", "@modelcontextprotocol/client", ...signIn]) };
    return {
      "deno.json": json({
        tasks: scripts,
        imports: {
          "@mooring/mcp": `npm:@mooring/mcp@${mooring}`,
          ...Object.fromEntries(
            Object.entries(needed).map(([name, range]) => [name, `npm:${name}@${range}`]),
          ),
        },
        compilerOptions: { noUncheckedIndexedAccess: true },
      }),
    };
  }
  return {
    "package.json": json({
      name,
      version: "0.1.0",
      private: true,
      type: "module",
      ...runtime === "node" && { engines: { node: ">=24" } },
      scripts,
      dependencies: { "@mooring/mcp": mooring, ...ranges(["zod", ...signIn]) },
      devDependencies: ranges(["@modelcontextprotocol/client", "@types/node", "typescript"]),
    }),
    "tsconfig.json": json({
      compilerOptions: {
        module: "nodenext",
        target: "es2024",
        lib: ["esnext", "dom", "dom.iterable"],
        types: ["node"],
        strict: true,
        noUncheckedIndexedAccess: true,
        erasableSyntaxOnly: true,
        allowImportingTsExtensions: true,
        skipLibCheck: true,
        noEmit: true,
      },
    }),
  };
}

/** Returns the README: one screen. */
function readme({ name, choices }: ProjectInit, { run, install }: Commands, url: string): string {
  const { transport, auth } = choices;
  const users = auth === "bearer"
    ? `
Calls need the token that is in \`.env\`. Clients take it from the variable \`MCP_TOKEN\` of the
environment in which they start; VS Code asks for it.
`
    : auth === "sign-in"
    ? `
Users log in with an OpenID provider: fill in \`.env\` first. Clients open the browser by themselves.
`
    : "";
  const where = transport === "http"
    ? `The server answers at ${url}.`
    : "Clients start \`main.ts\`.";
  const lines = [
    [install, ""],
    [run("test"), "Runs server.test.ts"],
    [run("check"), "Checks the types"],
    [run("dev"), "Serves, again after each change, and shows every message"],
    ...auth === "sign-in" ? [] : [[run("call"), "Calls list_tasks"]],
    [run("start"), "Serves"],
  ] as const;
  const width = Math.max(...lines.map(([command]) => command.length));
  const commands = lines.map(([command, what]) =>
    what === "" ? command : `${command.padEnd(width)}  # ${what}`
  );
  return `# ${name}

An MCP server that keeps a list of tasks, made with [Mooring](https://www.npmjs.com/package/@mooring/mcp).

\`\`\`sh
${commands.join("\n")}
\`\`\`

${where}
${users}
| File | What it has |
| --- | --- |
| \`server.ts\` | The tools: begin here |
| \`main.ts\` | How they are served |
| \`server.test.ts\` | Their test, without a port |
| \`.mcp.json\` and the like | Where clients find the server |
`;
}
