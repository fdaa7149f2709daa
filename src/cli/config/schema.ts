/**
 * The schema of the configuration file. Its messages say what to do and never show a value: it may be a
 * secret.
 *
 * @module
 */
import { isIP } from "node:net";
import { z } from "zod";
import { introspection as introspectionOf, jwt as jwtOf } from "../../auth/mod.ts";
import { isObject, isVersion, parseHostRule, parseOriginRule, VERSIONS } from "../../kit.ts";
import { backend } from "../serve/backend.ts";
import { messageOf } from "../errors.ts";
import { GRANTS, oauthProblems } from "./oauth.ts";
import { PROVIDER_TYPES, signInProblem } from "./sign_in.ts";
import { FORMATS, LEVELS } from "../log.ts";
import { ADDRESS_HELP, metricsAddress } from "../serve/metrics_address.ts";
import { suggest } from "../../kit.ts";

/** Servers that one configuration may have. */
const MAX_SERVERS = 100;
/** Processes that one command may start. */
const MAX_PROCESSES = 256;
/** Characters that a token must have: shorter ones can be guessed. */
const MIN_TOKEN = 16;
/** Characters that the secret must have. */
const MIN_SECRET = 32;

/** Operators that a configuration may have, and networks of a proxy. */
const MAX_OPERATORS = 100;
const MAX_NETWORKS = 100;

/** Paths with a meaning of their own. */
const RESERVED_PATH = /^\/(?:health$|servers(?:\/|$)|\.)/;

const SEPARATOR = /^[A-Za-z0-9_.-]{1,8}$/;

/** Keys of other programs' configurations, and their names here. */
const OTHER_KEYS: Readonly<Record<string, string>> = {
  servers: "mcpServers",
  hostname: "host",
  origins: "allowedOrigins",
  hosts: "allowedHosts",
  serverUrl: "url",
  transport: "type",
  cmd: "command",
  arguments: "args",
  prometheus: "metrics",
  environment: "env",
  workingDirectory: "cwd",
};

/** Creates the schema of an object that has these keys and no others. */
function object<T extends z.core.$ZodLooseShape>(shape: T): z.ZodObject<T, z.core.$strict> {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === "unrecognized_keys"
        // One line for each key, in the order of `issue.keys`
        ? issue.keys.map((key) => unknownKey(key, known)).join("\n")
        : "Give an object",
  });
}

function unknownKey(key: string, known: readonly string[]): string {
  const meant = suggestKey(key, known);
  return meant === undefined
    ? `Unknown key. Use one of ${known.join(", ")}`
    : `Unknown key. Did you mean "${meant}"?`;
}

function suggestKey(
  key: string,
  known: readonly string[],
): string | undefined {
  const other = Object.hasOwn(OTHER_KEYS, key) ? OTHER_KEYS[key] : undefined;
  return other !== undefined && known.includes(other) ? other : suggest(key, known);
}

const nonEmptyString = z.string({ error: "Give a string" }).min(1, {
  error: "Give a string that isn't empty",
});
const strings = z.array(nonEmptyString, { error: "Give a list of strings" });
const stringsByName = z.record(z.string(), z.string({ error: "Give a string" }), {
  error: "Give an object of strings",
});
const boolean = z.boolean({ error: "Give true or false" });

/** Creates the schema of a whole number. A string of digits is valid too: variables are strings. */
function integer(min: number, max = Number.MAX_SAFE_INTEGER) {
  const range = max === Number.MAX_SAFE_INTEGER ? `${min} or more` : `${min} to ${max}`;
  const error = `Give a whole number, ${range}`;
  return z.preprocess(
    (value) => typeof value === "string" && /^\d{1,15}$/.test(value) ? Number(value) : value,
    z.int({ error }).min(min, { error }).max(max, { error }),
  );
}

function oneOf<const T extends readonly string[]>(values: T, error?: string) {
  return z.enum(values, { error: error ?? `Give one of ${values.join(", ")}` });
}

const httpUrl = nonEmptyString.refine(
  (value) => /^https?:\/\//i.test(value) && URL.canParse(value) && !value.includes("#"),
  { error: 'Give a URL that begins with "https://" or "http://"' },
);
const redisUrl = nonEmptyString.regex(/^rediss?:\/\/./, {
  error: 'Give a URL that begins with "redis://" or "rediss://"',
});
const positive = z.number({ error: "Give a number above 0" }).positive({
  error: "Give a number above 0",
});
const audience = z.union([nonEmptyString, strings.min(1)], {
  error: "Give a string, or a list of strings",
});

