import react from "@vitejs/plugin-react";
import { defineConfig, loadEnv } from "vite";

export default defineConfig(({ mode }) => {
  const env = { ...loadEnv(mode, process.cwd(), "ZHILU_"), ...process.env };
  const server = new URL(env.ZHILU_URL ?? "http://127.0.0.1:8642/v1");
  // The browser asks this page's own origin, and the page's server asks Zhilu: no CORS, and the key stays out of the browser.
  // Do the same in production: nginx, or a route of your own back end. Zhilu takes changes from its own origin or with the key, so
  // the proxy speaks for itself and not for the page.
  const passed = {
    target: server.origin,
    changeOrigin: true,
    headers: {
      Origin: server.origin,
      ...(env.ZHILU_API_KEY ? { Authorization: `Bearer ${env.ZHILU_API_KEY}` } : {}),
    },
  };
  // Of Zhilu's own addresses only these two: which knowledge bases there are, and asking one.
  const proxy = { "/v1": passed, "^/zhilu/v1/kbs(/[^/]+/ask)?$": passed };
  return { plugins: [react()], server: { proxy }, preview: { proxy } };
});
