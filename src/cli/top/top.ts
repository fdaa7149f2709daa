/**
 * Runs `mooring top`: shows what runs at every node in a terminal, and acts on it.
 *
 * @module
 */
import type { OperatorRequest } from "../../dashboard/mod.ts";
import { expand } from "../config/env.ts";
import { CliError, ExitCode, messageOf, usageError } from "../errors.ts";
import type { Io, Terminal } from "../io.ts";
import { printable } from "../log.ts";
import { TopClient, topTarget } from "./client.ts";
import { drawScreen, plainLine, plainText, type Screen } from "./screen.ts";
import { TopState } from "./state.ts";
import { type TopView, VIEWS } from "./views.ts";

/** The options of `mooring top`. */
export interface TopOptions {
  readonly tokenEnv?: string;
  readonly once?: boolean;
  readonly json?: boolean;
}

/** Columns of plain tables. */
const PLAIN_COLUMNS = 160;
/** Characters of a filter. */
const MOST_FILTER = 60;

const KEYS = "q quit  ↑↓ select  / filter  o O sort  x cancel, end, drain, restart  " +
  "e end user  E end grants  D drain all";

/**
 * Watches a dashboard.
 *
 * @throws {CliError} If the dashboard can't be reached, or doesn't let this program in
 */
export async function top(text: string, options: TopOptions, io: Io): Promise<ExitCode> {
  const target = topTarget(text, tokenOf(options, io));
  io.secrets.add([target.link ?? "", target.token ?? ""]);
  const client = await TopClient.signIn(target);
  if (options.once === true) {
    const snapshot = await client.snapshot();
    if (options.json === true) io.out.write(`${JSON.stringify(snapshot)}\n`);
    else {
      const state = new TopState();
      const { at, omitted, ...set } = snapshot;
      state.apply({ at, omitted, reset: true, set, del: {} });
      io.out.write(plainText(state, PLAIN_COLUMNS));
    }
    return ExitCode.Ok;
  }
  const screen = options.json === true ? undefined : io.openTerminal?.();
  if (screen === undefined) return await writeLines(client, options.json === true, io);
  return await new Top(client, screen, io).run();
}

/** Writes one line for each update, until a signal stops it or the server ends. */
async function writeLines(client: TopClient, json: boolean, io: Io): Promise<ExitCode> {
  const stopped = new AbortController();
  const unlisten = io.onSignal(["SIGINT", "SIGTERM"], () => stopped.abort());
  const state = new TopState();
  try {
    for await (const changes of client.changes(stopped.signal)) {
      state.apply(changes);
      if (!json) io.out.write(`${plainLine(state)}\n`);
      else io.out.write(`${JSON.stringify(changes)}\n`);
    }
  } catch (error) {
    if (!stopped.signal.aborted) throw error;
  } finally {
    unlisten();
  }
  if (stopped.signal.aborted) return ExitCode.Ok;
  throw new CliError("The server has ended the connection");
}

function tokenOf({ tokenEnv }: TopOptions, io: Io): string | undefined {
  if (tokenEnv === undefined) return undefined;
  const { value, problems: [problem] } = expand({ token: `\${${tokenEnv}}` }, io.env);
  if (problem !== undefined) throw usageError(`--token-env: ${problem.message}`);
  // A text stays a text when it is expanded
  return (value as { readonly token: string }).token;
}

/** What the next keys are for. */
type Mode =
  | { readonly kind: "table" }
  | { readonly kind: "filter"; readonly before: string }
  | { readonly kind: "confirm"; readonly ask: string; readonly request: OperatorRequest };

/** The program on a terminal. */
class Top {
  readonly #client: TopClient;
  readonly #terminal: Terminal;
  readonly #io: Io;
  readonly #state = new TopState();
  readonly #stopped = new AbortController();
  #view: TopView = VIEWS[0] as TopView; // there are ten
  readonly #sorts = new Map<TopView, readonly [number, boolean]>();
  #selected: string | undefined;
  #mode: Mode = { kind: "table" };
  /** What was answered last. */
  #answer = "";
  #drawn: Screen | undefined;
  #first = 0;

  constructor(client: TopClient, terminal: Terminal, io: Io) {
    this.#client = client;
    this.#terminal = terminal;
    this.#io = io;
  }

  /** Shows the screen until the user quits. Leaves the terminal as it was. */
  async run(): Promise<ExitCode> {
    const stop = () => this.#stopped.abort();
    const unlisten = this.#io.onSignal(["SIGINT", "SIGTERM"], stop);
    const terminal = this.#terminal;
    const { signal } = this.#stopped;
    terminal.begin({ onKeys: (keys) => this.#onKeys(keys), onResize: () => this.#draw() });
    try {
      for await (const changes of this.#client.changes(signal)) {
        this.#state.apply(changes);
        this.#draw();
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      terminal.end();
      unlisten();
    }
    if (signal.aborted) return ExitCode.Ok;
    throw new CliError("The server has ended the connection");
  }

  get #sort(): readonly [number, boolean] {
    return this.#sorts.get(this.#view) ?? this.#view.sort;
  }

  #draw(): void {
    if (this.#state.at === 0 || this.#stopped.signal.aborted) return;
    const { columns, rows } = this.#terminal.size();
    this.#drawn = drawScreen({
      state: this.#state,
      view: this.#view,
      sort: this.#sort,
      selected: this.#selected,
      top: this.#first,
      columns,
      rows,
      color: this.#io.color,
      prompt: this.#prompt(),
    });
    const { shown, selected, top } = this.#drawn;
    this.#selected = shown[selected]?.key;
    this.#first = top;
    this.#terminal.draw(this.#drawn.lines);
  }

