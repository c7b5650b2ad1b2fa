/**
 * What streams in, for the whole workbench: answers of chats, of knowledge bases, of the playground. It stands outside the
 * components, so that another page neither stops a stream nor forgets what came of it; a page says under its own prefix
 * what of it is kept over a reload of the tab.
 */
import { useSyncExternalStore } from "react";

interface Entry {
  value: unknown;
  /** Set while it streams. */
  abort: AbortController | null;
}

/** How values under a prefix are kept in this tab; `load` gets what `save` made and says what has become of it since. */
interface Keeping {
  save: (value: never) => unknown;
  load: (kept: unknown) => unknown;
}

/** What a stream's work may do: show a value at once, or with the next frame, however fast values come. */
export interface Line<T> {
  signal: AbortSignal;
  show: (value: T) => void;
  soon: (value: T) => void;
}

/** Beyond this a value is shown but not kept over a reload: a browser gives a page about 5 MB. */
const MOST_KEPT = 600_000;
const STORED = "zhilu.stream.";

const entries = new Map<string, Entry>();
const keepings = new Map<string, Keeping>();
const listeners = new Set<() => void>();

/** Values under `prefix/…` are kept over a reload of the tab. */
export function keep<T>(prefix: string, save: (value: T) => unknown, load: (kept: unknown) => T | null): void {
  keepings.set(prefix, { save, load });
}

const keepingOf = (key: string): Keeping | undefined => keepings.get(key.slice(0, key.indexOf("/")));

function tell(): void {
  listeners.forEach((listener) => listener());
}

function restored(key: string): unknown {
  try {
    const text = sessionStorage.getItem(STORED + key);
    return text === null ? null : (keepingOf(key)?.load(JSON.parse(text)) ?? null);
  } catch {
    return null; // what an older version kept, or nobody's JSON
  }
}

function store(key: string, value: unknown): void {
  const keeping = keepingOf(key);
  if (!keeping) return;
  try {
    const text = JSON.stringify(keeping.save(value as never));
    if (text.length <= MOST_KEPT) sessionStorage.setItem(STORED + key, text);
    else sessionStorage.removeItem(STORED + key);
  } catch {
    // Full or forbidden: it is on the screen all the same.
  }
}

function entryOf(key: string): Entry {
  const known = entries.get(key);
  if (known) return known;
  const entry: Entry = { value: restored(key), abort: null };
  entries.set(key, entry);
  return entry;
}

/** The value under a key, null where there is none. */
export function peek<T>(key: string): T | null {
  return entryOf(key).value as T | null;
}

export const isRunning = (key: string): boolean => entryOf(key).abort !== null;

/** Sets a value without a stream; null forgets it. */
export function put<T>(key: string, value: T | null): void {
  entries.set(key, { ...entryOf(key), value });
  if (value === null) sessionStorage.removeItem(STORED + key);
  else store(key, value);
  tell();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useStream<T>(key: string | undefined): T | null {
  return useSyncExternalStore(subscribe, () => (key === undefined ? null : peek<T>(key)));
}

export function useRunning(key: string | undefined): boolean {
  return useSyncExternalStore(subscribe, () => key !== undefined && isRunning(key));
}

export function stop(key: string): void {
  entryOf(key).abort?.abort();
}

/** Stops and forgets. */
export function clear(key: string): void {
  stop(key);
  entries.set(key, { value: null, abort: null });
  sessionStorage.removeItem(STORED + key);
  tell();
}

/** At most one repaint a frame, however fast tokens arrive. */
export function painter(draw: () => void) {
  let frame = 0;
  const never = () => {
    cancelAnimationFrame(frame);
    frame = 0;
  };
  return {
    soon: () => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        draw();
      });
    },
    never,
    now: () => {
      never();
      draw();
    },
  };
}

/**
 * Runs `work` under a key: what it shows is the key's value, what it returns the last one, which is kept. Newer work
 * under the key, or `clear`, takes the place away: what the older says afterwards is no longer shown.
 */
export async function run<T>(key: string, work: (line: Line<T>) => Promise<T | null>): Promise<void> {
  stop(key);
  const abort = new AbortController();
  entries.set(key, { ...entryOf(key), abort });
  tell();
  const isOurs = () => entries.get(key)?.abort === abort;
  let latest: T | null = null;
  const paint = painter(() => latest !== null && show(latest));
  const show = (value: T) => {
    paint.never();
    if (!isOurs()) return;
    entries.set(key, { value, abort });
    tell();
  };
  const soon = (value: T) => {
    latest = value;
    paint.soon();
  };
  let last: T | null = null;
  try {
    last = await work({ signal: abort.signal, show, soon });
  } finally {
    paint.never();
    if (isOurs()) {
      entries.set(key, { value: last, abort: null });
      if (last !== null) store(key, last);
      tell();
    }
  }
}
