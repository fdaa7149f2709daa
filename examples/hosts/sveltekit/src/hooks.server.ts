/**
 * Finds out who calls, and refuses forms of other sites, for all routes.
 *
 * @module
 */
import type { Handle } from "@sveltejs/kit";

declare global {
  namespace App {
    interface Locals {
      user?: string;
    }
  }
}

const keys = new Map([[process.env.API_KEY ?? "demo-key", "ada"]]);
const SAFE = ["GET", "HEAD", "OPTIONS"];

export const handle: Handle = ({ event, resolve }) => {
  const { request, url } = event;
  // The endpoint checks origins itself: see the option allowedOrigins.
  const isEndpoint = event.route.id === "/mcp";
  if (!isEndpoint && !SAFE.includes(request.method)) {
    const isJson = request.headers.get("content-type")?.startsWith("application/json");
    if (!isJson && request.headers.get("origin") !== url.origin) {
      return new Response("Forms of other sites are refused", { status: 403 });
    }
  }
  event.locals.user = keys.get(request.headers.get("x-api-key") ?? "");
  return resolve(event);
};
