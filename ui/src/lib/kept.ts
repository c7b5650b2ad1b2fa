import { useState } from "react";

/** A text that is typed but not sent, kept under a name while the browser tab lives. */
export function useKeptText(name: string): [string, (text: string) => void] {
  const stored = `zhilu.draft.${name}`;
  const [text, setText] = useState(() => sessionStorage.getItem(stored) ?? "");
  const write = (next: string) => {
    setText(next);
    if (next) sessionStorage.setItem(stored, next);
    else sessionStorage.removeItem(stored);
  };
  return [text, write];
}
