/**
 * Binds a login to the browser in which it began, by a cookie for each login. What is only begun is kept
 * nowhere else: half logins cost nothing.
 *
 * @module
 */
import { TextSealer } from "../../kit.ts";
import { cookiesOf, OAuthError } from "../http.ts";

/** The most characters of a cookie's value; browsers refuse 4,096 bytes of a whole cookie. */
const MOST_CHARS = 3_800;
/** The most logins of a browser at a time: more would not fit into a request's headers. */
const MOST_LOGINS = 3;

/** The cookies of sign-in itself. */
const SIGN_IN = { prefix: "signin-", purpose: "mooring sign-in browser 1" };

/** Options for {@linkcode BrowserCookies}. */
export interface BrowserCookiesInit {
  readonly keys: readonly (string | Uint8Array)[];
  /** Whether the issuer has `https:`. */
  readonly secure: boolean;
  /** The lifetime, in milliseconds. */
  readonly ttlMs: number;
  /** The beginning of the cookies' names, and the purpose of their keys. @default those of sign-in */
  readonly use?: { readonly prefix: string; readonly purpose: string };
}

/** Writes and reads the cookies. */
export class BrowserCookies {
  readonly #sealer: TextSealer;
  readonly #prefix: string;
  readonly #attributes: string;
  readonly #maxAge: number;

  constructor({ keys, secure, ttlMs, use = SIGN_IN }: BrowserCookiesInit) {
    this.#sealer = new TextSealer(keys, use.purpose);
    // With this prefix no other host, and no page without TLS, can set it (RFC 6265bis §4.1.3)
    this.#prefix = (secure ? "__Host-" : "") + use.prefix;
    this.#attributes = `; Path=/; HttpOnly; SameSite=Lax${secure ? "; Secure" : ""}`;
    this.#maxAge = Math.floor(ttlMs / 1000);
  }

  /** Returns the `Set-Cookie` headers that keep a value for a login, in place of older logins' ones. */
  async keep(request: Request, id: string, value: string): Promise<string[]> {
    const sealed = await this.#sealer.seal(id, value);
    if (sealed.length > MOST_CHARS) {
      throw new OAuthError("invalid_request", "Send shorter parameters");
    }
    const others = [...cookiesOf(request, this.#prefix).keys()]
      .filter((name) => name !== this.#prefix + id);
    const surplus = others.slice(0, Math.max(0, others.length - MOST_LOGINS + 1));
    return [
      ...surplus.map((name) => `${name}=; Max-Age=0${this.#attributes}`),
      `${this.#prefix}${id}=${sealed}; Max-Age=${this.#maxAge}${this.#attributes}`,
    ];
  }

  /** Returns the value that is kept for a login, or `undefined` in another browser. */
  async read(request: Request, id: string): Promise<string | undefined> {
    if (!/^[\w-]{12}$/.test(id)) return undefined;
    const sealed = cookiesOf(request, this.#prefix).get(this.#prefix + id);
    return sealed === undefined ? undefined : await this.#sealer.open(id, sealed);
  }

  /** Returns the `Set-Cookie` header that ends a login. */
  drop(id: string): string {
    return `${this.#prefix}${id}=; Max-Age=0${this.#attributes}`;
  }
}
