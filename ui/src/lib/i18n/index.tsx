/** The two languages: the UI's own words by typed key, a page's beside the page, the server's as {en, zh}; switched without a reload. */
import { createContext, useCallback, useContext, useEffect, useMemo, useState, type ReactNode } from "react";
import type { Text } from "@/lib/types";
import { shared } from "./shared";

export type Lang = "en" | "zh";

type Shared = typeof shared;
/** The words there are, by key; each page's `page.ts` adds its own to this interface, so that `t` knows them. */
export interface Strings extends Shared {}
export type Key = keyof Strings;
type Values = Record<string, string | number>;

export interface I18n {
  lang: Lang;
  setLang: (lang: Lang) => void;
  /** The text of a key; `{name}` in it is replaced by `values.name`. */
  t: (key: Key, values?: Values) => string;
  /** A text of the server's; a plain string stands for both languages. */
  say: (text: Text | string | null | undefined) => string;
}

const STORED = "zhilu.lang";

const strings = new Map<string, Text>(Object.entries(shared));

/** Takes in the words of a page; a key that is there already is a mistake of the page's. */
export function addStrings(more: Record<string, Text>): void {
  for (const [key, text] of Object.entries(more)) {
    const known = strings.get(key);
    if (known && known !== text) throw new Error(`Two texts bear the key ${key}.`);
    strings.set(key, text);
  }
}

/** `{name}` is replaced by its value, `{name|one|many}` by the word that goes with that number. */
export function fill(text: string, values: Values = {}): string {
  return text.replace(/\{(\w+)(?:\|([^|}]*)\|([^}]*))?\}/g, (whole, name: string, one?: string, many?: string) => {
    const value = values[name];
    if (value === undefined) return whole;
    if (one === undefined) return String(value);
    return String(value) === "1" ? one : (many ?? "");
  });
}

function firstLang(): Lang {
  const stored = localStorage.getItem(STORED);
  if (stored === "en" || stored === "zh") return stored;
  return /^zh/i.test(navigator.language) ? "zh" : "en";
}

const Context = createContext<I18n | null>(null);

export function I18nProvider({ children }: { children: ReactNode }) {
  const [lang, setLang] = useState<Lang>(firstLang);

  useEffect(() => {
    document.documentElement.lang = lang === "zh" ? "zh-CN" : "en";
  }, [lang]);

  const change = useCallback((next: Lang) => {
    localStorage.setItem(STORED, next);
    setLang(next);
  }, []);

  const value = useMemo<I18n>(
    () => ({
      lang,
      setLang: change,
      // A newer server may name a state this page has no word for: then its own name must do.
      t: (key, values) => fill(strings.get(key)?.[lang] ?? key, values),
      say: (text) => (text == null ? "" : typeof text === "string" ? text : text[lang] || text.en || text.zh),
    }),
    [lang, change],
  );
  return <Context value={value}>{children}</Context>;
}

export function useI18n(): I18n {
  const value = useContext(Context);
  if (!value) throw new Error("useI18n outside of I18nProvider");
  return value;
}
