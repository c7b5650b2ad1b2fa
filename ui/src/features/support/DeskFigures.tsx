import { Button } from "@/components/Button";
import { ErrorPanel, Skeleton } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import type { Key } from "@/lib/i18n";
import { useFigures } from "./api";
import css from "./Support.module.css";

/** How the desk does, and the questions that it could not answer, each a step away from being answered. */
export function DeskFigures({ desk, onAnswer }: { desk: string; onAnswer: (question: string) => void }) {
  const { t } = useI18n();
  const { data, error, refetch, isPending } = useFigures(desk);
  if (error) return <ErrorPanel error={error} retry={() => void refetch()} />;
  if (isPending) return <Skeleton lines={4} height={40} />;
  return (
    <>
      <div className={css.numbers}>
        <div>
          <strong>{data.num_contacts}</strong>
          <span>{t("support.figure.contacts")}</span>
        </div>
        <div>
          <strong>{data.num_alone}</strong>
          <span>{t("support.figure.alone")}</span>
        </div>
        <div>
          <strong>{data.num_handed_over}</strong>
          <span>{t("support.figure.over")}</span>
        </div>
        <div>
          <strong>{data.satisfaction ?? "–"}</strong>
          <span>{t("support.figure.satisfaction", { n: data.num_ratings })}</span>
        </div>
      </div>
      {Object.keys(data.answered_by).length > 0 && (
        <>
          <h2>{t("support.answeredBy")}</h2>
          <ul className={css.plain}>
            {Object.entries(data.answered_by)
              .sort(([, a], [, b]) => b - a)
              .map(([by, count]) => (
                <li key={by}>
                  {t(`support.by.${by}` as Key)} <strong>{count}</strong>
                </li>
              ))}
          </ul>
        </>
      )}
      {data.unanswered.length > 0 && (
        <>
          <h2>{t("support.unanswered")}</h2>
          <ul className={css.plain}>
            {data.unanswered.map((question) => (
              <li key={question}>
                {question}
                <Button small onClick={() => onAnswer(question)}>
                  {t("support.makeFaq")}
                </Button>
              </li>
            ))}
          </ul>
        </>
      )}
    </>
  );
}
