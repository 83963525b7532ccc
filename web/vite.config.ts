// Builds the page into the Python package, where it is committed: installing meerkat needs no Node.
// The same sources give the same bytes (CI builds anew and compares), so nothing here may depend on
// the time, the machine or the path.
import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  build: {
    outDir: "../src/meerkat/web/page",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    cssCodeSplit: false,
    assetsInlineLimit: 0, // no data: addresses, so that the page's policy needs none
    reportCompressedSize: false,
    chunkSizeWarningLimit: 900, // kB before gzip; the whole start is one file on loopback
    rolldownOptions: {
      output: {
        // What languages share is a chunk of its own: a change of the page must not rename them all.
        codeSplitting: {
          groups: [
            {
              name: "editor",
              test: /node_modules\/(@codemirror\/(state|view|language|commands|search|autocomplete)|@lezer\/(common|highlight|lr)|@marijn|crelt|style-mod|w3c-keyname|yjs|lib0|y-[\w.]+|preact|@preact)\//,
            },
          ],
        },
        // A name that says what is in it: "lang-python-….js"; the hash is of the content alone.
        chunkFileNames: ({ moduleIds, name }) =>
          `assets/${name === "editor" ? name : (/@(?:codemirror|lezer)\/([\w-]+)\/dist/.exec(moduleIds.at(-1) ?? "")?.[1] ?? name)}-[hash].js`,
      },
    },
    license: { fileName: "licenses.md" },
  },
});