/** Patterns of names or URIs that a list may have. */
const MAX_PATTERNS = 1_000;

const patterns = z.array(nonEmptyString.max(2_048, { error: "Give 2048 characters at most" }), {
  error: "Give a list of strings",
}).max(MAX_PATTERNS, { error: `Give at most ${MAX_PATTERNS}` });

/** Creates the schema of an object from patterns to something. */
function byPattern<T extends z.ZodType>(value: T, what: string) {
  return z.record(z.string(), value, { error: `Give an object from names or patterns to ${what}` });
}

const entryRules = {
  allow: patterns.optional(),
  deny: patterns.optional(),
  override: byPattern(
    object({
      title: z.string({ error: "Give a string" }).optional(),
      description: z.string({ error: "Give a string" }).optional(),
      annotations: z.record(z.string(), z.unknown(), { error: "Give an object" }).optional(),
    }),
    "what they are shown with",
  ).optional(),
};
const resourceRules = {
  ...entryRules,
  rateLimit: byPattern(
    object({ perSecond: positive, burst: integer(1).optional() }),
    'rates, such as {"perSecond": 1}',
  ).optional(),
};
const promptRules = {
  ...resourceRules,
  rename: byPattern(nonEmptyString, "new names").refine(
    (names) => new Set(Object.values(names)).size === Object.keys(names).length,
    { error: "Give each a name of its own" },
  ).optional(),
};

const serverRules = object({
  tools: object({
    ...promptRules,
    fix: byPattern(
      z.record(z.string(), z.unknown(), { error: "Give an object of arguments" }),
      "arguments",
    ).optional(),
    hide: byPattern(patterns, "lists of arguments").optional(),
    approve: patterns.optional(),
  }).optional(),
  prompts: object(promptRules).optional(),
  resources: object(resourceRules).optional(),
  templates: object(entryRules).optional(),
});

/** What may be used of a server, and how it is shown. A union would hide what is wrong in the rules. */
const serverPolicy = z.unknown().transform((value, context): ServerPolicy => {
  if (value === false) return value;
  if (!isObject(value)) {
    const message = "Give false, or an object with tools, prompts, resources or templates";
    context.issues.push({ code: "custom", message, input: value });
    return z.NEVER;
  }
  const { data, error } = serverRules.safeParse(value);
  for (const issue of error?.issues ?? []) {
    // The types differ between an issue that was found and one that is reported; the values don't
    context.issues.push({ ...issue, input: undefined } as z.core.$ZodRawIssue);
  }
  return data ?? z.NEVER;
});

const serverPolicies = z.record(z.string(), serverPolicy, {
  error: "Give an object from names of servers to their rules",
});

/** Chooses users. */
const userFilter = object({
  ids: strings.optional(),
  issuers: strings.optional(),
  clientIds: strings.optional(),
  scopes: strings.optional(),
});

const afterMs = integer(1, 0x7fffffff).optional();

/** The keys of every kind of server. */
const sharedKeys = {
  longCalls: z.union([z.literal(false), object({ afterMs })], {
    error: 'Give false, or an object such as {"afterMs": 45000}',
  }).optional(),
  policy: serverPolicy.optional(),
  timeoutMs: integer(1).optional(),
  cache: object({
    tools: strings.optional(),
    resources: boolean.optional(),
    ttlMs: afterMs,
    scope: oneOf(["user", "all"], 'Give "user" or "all"').optional(),
    maxEntries: integer(1).optional(),
    maxBytes: integer(1).optional(),
    maxResultBytes: integer(1).optional(),
  }).optional(),
  lists: oneOf(["lazy"], 'Leave the key out, or give "lazy"').optional(),
  toolSearch: boolean.optional(),
  disabled: boolean.optional(),
};

/** The keys of servers that speak MCP themselves. */
const mcpKeys = {
  versions: z.array(oneOf(Object.keys(VERSIONS).filter(isVersion)), {
    error: "Give a list of protocol versions",
  }).min(1, { error: "Give at least one version, or leave the key out" }).optional(),
  ...sharedKeys,
};

/** The keys of servers whose programs or connections several sessions may use. */
const shareKeys = {
  share: oneOf(["session", "user", "all"], 'Give "session", "user" or "all"').optional(),
  shareLimits: object({
    sessions: integer(1).optional(),
    calls: integer(1).optional(),
    callsPerSession: integer(1).optional(),
    callsPerUser: integer(1).optional(),
    waitingPerSession: integer(1).optional(),
    waitMs: afterMs,
    idleMs: afterMs,
  }).optional(),
};

