/**
 * What a configuration file may say.
 *
 * @module
 */
import { z } from "zod";
import { isObject } from "../protocol/jsonrpc.ts";
import { isVersion, VERSIONS } from "../protocol/versions.ts";
import { LEVELS } from "./log.ts";
import {
  flag,
  httpUrl,
  integer,
  nearestKey,
  object,
  oneOf,
  text,
  texts,
  textsByName,
} from "./schema_parts.ts";

/** How many servers one endpoint may have. */
const MOST_SERVERS = 100;
/** Shorter tokens can be guessed. */
const SHORTEST_TOKEN = 16;

/** Paths that have a meaning of their own. */
const TAKEN = /^\/(?:health$|servers(?:\/|$)|\.)/;

const OLD_SSE =
  'Give the URL of its Streamable HTTP endpoint, and "http": "sse" is the old transport';

/** What both kinds of server may have. */
const shared = {
  timeoutMs: integer(1).optional(),
  versions: z.array(oneOf(Object.keys(VERSIONS).filter(isVersion)), {
    error: "Give a list of protocol versions",
  }).min(1, { error: "Give at least one version, or leave it out" }).optional(),
  disabled: flag.optional(),
};

/** A server that is a program. */
const program = object({
  type: oneOf(["stdio"], 'Leave out the type, or give "stdio": there is a command').optional(),
  command: text,
  args: z.array(z.string({ error: "Give a text" }), { error: "Give a list of texts" }).optional(),
  env: textsByName.optional(),
  cwd: text.optional(),
  ...shared,
});

/** A server that is reached at a URL. */
const remote = object({
  type: z.enum(["http", "streamable-http", "streamableHttp"], {
    error: ({ input }) => input === "sse" ? OLD_SSE : 'Leave out the type, or give "http"',
  }).optional(),
  url: httpUrl.refine((url) => !/^[^/]*\/\/[^/]*@/.test(url), {
    error: "Give the user and password as an authorization header, not in the URL",
  }),
  headers: textsByName.optional(),
  forwardHeaders: z.union([texts, textsByName], {
    error: "Give a list of headers, or an object of headers and what they become",
  }).optional(),
  ...shared,
});

/** Tells the two kinds apart before either is looked at closely, so that messages fit. */
const server = z.unknown().transform((value, context): ServerEntry => {
  const schema = isObject(value) ? schemaOf(Object.keys(value)) : undefined;
  if (schema === undefined) {
    const message = 'Give an object with a "command" or a "url"';
    context.issues.push({ code: "custom", message, input: value });
    return z.NEVER;
  }
  const { data, error } = schema.safeParse(value);
  for (const issue of error?.issues ?? []) {
    // What was an issue when it was found is one when it is handed on
    context.issues.push({ ...issue, input: undefined } as z.core.$ZodRawIssue);
  }
  return data ?? z.NEVER;
});

function schemaOf(keys: readonly string[]): typeof program | typeof remote | undefined {
  if (keys.includes("command")) return program;
  if (keys.includes("url")) return remote;
  const meant = new Set(keys.map((key) => nearestKey(key, ["command", "url"])));
  if (meant.has("command")) return program;
  return meant.has("url") ? remote : undefined;
}

/** How the gateway tells its servers apart: by this and the separator before every name. */
const serverName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/, {
  error: "Name it with letters, digits, -, _ and dots, 64 at most",
});

const jwt = object({
  issuer: httpUrl,
  jwksUri: httpUrl,
  audience: z.union([text, texts.min(1)], { error: "Give a text, or a list of texts" }).optional(),
  algorithms: texts.min(1, { error: "Name at least one algorithm" }).optional(),
  clockToleranceS: integer(0, 600).optional(),
  requiredScopes: texts.optional(),
  typ: text.optional(),
  allowHttp: flag.optional(),
});

const introspection = object({
  endpoint: httpUrl,
  clientId: text,
  clientSecret: text,
  clientAuthentication: oneOf(["basic", "post"]).optional(),
  issuer: httpUrl,
  audience: z.union([text, texts.min(1)], { error: "Give a text, or a list of texts" }).optional(),
  requiredScopes: texts.optional(),
  cacheMs: integer(0).optional(),
  allowHttp: flag.optional(),
});

