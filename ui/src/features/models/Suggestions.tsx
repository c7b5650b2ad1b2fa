import { Download } from "lucide-react";
import { useI18n } from "@/lib/i18n";
import css from "./Suggestions.module.css";
import { SUGGESTED } from "./suggested";

const FEW = 3;

/** Stronger models to begin with, shown as long as there are few. */
export function Suggestions({ there, onPull }: { there: number; onPull: (repo: string) => void }) {
  const { t } = useI18n();
  if (there > FEW) return null;
  return (
    <section className={css.section}>
      <h2>{t("models.suggest")}</h2>
      <div className={css.grid}>
        {SUGGESTED.map(({ repo, size, why }) => (
          <button type="button" key={repo} className={css.card} onClick={() => onPull(repo)}>
            <strong>{repo.split("/")[1]}</strong>
            <span>{t(why)}</span>
            <small>
              <Download size={13} aria-hidden /> {t("models.suggest.size", { size })}
            </small>
          </button>
        ))}
      </div>
    </section>
  );
}
