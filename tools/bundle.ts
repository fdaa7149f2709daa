/**
 * Bundles the modules of the npm package: a runtime opens a few files in place of hundreds, so that the
 * package is imported in a fraction of the time.
 *
 * @module
 */
import { chmod, readdir, readFile, rm } from "node:fs/promises";
import { dirname, isAbsolute, join, relative, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { PAGE_ASSETS } from "../src/cli/dev/page_assets.ts";
import { ASSETS } from "../src/dashboard/page/assets.ts";
import { packageTool, ROOT } from "./runtimes.ts";

/** The modules that read the files of pages, with what each exports. A bundle can't read files beside it. */
const ASSET_MODULES: ReadonlyMap<string, Readonly<Record<string, unknown>>> = new Map([
  [join(ROOT, "src/dashboard/page/assets.ts"), { ASSETS }],
  [join(ROOT, "src/cli/dev/page_assets.ts"), { PAGE_ASSETS }],
]);

/** The project's own modules: a module of which nothing is used is left out. */
const SOURCES = /\/src\/(?!cli\/main\.ts$).*\.ts$/;

/** The chunk with everything that the root entry point reaches: one file, which the others share. */
const LIBRARY = "library";

/** Where the bundler has the helpers that it puts into a bundle: for templates with `</script>`. */
const HELPERS = "@oxc-project/";

/** A file that the bundler made, as far as this reads it. */
interface OutputFile {
  readonly type: "chunk" | "asset";
  readonly modules?: Readonly<Record<string, { readonly renderedLength: number }>>;
}

/** The bundler, as far as this calls it. Its types are among the tools of the package, not here. */
interface Bundler {
  rolldown(options: unknown): Promise<{
    write(options: unknown): Promise<{ readonly output: readonly OutputFile[] }>;
    close(): Promise<void>;
  }>;
}

/** What a plugin of the bundler sees of its modules. */
interface ModuleGraph {
  getModuleInfo(id: string): { readonly importedIds: readonly string[] } | null;
}

/** What both bundles have in common: comments are in the declarations and the source maps. */
const OUTPUT = {
  format: "esm",
  entryFileNames: "[name].js",
  chunkFileNames: "chunks/[name].js",
  comments: { legal: false, annotation: true, jsdoc: false },
};

/** Writes the files of pages into their modules. */
const embedAssets = {
  name: "embed-assets",
  load(id: string) {
    const exported = ASSET_MODULES.get(id);
    if (exported === undefined) return null;
    const lines = Object.entries(exported).map(([name, value]) =>
      `export const ${name} = ${JSON.stringify(value, null, 2)};\n`
    );
    return { code: lines.join(""), moduleType: "js" };
  },
};

async function bundle(input: unknown, output: unknown): Promise<readonly OutputFile[]> {
  const bundler: Bundler = await import(
    pathToFileURL(packageTool("rolldown/dist/index.mjs")).href
  );
  const build = await bundler.rolldown(input);
  try {
    return (await build.write(output)).output;
  } finally {
    await build.close();
  }
}

/**
 * Bundles the entry points into files of the same paths and the chunks that they share: a class is the same
 * one from wherever it is imported. Packages stay outside. Each file has a source map with its sources.
 *
 * @param entries The paths of the entry points' modules, from the project's root
 * @param folder The package's root
 */
export async function bundleEntries(entries: readonly string[], folder: string): Promise<void> {
  const library = new Set<string>();
  const findLibrary = {
    name: "find-library",
    buildEnd(this: ModuleGraph): void {
      const visit = (id: string): void => {
        if (!isAbsolute(id) || library.has(id)) return;
        library.add(id);
        this.getModuleInfo(id)?.importedIds.forEach(visit);
      };
      visit(join(ROOT, "mod.ts"));
    },
  };
  await bundle({
    input: Object.fromEntries(
      entries.map((path) => [path.replace(/\.ts$/, ""), join(ROOT, path)]),
    ),
    platform: "neutral",
    external: (id: string) => !id.startsWith(".") && !isAbsolute(id) && !id.startsWith(HELPERS),
    // Unused exports are left out of a user's bundle, and of these.
    treeshake: { moduleSideEffects: false },
    plugins: [embedAssets, findLibrary],
  }, {
    ...OUTPUT,
    dir: folder,
    sourcemap: true,
    // Names the sources as if they lay in the package
    sourcemapPathTransform(path: string, map: string) {
      const source = relative(ROOT, resolve(dirname(map), path));
      return relative(dirname(map), join(folder, source));
    },
    codeSplitting: {
      groups: [{ debugName: LIBRARY, name: (id: string) => library.has(id) ? LIBRARY : null }],
    },
  });
}

/** What {@linkcode bundleCommand} bundles. */
export interface CommandBundle {
  /** The path of the command's module, from the project's root. */
  readonly source: string;
  /** The folder that it is written to. */
  readonly folder: string;
  /** The name of its file there, without the extension. */
  readonly name: string;
  /** The packages that are not bundled. */
  readonly outside: readonly string[];
}

/**
 * Bundles the command with the packages that it needs, so that it runs without installing any of them.
 * What only one of the commands needs is in chunks that the others don't load.
 *
 * @returns The licenses of the packages in the bundle, which must accompany it
 */
export async function bundleCommand(
  { source, folder, name, outside }: CommandBundle,
): Promise<string> {
  const output = await bundle({
    input: { [name]: join(ROOT, source) },
    platform: "node",
    resolve: { mainFields: ["module", "main"] },
    external: (id: string) => outside.some((name) => id === name || id.startsWith(`${name}/`)),
    // The help is not to load what kit.ts only passes on.
    treeshake: { moduleSideEffects: [{ test: SOURCES, sideEffects: false }] },
    plugins: [embedAssets],
  }, {
    ...OUTPUT,
    dir: folder,
    banner: (chunk: { readonly isEntry: boolean }) => chunk.isEntry ? "#!/usr/bin/env node" : "",
  });
  await chmod(join(folder, `${name}.js`), 0o755);
  return await licensesOf(
    output.flatMap(({ modules = {} }) => Object.entries(modules))
      .flatMap(([path, { renderedLength }]) => renderedLength > 0 ? [path] : []),
  );
}

/** Removes the modules that were compiled one by one, and leaves their declarations. */
export async function removeModules(folder: string): Promise<void> {
  for (const path of await readdir(folder, { recursive: true })) {
    if (path.endsWith(".js")) await rm(join(folder, path));
  }
}

/** Returns the licenses of the packages that modules are from. */
async function licensesOf(modules: readonly string[]): Promise<string> {
  const folders = modules.flatMap((path) => {
    const [, folder] = /^(\/.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path) ?? [];
    return folder === undefined ? [] : [folder];
  });
  const texts = await Promise.all(
    [...new Set(folders)].sort().map(async (folder) => {
      const { name, version } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
      const file = (await readdir(folder)).find((name) => /^licen[cs]e(\.\w+)?$/i.test(name));
      if (file === undefined) {
        throw new Error(`Find the license of ${name}, which has no such file`);
      }
      return `${name} ${version}\n\n${(await readFile(join(folder, file), "utf8")).trim()}\n`;
    }),
  );
  return texts.join(`\n${"-".repeat(80)}\n\n`);
}
