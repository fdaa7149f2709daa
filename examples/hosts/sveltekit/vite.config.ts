import adapter from "@sveltejs/adapter-node";
import { sveltekit } from "@sveltejs/kit/vite";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [
    sveltekit({
      adapter: adapter(),
      // SvelteKit takes a DELETE without a content type, which ends a session, for a form of another
      // site. hooks.server.ts checks the forms of all other routes.
      csrf: { trustedOrigins: ["*"] },
    }),
  ],
});
