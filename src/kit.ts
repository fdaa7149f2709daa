/**
 * What the gateway, the dashboard and the command need of the library beyond its entry points. Everything
 * else they import like any program: nothing here is public, and the library itself doesn't import it.
 *
 * @module
 */

// What an operator sees of a handler, and does to it.
export type { FinishedCall } from "./calls/calls.ts";
export { type OperatorView, operatorView, type RunningCall } from "./handler/operator_view.ts";
export { reportedMethod, shown } from "./protocol/event_facts.ts";
export { copyPrincipal, ownerKey, principalOf } from "./sessions/owner.ts";

// What an endpoint of the command's own needs: the gates and refusals of a handler, the address of a server.
export { internalError } from "./adapters/error_responses.ts";
export { listenError } from "./adapters/listen_error.ts";
export { onStopSignals } from "./adapters/stop_signals.ts";
export { joinChallenges } from "./auth/challenge.ts";
export { guardedHandler } from "./handler/guarded.ts";
export {
  type HostRule,
  matchesHost,
  parseAuthority,
  parseHostRule,
} from "./http/gates/authority.ts";
export { parseOriginRule } from "./http/gates/origin_rule.ts";
export { pathOf, wrongPath } from "./http/gates/path.ts";
export { type Refusal, refusal } from "./http/reply.ts";
export { shuttingDown } from "./http/refusals.ts";
export { respond } from "./http/respond.ts";
export { isLoopback, LOOPBACK_HOSTS } from "./internal/loopback.ts";

// What a dispatcher needs that passes requests on: the words of the protocol.
export { onAbort } from "./calls/lifetime/scope.ts";
export { middlewareOption, once } from "./calls/middleware/middleware.ts";
export { progressToken } from "./calls/progress.ts";
export { canonical } from "./calls/state/state.ts";
export { entryFor, promptResultFor, serverInfoFor, toolResultFor } from "./protocol/downgrade.ts";
export { envelopeVersion, MetaKey } from "./protocol/envelope.ts";
export { errorObject } from "./protocol/errors.ts";
export { ANONYMOUS, isAnonymous } from "./protocol/exchange.ts";
export { headerParamsOf } from "./protocol/header_params.ts";
export { argumentAt, HeaderName } from "./protocol/headers.ts";
export { itemOf, withUri } from "./protocol/items.ts";
export {
  isObject,
  type JsonRpcNotification,
  type JsonRpcRequest,
  messageKind,
} from "./protocol/jsonrpc.ts";
export { CACHEABLE, methodFacts } from "./protocol/methods.ts";
export { objectOutputSchema, wrapData, wrapsOutput } from "./protocol/output_schema.ts";
export { dispatch, requireScopes } from "./protocol/route.ts";
export { unknownMethod, unknownPrompt, unknownResource, unknownTool } from "./protocol/unknown.ts";
export type {
  Caller,
  UpstreamFacts,
  UpstreamKind,
  UpstreamMiddleware,
  UpstreamRequest,
} from "./protocol/upstream.ts";
export { canonicalUri, withoutNeedlessEscapes } from "./protocol/uri.ts";
export { isModern, isVersion, VERSIONS } from "./protocol/versions.ts";
export { STATE_BYTES, StateValues } from "./sessions/state_values.ts";

// The question whether a tool may run.
export { APPROVAL_KEY, ApprovalQuestion } from "./calls/questions/approval.ts";

// Tasks of a dispatcher's own, for calls that run elsewhere.
export { TasksExtension, tooManyTasks } from "./tasks/extension.ts";

// What checks arguments against a schema.
export { describeIssues } from "./server/schemas/schema.ts";

// Bounds, time and texts.
export { fromBase64, toBase64 } from "./internal/base64.ts";
export { BoundedMap, BoundedSet } from "./internal/bounded_map.ts";
export { booleanOption, delayOption, functionOption, integerOption } from "./internal/check.ts";
export { LONG_CALL_META, ownLongCalls } from "./long_calls/options.ts";
export { preciseTime, systemClock } from "./internal/clock.ts";
export { type Delay, DelayLine } from "./internal/delay_line.ts";
export { EndOfTurn } from "./internal/end_of_turn.ts";
export { escapeInvisible, escapeInvisibleJson } from "./internal/invisible.ts";
export { nestsDeeper } from "./internal/json_depth.ts";
export { keepAliveDuring } from "./internal/keep_alive.ts";
export { Lines } from "./internal/lines.ts";
export { clip, quote } from "./internal/quote.ts";
export { randomFraction, randomText, shortHash } from "./internal/random.ts";
export { Slots } from "./internal/slots.ts";
export { isPromise } from "./internal/types.ts";
export { sha256, toHex } from "./internal/hashes.ts";
export { installed } from "./internal/installed.ts";
export { checkNames, type NamesOf } from "./internal/known_names.ts";
export { sameText } from "./internal/same_text.ts";
export { suggest } from "./internal/suggest.ts";
export { isWithinBytes, utf8Length } from "./internal/utf8.ts";
export { isSimple, TooMuchWorkError, Work } from "./internal/work.ts";

// What an authorization server needs: sealing, keyed names, tokens, the sender of a request.
export { readsHead } from "./auth/authenticate.ts";
export { fromBase64Url, toBase64Url } from "./internal/base64.ts";
export { TextSealer } from "./internal/sealing.ts";
export { jose } from "./auth/packages.ts";
export { boundTokens, isThumbprint } from "./auth/bound_tokens.ts";
export { invalidToken } from "./auth/bearer.ts";
export { DpopProofs, ProofError, type VerifiedProof } from "./auth/dpop.ts";
export { DPOP_ALGORITHMS } from "./auth/dpop_algorithms.ts";
export { peerAddress } from "./http/peer.ts";
export { fullAddress, shortAddress } from "./http/sender_address.ts";
export { hmacSha256 } from "./internal/hashes.ts";
