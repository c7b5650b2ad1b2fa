import { useState, type ReactNode } from "react";
import { createPortal } from "react-dom";

/** Puts a page's buttons into the top bar of narrow screens. */
export function BarActions({ children }: { children: ReactNode }) {
  const [bar] = useState(() => document.getElementById("bar-actions"));
  return bar && createPortal(children, bar);
}
