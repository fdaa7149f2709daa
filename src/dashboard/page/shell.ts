/**
 * Writes the dashboard's HTML: the page, which its script fills, and the page to sign in.
 *
 * @module
 */
import { html } from "./hono.ts";
import { ASSETS } from "./assets.ts";

/** HTML text, escaped. */
type Html = ReturnType<typeof html>;

/** The tabs of the page: the name of each, and its title. */
const TABS: readonly (readonly [name: string, title: string])[] = [
  ["overview", "Overview"],
  ["calls", "Calls"],
  ["sessions", "Sessions"],
  ["principals", "Principals"],
  ["streams", "Streams"],
  ["tools", "Tools"],
  ["methods", "Methods"],
  ["upstreams", "Upstreams"],
  ["refusals", "Refusals"],
  ["limits", "Limits"],
  ["nodes", "Nodes"],
  ["grants", "Grants"],
  ["accounts", "Accounts"],
  ["acts", "Audit"],
];

/** The filters, and what each is called. */
const FILTERS: readonly (readonly [name: string, label: string])[] = [
  ["principal", "Principal"],
  ["tool", "Tool"],
  ["upstream", "Upstream"],
  ["node", "Node"],
];

/** The gauges at the top. */
const GAUGES: readonly (readonly [name: string, label: string])[] = [
  ["sessions", "Sessions"],
  ["calls", "Running calls"],
  ["rate", "Calls a second, last minute"],
  ["p95", "p95, last minute"],
  ["errors", "Errors, last minute"],
  ["streams", "Streams"],
];

const MARK = html`
  <svg class="mark" viewBox="0 0 24 24" aria-hidden="true">
    <circle cx="12" cy="5" r="2.5" />
    <path d="M12 7.5v13M7.5 11h9M4 14c.6 4 3.6 6.5 8 6.5s7.400-2.5 8-6.5" />
  </svg>
`;

function document(title: string, script: "page.js" | "sign_in.js", body: Html): Html {
  return html`
    <!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <meta name="robots" content="noindex">
        <title>${title}</title>
        <link rel="icon" href="assets/icon.svg" type="image/svg+xml">
        <link rel="stylesheet" href="assets/style.css?${ASSETS["style.css"].tag}">
        <script type="module" src="assets/${script}?${ASSETS[script].tag}"></script>
      </head>
      ${body}
    </html>
  `;
}

/** Writes the page of an operator who has signed in: of the tables that may be missing, those that are true. */
export function pageHtml(has: { readonly grants: boolean; readonly accounts: boolean }): Html {
  const missing = [...has.grants ? [] : ["grants"], ...has.accounts ? [] : ["accounts"]];
  return document(
    "Mooring",
    "page.js",
    html`
      <body>
        <a class="skip" href="#main">Skip to the tables</a>
        <header class="bar">
          <h1>${MARK}<span>Mooring</span></h1>
          <p class="status" id="status" role="status" data-state="waiting">
              <span class="dot" aria-hidden="true"></span><span id="status-text">Connecting…</span>
            </p>
          <p class="live" id="live" aria-hidden="true"></p>
          <div class="tools">
            <span id="operator" class="operator" title="Acts are recorded under this name"></span>
            <button type="button" id="export" title="Save what is shown as JSON lines">Export</button>
            <button type="button" id="link" hidden>New link</button>
            <button type="button" id="theme" class="icon"
              title="Switch between light, dark and automatic">
              <span id="theme-text">Auto</span>
            </button>
          </div>
        </header>
        <section class="gauges" aria-label="Totals">
            ${GAUGES.map(([name, label]) =>
              html`<div class="gauge" id="gauge-${name}">
        <span class="label">${label}</span><span class="value">–</span><span class="note"></span>
        <span class="scale"></span>
        <svg class="spark" viewBox="0 0 120 28" preserveAspectRatio="none" aria-hidden="true">
          <path class="area" /><path class="line" />
        </svg>
      </div>`
            )}
          </section>
        <nav aria-label="Tables">
          <div class="tabs" role="tablist" aria-label="Tables">
            ${TABS.filter(([name]) => !missing.includes(name)).map(([name, title], index) =>
              html`
                <button type="button" role="tab" id="tab-${name}" data-tab="${name}" aria-controls="main"
                  aria-selected="${index === 0 ? "true" : "false"}"
                  tabindex="${index === 0
                    ? "0"
                    : "-1"}">${title}<span class="count" id="count-${name}"></span></button>
              `
            )}
          </div>
        </nav>
        <form class="filters" id="filters" role="search" aria-label="Filters" data-open="false">
            <button type="button" id="filter-toggle" aria-expanded="false">Filter</button>
            ${FILTERS.map(([name, label]) =>
              html`<label>${label}
        <input type="search" name="${name}" list="list-${name}" placeholder="All" autocomplete="off"
          spellcheck="false">
        <datalist id="list-${name}"></datalist></label>`
            )}
            <button type="button" id="clear" hidden>Clear filters</button>
            <span class="hint"><kbd>/</kbd> filter <kbd>Esc</kbd> clear <kbd>1</kbd>–<kbd>9</kbd> tabs</span>
          </form>
        <main>
          <div id="main" role="tabpanel" tabindex="-1" aria-labelledby="tab-overview"></div>
        </main>
        <aside id="panel" aria-labelledby="panel-title" hidden>
          <header><h2 id="panel-title">Details</h2>
            <button type="button" id="panel-close">Close</button></header>
          <div id="panel-body"></div>
        </aside>
        <dialog id="confirm" aria-labelledby="confirm-title">
          <h2 id="confirm-title"></h2>
          <p id="confirm-text"></p>
          <p class="buttons">
            <button type="button" id="confirm-no">Go back</button>
            <button type="button" id="confirm-yes" class="danger"></button>
          </p>
        </dialog>
        <div id="toasts" role="status" aria-live="polite"></div>
        <noscript><p class="noscript">Allow scripts of this page: they show the tables.</p></noscript>
      </body>
    `,
  );
}

/** What somebody who has not signed in reads, by what operators sign in with. */
const SIGN_IN_TEXT = {
  link: "Open the link that the server printed when it started. Each link works once.",
  token: "Sign in with your operator's token.",
};

/**
 * Writes the page for somebody who has not signed in. Its script uses the link in the address, or the token
 * that is typed.
 */
export function signInHtml(way: "link" | "token" | undefined): Html {
  return document(
    "Sign in · Mooring",
    "sign_in.js",
    html`
      <body class="plain">
        <main>
          <h1>${MARK}<span>Mooring</span></h1>
          <p id="message" role="status">${way === undefined
            ? "You are not signed in as an operator."
            : SIGN_IN_TEXT[way]}</p>
          ${way === "token"
            ? html`
              <form id="sign-in">
                <label>Token <input type="password" name="token" autocomplete="current-password" required
                        autofocus></label>
                <button type="submit">Sign in</button>
              </form>
            `
            : ""}
        </main>
      </body>
    `,
  );
}
