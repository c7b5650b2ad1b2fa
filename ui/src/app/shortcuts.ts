import { useEffect, useRef } from "react";
import { useLocation } from "wouter";
import { MENU, PAGES } from "@/app/pages";

/** What the pages offer to do from anywhere. */
export const COMMANDS = PAGES.flatMap(({ commands }) => commands ?? []);

const isTyping = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

/** The keys that work on every page; `/` focuses whatever element carries `data-slash`. */
export function useShortcuts(actions: { palette: () => void; help: () => void }): void {
  const [, go] = useLocation();
  const latest = useRef(actions);
  useEffect(() => {
    latest.current = actions;
  });

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const command = event.ctrlKey || event.metaKey;
      if (command && event.key.toLowerCase() === "k") {
        event.preventDefault();
        latest.current.palette();
        return;
      }
      if (event.altKey && !command && /^[1-9]$/.test(event.key)) {
        const page = MENU[Number(event.key) - 1];
        if (page) {
          event.preventDefault();
          go(page.nav.href);
        }
        return;
      }
      if (command || event.altKey || isTyping(event.target)) return;
      if (event.key === "?") latest.current.help();
      else if (event.key === "/") {
        const field = document.querySelector<HTMLElement>("[data-slash]");
        if (!field) return;
        event.preventDefault();
        field.focus();
      } else {
        const command = COMMANDS.find(({ key }) => key === event.key);
        if (command) go(command.href);
      }
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [go]);
}