/** The keys of servers that are reached over HTTP. */
const headerKeys = {
  headers: stringsByName.optional(),
  forwardHeaders: z.union([strings, stringsByName], {
    error: "Give a list of header names, or an object from names to new names",
  }).optional(),
};

const programServer = object({
  type: oneOf(["stdio"], 'Leave the type out, or give "stdio": there is a command').optional(),
  command: nonEmptyString,
  args: z.array(z.string({ error: "Give a string" }), { error: "Give a list of strings" })
    .optional(),
  env: stringsByName.optional(),
  cwd: nonEmptyString.optional(),
  ...shareKeys,
  ...mcpKeys,
});

/** Creates the schema of a boolean or an object, whose own messages are kept: those of a union are not. */
function orBoolean<S extends z.ZodType>(schema: S, error: string) {
  return z.unknown().transform((value, context): boolean | z.output<S> | undefined => {
    if (typeof value === "boolean" || value === undefined) return value;
    if (!isObject(value)) {
      context.issues.push({ code: "custom", message: error, input: value });
      return z.NEVER;
    }
    const { data, error: found } = schema.safeParse(value);
    // The types differ between an issue that was found and one that is reported; the values don't
    for (const issue of found?.issues ?? []) {
      context.issues.push({ ...issue, input: undefined } as z.core.$ZodRawIssue);
    }
    return data ?? z.NEVER;
  });
}

/** How this server is a client of an authorization server. */
const oauthClientKeys = {
  clientId: nonEmptyString.optional(),
  clientSecret: nonEmptyString.optional(),
  privateKey: z.union([nonEmptyString, z.record(z.string(), z.unknown())], {
    error: "Give a private key as PEM, or as a JWK",
  }).optional(),
  algorithm: nonEmptyString.optional(),
  issuer: httpUrl.optional(),
};

/** The keys of `oauth` where users have accounts. */
const oauthKeys = {
  clientId: nonEmptyString.optional(),
  clientSecret: nonEmptyString.optional(),
  issuer: httpUrl.optional(),
  scopes: strings.optional(),
  audience: nonEmptyString.optional(),
};

const OAUTH_HELP = 'Give true, or an object such as {"clientId": "…", "scopes": ["read"]}';

const httpServer = object({
  type: z.enum(["http", "streamable-http", "streamableHttp"], {
    error: 'Leave the type out, or give "http": there is a URL',
  }).optional(),
  url: httpUrl.refine((url) => !/^[^/]*\/\/[^/]*@/.test(url), {
    error: "Give the user and password as an authorization header, not in the URL",
  }),
  oauth: orBoolean(
    object({
      grant: oneOf(GRANTS, 'Give "client_credentials", "token_exchange" or "id_jag"').optional(),
      ...oauthKeys,
      ...oauthClientKeys,
      subject: oneOf(["caller", "sign_in"], 'Give "caller" or "sign_in"').optional(),
      identityProvider: object(oauthClientKeys).optional(),
      dpop: boolean.optional(),
    }),
    OAUTH_HELP,
  ).optional(),
  ...headerKeys,
  ...shareKeys,
  ...mcpKeys,
});

/** An API with an OpenAPI document, whose operations become tools. */
const apiServer = object({
  type: oneOf(["openapi"], 'Leave the type out, or give "openapi": there is a document').optional(),
  openapi: nonEmptyString,
  baseUrl: httpUrl.optional(),
  auth: z.union([nonEmptyString, object({ schemes: stringsByName })], {
    error: 'Give a string, or an object such as {"schemes": {"apiKey": "${KEY}"}}',
  }).optional(),
  oauth: z.union([boolean, object({ ...oauthKeys, scheme: nonEmptyString.optional() })], {
    error: OAUTH_HELP,
  }).optional(),
  ...headerKeys,
  ...sharedKeys,
});

/** A server of any kind. Only the schema of its own kind checks it, so that the messages fit. */
const server = z.unknown().transform((value, context): ServerEntry => {
  const schema = isObject(value) ? serverSchema(Object.keys(value)) : undefined;
  if (schema === undefined) {
    const message = 'Give an object with a "command", a "url" or an "openapi"';
    context.issues.push({ code: "custom", message, input: value });
    return z.NEVER;
  }
  const { data, error } = schema.safeParse(value);
  for (const issue of error?.issues ?? []) {
    // The types differ between an issue that was found and one that is reported; the values don't
    context.issues.push({ ...issue, input: undefined } as z.core.$ZodRawIssue);
  }
  if (data === undefined) return z.NEVER;
  const message = refusalOf(() => backend.upstream(data));
  if (message !== undefined) context.issues.push({ code: "custom", message, input: value });
  return data;
});

