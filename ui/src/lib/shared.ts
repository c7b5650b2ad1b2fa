import { useEffect, useState } from "react";

type Kept = string | number | boolean;

/** `text` of a link as a value like `fallback`; what is no such value is the fallback. */
export function readAs<V extends Kept>(text: string | null, fallback: V): V {
  if (text === null) return fallback;
  if (typeof fallback === "boolean") return (text === "1") as V;
  if (typeof fallback !== "number") return text as V;
  const number = Number(text);
  return text.trim() !== "" && Number.isFinite(number) ? (number as V) : fallback;
}

/**
 * State that a link to the page carries: `?name=value` in the address, nothing where it is `fallback`. It is written once it
 * has rested, since browsers limit how often an address may change. Two parts of one page need two names.
 */
export function useShared(name: string, fallback: number): [number, (value: number) => void];
export function useShared(name: string, fallback: boolean): [boolean, (value: boolean) => void];
export function useShared<V extends string = string>(name: string, fallback: NoInfer<V>): [V, (value: V) => void];
export function useShared(name: string, fallback: Kept): [Kept, (value: never) => void] {
  const [value, setValue] = useState<Kept>(() => readAs(new URLSearchParams(location.search).get(name), fallback));
  useEffect(() => {
    const timer = setTimeout(() => {
      const url = new URL(location.href);
      if (value === fallback) url.searchParams.delete(name);
      else url.searchParams.set(name, typeof value === "boolean" ? String(Number(value)) : String(value));
      if (url.href !== location.href) history.replaceState(history.state, "", url);
    }, 250);
    return () => clearTimeout(timer);
  }, [name, value, fallback]);
  return [value, setValue];
}
