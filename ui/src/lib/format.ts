/** Numbers, sizes and times as people read them, in either language. */
import type { Lang } from "./i18n";

const locale = (lang: Lang) => (lang === "zh" ? "zh-CN" : "en");

/** 1500 -> "1.5 KB"; powers of 1000, as the server and the command line say them. */
export function bytes(size: number | null | undefined): string {
  if (size == null) return "–";
  const units = ["B", "KB", "MB", "GB", "TB"];
  let unit = 0;
  let value = size;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value >= 100 || unit === 0 ? Math.round(value) : Number(value.toFixed(1))} ${units[unit]}`;
}

/** 29_300_000 -> "29.3M": the field's way to name a model's size, the same in both languages. */
export function count(value: number | null | undefined): string {
  if (value == null) return "–";
  for (const [size, name] of [
    [1e12, "T"],
    [1e9, "B"],
    [1e6, "M"],
    [1e3, "K"],
  ] as const) {
    if (value >= size) return `${Number((value / size).toPrecision(3))}${name}`;
  }
  return String(value);
}

export function number(value: number, lang: Lang, digits = 2): string {
  return value.toLocaleString(locale(lang), { maximumFractionDigits: digits });
}

/** Seconds: "0.42 s", "12 s", "3 min 05 s", "2 h 10 min". */
export function seconds(value: number | null | undefined): string {
  if (value == null) return "–";
  if (value < 1) return `${Number(value.toPrecision(2))} s`;
  if (value < 60) return `${Number(value.toFixed(value < 10 ? 1 : 0))} s`;
  const whole = Math.round(value);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
  return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")} min`;
}

/** "3 minutes ago", "昨天"; older than a week: the date. */
export function ago(iso: string, lang: Lang, now = Date.now()): string {
  const past = (now - Date.parse(iso)) / 1000;
  if (!Number.isFinite(past)) return "";
  const say = new Intl.RelativeTimeFormat(locale(lang), { numeric: "auto" });
  if (past < 60) return say.format(0, "second");
  if (past < 3600) return say.format(-Math.floor(past / 60), "minute");
  if (past < 86400) return say.format(-Math.floor(past / 3600), "hour");
  if (past < 7 * 86400) return say.format(-Math.floor(past / 86400), "day");
  return new Date(iso).toLocaleDateString(locale(lang), { dateStyle: "medium" });
}

export function dateTime(iso: string | null | undefined, lang: Lang): string {
  return iso ? new Date(iso).toLocaleString(locale(lang), { dateStyle: "medium", timeStyle: "short" }) : "–";
}

/** A figure's value: numbers to four significant digits, anything else as it is. */
export function figure(value: number | string, lang: Lang): string {
  if (typeof value !== "number") return value;
  return Number.isInteger(value) ? value.toLocaleString(locale(lang)) : String(Number(value.toPrecision(4)));
}
