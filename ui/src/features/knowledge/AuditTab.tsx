import { Download } from "lucide-react";
import { ErrorPanel, Skeleton } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { auditHref, useAudit } from "./api";
import css from "./Enterprise.module.css";

export function AuditTab() {
  const { t } = useI18n();
  const { data, error } = useAudit();
  if (error) return <ErrorPanel error={error} />;
  if (!data) return <Skeleton lines={8} />;
  return (
    <div className={css.column}>
      <p className={css.line}>
        <span className={data.broken == null ? css.quiet : css.bad}>
          {data.broken == null ? t("know.whole") : t("know.broken", { n: data.broken })}
        </span>
        <a href={auditHref} download="audit.jsonl">
          <Download size={14} aria-hidden /> {t("know.export")}
        </a>
      </p>
      <div className={css.wide}>
        <table>
          <thead>
            <tr>
              <th>{t("know.at")}</th>
              <th>{t("know.who")}</th>
              <th>{t("know.did")}</th>
              <th>{t("know.about")}</th>
            </tr>
          </thead>
          <tbody>
            {data.entries.map((entry) => (
              <tr key={entry.id}>
                <td>{entry.at.slice(0, 19).replace("T", " ")}</td>
                <td>{entry.who || "–"}</td>
                <td>{entry.did}</td>
                <td>{typeof entry.details.question === "string" ? entry.details.question : entry.about}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}
