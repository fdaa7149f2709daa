/**
 * Writes the pages that users see: the question for consent, and errors.
 *
 * @module
 */
import { html, raw } from "hono/html";
import { escapeInvisible, randomText } from "../../kit.ts";
import type { SignInClient } from "../clients/types.ts";
import type { Destination } from "./request.ts";

/** A piece of a page. */
export type PagePart = ReturnType<typeof html>;

const STYLE = `
:root { color-scheme: light dark; --ink: #1b1d21; --paper: #fff; --edge: #8a8f98; --calm: #5b616b;
  --main: #0b57d0; --on-main: #fff; --warn: #8a4b00 }
@media (prefers-color-scheme: dark) { :root { --ink: #eceef1; --paper: #17191c; --edge: #7d838d;
  --calm: #a9afb9; --main: #a8c7fa; --on-main: #062e6f; --warn: #ffb868 } }
* { box-sizing: border-box }
body { margin: 0; padding: 1.5rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif }
main { max-width: 32rem; margin: 0 auto }
h1 { font-size: 1.35rem; line-height: 1.3; overflow-wrap: anywhere }
dt { color: var(--calm); margin-top: .9rem } dd { margin: 0; overflow-wrap: anywhere }
.warn { color: var(--warn) } .calm { color: var(--calm) }
form { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.5rem 0 }
button { font: inherit; padding: .6rem 1.4rem; border-radius: .4rem; border: 1px solid var(--edge);
  background: transparent; color: inherit; cursor: pointer }
button.main { background: var(--main); border-color: var(--main); color: var(--on-main) }
:focus-visible { outline: 3px solid var(--main); outline-offset: 2px }
a { color: var(--main) }`;

/** What the question for consent says. */
export interface ConsentPage {
  readonly client: SignInClient;
  readonly destination: Destination;
  readonly resource: string;
  readonly user: string;
  readonly provider: string;
  /** What is asked for now, in words. */
  readonly asked: readonly string[];
  /** What was allowed before, in words. */
  readonly allowed: readonly string[];
  /** Where the form is sent. */
  readonly action: string;
  readonly id: string;
  readonly token: string;
  /** Begins the login anew, as another user. */
  readonly switchUrl: string;
  /** The sources that the form's answer is sent on to, for the policy. */
  readonly formTarget: string;
}

/** Returns the question for consent. */
export function consentPage(page: ConsentPage): Response {
  const { client, destination, asked, allowed } = page;
  const body = html`
    <h1>${whoAsks(client)} asks for access to ${page.resource}</h1>
    <p>You are signed in as <strong>${page.user}</strong> by ${page.provider}.
    <a href="${page.switchUrl}">Use another account</a></p>
    <dl>
    <dt>Who asks</dt><dd>${identity(client)}</dd>
    <dt>Where the answer goes</dt><dd>${place(destination)}</dd>
    <dt>What it may do</dt><dd><ul>${asked.map((each) => html`<li>${each}</li>`)}</ul></dd>
    ${allowed.length === 0 ? "" : html`
      <dt>What you have allowed before</dt>
      <dd>
        <ul>${allowed.map((each) => html`<li>${each}</li>`)}</ul>
      </dd>
    `}
    </dl>
    <p>Allow this only if you have just asked this application to connect.</p>
    <form method="post" action="${page.action}">
      <input type="hidden" name="id" value="${page.id}">
      <input type="hidden" name="token" value="${page.token}">
      <button class="main" name="answer" value="allow">Allow</button>
      <button name="answer" value="deny">Deny</button>
    </form>
  `;
  return pageResponse("Allow access?", body, 200, `'self' ${page.formTarget}`);
}

/** What a page about an error says. */
export interface ErrorPage {
  readonly title: string;
  readonly message: string;
  /** The address that takes the error to the client, if the user wants that. */
  readonly back?: { readonly url: string; readonly place: string };
}

/** Returns a page about an error. Nobody is sent anywhere by it. */
export function errorPage({ title, message, back }: ErrorPage, status: number): Response {
  const link = back === undefined
    ? ""
    : html`<p><a href="${back.url}" rel="noreferrer">Go back to the application
(${back.place})</a></p>`;
  return pageResponse(title, html`<h1>${title}</h1><p>${message}</p>${link}`, status, "'none'");
}

function whoAsks({ kind, name, host }: SignInClient): string {
  if (kind === "document" && host !== undefined) return host;
  return kind === "configured" ? name : `An application that calls itself “${shown(name)}”`;
}

function identity({ kind, name, host, id }: SignInClient): PagePart {
  if (kind === "configured") {
    return html`${name}, which the operator of this server has entered by hand`;
  }
  if (kind === "document") {
    return html`<strong>${host ?? ""}</strong>, verified by its address ${id}. It calls itself
“${shown(name)}”: that is its own word.`;
  }
  return html`<span class="warn">Not verified.</span> It calls itself “${shown(name)}”: anybody can
use this name.`;
}

function place({ place, kind }: Destination): PagePart {
  if (kind === "site") return html`<strong>${place}</strong>`;
  if (kind === "this computer") {
    return html`A program on this computer (${place}). <span class="warn">Any program on it could
have asked.</span>`;
  }
  return html`The application on this device that opens links that begin with
<strong>${place}</strong>`;
}

function shown(text: string): string {
  return escapeInvisible(text);
}

async function textOf(title: string, body: PagePart, nonce: string): Promise<string> {
  return String(
    await html`
      <!doctype html>
      <html lang="en">
        <head>
          <meta charset="utf-8">
          <title>${title}</title>
          <meta name="viewport" content="width=device-width, initial-scale=1">
          <meta name="color-scheme" content="light dark">
          <style nonce="${nonce}">${raw(STYLE)}</style>
        </head>
        <body>
          <main>${body}</main>
        </body>
      </html>
    `,
  );
}

/** Returns a page without scripts, under a policy that lets it send forms to the named places alone. */
export function pageResponse(
  title: string,
  body: PagePart,
  status: number,
  formAction: string,
): Response {
  const nonce = randomText(22);
  const encoder = new TextEncoder();
  const stream = new ReadableStream<Uint8Array>({
    async start(controller) {
      controller.enqueue(encoder.encode(await textOf(title, body, nonce)));
      controller.close();
    },
  });
  return new Response(stream, {
    status,
    headers: {
      "content-type": "text/html; charset=utf-8",
      "cache-control": "no-store",
      "content-security-policy":
        `default-src 'none'; style-src 'nonce-${nonce}'; form-action ${formAction}; ` +
        "frame-ancestors 'none'; base-uri 'none'",
      "x-frame-options": "DENY",
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
    },
  });
}
