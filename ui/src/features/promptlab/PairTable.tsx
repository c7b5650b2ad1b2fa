import { Check, HelpCircle, ThumbsDown, ThumbsUp, X } from "lucide-react";
import { useState } from "react";
import { Button, IconButton } from "@/components/Button";
import { useI18n } from "@/lib/i18n";
import { useMark, type Comparison, type Graded } from "./api";
import { shownExpected } from "./pieces";
import css from "./Promptlab.module.css";

const AT_ONCE = 40;

/** Both answers to each question; a person may mark them, too. */
export function PairTable({ found }: { found: Comparison }) {
  const { t } = useI18n();
  const [onlyDifferent, setOnlyDifferent] = useState(true);
  const [shown, setShown] = useState(AT_ONCE);
  const pairs = found.pairs.filter((pair) => !onlyDifferent || pair.a.right !== pair.b.right);
  return (
    <section className={css.card}>
      <label className={css.row}>
        <input type="checkbox" checked={onlyDifferent} onChange={(event) => setOnlyDifferent(event.target.checked)} />
        {t("prompts.onlyDifferent")}
      </label>
      {pairs.length === 0 && <p className={css.hint}>{t("prompts.noDifference")}</p>}
      {pairs.length > 0 && (
        <div className={css.scroll}>
          <table className={`${css.table} ${css.pairs}`}>
            <thead>
              <tr>
                <th scope="col">{t("prompts.question")}</th>
                <th scope="col">{t("prompts.expected")}</th>
                <th scope="col">{t("prompts.versionN", { n: found.a.version })}</th>
                <th scope="col">{t("prompts.versionN", { n: found.b.version })}</th>
              </tr>
            </thead>
            <tbody>
              {pairs.slice(0, shown).map((pair) => (
                <tr key={pair.id}>
                  <td>{Object.values(pair.vars).join("\n")}</td>
                  <td>{shownExpected(pair.expected)}</td>
                  <td>
                    <Answer run={found.a.id} row={pair.a} />
                  </td>
                  <td>
                    <Answer run={found.b.id} row={pair.b} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {pairs.length > shown && (
        <Button small onClick={() => setShown(shown + AT_ONCE)}>
          {t("prompts.more", { n: Math.min(AT_ONCE, pairs.length - shown) })}
        </Button>
      )}
    </section>
  );
}

function Answer({ run, row }: { run: string; row: Graded }) {
  const { t } = useI18n();
  const mark = useMark();
  const Sign = row.right === null ? HelpCircle : row.right ? Check : X;
  const said = row.right === null ? "prompts.undecided" : row.right ? "prompts.right" : "prompts.wrong";
  const press = (right: boolean) => mark.mutate({ run, item: row.id, right: row.person === right ? null : right });
  return (
    <div className={css.answer} data-right={row.right}>
      <Sign size={15} role="img" aria-label={t(said)} />
      <span>{row.answer.trim() || t("prompts.empty")}</span>
      <span className={css.marks} data-marked={row.person != null || undefined}>
        <IconButton
          small
          icon={ThumbsUp}
          label={t("prompts.markRight")}
          active={row.person === true}
          aria-pressed={row.person === true}
          onClick={() => press(true)}
        />
        <IconButton
          small
          icon={ThumbsDown}
          label={t("prompts.markWrong")}
          active={row.person === false}
          aria-pressed={row.person === false}
          onClick={() => press(false)}
        />
      </span>
    </div>
  );
}
