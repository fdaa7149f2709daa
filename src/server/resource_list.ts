/**
 * `resources/list`: the resources with fixed URIs, then what the templates list.
 *
 * @module
 */
import type { MaybePromise } from "../internal/types.ts";
import type { Exchange } from "../protocol/exchange.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import { type ContextSettings, ExchangeContext } from "./context.ts";
import { fail } from "./failure.ts";
import { badCursor, type Position, toCursor, toPosition } from "./pagination.ts";
import type { Entry, Registry } from "./registry.ts";
import type { FixedResource, TemplateResource } from "./resources.ts";

/** The letter of what templates list, in cursors. */
const LISTED = "l";

/** Answers `resources/list`. */
export function listResources(
  exchange: Exchange,
  fixed: Registry<FixedResource>,
  templates: Registry<TemplateResource>,
  context: ContextSettings,
): MaybePromise<JsonObject> {
  const position = toPosition(exchange.params, `r${LISTED}`);
  const lists = templates.enabled.filter(({ definition }) =>
    definition.template.list !== undefined
  );
  if (position?.list === LISTED) {
    if (position.serial > templates.lastSerial) throw badCursor();
    return gather(exchange, [], position, lists, context);
  }
  const page = fixed.page(exchange.params, exchange.pageSize);
  if (lists.length === 0 || page.nextCursor !== undefined) return page;
  const { entries } = fixed.slice(position?.serial ?? 0, exchange.pageSize);
  const resources = entries.map(({ definition }) => definition.listed);
  return gather(exchange, resources, { list: LISTED, serial: 0, offset: 0 }, lists, context);
}

/** Fills a page up with what templates list, from a position on. */
async function gather(
  exchange: Exchange,
  resources: JsonObject[],
  start: Position,
  lists: readonly Entry<TemplateResource>[],
  context: ContextSettings,
): Promise<JsonObject> {
  const rest = lists.filter(({ serial }) => serial >= start.serial);
  for (const { serial, definition } of rest) {
    const offset = serial === start.serial ? start.offset : 0;
    const room = exchange.pageSize - resources.length;
    if (room === 0) return { resources, nextCursor: toCursor({ list: LISTED, serial, offset }) };
    const listed = await listOf(exchange, definition, context);
    const end = offset + room;
    resources.push(...listed.slice(offset, end));
    if (listed.length > end) {
      return { resources, nextCursor: toCursor({ list: LISTED, serial, offset: end }) };
    }
  }
  return { resources };
}

async function listOf(
  exchange: Exchange,
  { name, config, template }: TemplateResource,
  context: ContextSettings,
): Promise<JsonObject[]> {
  try {
    const result = await template.list?.(new ExchangeContext(exchange, context));
    return (result?.resources ?? []).map((resource) => ({ ...config, ...resource }));
  } catch (error) {
    return fail(exchange, `resources/list ${name}`, error);
  }
}
