/**
 * The three tools of a shop, which work with Redis and an HTTP API. All servers have the same.
 *
 * @module
 */
import { createClient } from "redis";
import { z } from "zod";

/** Where the tools find what they work with. */
export interface ShopInit {
  /** The URL of Redis. */
  readonly redis: string;
  /** The prefix of the shop's keys. */
  readonly prefix: string;
  /** The URL of the carrier's API. */
  readonly api: string;
}

/** A tool of the shop. */
export interface ShopTool {
  readonly name: string;
  readonly description: string;
  readonly input: z.ZodObject;
  /** Does what the tool is for, with arguments that fit `input`, and returns the text of its result. */
  run(args: unknown): Promise<string>;
}

/** The number of products. */
export const PRODUCTS = 500;
/** The number of terms, each of which finds ten products. */
export const TERMS = 50;
/** The time after which a cart is forgotten, in seconds. */
const CART_S = 600;

const SEARCH = z.object({
  term: z.string().max(40).describe("What to look for"),
  limit: z.number().int().min(1).max(20).default(5).describe("The number of products at most"),
});
const ADD = z.object({
  cart: z.string().max(40).describe("The cart's id"),
  product: z.string().max(40).describe("The product's id"),
  quantity: z.number().int().min(1).max(99),
});
const QUOTE = z.object({
  cart: z.string().max(40).describe("The cart's id"),
  country: z.string().length(2).describe("The country's code, as in ISO 3166"),
});

/** Connects to Redis, and returns the tools. */
export async function shopTools({ redis, prefix, api }: ShopInit): Promise<readonly ShopTool[]> {
  const client = createClient({ url: redis });
  await client.connect();
  const cartKey = (cart: string) => `${prefix}cart:${cart}`;
  return [
    {
      name: "find_products",
      description: "Finds the products that fit a term best.",
      input: SEARCH,
      async run(args) {
        const { term, limit } = args as z.infer<typeof SEARCH>; // as `input` has it
        const ids = await client.lRange(`${prefix}term:${term}`, 0, limit - 1);
        if (ids.length === 0) return "Nothing fits";
        const found = await client.mGet(ids.map((id) => `${prefix}product:${id}`));
        const products = found.flatMap((text) => text === null ? [] : [JSON.parse(text)]);
        return products.map(({ id, name, price }) => `${id}: ${name}, ${price} EUR`).join("\n");
      },
    },
    {
      name: "add_to_cart",
      description: "Puts a product into a cart, and tells what is in it.",
      input: ADD,
      async run(args) {
        const { cart, product, quantity } = args as z.infer<typeof ADD>; // as `input` has it
        const key = cartKey(cart);
        const [, , all] = await client.multi().hIncrBy(key, product, quantity)
          .expire(key, CART_S).hGetAll(key).exec() as unknown as [unknown, unknown, object]; // as these three answer
        return Object.entries(all).map(([id, count]) => `${count} of ${id}`).join("\n");
      },
    },
    {
      name: "quote_shipping",
      description: "Asks the carrier what it costs to ship a cart.",
      input: QUOTE,
      async run(args) {
        const { cart, country } = args as z.infer<typeof QUOTE>; // as `input` has it
        const items = await client.hLen(cartKey(cart));
        const response = await fetch(`${api}/quote?items=${items}&country=${country}`);
        const { price, days } = await response.json() as { price: number; days: number }; // as the API answers
        return `${price} EUR, ${days} days`;
      },
    },
  ];
}

/** Fills the shop. */
export async function fillShop({ redis, prefix }: ShopInit): Promise<void> {
  const client = createClient({ url: redis });
  await client.connect();
  for (let n = 0; n < PRODUCTS; n++) {
    const id = `p${n}`;
    const product = { id, name: `Product number ${n}`, price: 5 + n % 90, stock: n % 40 };
    await client.set(`${prefix}product:${id}`, JSON.stringify(product));
    await client.rPush(`${prefix}term:t${n % TERMS}`, id);
  }
  client.destroy();
}
