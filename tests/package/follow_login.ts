/**
 * A user who signs in: follows each redirect, fills in each form, and allows what is asked.
 *
 * @module
 */
import { Cookies } from "../signin/walk.ts";

/** The most pages of a login. */
const MOST_PAGES = 30;

/**
 * Signs in, from the page that a program has opened to the one that says it is done.
 *
 * @throws {Error} If a page is neither a form nor the end
 */
export async function followLogin(start: URL): Promise<void> {
  const cookies = new Cookies();
  let url = start;
  let init: RequestInit = {};
  for (let pages = 0; pages < MOST_PAGES; pages++) {
    const response = await fetch(url, {
      redirect: "manual",
      ...init,
      headers: { cookie: cookies.header, ...init.headers as Record<string, string> },
    });
    cookies.keep(response.headers);
    const text = await response.text();
    const location = response.headers.get("location");
    if (location !== null) {
      url = new URL(location, url);
      init = {};
      continue;
    }
    if (!response.ok) throw new Error(`${url.pathname} has answered ${response.status}: ${text}`);
    const [form, action] = /<form\b[^>]*?\baction="([^"]*)"[^]*?<\/form>/.exec(text) ?? [];
    if (form === undefined) return;
    const fields = new URLSearchParams();
    for (const [tag] of form.matchAll(/<(?:input|button)\b[^>]*>/g)) {
      const attribute = (name: string) => new RegExp(`\\b${name}="([^"]*)"`).exec(tag)?.[1];
      const name = attribute("name");
      if (name === undefined || fields.has(name)) continue;
      fields.set(name, name === "answer" ? "allow" : attribute("value") || "ada");
    }
    init = {
      method: "POST",
      body: fields,
      headers: { origin: url.origin },
    };
    url = new URL(action?.replaceAll("&amp;", "&") ?? "", url);
  }
  throw new Error("The login doesn't end");
}
