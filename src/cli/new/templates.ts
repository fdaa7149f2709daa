/**
 * Has the programs of a new project: its server, what serves it, and its test.
 *
 * @module
 */
import type { Choices } from "./choices.ts";

/** Returns the server: tools that one would write. */
export function serverFile(name: string, auth: Choices["auth"]): string {
  const users = auth !== "none";
  const kept = users
    ? `/** The tasks of each user, while the program runs. Put your database in its place. */
const users = new Map<string, Task[]>();

function tasksOf(user: string): Task[] {
  const own = users.get(user) ?? [];
  users.set(user, own);
  return own;
}`
    : `/** The tasks, while the program runs. Put your database in its place. */
const tasks: Task[] = [];`;
  const own = users ? "  const tasks = tasksOf(ctx.principal.id);\n" : "";
  const args = (given: string) =>
    users ? `(${given}, ctx)` : given === "_args" ? "()" : `(${given})`;
  return `import { McpServer, ToolError } from "@mooring/mcp";
import { z } from "zod";

const Task = z.object({ id: z.number(), title: z.string(), done: z.boolean() });
type Task = z.infer<typeof Task>;

/** The most tasks${users ? " of one user" : ""}. */
const MOST = 100;

${kept}

export const server = new McpServer({ name: "${name}", version: "0.1.0" }, {
  instructions: "Keeps ${
    users ? "each user's" : "a"
  } list of tasks. List them before you finish one.",
});

export const addTask = server.registerTool("add_task", {
  title: "Add a task",
  description: "Adds a task to the list and returns it with its id.",
  inputSchema: z.object({
    title: z.string().min(1).max(200).describe("What is to be done"),
  }),
  outputSchema: Task,
  annotations: { destructiveHint: false, openWorldHint: false },
}, ${args("{ title }")} => {
${own}  // The model reads this, and can do something about it
  if (tasks.length >= MOST) throw new ToolError(\`Finish a task first: there are \${MOST}\`);
  const task = { id: (tasks.at(-1)?.id ?? 0) + 1, title, done: false };
  tasks.push(task);
  return { structuredContent: task };
});

export const listTasks = server.registerTool("list_tasks", {
  title: "List the tasks",
  description: "Lists the tasks that are open, or all of them.",
  inputSchema: z.object({
    all: z.boolean().default(false).describe("Whether finished tasks are listed, too"),
  }),
  outputSchema: z.object({ tasks: z.array(Task) }),
  annotations: { readOnlyHint: true, openWorldHint: false },
}, ${args("{ all }")} => ${
    users
      ? `({
  structuredContent: { tasks: tasksOf(ctx.principal.id).filter(({ done }) => all || !done) },
})`
      : `({
  structuredContent: { tasks: tasks.filter(({ done }) => all || !done) },
})`
  });

export const finishTask = server.registerTool("finish_task", {
  title: "Finish a task",
  description: "Marks a task as done, by its id.",
  inputSchema: z.object({ id: z.number().int().describe("The id that list_tasks returns") }),
  outputSchema: Task,
  annotations: { idempotentHint: true, openWorldHint: false },
}, ${args("{ id }")} => {
${own}  const task = tasks.find((task) => task.id === id);
  if (task === undefined) throw new ToolError(\`List the tasks: there is none with the id \${id}\`);
  task.done = true;
  return { structuredContent: task };
});
`;
}

/** Returns the program that serves. */
export function mainFile({ runtime, transport, auth }: Choices): string {
  if (transport === "stdio") {
    return `import { serveStdio } from "@mooring/mcp/stdio";
import { server } from "./server.ts";

// stdout is for messages: console.log writes to stderr
serveStdio(server);
`;
  }
  const port = `Number(process.env.PORT ?? 8000)`;
  if (auth === "none") {
    return `import process from "node:process";
import { serve } from "@mooring/mcp/${runtime}";
import { server } from "./server.ts";

const { url } = await serve(server, { port: ${port} });
console.log(\`Listening at \${url}\`);
`;
  }
  if (auth === "bearer") {
    return `import process from "node:process";
import { bearer } from "@mooring/mcp/auth";
import { serve } from "@mooring/mcp/${runtime}";
import { server } from "./server.ts";

const { MCP_TOKEN, PORT = "8000" } = process.env;
if (!MCP_TOKEN) throw new Error("Set MCP_TOKEN, as .env does");

/** The users, by their tokens. */
const users = new Map([[MCP_TOKEN, { id: "me" }]]);

const { url } = await serve(server, {
  port: Number(PORT),
  authenticate: bearer({ verify: (token) => users.get(token) }),
});
console.log(\`Listening at \${url}\`);
`;
  }
  return signInFile(runtime);
}

