/**
 * Writes the pages of accounts: the question to connect one, its end, and the list of a user's own.
 *
 * @module
 */
import { html } from "hono/html";
import { escapeInvisible } from "../kit.ts";
import { type PagePart, pageResponse } from "../signin/authorize/page.ts";
import type { UserAccount } from "./types.ts";

/** What the question to connect an account says. */
export interface ConnectPage {
  readonly upstream: string;
  readonly host: string;
  readonly user: string;
  readonly program: string;
  readonly gateway: string;
  readonly scopes: readonly string[];
  readonly isStepUp: boolean;
  readonly action: string;
  readonly id: string;
  readonly token: string;
  readonly allowInsecure: boolean;
}

/** Returns the question to connect an account. */
export function connectPage(page: ConnectPage): Response {
  const { upstream, host, user, program, gateway, scopes, isStepUp } = page;
  const title = isStepUp
    ? `Give ${gateway} more rights at ${upstream}?`
    : `Connect your account at ${upstream}?`;
  const body = html`
    <h1>${title}</h1>
    <p>You are <strong>${shown(
      user,
    )}</strong> here. ${gateway} will use the account for you alone.</p>
    <dl>
    <dt>Where you sign in next</dt><dd>The login of <strong>${host}</strong></dd>
    <dt>Who asked</dt><dd>“${shown(program)}”: that is its own word.</dd>
    ${scopes.length === 0 ? "" : html`
      <dt>What it needs</dt>
      <dd>
        <ul>${scopes.map((each) => html`<li>${shown(each)}</li>`)}</ul>
      </dd>
    `}
    </dl>
    <p>Continue only if you have just asked for this.</p>
    <form method="post" action="${page.action}">
      <input type="hidden" name="ask" value="${page.id}">
      <input type="hidden" name="token" value="${page.token}">
      <button class="main" name="answer" value="connect">Continue</button>
      <button name="answer" value="deny">Cancel</button>
    </form>
  `;
  // The form's answer leads to a login whose address isn't known yet
  const local = page.allowInsecure ? " http://127.0.0.1:* http://localhost:*" : "";
  return pageResponse(title, body, 200, `'self' https:${local}`);
}

/** Returns a page that only says something. */
export function messagePage(title: string, message: string, status: number): Response {
  return pageResponse(
    title,
    html`
      <h1>${title}</h1>
      <p>${message}</p>
    `,
    status,
    "'none'",
  );
}

/** Returns the list of a user's accounts. */
export function listPage(
  user: string,
  accounts: readonly UserAccount[],
  action: string,
  token: string,
): Response {
  const rows = accounts.map((account) => row(account, action, token));
  const body = html`
    <h1>Your connected accounts</h1>
    <p>You are <strong>${shown(user)}</strong> here.</p>
    ${rows.length === 0 ? html`<p>No account is connected.</p>` : html`<dl>${rows}</dl>`}
  `;
  return pageResponse("Your connected accounts", body, 200, "'self'");
}

function row(account: UserAccount, action: string, token: string): PagePart {
  const { id, upstream, issuer, since, isEnded } = account;
  const state = isEnded
    ? html`
      <span class="warn">You have to sign in again.</span>
    `
    : "";
  return html`
    <dt>${shown(upstream)}</dt>
    <dd>${state}Connected since ${new Date(since).toISOString().slice(0, 10)} at ${shown(issuer)}
    <form method="post" action="${action}">
      <input type="hidden" name="account" value="${id}">
      <input type="hidden" name="token" value="${token}">
      <button>Disconnect ${shown(upstream)}</button>
    </form></dd>
  `;
}

function shown(text: string): string {
  return escapeInvisible(text);
}
