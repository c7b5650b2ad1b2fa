/** What Kokoro's names of voices say: the speaker's language, then woman or man (`jf_alpha`). */
import type { Lang } from "@/lib/i18n";

const LANGUAGES: Record<string, string> = {
  a: "en-US",
  b: "en-GB",
  e: "es",
  f: "fr",
  h: "hi",
  i: "it",
  j: "ja",
  p: "pt-BR",
  z: "zh",
};

export function labelOf(voice: string, lang: Lang, t: (key: "media.woman" | "media.man") => string): string {
  const [, language = "", sex, name] = /^(\w)([fm])_(.+)$/.exec(voice) ?? [];
  const code = LANGUAGES[language];
  if (!code || !name) return voice;
  const spoken = new Intl.DisplayNames(lang, { type: "language" }).of(code) ?? code;
  const who = t(sex === "f" ? "media.woman" : "media.man");
  return lang === "zh" ? `${name}（${spoken}，${who}）` : `${name} (${spoken}, ${who})`;
}

/** Whether all of them are Japanese speakers, as those of the catalogue are. */
export const allJapanese = (voices: readonly string[]) =>
  voices.length > 0 && voices.every((voice) => /^j[fm]_/.test(voice));
