import { useRef, useState, type KeyboardEvent } from "react";
import { number } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import type { Token } from "./answer";
import css from "./Playground.module.css";

/** What has no ink is shown by a sign, so that a token of spaces can be seen and chosen. */
const visible = (text: string) => text.replaceAll("\n", "⏎\n").replaceAll("\t", "⇥");
const named = (text: string) => JSON.stringify(text).slice(1, -1);
const MOST_RED = 0.55;

/** Every token of an answer by its probability, and the alternatives of the one that is chosen. */
export function Tokens({ tokens }: { tokens: readonly Token[] }) {
  const { t, lang } = useI18n();
  const [chosen, setAt] = useState(0);
  const list = useRef<HTMLDivElement>(null);
  const at = Math.min(chosen, tokens.length - 1);
  const token = tokens[at];
  if (!token) return <p className={css.hint}>{t("play.noTokens")}</p>;

  const percent = (logprob: number) => {
    const share = Math.exp(logprob) * 100;
    return share < 0.01 ? "< 0.01 %" : `${number(share, lang, 2)} %`;
  };
  const onKey = (event: KeyboardEvent) => {
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: tokens.length - 1 }[event.key];
    if (to === undefined || to < 0 || to >= tokens.length) return;
    event.preventDefault();
    setAt(to);
    list.current?.querySelectorAll("button")[to]?.focus();
  };
  return (
    <div className={css.tokens}>
      <p className={css.hint}>{t("play.tokensHint")}</p>
      <div ref={list} className={css.tokenText} role="group" aria-label={t("play.tokens")} onKeyDown={onKey}>
        {tokens.map(({ text, logprob }, index) => (
          <button
            key={index}
            type="button"
            tabIndex={index === at ? 0 : -1}
            aria-pressed={index === at}
            aria-label={`${named(text)} ${percent(logprob)}`}
            style={{ "--doubt": `${Math.round((1 - Math.exp(logprob)) * MOST_RED * 100)}%` } as React.CSSProperties}
            onClick={() => setAt(index)}
          >
            {visible(text)}
          </button>
        ))}
      </div>
      <Alternatives token={token} percent={percent} />
    </div>
  );
}

function Alternatives({ token, percent }: { token: Token; percent: (logprob: number) => string }) {
  const { t } = useI18n();
  const isAmong = token.top.some(({ text }) => text === token.text);
  const rows = isAmong ? token.top : [...token.top, token];
  return (
    <table className={css.alternatives} aria-live="polite">
      <thead>
        <tr>
          <th scope="col">{t("play.token")}</th>
          <th scope="col">logprob</th>
          <th scope="col">{t("play.probability")}</th>
        </tr>
      </thead>
      <tbody>
        {rows.map(({ text, logprob }, index) => (
          <tr key={index} data-taken={text === token.text || undefined}>
            <td>
              <code>{named(text)}</code>
              {text === token.text && <small>{t("play.chosen")}</small>}
            </td>
            <td>{logprob.toFixed(3)}</td>
            <td>
              <i style={{ width: `${Math.max(1, Math.exp(logprob) * 60)}%` }} aria-hidden />
              {percent(logprob)}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
