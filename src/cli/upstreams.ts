/**
 * The servers of a configuration, as the gateway reaches them.
 *
 * @module
 */
import { gateway } from "../gateway/gateway.ts";
import { http } from "../gateway/upstreams/http.ts";
import { stdio } from "../gateway/upstreams/stdio.ts";
import type { Backend } from "./server.ts";

/** Real servers behind a real gateway. */
export const backend: Backend = {
  gateway,
  upstream(entry) {
    const { type: _type, disabled: _disabled, ...options } = entry;
    return "url" in options ? http(options) : stdio(options);
  },
};
