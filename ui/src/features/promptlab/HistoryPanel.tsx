import { FlaskRound, Trash2 } from "lucide-react";
import { Button, IconButton } from "@/components/Button";
import { Empty } from "@/components/states";
import { ago } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import { useDeleteRun, type PromptRun } from "./api";
import css from "./Promptlab.module.css";

interface HistoryPanelProps {
  runs: readonly PromptRun[];
  onCompare: (a: string, b: string) => void;
}

export function HistoryPanel({ runs, onCompare }: HistoryPanelProps) {
  const { t, lang } = useI18n();
  const remove = useDeleteRun();
  if (!runs.length) return <Empty icon={FlaskRound} title={t("prompts.noRuns")} hint={t("prompts.noRunsHint")} />;
  return (
    <ul className={css.runs}>
      {runs.map((run) => {
        const { right, done, all, prompt_tokens, completion_tokens } = run.score;
        const newest = runs.find(
          (other) => other.id !== run.id && other.set_sha256 === run.set_sha256 && other.model === run.model,
        );
        return (
          <li key={run.id} className={css.run}>
            <div>
              <b>{t("prompts.versionN", { n: run.version })}</b> · {run.model} · {run.set_name}
              <small>
                {ago(run.created_at, lang)}
                {run.note && ` · ${run.note}`}
              </small>
            </div>
            <span>
              {done < all ? t("prompts.unfinished", { done, all }) : t("prompts.rightOf", { right, all })} ·{" "}
              {t("prompts.tokens", { prompt: prompt_tokens, completion: completion_tokens })}
            </span>
            {newest && done === all && (
              <Button small tone="ghost" onClick={() => onCompare(run.id, newest.id)}>
                {t("prompts.pick")}
              </Button>
            )}
            <IconButton small icon={Trash2} label={t("prompts.deleteRun")} onClick={() => remove.mutate(run.id)} />
          </li>
        );
      })}
    </ul>
  );
}
