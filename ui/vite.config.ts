import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vite";

/** First load = the entry, the chat page (where `/` leads), what they import statically, and their styles; gzip bytes. */
const FIRST_LOAD_BUDGET = 300 * 1024;

/** Fails a build whose first load outgrows the budget, and prints the size of one that does not. */
function budget(): Plugin {
  return {
    name: "first-load-budget",
    generateBundle(_, bundle) {
      const seen = new Set<string>();
      const visit = (name: string): void => {
        const chunk = bundle[name];
        if (seen.has(name) || chunk?.type !== "chunk") return;
        seen.add(name);
        chunk.imports.forEach(visit);
        chunk.viteMetadata?.importedCss.forEach((css) => seen.add(css));
      };
      Object.values(bundle).forEach((file) => {
        if (file.type === "chunk" && (file.isEntry || file.name === "ChatPage")) visit(file.fileName);
      });
      let total = 0;
      for (const name of seen) {
        const file = bundle[name];
        if (file) total += gzipSync(file.type === "chunk" ? file.code : file.source).length;
      }
      const said = `first load ${(total / 1024).toFixed(0)} KB gzip, budget ${FIRST_LOAD_BUDGET / 1024} KB`;
      if (total > FIRST_LOAD_BUDGET) this.error(said);
      this.info(said);
    },
  };
}

// `npm run dev` works on a running product: `zhilu up`, or ZHILU_URL.
const server = process.env.ZHILU_URL ?? "http://127.0.0.1:8642";
// The server takes changes from its own origin alone; the page of `npm run dev` comes from another port.
const behind = { target: server, changeOrigin: true, headers: { origin: new URL(server).origin } };

export default defineConfig({
  plugins: [react(), budget()],
  resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
  build: { outDir: "../src/zhilu/host/static", emptyOutDir: true, assetsInlineLimit: 0, reportCompressedSize: false },
  server: { port: 5173, proxy: { "/zhilu": behind, "/v1": behind, "/health": behind } },
});
