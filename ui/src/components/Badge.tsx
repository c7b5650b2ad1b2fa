import type { ReactNode } from "react";
import css from "./Badge.module.css";

export type BadgeTone = "neutral" | "ok" | "warn" | "bad" | "info" | "pine";

/** A word of state; `dot` puts a mark before it, which breathes while `live`. */
export function Badge({
  tone = "neutral",
  dot,
  live,
  children,
}: {
  tone?: BadgeTone;
  dot?: boolean;
  live?: boolean;
  children: ReactNode;
}) {
  return (
    <span className={`${css.badge} ${css[tone]}`}>
      {dot && <i className={css.dot} data-live={live || undefined} aria-hidden />}
      {children}
    </span>
  );
}