/** Returns the program that signs users in. */
function signInFile(runtime: Choices["runtime"]): string {
  const listening = `console.log(\`Listening at \${ORIGIN}/mcp\`);`;
  const serve = {
    deno:
      `Deno.serve({ hostname: "127.0.0.1", port: Number(PORT), onListen() {} }, fetch);\n${listening}\n`,
    bun: `Bun.serve({ hostname: "127.0.0.1", port: Number(PORT), fetch });\n${listening}\n`,
    node: `createServer(toNodeHandler(fetch)).listen(Number(PORT), "127.0.0.1", () => {
  ${listening}
});
`,
  }[runtime];
  const imports = runtime === "node" ? 'import { createServer } from "node:http";\n' : "";
  const adapter = runtime === "node" ? 'import { toNodeHandler } from "@mooring/mcp/node";\n' : "";
  const declared = runtime === "bun"
    ? `
// Or install @types/bun
declare const Bun: {
  serve(options: {
    hostname: string;
    port: number;
    fetch(request: Request): Promise<Response>;
  }): unknown;
};
`
    : "";
  return `${imports}import process from "node:process";
import { createMcpHandler } from "@mooring/mcp";
${adapter}import { oidc, signIn } from "@mooring/mcp/signin";
import { server } from "./server.ts";
${declared}
const { PORT = "8000", ORIGIN = "http://localhost:8000" } = process.env;
const { PROVIDER, CLIENT_ID, CLIENT_SECRET } = process.env;
if (!PROVIDER || !CLIENT_ID) throw new Error("Set PROVIDER and CLIENT_ID: see .env");

// What clients and the provider call it, whatever the port that it listens at
const front = signIn({
  issuer: ORIGIN,
  resource: \`\${ORIGIN}/mcp\`,
  provider: oidc({
    issuer: PROVIDER,
    clientId: CLIENT_ID,
    ...CLIENT_SECRET && { clientSecret: CLIENT_SECRET },
  }),
  scopes: { tasks: "See and change your tasks" },
  // Who may enter: here everybody whom the provider knows
  allow: () => true,
  // For development: http is let through on loopback
  allowInsecure: true,
});
const handler = createMcpHandler(server, {
  path: "/mcp",
  authenticate: front.authenticate,
  resource: front.resource,
});

async function fetch(request: Request, context?: unknown): Promise<Response> {
  return (await front.routes(request, context)) ?? await handler(request, context);
}
${serve}`;
}

/** What sign-in is told of its provider. */
export const SIGN_IN_ENV =
  `# At the provider, register http://localhost:8000/signin/callback as a redirect address
PROVIDER=https://accounts.google.com
CLIENT_ID=
CLIENT_SECRET=
`;

/** Returns the test. */
export function testFile(auth: Choices["auth"]): string {
  const handler = auth === "none"
    ? "createMcpHandler(server)"
    : 'createMcpHandler(server, { authenticate: () => ({ id: "ada" }) })';
  return `import assert from "node:assert/strict";
import { test } from "node:test";
import { createMcpHandler } from "@mooring/mcp";
import { connect } from "@mooring/mcp/testing";
import { server } from "./server.ts";

test("a task is added, listed and finished", async () => {
  await using handler = ${handler};
  // Knows the tools and their types
  await using client = await connect<typeof import("./server.ts")>(handler);

  const added = await client.callTool("add_task", { title: "Try it" });
  const id = added.structuredContent?.id ?? assert.fail();
  await client.callTool("finish_task", { id });

  const { structuredContent } = await client.callTool("list_tasks", { all: true });
  assert.deepEqual(structuredContent?.tasks, [{ id, title: "Try it", done: true }]);
});

test("the model is told what to do about an id that there is not", async () => {
  await using handler = ${handler};
  await using client = await connect<typeof import("./server.ts")>(handler);

  const { isError, content } = await client.callTool("finish_task", { id: 999 });
  assert.equal(isError, true);
  assert.match(JSON.stringify(content), /List the tasks/);
});
`;
}
