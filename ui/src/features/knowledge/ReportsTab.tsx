import { ErrorPanel, Skeleton } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { useFigures, useFreshness, useGaps } from "./api";
import css from "./Enterprise.module.css";

export function ReportsTab() {
  return (
    <div className={css.column}>
      <Figures />
      <Gaps />
      <Freshness />
    </div>
  );
}

function Figures() {
  const { t } = useI18n();
  const { data, error } = useFigures();
  if (error) return <ErrorPanel error={error} />;
  if (!data) return <Skeleton />;
  const most = Math.max(1, ...data.days.map(({ asked }) => asked));
  return (
    <section>
      <h2>{t("know.figures")}</h2>
      <p className={css.facts}>
        <span>{t("know.asked", { n: data.asked })}</span>
        <span>{t("know.askers", { n: data.people })}</span>
        <span>{t("know.notAnswered", { n: data.refused })}</span>
        <span>{t("know.liked", { n: data.liked })}</span>
        <span>{t("know.disliked", { n: data.disliked })}</span>
      </p>
      <div className={css.bars}>
        {data.days.map(({ day, asked }) => (
          <span
            key={day}
            role="img"
            aria-label={t("know.perDay", { day, n: asked })}
            title={t("know.perDay", { day, n: asked })}
            style={{ height: `${Math.round((100 * asked) / most)}%` }}
          />
        ))}
      </div>
      {data.documents.length > 0 && (
        <>
          <h3>{t("know.top")}</h3>
          <ul className={css.rows}>
            {data.documents.map(({ name, count }) => (
              <li key={name}>
                <span>{name}</span>
                <small>{count}</small>
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  );
}

function Gaps() {
  const { t } = useI18n();
  const { data, error } = useGaps();
  if (error) return <ErrorPanel error={error} />;
  if (!data) return <Skeleton />;
  return (
    <section>
      <h2>{t("know.gaps")}</h2>
      {data.length === 0 && <p className={css.quiet}>{t("know.noGaps")}</p>}
      <ul className={css.rows}>
        {data.map((gap) => (
          <li key={`${gap.question}${gap.last_at}`}>
            <span>
              {gap.question}
              {gap.notes.length > 0 && <small className={css.notes}>{gap.notes.join(" · ")}</small>}
            </span>
            <small>
              {t("know.asked", { n: gap.count })} · {t("know.notAnswered", { n: gap.refused })} ·{" "}
              {t("know.disliked", { n: gap.disliked })}
            </small>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Freshness() {
  const { t, say } = useI18n();
  const { data, error } = useFreshness();
  if (error) return <ErrorPanel error={error} />;
  if (!data) return <Skeleton />;
  return (
    <section>
      <h2>{t("know.stale")}</h2>
      {data.length === 0 && <p className={css.quiet}>{t("know.noStale")}</p>}
      <ul className={css.rows}>
        {data.map((one) => {
          const said = one.error?.messages as { en: string; zh: string } | undefined;
          return (
            <li key={one.doc_id}>
              <span>{one.name}</span>
              <small>
                {t("know.days", { n: one.days })}
                {one.why === "source" && ` · ${t("know.sourceFailed")}${said ? ` (${say(said)})` : ""}`}
              </small>
            </li>
          );
        })}
      </ul>
    </section>
  );
}