const token = object({
  id: text,
  token: text.min(SHORTEST_TOKEN, { error: `Give a token of ${SHORTEST_TOKEN} characters or more` })
    .regex(/^[A-Za-z0-9\-._~+/]+=*$/, {
      error: "Give a token of letters, digits and -._~+/ alone",
    }),
  scopes: texts.optional(),
});

const auth = object({
  tokens: z.array(token, { error: "Give a list of tokens" })
    .min(1, { error: "Give at least one token" }).optional(),
  jwt: jwt.optional(),
  introspection: introspection.optional(),
}).refine((value) => Object.values(value).filter((way) => way !== undefined).length === 1, {
  error: "Give exactly one of tokens, jwt and introspection",
});

const limits = object({
  bodyBytes: integer(1).optional(),
  bodyMs: integer(1).optional(),
  jsonDepth: integer(1).optional(),
  batch: integer(1).optional(),
  sessions: integer(1).optional(),
  sessionsPerPrincipal: integer(1).optional(),
  eventBytes: integer(1).optional(),
  streams: integer(0).optional(),
  streamsPerPrincipal: integer(0).optional(),
  requests: integer(1).optional(),
  listens: integer(0).optional(),
  listensPerPrincipal: integer(0).optional(),
  resultBytes: integer(1).optional(),
  page: integer(1).optional(),
  subscriptions: integer(0).optional(),
});

const positive = z.number({ error: "Give a number above 0" }).positive({
  error: "Give a number above 0",
});

const redisUrl = text.regex(/^rediss?:\/\/./, {
  error: 'Give a URL that begins with "redis://" or "rediss://"',
});

/** The whole file. */
export const configSchema = object({
  $schema: z.string().optional(),
  mcpServers: z.record(serverName, server, { error: "Give an object of servers by name" })
    .refine((servers) => Object.keys(servers).length <= MOST_SERVERS, {
      error: `Give at most ${MOST_SERVERS} servers`,
    }),
  separator: text.regex(/^[A-Za-z0-9_.-]{1,8}$/, {
    error: "Give 1 to 8 letters, digits, -, _ and dots",
  }).optional(),
  stateless: oneOf(["request", "principal"]).optional(),
  host: text.optional(),
  port: integer(0, 65_535).optional(),
  path: text.regex(/^(?:\/|(?:\/[A-Za-z0-9._~-]+)+)$/, {
    error: 'Give a path of letters, digits and -._~ that begins with "/"',
  }).refine((path) => !TAKEN.test(path), {
    error: "Give another path: /health, /servers and /.well-known are taken",
  }).optional(),
  publicUrl: httpUrl.optional(),
  auth: auth.optional(),
  allowedOrigins: texts.optional(),
  allowedHosts: texts.min(1, { error: "Name at least one host, or leave it out" }).optional(),
  rateLimit: object({
    perSecond: positive,
    burst: integer(1).optional(),
    header: text.optional(),
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
      prefix: text.regex(/^[^{}]+$/, { error: "Give a text without braces" }).optional(),
    }),
  ], {
    error: 'Give a URL that begins with "redis://" or "rediss://"',
  }).optional(),
  secret: text.min(32, { error: "Give a secret of 32 characters or more" }).optional(),
  log: oneOf(["json", "text"]).optional(),
  logLevel: oneOf(LEVELS).optional(),
}).superRefine(({ mcpServers, separator = "__" }, context) => {
  for (const name of Object.keys(mcpServers)) {
    if (!name.includes(separator)) continue;
    const message = `Leave the separator out of the name, or choose another one: ${separator}`;
    context.addIssue({ code: "custom", path: ["mcpServers", name], message });
  }
}).superRefine(({ redis, secret }, context) => {
  if (redis === undefined || secret !== undefined) return;
  const message =
    "Give a secret of 32 characters or more, the same on all nodes: they sign with it";
  context.addIssue({ code: "custom", path: ["secret"], message });
}).superRefine(({ auth, publicUrl }, context) => {
  if (publicUrl !== undefined || (auth?.jwt ?? auth?.introspection) === undefined) return;
  const message = "Give the URL that clients reach this at, without the path: their tokens name it";
  context.addIssue({ code: "custom", path: ["publicUrl"], message });
});

/** A checked configuration. */
export type Config = z.output<typeof configSchema>;

/** One of its servers. */
export type ServerEntry = z.output<typeof program> | z.output<typeof remote>;
