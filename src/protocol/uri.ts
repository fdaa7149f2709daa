/**
 * Brings URIs into one form, so that a rule about a resource holds for each way to write its address (RFC
 * 3986 §6.2.2, and what programs do beyond that when they open a file). It is computed without the host's
 * `URL`, whose answers differ between runtimes for schemes other than those of the web.
 *
 * @module
 */

/** A URI in one form. */
export interface CanonicalUri {
  /** The URI to use. It keeps the case of the host, which may be a name with a meaning to the server. */
  readonly uri: string;
  /** The same with its host in lower case. */
  readonly lower: string;
  /** Both, and the second without its query and fragment, each also decoded: a rule may be about any. */
  readonly forms: readonly string[];
}

/** The default ports of schemes, to be left out. */
const DEFAULT_PORTS: Readonly<Record<string, string>> = {
  ftp: "21",
  http: "80",
  https: "443",
  ws: "80",
  wss: "443",
};

const PARTS = /^([a-z][a-z0-9+.-]*):(?:\/\/([^/?#]*))?([^?#]*)(\?[^#]*)?(#.*)?$/is;
/** An escape, a percent sign that is none, or a character that must be escaped. */
const ESCAPED = /%[0-9a-f]{2}|%|[^\w.~!$&'()*+,;=:@/?#[\]-]/giu;
const UNRESERVED = /[\w.~-]/;
/** A control character, also escaped: no address needs one. */
// deno-lint-ignore no-control-regex
const CONTROL = /[\0-\x1f\x7f]|%[01][0-9a-f]|%7f/i;
/** An escape that is escaped once more: who decodes twice reads another address. */
const TWICE = /%25[0-9a-f]{2}/i;

/**
 * Returns a URI in one form: each escape decoded by itself where it has no meaning, dot segments and empty
 * segments resolved, scheme and host compared in lower case, default ports left out.
 *
 * @returns `undefined` for a text that is no URI, and for one that servers may read in different ways
 */
export function canonicalUri(text: string): CanonicalUri | undefined {
  if (CONTROL.test(text) || TWICE.test(text)) return undefined;
  const [, given = "", authority, path = "", query = "", fragment = ""] = PARTS.exec(text) ?? [];
  const scheme = given.toLowerCase();
  if (scheme === "") return undefined;
  const isWeb = Object.hasOwn(DEFAULT_PORTS, scheme);
  const isFile = scheme === "file";
  if (isWeb && authority === undefined) return undefined;
  // Programs take a backslash for a slash in these schemes.
  const slashed = isWeb || isFile ? path.replaceAll("\\", "/") : path;
  const tail = plainEscapes(query) + plainEscapes(fragment);
  const hosts = hostsOf(scheme, authority);
  const plain = plainEscapes(slashed);
  const isOpaque = authority === undefined && !isFile && !plain.startsWith("/");
  const rooted = isFile && !plain.startsWith("/") ? `/${plain}` : plain;
  const resolved = isOpaque ? plain : resolvedPath(rooted);
  const [decoded, decodedTail] = [decode(resolved), decode(tail)];
  if (hosts === undefined || decoded === undefined || decodedTail === undefined) return undefined;
  // What its escapes hide must not be another path.
  const hidden = decoded.replaceAll("\\", "/");
  if (!isOpaque && resolvedPath(hidden) !== hidden) return undefined;
  const start = (host: string) => `${scheme}:${host}`;
  const [host, lower] = [start(hosts.host), start(hosts.lower)];
  const uri = host + resolved + tail;
  const forms = new Set([
    lower + resolved + tail,
    lower + resolved,
    lower + hidden + decodedTail,
    lower + hidden,
    uri,
  ]);
  return { uri, lower: lower + resolved + tail, forms: [...forms] };
}

/** Decodes the escapes that a URI needs not (RFC 3986 §6.2.2.2). Changes no meaning, and no other text. */
export function withoutNeedlessEscapes(uri: string): string {
  return uri.replace(/%[0-9a-f]{2}/gi, plainEscapes);
}

/**
 * Writes each character of a URI in one way: decoded if an escape changes nothing about it, else escaped in
 * upper case (RFC 3986 §6.2.2.1 and §6.2.2.2). Changes no meaning.
 */
function plainEscapes(uri: string): string {
  return uri.replace(ESCAPED, (found) => {
    if (found === "%") return "%25";
    if (found.length > 1 && found.startsWith("%")) {
      const character = String.fromCharCode(parseInt(found.slice(1), 16));
      return UNRESERVED.test(character) ? character : found.toUpperCase();
    }
    try {
      return encodeURIComponent(found);
    } catch {
      // Half of a surrogate pair is no character.
      return "%EF%BF%BD";
    }
  });
}

/** Returns the authority, as it is written and in lower case, each with its slashes. */
function hostsOf(
  scheme: string,
  authority: string | undefined,
): { readonly host: string; readonly lower: string } | undefined {
  if (scheme === "file") {
    // `file:/x`, `file:///x` and `file://localhost/x` are one file (RFC 8089).
    const name = (authority ?? "").toLowerCase();
    const lower = `//${name === "localhost" ? "" : plainEscapes(name)}`;
    return { host: lower, lower };
  }
  if (authority === undefined) return { host: "", lower: "" };
  const [, user = "", host = "", port = ""] = /^(.*@)?(.*?)(?::(\d*))?$/.exec(authority) ?? [];
  const number = port === "" ? "" : String(Number(port));
  const shownPort = number === "" || number === DEFAULT_PORTS[scheme] ? "" : `:${number}`;
  if (!Object.hasOwn(DEFAULT_PORTS, scheme)) {
    const name = plainEscapes(host);
    const around = (name: string) => `//${plainEscapes(user)}${name}${shownPort}`;
    return decode(name) === undefined
      ? undefined
      : { host: around(name), lower: around(name.toLowerCase()) };
  }
  // The runtimes agree on the hosts of the web: numbers, and names in other scripts.
  const { hostname = "" } = URL.parse(`http://${host}/`) ?? {};
  const lower = `//${plainEscapes(user)}${hostname}${shownPort}`;
  return hostname === "" ? undefined : { host: lower, lower };
}

/** Resolves the dot segments of a path, and leaves out empty segments but the last one. */
function resolvedPath(path: string): string {
  const isRooted = path.startsWith("/");
  const segments = path.split("/");
  const last = segments.at(-1) ?? "";
  const kept: string[] = [];
  for (const segment of segments) {
    if (segment === "..") kept.pop();
    else if (segment !== "" && segment !== ".") kept.push(segment);
  }
  const isFolder = kept.length > 0 && (last === "" || last === "." || last === "..");
  return `${isRooted ? "/" : ""}${kept.join("/")}${isFolder ? "/" : ""}`;
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
