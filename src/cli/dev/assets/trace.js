/** Shows every message between clients and a server in development. */

/** Messages that are kept here, and rows that are drawn. */
const MOST = 1_000;

const at = (id) => document.getElementById(id);
const entries = [];
let selected = 0;
let isPaused = false;
let isDrawing = false;

const ARROWS = { in: "→", out: "←", server: "•" };
const WAYS = { in: "To the server", out: "To the client", server: "The server itself" };

function timeOf(ms) {
  const date = new Date(ms);
  const two = (number) => String(number).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${
    String(date.getMilliseconds()).padStart(3, "0")
  }`;
}

/** What a row says of its message. */
function titleOf({ way, kind, method = "", name, text }) {
  if (way === "server") return `${method}: ${text.split("\n")[0]}`;
  const what = [method, name].filter(Boolean).join(" ");
  if (kind === "response") return `${what} result`;
  if (kind === "error") return `${what} error`;
  return what || text.slice(0, 200);
}

function shown() {
  const text = at("filter-text").value.toLowerCase();
  const method = at("filter-method").value.toLowerCase();
  const way = at("filter-way").value;
  const kind = at("filter-kind").value;
  return entries.filter((entry) =>
    (way === "" || entry.way === way) && (kind === "" || entry.kind === kind) &&
    (method === "" || (entry.method ?? "").toLowerCase().includes(method)) &&
    (text === "" || entry.text.toLowerCase().includes(text))
  );
}

function cell(text, name = "") {
  const made = document.createElement("td");
  made.textContent = text;
  if (name !== "") made.className = name;
  return made;
}

function rowOf(entry) {
  const row = document.createElement("tr");
  row.dataset.seq = String(entry.seq);
  row.dataset.way = entry.way;
  row.dataset.kind = entry.kind;
  if (entry.way === "server") row.dataset.what = entry.method;
  row.setAttribute("aria-selected", String(entry.seq === selected));
  const way = cell(ARROWS[entry.way]);
  way.title = WAYS[entry.way];
  const hidden = document.createElement("span");
  hidden.className = "hidden-text";
  hidden.textContent = WAYS[entry.way];
  way.append(hidden);
  row.append(
    cell(timeOf(entry.at)),
    way,
    cell(titleOf(entry), "message"),
    cell(entry.id === undefined ? "" : String(entry.id)),
    cell(entry.session ?? ""),
    cell(entry.ms === undefined ? "" : String(Math.round(entry.ms)), "number"),
    cell(entry.way === "server" ? "" : String(entry.size), "number"),
  );
  return row;
}

function draw() {
  isDrawing = false;
  if (isPaused) return;
  const scroll = at("scroll");
  const isAtEnd = scroll.scrollTop + scroll.clientHeight >= scroll.scrollHeight - 40;
  const rows = shown();
  at("rows").replaceChildren(...rows.map(rowOf));
  at("none").hidden = rows.length > 0;
  at("none").textContent = entries.length === 0
    ? "No message yet. Connect a client to the URL above."
    : "No message fits the filters.";
  scroll.hidden = rows.length === 0;
  const methods = [...new Set(entries.flatMap(({ method }) => method ?? []))].sort();
  at("methods").replaceChildren(...methods.map((method) => {
    const option = document.createElement("option");
    option.value = method;
    return option;
  }));
  if (isAtEnd) scroll.scrollTop = scroll.scrollHeight;
}

function drawSoon() {
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(draw);
}

function drawState({ url, what, version, failure, sessions }) {
  at("url").textContent = url;
  document.title = `${failure ? "✗ " : ""}${what} · Mooring dev`;
  const open = sessions === 1 ? "1 session" : `${sessions} sessions`;
  at("status").dataset.state = failure ? "failed" : version === undefined ? "waiting" : "live";
  at("status-text").textContent = version === undefined
    ? "Nothing answers"
    : `Version ${version} answers, ${open}`;
  at("failure").hidden = !failure;
  if (!failure) return;
  const { file, line, column, message, source, output } = failure;
  const place = [file, line, column].filter((part) => part !== undefined).join(":");
  at("failure-title").textContent = place === "" ? message : `${place}: ${message}`;
  at("failure-source").textContent = source
    ? source.map((each) => `${each.line === line ? ">" : " "} ${each.line} | ${each.text}`)
      .join("\n")
    : output;
  at("failure-note").textContent = version === undefined
    ? "Nothing answers until a file changes."
    : `Version ${version}, from before this change, goes on answering.`;
}

async function open(seq) {
  selected = seq;
  for (const row of at("rows").children) {
    row.setAttribute("aria-selected", String(row.dataset.seq === String(seq)));
  }
  const response = await fetch(`/entry?seq=${seq}`);
  if (!response.ok) return;
  const entry = await response.json();
  at("detail").hidden = false;
  at("detail-title").textContent = titleOf(entry);
  at("detail-facts").textContent = [
    WAYS[entry.way],
    timeOf(entry.at),
    entry.session && `session ${entry.session}`,
    entry.version,
    entry.ms !== undefined && `${Math.round(entry.ms)} ms`,
    entry.status !== undefined && `HTTP ${entry.status}`,
    entry.server !== undefined && `version ${entry.server} of the server`,
    entry.text.length < entry.size && `the first ${entry.text.length} of ${entry.size} characters`,
  ].filter(Boolean).join(" · ");
  let text = entry.text;
  try {
    text = JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    // It was cut, or is no JSON
  }
  at("detail-text").textContent = text;
  at("copy-curl").hidden = !entry.copies.includes("curl");
  at("copy-test").hidden = !entry.copies.includes("test");
  at("secrets-label").hidden = entry.copies.length === 0;
  at("secrets").checked = false;
  at("copied").textContent = "";
}

async function copy(as) {
  const secrets = at("secrets").checked ? "1" : "0";
  const response = await fetch(`/copy?seq=${selected}&as=${as}&secrets=${secrets}`);
  const text = await response.text();
  if (!response.ok) return void (at("copied").textContent = text);
  at("detail-text").textContent = text;
  try {
    await navigator.clipboard.writeText(text);
    at("copied").textContent = "Copied";
  } catch {
    at("copied").textContent = "Select it below";
  }
}

function close() {
  at("detail").hidden = true;
  const row = at("rows").querySelector(`[data-seq="${selected}"]`);
  row?.scrollIntoView({ block: "nearest" });
}

function move(by) {
  const rows = [...at("rows").children];
  if (rows.length === 0) return;
  const now = rows.findIndex((row) => row.dataset.seq === String(selected));
  const next = rows[Math.max(0, Math.min(rows.length - 1, now < 0 ? rows.length - 1 : now + by))];
  selected = Number(next.dataset.seq);
  for (const row of rows) row.setAttribute("aria-selected", String(row === next));
  next.scrollIntoView({ block: "nearest" });
  if (!at("detail").hidden) open(selected);
}

at("rows").addEventListener("click", ({ target }) => {
  const row = target.closest("tr");
  if (row) open(Number(row.dataset.seq));
});
at("filters").addEventListener("input", draw);
at("filters").addEventListener("submit", (event) => event.preventDefault());
at("detail-close").addEventListener("click", close);
at("copy-curl").addEventListener("click", () => copy("curl"));
at("copy-test").addEventListener("click", () => copy("test"));
at("empty").addEventListener("click", async () => {
  await fetch("/clear", { method: "POST" });
  entries.length = 0;
  draw();
});
at("pause").addEventListener("click", () => {
  isPaused = !isPaused;
  at("pause").setAttribute("aria-pressed", String(isPaused));
  draw();
});

const THEMES = ["auto", "light", "dark"];
function useTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  at("theme").textContent = `Theme: ${theme}`;
  localStorage.setItem("theme", theme);
}
at("theme").addEventListener("click", () => {
  const now = document.documentElement.dataset.theme ?? "auto";
  useTheme(THEMES[(THEMES.indexOf(now) + 1) % THEMES.length]);
});
useTheme(THEMES.find((theme) => theme === localStorage.getItem("theme")) ?? "auto");

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const isTyping = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.key === "Escape") {
    if (isTyping) event.target.blur();
    else close();
  } else if (isTyping) return;
  else if (event.key === "/") {
    event.preventDefault();
    at("filter-text").focus();
  } else if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (event.key === "Enter" && event.target.tagName !== "BUTTON" && selected) open(selected);
});

const events = new EventSource("/events");
events.addEventListener("message", ({ data }) => {
  const update = JSON.parse(data);
  drawState(update.state);
  if (update.entries.length === 0) return;
  entries.push(...update.entries);
  entries.splice(0, Math.max(0, entries.length - MOST));
  drawSoon();
});
events.addEventListener("error", () => {
  at("status").dataset.state = "waiting";
  at("status-text").textContent = "mooring dev doesn't answer";
});
