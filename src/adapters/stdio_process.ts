/**
 * Gives the pipes of this process to a server, and keeps everything else off its output.
 *
 * @module
 */
import { Console } from "node:console";
import process from "node:process";

// The streams of `node:process` would block Deno while a pipe is full.
const deno: typeof Deno | undefined = globalThis.Deno;

/** Returns stdin as a byte stream. */
export function processInput(): ReadableStream<Uint8Array> {
  return deno?.stdin.readable ?? stdin();
}

/** Returns stdout as a byte stream, which keeps its place when prints are redirected later. */
export function processOutput(): WritableStream<Uint8Array> {
  return deno === undefined ? stdout() : unclosed(deno.stdout.writable);
}

/**
 * Sends what the program prints with `console` or `process.stdout` to stderr, until the returned function
 * is called: on stdout it would not be a message of the protocol.
 */
export function redirectPrints(): () => void {
  const { stdout, stderr } = process;
  const methods = Object.entries(new Console({ stdout: stderr, stderr }))
    .filter(([name, value]) => typeof value === "function" && name in console);
  const before = Object.fromEntries(methods.map(([name]) => [name, Reflect.get(console, name)]));
  const { write } = stdout;
  Object.assign(console, Object.fromEntries(methods));
  stdout.write = stderr.write.bind(stderr) as typeof write; // the same overloads
  return () => {
    Object.assign(console, before);
    stdout.write = write;
  };
}

/** Reads stdin as fast as its bytes are used. */
function stdin(): ReadableStream<Uint8Array> {
  const { stdin } = process;
  let open = true;
  return new ReadableStream({
    start(controller) {
      const close = (error?: Error): void => {
        if (!open) return;
        open = false;
        if (error === undefined) controller.close();
        else controller.error(error);
      };
      stdin.on("data", (chunk: Uint8Array) => {
        if (!open) return;
        controller.enqueue(chunk);
        stdin.pause();
      });
      stdin.once("end", () => close());
      stdin.once("close", () => close());
      stdin.once("error", close);
      stdin.pause();
    },
    pull: () => void stdin.resume(),
    cancel() {
      open = false;
      stdin.destroy();
    },
  }, { highWaterMark: 0 });
}

/** Writes to stdout, and tells when the bytes have left the process. */
function stdout(): WritableStream<Uint8Array> {
  const { stdout } = process;
  const write = stdout.write.bind(stdout);
  return new WritableStream({
    start(controller) {
      // Without a listener a closed pipe would end the process with an error.
      stdout.on("error", (error) => controller.error(error));
    },
    write: (chunk) =>
      new Promise((resolve, reject) => {
        write(chunk, (error) => error ? reject(error) : resolve());
      }),
  });
}

/** Wraps a stream of the process, so that it stays open when a server has ended. */
function unclosed(stream: WritableStream<Uint8Array>): WritableStream<Uint8Array> {
  const writer = stream.getWriter();
  return new WritableStream({
    start(controller) {
      writer.closed.catch((error) => controller.error(error));
    },
    write: (chunk) => writer.write(chunk),
  });
}