/**
 * Returns the message of the library's own check of an option, if it refuses the option. Such messages show
 * names, never values.
 */
function refusalOf(make: () => unknown): string | undefined {
  try {
    make();
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** The kinds of server, by the key that each of them must have. */
const SERVERS = { command: programServer, url: httpServer, openapi: apiServer };

/** The keys that make a server. */
const SERVER_KINDS: readonly string[] = Object.keys(SERVERS);

/** The keys that a server of any kind may have. */
export const SERVER_KEYS: readonly string[] = [
  ...new Set(Object.values(SERVERS).flatMap(({ shape }) => Object.keys(shape))),
];

/** Returns the key of a server that a similar one may stand for. */
export function suggestServerKey(key: string): string | undefined {
  return suggestKey(key, SERVER_KEYS);
}

function serverSchema(keys: readonly string[]): (typeof SERVERS)[keyof typeof SERVERS] | undefined {
  const kinds = Object.entries(SERVERS);
  const meant = new Set(keys.map((key) => suggestKey(key, SERVER_KINDS)));
  const [, found] = kinds.find(([key]) => keys.includes(key)) ??
    kinds.find(([key]) => meant.has(key)) ?? [];
  return found;
}

const serverName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/, {
  error: "Use letters, digits, -, _ and dots in the name, 64 at most",
});

const dpop = z.preprocess(
  (value) => typeof value === "string" ? { use: value } : value,
  object({
    use: oneOf(["accept", "require"]),
    maxAgeS: integer(1, 3_600).optional(),
    nonceKeys: strings.optional(),
    maxProofs: integer(1).optional(),
  }),
);

const jwt = object({
  issuer: httpUrl,
  jwksUri: httpUrl,
  audience: audience.optional(),
  algorithms: strings.min(1, { error: "Name at least one algorithm" }).optional(),
  clockToleranceS: integer(0, 600).optional(),
  requiredScopes: strings.optional(),
  typ: nonEmptyString.optional(),
  dpop: dpop.optional(),
  allowHttp: boolean.optional(),
});

const introspection = object({
  endpoint: httpUrl,
  clientId: nonEmptyString,
  clientSecret: nonEmptyString,
  clientAuthentication: oneOf(["basic", "post"]).optional(),
  issuer: httpUrl,
  audience: audience.optional(),
  requiredScopes: strings.optional(),
  cacheMs: integer(0).optional(),
  dpop: dpop.optional(),
  allowHttp: boolean.optional(),
});

const token = object({
  id: nonEmptyString,
  token: nonEmptyString.min(MIN_TOKEN, { error: `Give a token of ${MIN_TOKEN} characters or more` })
    .regex(/^[A-Za-z0-9\-._~+/]+=*$/, { error: "Give a token of letters, digits and -._~+/ only" }),
  scopes: strings.optional(),
  policy: serverPolicies.optional(),
});

/** Runs the library's own check of an option, once its parts are right. */
function checked<T extends z.ZodType>(schema: T, make: (value: z.output<T>) => unknown): T {
  return schema.superRefine((value, context) => {
    const message = refusalOf(() => make(value));
    if (message !== undefined) context.addIssue({ code: "custom", message });
  });
}

const auth = object({
  tokens: z.array(token, { error: "Give a list of tokens" })
    .min(1, { error: "Give at least one token" }).optional(),
  jwt: checked(jwt, (value) => jwtOf({ audience: "any", ...value })).optional(),
  introspection: checked(introspection, (value) => introspectionOf({ audience: "any", ...value }))
    .optional(),
}).refine((value) => Object.values(value).filter((way) => way !== undefined).length === 1, {
  error: "Give exactly one of tokens, jwt and introspection",
});

/** The provider's own options are checked by what makes it. */
const provider = z.looseObject({
  type: oneOf(PROVIDER_TYPES),
  clientId: nonEmptyString,
}, { error: "Give an object with a type, a clientId and the options of that type" });

const scopes = z.union([strings.min(1), stringsByName], {
  error: "Give a list of scopes, or an object from scopes to descriptions",
});

const switchable = <T extends z.core.$ZodLooseShape>(shape: T) =>
  z.union([boolean, object(shape)], { error: "Give true, false, or an object of bounds" });

/** The public keys of whoever signs: at an address, or in the file. */
const publicKeys = {
  jwksUri: httpUrl.optional(),
  jwks: object({ keys: z.array(z.record(z.string(), z.unknown())) }).optional(),
};

const signInConfig = object({
  issuer: httpUrl.optional(),
  provider,
  allow: z.union([
    z.literal("everybody"),
    object({
      emails: strings.min(1).optional(),
      domains: strings.min(1).optional(),
      groups: strings.min(1).optional(),
    }).refine((lists) => Object.keys(lists).length > 0, {
      error: "Give emails, domains or groups",
    }),
  ], { error: 'Give emails, domains or groups, or "everybody"' }).optional(),
  scopes: scopes.optional(),
  extraScopes: scopes.optional(),
  clients: z.array(
    object({
      id: nonEmptyString,
      name: nonEmptyString.optional(),
      redirectUris: strings.min(1, { error: "Give at least one address" }),
      uri: nonEmptyString.optional(),
      dpopBound: boolean.optional(),
    }),
    { error: "Give a list of clients" },
  ).optional(),
  idJag: z.array(
    object({
      issuer: httpUrl,
      ...publicKeys,
      algorithms: strings.optional(),
      clients: z.array(
        object({
          id: nonEmptyString,
          name: nonEmptyString.optional(),
          secret: nonEmptyString.optional(),
          ...publicKeys,
          isPublic: boolean.optional(),
        }),
        { error: "Give a list of clients" },
      ),
    }),
    { error: "Give a list of identity providers" },
  ).min(1, { error: "Give at least one provider, or leave the list out" }).optional(),
  registration: switchable({
    perSenderHourly: integer(1).optional(),
    perHour: integer(1).optional(),
    expiresMs: integer(1_000).optional(),
  }).optional(),
  documents: switchable({
    maxBytes: integer(1).optional(),
    timeoutMs: integer(1).optional(),
    maxAgeMs: integer(0).optional(),
  }).optional(),
  dpop: dpop.optional(),
  keys: z.array(
    nonEmptyString.min(MIN_SECRET, { error: `Give keys of ${MIN_SECRET} characters or more` }),
    { error: "Give a list of keys" },
  ).min(1, { error: "Give at least one key, or leave the list out" }).optional(),
  lifetimes: object({
    accessMs: integer(1_000).optional(),
    refreshMs: integer(1_000).optional(),
    grantMs: integer(1_000).optional(),
    graceMs: integer(0).optional(),
    loginMs: integer(1_000).optional(),
    consentMs: integer(1_000).optional(),
    keyMs: integer(1_000).optional(),
    grantCacheMs: integer(0).optional(),
  }).optional(),
  allowInsecure: boolean.optional(),
});

const limits = object({
  bodyBytes: integer(1).optional(),
  bodyMs: integer(1).optional(),
  jsonDepth: integer(1).optional(),
  batch: integer(1).optional(),
  sessions: integer(1).optional(),
  sessionsPerPrincipal: integer(1).optional(),
  eventBytes: integer(1).optional(),
  totalEventBytes: integer(1).optional(),
  eventBytesPerPrincipal: integer(1).optional(),
  streams: integer(0).optional(),
  streamsPerPrincipal: integer(0).optional(),
  requests: integer(1).optional(),
  requestsPerPrincipal: integer(1).optional(),
  listens: integer(0).optional(),
  listensPerPrincipal: integer(0).optional(),
  resultBytes: integer(1).optional(),
  page: integer(1).optional(),
  subscriptions: integer(0).optional(),
  upstreamSessions: integer(1).optional(),
  upstreamSessionsPerPrincipal: integer(1).optional(),
  programs: integer(1).optional(),
  programsPerPrincipal: integer(1).optional(),
  longCalls: integer(0).optional(),
  longCallsPerPrincipal: integer(0).optional(),
});

const origin = nonEmptyString.refine((value) => parseOriginRule(value) !== undefined, {
  error: 'Give an origin like "https://app.example", without a path',
});
const host = nonEmptyString.refine((value) => parseHostRule(value) !== undefined, {
  error: 'Give a host name like "app.example", without "https://" and a path',
});

/** Reads a number of processes: variables and options are strings. */
function processesIn(value: unknown): number | "auto" | undefined {
  if (value === "auto") return value;
  const count = typeof value === "string" && /^\d{1,3}$/.test(value) ? Number(value) : value;
  if (typeof count !== "number" || !Number.isInteger(count)) return undefined;
  return count >= 1 && count <= MAX_PROCESSES ? count : undefined;
}

/** Creates the schema of `true` or an object. A union would hide what is wrong in the object. */
function orTrue<T extends z.ZodType>(schema: T, error: string) {
  return z.unknown().transform((value, context): true | z.output<T> => {
    if (value === true) return value;
    if (!isObject(value)) {
      context.issues.push({ code: "custom", message: error, input: value });
      return z.NEVER;
    }
    const { data, error: found } = schema.safeParse(value);
    for (const issue of found?.issues ?? []) {
      // The types differ between an issue that was found and one that is reported; the values don't
      context.issues.push({ ...issue, input: undefined } as z.core.$ZodRawIssue);
    }
    return data ?? z.NEVER;
  });
}

const headerName = nonEmptyString.regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, {
  error: "Give the name of a header",
});
const operatorToken = nonEmptyString.min(MIN_TOKEN, {
  error: `Give a token of ${MIN_TOKEN} characters or more`,
});

