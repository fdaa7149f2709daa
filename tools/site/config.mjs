// What VitePress reads. tools/site.ts copies it beside the pages, with a sidebar made from docs/README.md.
import { readFileSync } from "node:fs";

const { sidebar, version } = JSON.parse(
  readFileSync(new URL("./pages.json", import.meta.url)),
);

/** Makes anchors as GitHub does: the pages are read there too. */
function slugify(text) {
  return text.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").trim()
    .replaceAll(/\s/g, "-");
}

export default {
  title: "Mooring",
  description: "MCP servers on the web standards: one function from Request to Response",
  lang: "en",
  cleanUrls: false,
  // tools/site_links.ts checks all links, with their anchors
  ignoreDeadLinks: true,
  metaChunk: true,
  head: [["link", { rel: "icon", type: "image/svg+xml", href: "/icon.svg" }]],
  markdown: {
    anchor: { slugify },
    theme: {
      light: "github-light-high-contrast",
      dark: "github-dark-high-contrast",
    },
  },
  vite: { build: { chunkSizeWarningLimit: 4_000 } },
  themeConfig: {
    logo: "/icon.svg",
    search: {
      provider: "local",
      options: {
        miniSearch: {
          searchOptions: {
            // Pages that explain come before those that list
            boostDocument: (id) => /^\/(?:CHANGELOG|docs\/requirements)/.test(id) ? 0.3 : 1,
          },
        },
      },
    },
    outline: [2, 3],
    nav: [
      { text: "All pages", link: "/docs/" },
      { text: "Reference", link: "/reference" },
      { text: `${version}`, link: "/CHANGELOG" },
    ],
    sidebar,
    footer: { message: "MIT licence" },
  },
};
