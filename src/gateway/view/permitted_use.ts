/**
 * Does what the policy asks for before something is used: refuses withheld arguments, counts, and asks
 * the user.
 *
 * @module
 */
import { ErrorCode, type JsonObject, McpError, MissingCapabilityError } from "../../../mod.ts";
import { APPROVAL_KEY, ApprovalQuestion, isModern, isObject, quote } from "../../kit.ts";
import type { UseRules } from "../policy/entry_rules.ts";
import type { ClientRequest } from "../session/relay.ts";
import { modernResult, questionFor } from "../session/translate.ts";

/**
 * Counts a use, unless it is a later round of one.
 *
 * @throws {McpError} If there were too many, or a limiter fails
 */
export async function checkRate(
  { exchange, state }: Pick<ClientRequest, "exchange" | "state">,
  { limiters }: UseRules,
): Promise<void> {
  if (state !== undefined) return;
  const { request, principal } = exchange;
  for (const limiter of limiters) {
    let decision: Awaited<ReturnType<typeof limiter.check>>;
    try {
      decision = await limiter.check(request, undefined, principal);
    } catch (error) {
      exchange.report({ type: "error", during: "a rate limit of the policy", error });
      decision = { allowed: false };
    }
    if (decision.allowed === true) continue;
    const { retryAfterMs } = decision;
    const when = retryAfterMs === undefined ? "later" : `in ${Math.ceil(retryAfterMs / 1000)} s`;
    const data = { reason: "rate-limit", ...retryAfterMs !== undefined && { retryAfterMs } };
    throw new McpError(ErrorCode.Refused, `Try again ${when}: this was used too often`, data);
  }
}

/**
 * Returns the arguments that an upstream gets.
 *
 * @throws {McpError} With -32602, if the client sent one that it doesn't see
 */
export function permittedArguments(
  params: JsonObject,
  { fixed, withheld }: UseRules,
): JsonObject {
  if (withheld.size === 0) return params;
  const { arguments: given = {} } = params;
  if (!isObject(given)) {
    throw new McpError(ErrorCode.InvalidParams, 'Give an object as "arguments"');
  }
  const sent = Object.keys(given).find((name) => withheld.has(name));
  if (sent !== undefined) {
    const message = `Leave out the argument ${quote(sent)}: the tool doesn't take it`;
    throw new McpError(ErrorCode.InvalidParams, message);
  }
  return { ...params, arguments: { ...given, ...fixed } };
}

/** What became of the question whether a tool may run: what the client gets if it may not. */
export type ApprovalOutcome = { readonly approved: true } | { readonly result: JsonObject };

/** Asks the user whether a tool may run. Every failure to get a yes is a no. */
export async function approval(request: ClientRequest, tool: string): Promise<ApprovalOutcome> {
  const { exchange, state, settings: { info } } = request;
  const { params, protocolVersion, client: { capabilities } } = exchange;
  if (state?.approved === true) return { approved: true };
  const args = isObject(params.arguments) ? params.arguments : {};
  const question = new ApprovalQuestion(exchange, tool);
  const method = "elicitation/create";
  let isAsked = false;
  try {
    const asks = question.params(`Run the tool ${quote(tool)}?`, args);
    const shown = questionFor(method, asks, capabilities);
    if (!isModern(protocolVersion)) {
      question.asked();
      isAsked = true;
      const answer = await exchange.ask(method, shown);
      exchange.signal.throwIfAborted();
      return outcomeOf(tool, question.answered(answer));
    }
    const answer = state?.asksApproval === true ? question.answer : undefined;
    if (isObject(answer)) return outcomeOf(tool, question.answered(answer));
    const asked = modernResult(exchange.method, {
      resultType: "input_required",
      inputRequests: { [APPROVAL_KEY]: { method, params: shown } },
      requestState: await exchange.sealState({ asksApproval: true }, { once: true }),
    }, info);
    question.asked();
    exchange.requireInput(asked);
    return { result: asked };
  } catch (error) {
    if (exchange.signal.aborted) throw exchange.signal.reason;
    if (isAsked) question.failed();
    if (!(error instanceof McpError)) throw error;
    return { result: failed(whyNot(tool, error)) };
  }
}

function outcomeOf(tool: string, approved: boolean): ApprovalOutcome {
  return approved ? { approved } : { result: failed(`The tool ${quote(tool)} was not approved`) };
}

/** What is left to do to a model, which can't change its client. */
const LEFT = "Tell the user, or go on without this tool";

function whyNot(tool: string, error: McpError): string {
  const needs = `The tool ${quote(tool)} needs the user's approval`;
  if (error instanceof MissingCapabilityError || error.code === ErrorCode.MissingClientCapability) {
    return `${needs}, and this client can't ask for it. ${LEFT}`;
  }
  return `${needs}, and the user could not be asked: ${error.message}. ${LEFT}`;
}

function failed(text: string): JsonObject {
  return { content: [{ type: "text", text }], isError: true };
}
