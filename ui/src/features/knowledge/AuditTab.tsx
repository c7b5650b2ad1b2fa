import { useMutation } from "@tanstack/react-query";
import { Download } from "lucide-react";
import { Button } from "@/components/Button";
import { ErrorPanel, Skeleton } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { exportAudit, useAudit } from "./api";
import css from "./Enterprise.module.css";

export function AuditTab() {
  const { t } = useI18n();
  const { data, error } = useAudit();
  const exported = useMutation({ mutationFn: exportAudit });
  if (error) return <ErrorPanel error={error} />;
  if (!data) return <Skeleton lines={8} />;
  return (
    <div className={css.column}>
      <p className={css.line}>
        <span className={data.broken == null ? css.quiet : css.bad}>
          {data.broken == null ? t("know.whole") : t("know.broken", { n: data.broken })}
        </span>
        <Button small icon={Download} onClick={() => exported.mutate()}>
          {t("know.export")}
        </Button>
      </p>
      {exported.error && <ErrorPanel error={exported.error} />}
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
