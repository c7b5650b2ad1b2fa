import { ArrowRight, Check, TriangleAlert, X } from "lucide-react";
import { Link } from "wouter";
import { number } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import { useMethods, type Cell, type LongtextRun, type MethodResult, type Summary } from "./api";
import css from "./Longtext.module.css";

const percent = (share: number) => `${Math.round(100 * share)} %`;

export function RunResult({ run }: { run: LongtextRun }) {
  const { t, lang } = useI18n();
  const { methods = [], summary, cells = [] } = run.result ?? {};
  return (
    <section className={css.result}>
      {run.wish.question && <h2>{run.wish.question}</h2>}
      <p className={css.hint}>
        {run.tokens != null &&
          run.context != null &&
          t("longtext.size", {
            tokens: number(run.tokens, lang, 0),
            context: number(run.context, lang, 0),
            model: run.model,
          })}{" "}
        <Link href="/roadmap/5.4">
          {t("longtext.toGate")} <ArrowRight size={13} aria-hidden />
        </Link>
      </p>
      {methods.map((one) => (
        <Way key={one.method} result={one} characters={run.characters} />
      ))}
      {summary && <Cited summary={summary} />}
      {cells.length > 0 && <Heat cells={cells} />}
    </section>
  );
}

function useTitle() {
  const { say } = useI18n();
  const methods = useMethods().data ?? [];
  return (name: string) => say(methods.find((one) => one.name === name)?.title) || name;
}

function Cost(of: { calls: number; prompt_tokens: number; completion_tokens: number }) {
  const { t } = useI18n();
  return <>{t("longtext.cost", { calls: of.calls, prompt: of.prompt_tokens, completion: of.completion_tokens })}</>;
}

function CutWarning({ n }: { n: number }) {
  const { t } = useI18n();
  if (!n) return null;
  return (
    <p className={css.warning}>
      <TriangleAlert size={15} aria-hidden /> {t("longtext.cut", { n })}
    </p>
  );
}

function Way({ result, characters }: { result: MethodResult; characters: number }) {
  const { t, say } = useI18n();
  const title = useTitle();
  const at = (place: number) => `${(100 * place) / Math.max(characters, 1)}%`;
  return (
    <article className={css.card}>
      <header className={css.row}>
        <h3>{title(result.method)}</h3>
        {result.right != null &&
          (result.right ? (
            <Check size={16} className={css.ok} role="img" aria-label={t("longtext.right")} />
          ) : (
            <X size={16} className={css.bad} role="img" aria-label={t("longtext.wrong")} />
          ))}
        <span className={css.hint}>
          <Cost {...result} /> · {t("longtext.read", { share: percent(result.read) })}
        </span>
      </header>
      <p className={css.answer} data-none={!result.answer || undefined}>
        {result.answer || t("longtext.notFound")}
      </p>
      {result.place && (
        <blockquote className={css.quote}>
          {result.place.quote}
          <small>{t("longtext.characterAt", { start: result.place.start, end: result.place.end })}</small>
        </blockquote>
      )}
      {/* The whole text from left to right: what was read, and where the answer stands. */}
      <div className={css.strip} aria-hidden>
        {result.steps.flatMap((step) =>
          step.pieces.map(([start, end]) => (
            <i key={`${step.key} ${start}`} style={{ left: at(start), width: at(end - start) }} />
          )),
        )}
        {result.place && <b style={{ left: at(result.place.start) }} />}
      </div>
      <CutWarning n={result.cut} />
      <details>
        <summary>{t("longtext.path", { n: result.steps.length })}</summary>
        <ol className={css.steps}>
          {result.steps.map((step) => (
            <li key={step.key}>
              <span>{say(step.what)}</span>
              <span>{step.said}</span>
            </li>
          ))}
        </ol>
      </details>
    </article>
  );
}

function Cited({ summary }: { summary: Summary }) {
  const { t } = useI18n();
  return (
    <article className={css.card}>
      <p className={css.answer}>
        {summary.sentences.map((sentence, place) => (
          <span key={place} data-unsure={!sentence.supported || undefined}>
            {sentence.text}
            <sup>{place + 1}</sup>{" "}
          </span>
        ))}
      </p>
      <ol className={css.places}>
        {summary.sentences.map(({ place, supported }, index) => (
          <li key={index} data-unsure={!supported || undefined}>
            {place && supported ? (
              <>
                {place.quote} <small>{t("longtext.characterAt", { start: place.start, end: place.end })}</small>
              </>
            ) : (
              t("longtext.unsupported")
            )}
          </li>
        ))}
      </ol>
      <p className={css.hint}>
        <Cost {...summary} />
      </p>
      <CutWarning n={summary.cut} />
    </article>
  );
}

function Heat({ cells }: { cells: readonly Cell[] }) {
  const { t, lang } = useI18n();
  const title = useTitle();
  const names = [...new Set(cells.map((cell) => cell.method))];
  const depths = [...new Set(cells.map((cell) => cell.depth))].sort((a, b) => a - b);
  const lengths = [...new Set(cells.map((cell) => cell.length))].sort((a, b) => a - b);
  return (
    <>
      {names.map((name) => (
        <article key={name} className={css.card}>
          <h3>{title(name)}</h3>
          <div className={css.scroll}>
            <table className={css.heat}>
              <thead>
                <tr>
                  <td />
                  {lengths.map((length) => (
                    <th key={length} scope="col">
                      {number(length, lang, 0)} {t("longtext.tokens")}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {depths.map((depth) => (
                  <tr key={depth}>
                    <th scope="row">{t("longtext.deep", { share: percent(depth) })}</th>
                    {lengths.map((length) => {
                      const cell = cells.find(
                        (one) => one.method === name && one.depth === depth && one.length === length,
                      );
                      return (
                        <td
                          key={length}
                          data-found={cell?.found}
                          title={
                            cell &&
                            t("longtext.cell", {
                              method: title(name),
                              tokens: cell.tokens,
                              share: percent(depth),
                              wanted: cell.wanted,
                              answer: cell.answer || "–",
                            })
                          }
                        >
                          {cell && t(cell.found ? "longtext.found" : "longtext.missed")}
                        </td>
                      );
                    })}
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </article>
      ))}
      <CutWarning n={cells.reduce((sum, cell) => sum + cell.cut, 0)} />
    </>
  );
}
