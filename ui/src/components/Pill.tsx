import type { ComponentProps } from "react";
import css from "./Pill.module.css";

/** A small pill that opens something; used for model, knowledge base and sampling. */
export function Pill({ on, label, children, ...rest }: ComponentProps<"button"> & { on?: boolean; label: string }) {
  return (
    <button type="button" className={css.pill} data-on={on || undefined} aria-label={label} title={label} {...rest}>
      {children}
    </button>
  );
}
