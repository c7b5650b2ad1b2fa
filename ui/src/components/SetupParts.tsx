import { PackageOpen } from "lucide-react";
import { Button } from "@/components/Button";
import { JobLine } from "@/components/JobLine";
import { useErrorText } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { isActive } from "@/lib/jobs";
import { useInstallPart, useSetupParts } from "@/lib/queries";
import { toast } from "@/lib/toast";
import type { SetupPart } from "@/lib/types";
import css from "./SetupParts.module.css";

/** Large parts that are still to arrive, each with its job or the button that starts it; nothing once all are there. */
export function SetupParts() {
  const { t } = useI18n();
  const parts = useSetupParts().data?.filter(isOpen) ?? [];
  if (parts.length === 0) return null;
  return (
    <section className={css.parts} aria-label={t("setup.title")}>
      <h2>
        <PackageOpen size={16} aria-hidden /> {t("setup.title")}
      </h2>
      {parts.map((part) => (
        <Part key={part.name} part={part} />
      ))}
    </section>
  );
}

function isOpen({ status, job }: SetupPart): boolean {
  return status === "absent" || (status !== "here" && job !== null && isActive(job));
}

function Part({ part }: { part: SetupPart }) {
  const { t, say } = useI18n();
  const errorText = useErrorText();
  const install = useInstallPart();
  const { job, consent } = part;
  if (job && (isActive(job) || job.status === "failed" || job.status === "cancelled")) {
    return (
      <JobLine
        job={job}
        title={
          <>
            {say(part.title)} <small>{say(part.purpose)}</small>
          </>
        }
      />
    );
  }
  return (
    <div className={css.part}>
      <p>
        <strong>{say(part.title)}</strong> <small>{say(part.purpose)}</small>
        <br />
        {say(consent ?? part.reason)}
      </p>
      <Button
        small
        busy={install.isPending}
        onClick={() =>
          install.mutate(
            { name: part.name, agreed: consent !== null },
            { onError: (error) => toast(errorText(error).text, "bad") },
          )
        }
      >
        {t(consent ? "setup.agree" : "setup.install")}
      </Button>
    </div>
  );
}
