import rehypeKatex from "rehype-katex";
import type { Options } from "react-markdown";
import remarkMath from "remark-math";

/** Loaded only when an answer holds a formula. MathML needs no fonts and no styles: the browser sets it itself. */
export const remarkPlugins: NonNullable<Options["remarkPlugins"]> = [[remarkMath, { singleDollarTextMath: false }]];
export const rehypePlugins: NonNullable<Options["rehypePlugins"]> = [
  [rehypeKatex, { output: "mathml", errorColor: "currentColor" }],
];
