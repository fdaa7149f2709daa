/**
 * A response of one text that is made when somebody looks at it closer.
 *
 * @module
 */

/** What a text is unless another type is said (Fetch, extract a body). */
const PLAIN = "text/plain;charset=UTF-8";

/**
 * A `Response` for runtimes that are made of JavaScript down to their responses, as Node's is: there
 * each response has a stream, read or not, which is a third of what a whole call takes. This one has
 * its text, and becomes one of the runtime's own when somebody asks for more than that, its status and
 * its headers.
 *
 * It does all that a response does. Only what asks for the runtime's own objects by their insides, such
 * as a cache, has to be given its {@linkcode clone}.
 */
export class TextResponse implements Response {
  readonly redirected = false;
  readonly status: number;
  readonly statusText: string;
  readonly type = "default";
  readonly url = "";
  readonly #text: string;
  readonly #init: ResponseInit;
  #headers: Headers | undefined;
  #own: Response | undefined;
  #isRead = false;

  /** @param text The body: no byte order mark begins it */
  constructor(text: string, init: ResponseInit) {
    this.#text = text;
    this.#init = init;
    this.status = init.status ?? 200;
    this.statusText = init.statusText ?? "";
  }

  /** The text, unless somebody has begun to read it. */
  get unread(): string | undefined {
    return this.bodyUsed ? undefined : this.#text;
  }

  get ok(): boolean {
    return this.status >= 200 && this.status <= 299;
  }

  get headers(): Headers {
    if (this.#headers === undefined) {
      this.#headers = new Headers(this.#init.headers);
      if (!this.#headers.has("content-type")) this.#headers.set("content-type", PLAIN);
    }
    return this.#headers;
  }

  /** The headers for somebody who only reads them: those that it was made of, as long as they are its. */
  get unchanged(): Headers {
    const { headers } = this.#init;
    const given = this.#headers === undefined && headers instanceof Headers;
    return given && headers.has("content-type") ? headers : this.headers;
  }

  get body(): ReadableStream<Uint8Array<ArrayBuffer>> | null {
    return this.#response.body;
  }

  get bodyUsed(): boolean {
    return this.#own?.bodyUsed ?? this.#isRead;
  }

  text(): Promise<string> {
    if (this.#isRead || this.#own !== undefined) return this.#response.text();
    this.#isRead = true;
    return Promise.resolve(this.#text.toWellFormed());
  }

  async json(): Promise<unknown> {
    return JSON.parse(await this.text());
  }

  arrayBuffer(): Promise<ArrayBuffer> {
    return this.#response.arrayBuffer();
  }

  blob(): Promise<Blob> {
    return this.#response.blob();
  }

  bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#response.bytes();
  }

  formData(): Promise<FormData> {
    return this.#response.formData();
  }

  textStream(): ReadableStream<string> {
    return this.#response.textStream();
  }

  clone(): Response {
    const { status, statusText, headers } = this;
    return new Response(this.#response.clone().body, { status, statusText, headers });
  }

  /** What Node prints of it. */
  [Symbol.for("nodejs.util.inspect.custom")](): Response {
    return this.#response;
  }

  /** The runtime's own response, in the same state. */
  get #response(): Response {
    if (this.#own === undefined) {
      const { status, statusText, headers } = this;
      this.#own = new Response(this.#text, { status, statusText, headers });
      if (this.#isRead) void this.#own.text();
    }
    return this.#own;
  }
}

// For whoever asks whether it is a response.
Object.setPrototypeOf(TextResponse.prototype, Response.prototype);