  #prompt(): string {
    const mode = this.#mode;
    if (mode.kind === "filter") return `Filter: ${printable(this.#state.filter)}_`;
    if (mode.kind === "confirm") return `${printable(mode.ask)}? y yes, any other key no`;
    return this.#answer === "" ? KEYS : printable(this.#answer);
  }

  #onKeys(keys: readonly string[]): void {
    for (const key of keys) {
      if (key === "\x03") this.#stopped.abort();
      else if (this.#mode.kind === "filter") this.#onFilterKey(key, this.#mode.before);
      else if (this.#mode.kind === "confirm") this.#onConfirmKey(key, this.#mode.request);
      else this.#onTableKey(key);
    }
    this.#draw();
  }

  #onFilterKey(key: string, before: string): void {
    const { filter } = this.#state;
    if (key === "\r" || key === "\n") this.#mode = { kind: "table" };
    else if (key === "\x1b") {
      this.#state.filter = before;
      this.#mode = { kind: "table" };
    } else if (key === "\x7f" || key === "\b") this.#state.filter = filter.slice(0, -1);
    else if (/^[^\p{C}]$/u.test(key) && filter.length < MOST_FILTER) {
      this.#state.filter = filter + key;
    }
  }

  #onConfirmKey(key: string, request: OperatorRequest): void {
    this.#mode = { kind: "table" };
    this.#answer = key === "y" || key === "Y" ? "Waiting for the answer…" : "";
    if (this.#answer === "") return;
    this.#client.act(request).then(
      ({ message }) => this.#answered(message),
      (error) => this.#answered(messageOf(error)),
    );
  }

  #answered(message: string): void {
    this.#answer = message;
    this.#draw();
  }

  #onTableKey(key: string): void {
    this.#answer = "";
    const view = VIEWS.find((each) => each.key === key);
    if (view !== undefined) return this.#show(view);
    switch (key) {
      case "q":
        return this.#stopped.abort();
      case "/":
        this.#mode = { kind: "filter", before: this.#state.filter };
        return;
      case "\x1b":
        this.#state.filter = "";
        return;
      case "\t":
        return this.#show(VIEWS[(VIEWS.indexOf(this.#view) + 1) % VIEWS.length] ?? this.#view);
      case "o": {
        const column = (this.#sort[0] + 1) % this.#view.columns.length;
        return void this.#sorts.set(this.#view, [
          column,
          this.#view.columns[column]?.right === true,
        ]);
      }
      case "O":
        return void this.#sorts.set(this.#view, [this.#sort[0], !this.#sort[1]]);
      case "x":
        return this.#ask(this.#row?.act);
      case "e":
        return this.#askPrincipal();
      case "E":
        return this.#askGrants();
      case "D":
        return this.#askDrain();
    }
    const steps: Readonly<Record<string, number>> = {
      "\x1b[A": -1,
      k: -1,
      "\x1b[B": 1,
      j: 1,
      "\x1b[5~": -(this.#drawn?.room ?? 1),
      "\x1b[6~": this.#drawn?.room ?? 1,
      g: -Infinity,
      G: Infinity,
    };
    this.#move(steps[key] ?? 0);
  }

  #show(view: TopView): void {
    this.#view = view;
    this.#selected = undefined;
    this.#first = 0;
  }

  #move(by: number): void {
    const { shown = [], selected = 0 } = this.#drawn ?? {};
    const to = Math.max(0, Math.min(shown.length - 1, selected + by));
    this.#selected = shown[to]?.key;
  }

  get #row() {
    return this.#drawn?.shown.find(({ key }) => key === this.#selected);
  }

  #ask(act: { readonly ask: string; readonly request: OperatorRequest } | undefined): void {
    if (act === undefined) this.#answer = "There is nothing to do to this row";
    else this.#mode = { kind: "confirm", ...act };
  }

  #askPrincipal(): void {
    const { principal } = this.#row ?? {};
    this.#ask(
      principal && {
        ask: `End every session and call of ${principal.id}`,
        request: { act: "end-principal", principal: principal.id, issuer: principal.issuer },
      },
    );
  }

  #askGrants(): void {
    const { principal } = this.#row ?? {};
    this.#ask(
      principal && {
        ask: `End everything that ${principal.id} has allowed clients`,
        request: { act: "end-grants", principal: principal.id, issuer: principal.issuer },
      },
    );
  }

  #askDrain(): void {
    const on = !this.#state.rows("nodes").some(({ drainingAll }) => drainingAll);
    this.#ask({
      ask: on ? "Drain the whole cluster" : "Stop draining the cluster",
      request: { act: "drain-cluster", on },
    });
  }
}
