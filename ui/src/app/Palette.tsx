import { useQueries } from "@tanstack/react-query";
import { Languages, SunMoon, type LucideIcon } from "lucide-react";
import { useState, type KeyboardEvent } from "react";
import { useLocation } from "wouter";
import { PAGES } from "@/app/pages";
import { COMMANDS } from "@/app/shortcuts";
import { Dialog } from "@/components/Dialog";
import { controlClass } from "@/components/Field";
import { useI18n } from "@/lib/i18n";
import { useTheme } from "@/lib/theme";
import css from "./Palette.module.css";

interface Entry {
  id: string;
  label: string;
  icon: LucideIcon;
  run: () => void;
}

const MOST = 12;
const FINDERS = PAGES.flatMap(({ finders }) => finders ?? []);

/** Ctrl K: pages, their commands, what they can find, and switches, found by what one types. */
export function Palette({ open, onClose }: { open: boolean; onClose: () => void }) {
  const { t } = useI18n();
  return (
    <Dialog open={open} onClose={onClose} title={t("palette.title")}>
      {open && <Finder onClose={onClose} />}
    </Dialog>
  );
}

function useEntries(): Entry[] {
  const { t, lang, setLang } = useI18n();
  const { theme, setTheme } = useTheme();
  const [, go] = useLocation();
  const found = useQueries({ queries: FINDERS.map(({ query }) => query) });
  return [
    ...COMMANDS.map(({ label, icon, href }) => ({ id: label, label: t(label), icon, run: () => go(href) })),
    ...PAGES.map(({ nav: { href, label, icon } }) => ({ id: href, label: t(label), icon, run: () => go(href) })),
    { id: "lang", label: t("lang.switch"), icon: Languages, run: () => setLang(lang === "zh" ? "en" : "zh") },
    {
      id: "theme",
      label: `${t("theme.label")}: ${t(theme === "dark" ? "theme.light" : "theme.dark")}`,
      icon: SunMoon,
      run: () => setTheme(theme === "dark" ? "light" : "dark"),
    },
    ...FINDERS.flatMap(({ icon, places }, at) => {
      const data = found[at]?.data;
      if (data === undefined) return [];
      return places(data).map(({ id, label, href }) => ({ id, label, icon, run: () => go(href) }));
    }),
  ];
}

function Finder({ onClose }: { onClose: () => void }) {
  const { t } = useI18n();
  const entries = useEntries();
  const [query, setQuery] = useState("");
  const [at, setAt] = useState(0);
  const wanted = query.trim().toLowerCase();
  const found = entries.filter(({ label }) => label.toLowerCase().includes(wanted)).slice(0, MOST);
  const chosen = Math.min(at, found.length - 1);

  const run = (entry: Entry | undefined) => {
    if (!entry) return;
    onClose();
    entry.run();
  };
  const onKey = (event: KeyboardEvent) => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step && found.length) {
      event.preventDefault();
      setAt((chosen + step + found.length) % found.length);
    } else if (event.key === "Enter" && !event.nativeEvent.isComposing) run(found[chosen]);
  };

  return (
    <>
      <input
        autoFocus
        className={controlClass}
        role="combobox"
        aria-expanded
        aria-controls="palette-list"
        aria-activedescendant={found[chosen] && `palette-${found[chosen].id}`}
        placeholder={t("palette.hint")}
        aria-label={t("palette.hint")}
        value={query}
        onChange={(event) => {
          setQuery(event.target.value);
          setAt(0);
        }}
        onKeyDown={onKey}
      />
      <ul id="palette-list" role="listbox" aria-label={t("palette.title")} className={css.list}>
        {found.map((entry, index) => {
          const Icon = entry.icon;
          return (
            <li
              key={entry.id}
              id={`palette-${entry.id}`}
              role="option"
              aria-selected={index === chosen}
              onClick={() => run(entry)}
              onMouseMove={() => setAt(index)}
            >
              <Icon size={15} aria-hidden />
              <span>{entry.label}</span>
            </li>
          );
        })}
        {!found.length && <li className={css.none}>{t("palette.none")}</li>}
      </ul>
    </>
  );
}
