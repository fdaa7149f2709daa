/**
 * Opens a listening socket, and hands it to a shell that starts a program again whenever it has ended, as
 * systemd does. Takes the number of starts, the program and its arguments. Writes `port N`, `pid N` for each
 * start, and what the program writes. Runs on Node and Bun: Deno can't pass a socket to a child.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import process from "node:process";

/** Runs `$2…` `$1` times; the inner shell becomes the program, so that LISTEN_PID is the program's own. */
const LOOP = `n=$1; shift
while [ $n -gt 0 ]; do
  n=$((n - 1))
  sh -c 'echo "pid $$"; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"' sh "$@"
done`;

const host = process.env["KEEPER_HOST"] ?? "127.0.0.1";
const server = createServer();
await new Promise<void>((resolve) => server.listen({ port: 0, host }, resolve));
const address = server.address();
const port = typeof address === "object" && address !== null ? address.port : 0;
// Neither runtime has another way to the descriptor.
const { fd } = (server as unknown as { readonly _handle: { readonly fd: number } })._handle;
const shell = spawn("sh", ["-c", LOOP, "sh", ...process.argv.slice(2)], {
  stdio: ["ignore", "inherit", "inherit", fd],
});
// From now on the shell has the socket.
server.close();
process.stdout.write(`port ${port}\n`);
shell.once("exit", () => process.exit(0));
