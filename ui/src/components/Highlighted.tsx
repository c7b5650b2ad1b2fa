import { toJsxRuntime } from "hast-util-to-jsx-runtime";
import { common, createLowlight } from "lowlight";
import { Fragment, jsx, jsxs } from "react/jsx-runtime";
import "./Highlighted.css";

const lowlight = createLowlight(common);

/** Coloured code; loaded only when an answer holds some. An unknown language stays plain. */
export default function Highlighted({ code, language }: { code: string; language: string }) {
  if (!lowlight.registered(language)) return code;
  return toJsxRuntime(lowlight.highlight(language, code), { Fragment, jsx, jsxs });
}