/** Tells whether a text is an IP address, or a network such as 10.0.0.0/8. */
function isNetwork(text: string): boolean {
  const [address = "", bits, more] = text.split("/");
  const family = isIP(address);
  if (family === 0 || more !== undefined) return false;
  return bits === undefined ||
    (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
}

const proxy = object({
  header: headerName,
  from: z.array(
    nonEmptyString.refine(isNetwork, {
      error: 'Give an IP address, or a network such as "10.0.0.0/8"',
    }),
    { error: "Give a list of the addresses that the proxy connects from" },
  ).min(1, { error: "Name at least one address that the proxy connects from" })
    .max(MAX_NETWORKS, { error: `Give at most ${MAX_NETWORKS}` }),
});

const dashboard = object({
  port: integer(0, 65_535).optional(),
  token: operatorToken.optional(),
  allowedHosts: z.array(host, { error: "Give a list of host names" })
    .min(1, { error: "Name at least one host, or leave the key out" }).optional(),
  proxy: proxy.optional(),
  recordArguments: boolean.optional(),
  recordResults: boolean.optional(),
});

/** Operators by name, each with a token. */
const operators = z.record(
  z.string().regex(/^[\p{L}\p{N}](?:[\p{L}\p{N} ._@+-]{0,98}[\p{L}\p{N}])?$/u, {
    error: "Use letters, digits, blanks and ._@+- in the name, 100 at most",
  }),
  operatorToken,
  { error: "Give an object from names of operators to their tokens" },
).refine((given) => Object.keys(given).length > 0, { error: "Name at least one operator" })
  .refine((given) => Object.keys(given).length <= MAX_OPERATORS, {
    error: `Give at most ${MAX_OPERATORS} operators`,
  })
  .refine((given) => new Set(Object.values(given)).size === Object.keys(given).length, {
    error: "Give each operator a token of its own",
  });

const secretText = nonEmptyString.min(MIN_SECRET, {
  error: `Give a secret of ${MIN_SECRET} characters or more`,
});

/** The schema of the whole file. */
export const configSchema = object({
  $schema: z.string().optional(),
  mcpServers: z.record(serverName, server, { error: "Give an object of servers by name" })
    .refine((servers) => Object.keys(servers).length <= MAX_SERVERS, {
      error: `Give at most ${MAX_SERVERS} servers`,
    }),
  separator: nonEmptyString.regex(SEPARATOR, {
    error: "Give 1 to 8 letters, digits, -, _ and dots",
  }).optional(),
  stateless: oneOf(["request", "principal"]).optional(),
  onRestart: oneOf(["restore", "end"]).optional(),
  listWaitMs: integer(1).optional(),
  toolSearch: boolean.optional(),
  longCalls: z.union([boolean, object({ afterMs, ttlMs: afterMs })], {
    error: 'Give true, or an object such as {"afterMs": 45000}',
  }).optional(),
  host: nonEmptyString.optional(),
  port: integer(0, 65_535).optional(),
  path: nonEmptyString.regex(/^(?:\/|(?:\/[A-Za-z0-9._~-]+)+)$/, {
    error: 'Give a path of letters, digits and -._~ that begins with "/"',
  }).refine((path) => !RESERVED_PATH.test(path), {
    error: "Give another path: /health, /servers and /.well-known are reserved",
  }).optional(),
  publicUrl: httpUrl.optional(),
  auth: auth.optional(),
  signIn: signInConfig.optional(),
  policy: z.array(
    object({
      for: userFilter.optional(),
      except: userFilter.optional(),
      servers: serverPolicies,
    }),
    { error: "Give a list of rules, each with the servers that it is for" },
  ).optional(),
  strict: boolean.optional(),
  pins: nonEmptyString.optional(),
  allowedOrigins: z.array(origin, { error: "Give a list of origins" }).optional(),
  allowedHosts: z.array(host, { error: "Give a list of host names" })
    .min(1, { error: "Name at least one host, or leave the key out" }).optional(),
  rateLimit: object({
    perSecond: positive,
    burst: integer(1).optional(),
    header: headerName.optional(),
  }).optional(),
  limits: limits.optional(),
  sessions: object({ idleMs: integer(1).optional(), absoluteMs: integer(1).optional() }).optional(),
  requests: object({
    timeoutMs: integer(0).optional(),
    maxTimeoutMs: integer(0).optional(),
    askTimeoutMs: integer(1).optional(),
  }).optional(),
  graceMs: integer(0, 600_000).optional(),
  redis: z.union([
    redisUrl,
    object({
      url: redisUrl,
      prefix: nonEmptyString.regex(/^[^{}]+$/, { error: "Give a string without braces" })
        .optional(),
    }),
  ], {
    error: 'Give a URL that begins with "redis://" or "rediss://"',
  }).optional(),
  secret: z.union([secretText, z.array(secretText).min(1)], {
    error: `Give a secret of ${MIN_SECRET} characters or more, or a list of them`,
  }).optional(),
  data: nonEmptyString.optional(),
  processes: z.unknown().refine(
    (value) => value === undefined || processesIn(value) !== undefined,
    {
      error: `Give a whole number, 1 to ${MAX_PROCESSES}, or "auto"`,
    },
  ).transform(processesIn).optional(),
  metrics: z.preprocess(
    (value) => value === false ? undefined : value,
    z.unknown().refine((value) => value === undefined || metricsAddress(value) !== undefined, {
      error: ADDRESS_HELP,
    }).transform(metricsAddress),
  ).optional(),
  otel: boolean.optional(),
  audit: z.union([
    nonEmptyString,
    object({
      file: nonEmptyString,
      maxBytes: integer(4_096).optional(),
      files: integer(1, 1_000).optional(),
    }),
  ], { error: 'Give a file name, or an object with "file"' }).optional(),
  dashboard: orTrue(dashboard, 'Give true, or an object such as {"port": 8001}').optional(),
  operators: operators.optional(),
  events: object({
    nodeName: nonEmptyString.max(100, { error: "Give 100 characters at most" }).optional(),
    address: oneOf(["full", "short", "none", "hashed"]).optional(),
    addressHeader: headerName.optional(),
  }).optional(),
  log: oneOf(FORMATS).optional(),
  logLevel: oneOf(LEVELS).optional(),
}).superRefine((config, context) => {
  for (const { path, message } of conflicts(config)) {
    context.addIssue({ code: "custom", path: [...path], message });
  }
  // Also when other checks have failed: one run reports everything
}, { when: ({ value }) => isObject(value) }).superRefine((config, context) => {
  const { signIn } = config;
  const problem = signIn && signInProblem(signIn, config);
  if (problem === undefined) return;
  context.addIssue({ code: "custom", path: [...problem.path], message: problem.message });
  // Only what is right by itself can be put together
}, { when: ({ issues }) => issues.length === 0 });

/** Finds keys that don't fit each other, in an object whose values may not be checked yet. */
function conflicts(
  {
    mcpServers,
    separator = "__",
    redis,
    data,
    onRestart,
    secret,
    auth,
    signIn,
    publicUrl,
    policy,
    operators,
    dashboard,
    longCalls,
  }: Readonly<Record<string, unknown>>,
): { path: (string | number)[]; message: string }[] {
  const found: { path: (string | number)[]; message: string }[] = [];
  const names = isObject(mcpServers) ? Object.keys(mcpServers) : undefined;
  // Without servers that is what is wrong, not the names in the rules
  const named = names === undefined ? [] : serversInPolicies(auth, policy);
  for (const { path, servers } of named) {
    for (const name of Object.keys(servers)) {
      if (name === "*" || names?.includes(name)) continue;
      const meant = suggest(name, names ?? []);
      const hint = meant === undefined
        ? 'Name a server of the file, or "*"'
        : `Did you mean "${meant}"?`;
      found.push({ path: [...path, name], message: `Unknown server. ${hint}` });
    }
  }
  for (const name of names ?? []) {
    if (typeof separator !== "string" || !SEPARATOR.test(separator)) break;
    if (!name.includes(separator)) continue;
    const message = `Leave the separator out of the name, or choose another one: ${separator}`;
    found.push({ path: ["mcpServers", name], message });
  }
  if (redis !== undefined && secret === undefined) {
    const message = `Give a secret of ${MIN_SECRET} characters or more, the same on all nodes`;
    found.push({ path: ["secret"], message: `${message}: they sign with it` });
  }
  if (redis !== undefined && data !== undefined && data !== "none") {
    found.push({ path: ["data"], message: "Leave it out: with Redis, sessions are kept there" });
  }
  if (onRestart === "restore" && (redis !== undefined || data === "none")) {
    const message = redis === undefined
      ? "Keep sessions in a folder, or leave this out"
      : "Leave it out: with Redis, a session ends with the node that has its upstream sessions";
    found.push({ path: ["onRestart"], message });
  }
  for (const [name, entry] of Object.entries(isObject(mcpServers) ? mcpServers : {})) {
    if (!isObject(entry) || !isObject(entry["longCalls"])) continue;
    if (longCalls !== undefined && longCalls !== false) continue;
    const message = 'Add "longCalls": true to the file: calls are answered early only then';
    found.push({ path: ["mcpServers", name, "longCalls"], message });
  }
  for (const [name, entry] of Object.entries(isObject(mcpServers) ? mcpServers : {})) {
    if (!isObject(entry) || entry["oauth"] === undefined || entry["oauth"] === false) continue;
    const at = ["mcpServers", name, "oauth"];
    const { oauth, headers = {}, auth: credentials } = entry;
    const scheme = isObject(oauth) ? oauth["scheme"] : undefined;
    if (credentials !== undefined && (scheme === undefined || !isObject(credentials))) {
      const message =
        'Give either oauth or auth, or both with "scheme" in oauth and "schemes" in auth';
      found.push({ path: at, message });
    }
    for (const { key, message } of oauthProblems(oauth, { signIn, auth })) {
      found.push({ path: key === undefined ? at : [...at, key], message });
    }
    const names = isObject(headers) ? Object.keys(headers) : [];
    if (names.some((header) => header.toLowerCase() === "authorization")) {
      found.push({ path: at, message: "Give either oauth or an authorization header" });
    }
  }
  if (operators !== undefined && dashboard === undefined) {
    const message = 'Add "dashboard": true, or --dashboard: operators sign in there';
    found.push({ path: ["operators"], message });
  }
  if (operators !== undefined && isObject(dashboard) && dashboard["token"] !== undefined) {
    const message =
      "Give scripts a name and a token in operators instead: each act has a name then";
    found.push({ path: ["dashboard", "token"], message });
  }
  if (auth !== undefined && signIn !== undefined) {
    const message = "Give either signIn or auth: requests have one kind of token";
    found.push({ path: ["signIn"], message });
  }
  const [way, ...others] = isObject(auth) ? Object.keys(auth) : [];
  const namesAudience = (way === "jwt" || way === "introspection") && others.length === 0;
  if (namesAudience && publicUrl === undefined) {
    const message = "Give the URL that clients use, without the path: their tokens name it";
    found.push({ path: ["publicUrl"], message });
  }
  return found;
}

/** Finds the rules by server in the policies of tokens and of the whole file. */
function serversInPolicies(
  auth: unknown,
  policy: unknown,
): { path: (string | number)[]; servers: object }[] {
  const tokens = isObject(auth) && Array.isArray(auth["tokens"]) ? auth["tokens"] : [];
  const rules = Array.isArray(policy) ? policy : [];
  return [
    ...tokens.map((given: unknown, at) => ({
      path: ["auth", "tokens", at, "policy"],
      servers: isObject(given) ? given["policy"] : undefined,
    })),
    ...rules.map((given: unknown, at) => ({
      path: ["policy", at, "servers"],
      servers: isObject(given) ? given["servers"] : undefined,
    })),
  ].flatMap(({ path, servers }) => isObject(servers) ? [{ path, servers }] : []);
}

/** The keys that a configuration may have. */
export const CONFIG_KEYS: readonly string[] = Object.keys(configSchema.shape);

/** A checked configuration. */
export type Config = z.output<typeof configSchema>;

/** The rules for one server. */
export type ServerPolicy = false | z.output<typeof serverRules>;

/** One server of a configuration. */
export type ServerEntry = z.output<(typeof SERVERS)[keyof typeof SERVERS]>;
