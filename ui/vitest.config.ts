import { defineConfig, mergeConfig } from "vitest/config";
import vite from "./vite.config";

// Apart from the build, which is installed without what only checks it.
export default mergeConfig(vite, defineConfig({ test: { include: ["src/**/*.test.ts"] } }));
