import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// While you change the page: npx vite web, beside npm start.
export default defineConfig({ plugins: [react()], server: { proxy: { "/api": "http://127.0.0.1:3001" } } });
