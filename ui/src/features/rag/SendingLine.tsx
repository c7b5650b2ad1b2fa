import { X } from "lucide-react";
import { IconButton } from "@/components/Button";
import { Progress } from "@/components/Progress";
import { useI18n } from "@/lib/i18n";
import css from "./SendingLine.module.css";
import type { Sending } from "./useAddFiles";

/** Files on their way, and at the end those that were not taken, each with the reason. */
export function SendingLine({ sending, onDismiss }: { sending: Sending; onDismiss: () => void }) {
  const { t } = useI18n();
  const { done, total, now, rejected } = sending;
  return (
    <section className={css.line} aria-label={t("rag.sending")}>
      {now !== null && (
        <>
          <Progress value={done / total} label={t("rag.sending")} />
          <small aria-live="polite">{t("rag.sendingOf", { done, total, now })}</small>
        </>
      )}
      {rejected.length > 0 && (
        <div className={css.rejected}>
          <strong>{t("rag.rejectedSome", { n: rejected.length })}</strong>
          {now === null && <IconButton small icon={X} label={t("do.close")} onClick={onDismiss} />}
          <ul>
            {rejected.map(({ name, why }, at) => (
              <li key={at}>
                <b>{name}</b> {why}
              </li>
            ))}
          </ul>
        </div>
      )}
    </section>
  );
}
