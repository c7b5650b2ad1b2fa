import { Badge, type BadgeTone } from "@/components/Badge";
import { useI18n } from "@/lib/i18n";
import type { Place } from "./FileDialog";
import type { Answer, Caller, Sentence } from "./api";
import css from "./Coder.module.css";

const TONES: Record<Answer["status"], BadgeTone> = {
  answered: "ok",
  partly: "warn",
  unfounded: "bad",
  nothing: "neutral",
};

interface AnswerCardProps {
  answer: Answer;
  onOpen: (place: Place) => void;
}

/** What was said, sentence by sentence, with the lines it rests on and what is not in them. */
export function AnswerCard({ answer, onOpen }: AnswerCardProps) {
  const { t } = useI18n();
  const { callers = [], passages = [], sentences = [] } = answer;
  return (
    <article className={css.card} data-testid="coder-answer">
      <header>
        <h3>
          <Worded text={answer.question} />
        </h3>
        <Badge tone={TONES[answer.status]}>{t(`coder.status.${answer.status}`)}</Badge>
      </header>
      {answer.status === "nothing" ? (
        <p className={css.warning}>{t("coder.nothing")}</p>
      ) : (
        sentences.map((sentence, index) => <Said key={index} sentence={sentence} onOpen={onOpen} />)
      )}
      {answer.status === "answered" && <p className={css.hint}>{t("coder.checkHint")}</p>}
      {callers.length > 0 && (
        <>
          <h4>{t("coder.callers")}</h4>
          <CallerList callers={callers} onOpen={onOpen} />
        </>
      )}
      {passages.length > 0 && (
        <details className={css.more}>
          <summary>{t("coder.shown", { n: passages.length })}</summary>
          {answer.searched && <p>{t("coder.searched", { words: answer.searched })}</p>}
          <ol className={css.places}>
            {passages.map((one) => (
              <li key={one.number}>
                <PlaceButton place={one} onOpen={onOpen} /> <small>{one.symbol}</small>
              </li>
            ))}
          </ol>
        </details>
      )}
    </article>
  );
}

function Said({ sentence, onOpen }: { sentence: Sentence; onOpen: (place: Place) => void }) {
  const { t } = useI18n();
  const { cites = [], missing = [] } = sentence;
  const founded = sentence.is_founded;
  return (
    <div className={css.said} data-founded={founded || undefined}>
      {sentence.is_code ? (
        <pre className={css.code}>{sentence.text}</pre>
      ) : (
        <p>{sentence.text.split("`").map((piece, index) => (index % 2 ? <code key={index}>{piece}</code> : piece))}</p>
      )}
      {cites.map((cite, index) => (
        <PlaceButton key={index} place={cite} onOpen={onOpen} />
      ))}
      {missing.length > 0 && (
        <p className={css.warning}>
          {sentence.is_code ? t("coder.madeUp") : t("coder.missing", { names: missing.join(", ") })}
        </p>
      )}
      {!founded && missing.length === 0 && (
        <p className={css.warning}>{t(cites.length > 0 ? "coder.unchecked" : "coder.uncited")}</p>
      )}
    </div>
  );
}

/** A text with what stands in backticks set as code. */
export function Worded({ text }: { text: string }) {
  return text.split("`").map((piece, index) => (index % 2 ? <code key={index}>{piece}</code> : piece));
}

export function PlaceButton({ place, onOpen }: { place: Place; onOpen: (place: Place) => void }) {
  const { t } = useI18n();
  const text = `${place.path}:${place.start}${place.end > place.start ? `-${place.end}` : ""}`;
  return (
    <button
      type="button"
      className={css.place}
      aria-label={t("coder.open", { place: text })}
      onClick={() => onOpen({ path: place.path, start: place.start, end: place.end })}
    >
      {text}
    </button>
  );
}

export function CallerList({ callers, onOpen }: { callers: readonly Caller[]; onOpen: (place: Place) => void }) {
  return (
    <ul className={css.places}>
      {callers.map((one) => (
        <li key={`${one.path}:${one.line}`}>
          <PlaceButton place={{ path: one.path, start: one.line, end: one.line }} onOpen={onOpen} />{" "}
          <small>{one.inside}</small> <code>{one.text}</code>
        </li>
      ))}
    </ul>
  );
}
