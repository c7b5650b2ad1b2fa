import { Stethoscope } from "lucide-react";
import { Badge, type BadgeTone } from "@/components/Badge";
import { Button } from "@/components/Button";
import { Prose } from "@/components/Prose";
import { ErrorPanel, FixLine, Skeleton } from "@/components/states";
import { ago } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import type { Finding } from "@/lib/types";
import { useDoctor, useDoctorAgain } from "./api";
import css from "./Doctor.module.css";

const TONES: Record<Finding["severity"], BadgeTone> = { ok: "ok", info: "info", warning: "warn", error: "bad" };
const ORDER: readonly Finding["severity"][] = ["error", "warning", "info"];

/** What stage 0 rests on: findings with their fix, the worst first; what is in order folds away. */
export function Doctor() {
  const { t, lang } = useI18n();
  const { data, error, refetch, isPending } = useDoctor();
  const again = useDoctorAgain();
  const well = data?.findings.filter(({ severity }) => severity === "ok") ?? [];
  const rest = ORDER.flatMap((severity) => data?.findings.filter((finding) => finding.severity === severity) ?? []);
  return (
    <section className={css.doctor}>
      <header>
        <Stethoscope size={18} aria-hidden />
        <h3>{t("doctor.title")}</h3>
        {data && <small>{t("doctor.checked", { when: ago(data.checked_at, lang) })}</small>}
        <Button small busy={again.isPending} onClick={() => again.mutate()}>
          {t("doctor.refresh")}
        </Button>
      </header>
      {(error ?? again.error) && <ErrorPanel error={error ?? again.error} retry={() => void refetch()} />}
      {isPending && <Skeleton lines={3} />}
      {rest.map((finding) => (
        <FindingRow key={finding.id} finding={finding} open={finding.severity === "error"} />
      ))}
      {well.length > 0 && (
        <details className={css.well}>
          <summary>{t("doctor.wellCount", { n: well.length })}</summary>
          {well.map((finding) => (
            <FindingRow key={finding.id} finding={finding} open />
          ))}
        </details>
      )}
    </section>
  );
}

function FindingRow({ finding, open }: { finding: Finding; open: boolean }) {
  const { t, say } = useI18n();
  return (
    <details className={css.finding} open={open}>
      <summary>
        <Badge tone={TONES[finding.severity]}>{t(`doctor.severity.${finding.severity}`)}</Badge> {say(finding.title)}
      </summary>
      <div className={css.body}>
        <Prose text={say(finding.what)} />
        {finding.why && (
          <div className={css.why}>
            <Prose text={say(finding.why)} />
          </div>
        )}
        {finding.fix.map((command) => (
          <FixLine key={command} fix={command} bare />
        ))}
      </div>
    </details>
  );
}
