/**
 * A user without a window, who follows a login from page to page: cookies, the provider, and the question.
 *
 * @module
 */

/** The cookies of one site. */
export class Cookies extends Map<string, string> {
  /** Takes the cookies of an answer, and drops those that it ends. */
  keep(headers: Headers): void {
    for (const cookie of headers.getSetCookie()) {
      const [pair = ""] = cookie.split(";");
      const at = pair.indexOf("=");
      if (/max-age=0/i.test(cookie)) this.delete(pair.slice(0, at));
      else this.set(pair.slice(0, at), pair.slice(at + 1));
    }
  }

  /** The value of the header `Cookie`. */
  get header(): string {
    return [...this].map(([name, value]) => `${name}=${value}`).join("; ");
  }
}

/** Returns the fields of the form on the page of the question. */
export function fieldsOf(page: string, answer: string): Record<string, string> {
  const field = (name: string) =>
    page.match(new RegExp(`name="${name}" value="([^"]*)"`))?.[1] ?? "";
  return { id: field("id"), token: field("token"), answer };
}

/** An answer, read as a whole. */
export interface WholeAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** Reads an answer as a whole. */
export async function wholeAnswer(response: Response): Promise<WholeAnswer> {
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** How a user gets from page to page. */
export interface Walk {
  /** Sends a request of the browser. Returns `undefined` if there was no answer. */
  readonly send: (request: Request) => Promise<WholeAnswer | undefined>;
  /** Signs in at the provider, and returns where it sends the user. */
  readonly provider: (url: URL) => URL | Promise<URL>;
  /** Whether an address is the client's. */
  readonly isBack: (url: URL) => boolean;
}

/** The most steps of a login. */
const MOST_STEPS = 10;

/**
 * Signs a user in and allows what is asked. Returns the address at which the client is answered.
 *
 * @throws {Error} If a page is no redirect and no question, or doesn't come
 */
export async function walk(start: URL, { send, provider, isBack }: Walk): Promise<URL> {
  const cookies = new Cookies();
  let url = start;
  let init: RequestInit & { headers?: Record<string, string> } = {};
  for (let steps = 0; steps < MOST_STEPS; steps++) {
    const headers = { ...init.headers, cookie: cookies.header };
    const answer = await send(new Request(url, { redirect: "manual", ...init, headers }));
    if (answer === undefined) throw new Error(`No answer from ${url.pathname}`);
    cookies.keep(answer.headers);
    const location = answer.headers.get("location");
    if (location === null) {
      const [, action] = /<form method="post" action="([^"]*)"/.exec(answer.text) ?? [];
      if (answer.status !== 200 || action === undefined) {
        throw new Error(`${url.pathname} has answered ${answer.status}: ${answer.text}`);
      }
      url = new URL(action, url);
      init = {
        method: "POST",
        headers: { "content-type": "application/x-www-form-urlencoded", origin: start.origin },
        body: new URLSearchParams(fieldsOf(answer.text, "allow")).toString(),
      };
      continue;
    }
    init = {};
    url = new URL(location, url);
    if (isBack(url)) return url;
    // The provider's own pages have their own cookies.
    if (url.origin !== start.origin) url = await provider(url);
  }
  throw new Error("Too many steps");
}
