import type { ReactNode } from "react";
import css from "./AsIs.module.css";

/** A text as it is, with its own line breaks; a long one scrolls. */
export function AsIs({ children }: { children: ReactNode }) {
  return <pre className={css.text}>{children}</pre>;
}
