export default {
  build: { lib: { entry: "edge.mjs", formats: ["es"], fileName: "edge" }, outDir: "vite" },
};
