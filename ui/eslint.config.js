import { readdirSync } from "node:fs";
import js from "@eslint/js";
import hooks from "eslint-plugin-react-hooks";
import ts from "typescript-eslint";

// One direction: app -> features -> components -> lib. Files of other folders are imported by "@/...", never by "../",
// so the layer of every import can be read off its first segment; one feature never imports another.
const above = {
  "src/lib": ["@/components", "@/features", "@/app"],
  "src/components": ["@/features", "@/app"],
};
for (const name of readdirSync("src/features")) {
  const others = readdirSync("src/features").filter((other) => other !== name);
  above[`src/features/${name}`] = ["@/app", ...others.map((other) => `@/features/${other}`)];
}
const layers = Object.entries(above).map(([folder, banned]) => ({
  files: [`${folder}/**/*.{ts,tsx}`],
  rules: {
    "no-restricted-imports": [
      "error",
      {
        patterns: [
          { group: banned.flatMap((path) => [path, `${path}/**`]), message: "app -> features -> components -> lib" },
          { group: ["../**"], message: 'Import other folders by "@/...".' },
        ],
      },
    ],
  },
}));

export default ts.config(
  { ignores: ["node_modules", "public", "src/lib/api.gen.ts"] },
  js.configs.recommended,
  ...ts.configs.recommended,
  hooks.configs.flat.recommended,
  {
    rules: {
      "max-lines": ["error", { max: 500 }],
      // A page adds its words to the interface of all words by extending it.
      "@typescript-eslint/no-empty-object-type": ["error", { allowInterfaces: "with-single-extends" }],
      "no-console": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-explicit-any": "error",
    },
  },
  ...layers,
);
