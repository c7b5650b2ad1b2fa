/** What can run a model, each with an honest word about it: shown on the page, and chosen from when one is started. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Download } from "lucide-react";
import { Badge, type BadgeTone } from "@/components/Badge";
import { Button } from "@/components/Button";
import { Progress } from "@/components/Progress";
import { useErrorText } from "@/components/states";
import { api } from "@/lib/api";
import { usableFirst } from "@/lib/engines";
import { useI18n } from "@/lib/i18n";
import { acceptJob, isActive } from "@/lib/jobs";
import { useEngines, useJobs } from "@/lib/queries";
import { toast } from "@/lib/toast";
import type { Engine, Job } from "@/lib/types";
import css from "./Engines.module.css";

export const INSTALL_JOB = "engine-install";

const TONES: Record<Engine["status"], BadgeTone> = { alive: "ok", legacy: "warn", needs_gpu: "warn" };

export function EngineBadges({ engine }: { engine: Engine }) {
  const { t } = useI18n();
  return (
    <>
      <Badge tone={TONES[engine.status]}>{t(`models.engine.${engine.status}`)}</Badge>
      <Badge tone={engine.installed ? "pine" : "neutral"}>
        {t(engine.installed ? "models.installed" : "models.notInstalled")}
      </Badge>
    </>
  );
}

/** A job that installs the engine or did so, the newest. */
function useInstall(name: string): Job | undefined {
  return useJobs().data?.find((job) => job.kind === INSTALL_JOB && (job.params as { engine?: string }).engine === name);
}

/** Installs the engine as a job, and shows how far that is; nothing where there is nothing to install. */
export function InstallButton({ engine }: { engine: Engine }) {
  const { t, say } = useI18n();
  const queries = useQueryClient();
  const errorText = useErrorText();
  const job = useInstall(engine.name);
  const install = useMutation({
    mutationFn: () => api.post<Job>(`/engines/${engine.name}/install`),
    onSuccess: (made) => acceptJob(queries, made),
    onError: (error) => toast(errorText(error).text, "bad"),
  });
  if (engine.installed || !engine.can_install) return null;
  if (job && isActive(job)) {
    return (
      <span className={css.installing}>
        <Progress value={job.progress || null} label={say(job.title)} />
        <small>{[say(job.stage), job.detail].filter(Boolean).join(" · ")}</small>
      </span>
    );
  }
  return (
    <span className={css.install}>
      <Button small icon={Download} busy={install.isPending} onClick={() => install.mutate()}>
        {t("models.install")}
      </Button>
      {job?.status === "failed" && <small data-bad>{errorText(job.error).text}</small>}
    </span>
  );
}

/** When the facts were checked, and where; a source that is no address is a file of the documentation. */
export function EngineSource({ engine }: { engine: Engine }) {
  const { t } = useI18n();
  const said = t("models.checked", { date: engine.checked });
  if (!/^https?:/.test(engine.source)) return <small className={css.source}>{`${said} · ${engine.source}`}</small>;
  return (
    <small className={css.source}>
      {said} ·{" "}
      <a href={engine.source} target="_blank" rel="noopener noreferrer">
        {new URL(engine.source).hostname}
      </a>
    </small>
  );
}

export function Engines() {
  const { t, say } = useI18n();
  const { data } = useEngines();
  if (!data?.length) return null;
  return (
    <section className={css.section} aria-label={t("models.engines")}>
      <ul className={css.list}>
        {usableFirst(data).map((engine) => (
          <li key={engine.name} data-engine={engine.name}>
            <div className={css.words}>
              <span className={css.name}>
                <b>{say(engine.title)}</b>
                <EngineBadges engine={engine} />
              </span>
              <p>{say(engine.description)}</p>
              {engine.status_note && <p className={css.note}>{say(engine.status_note)}</p>}
              {!engine.installed && <p className={css.note}>{say(engine.why)}</p>}
              <details className={css.can}>
                <summary>{t("models.canDo", { n: engine.can.length })}</summary>
                <ul>
                  {engine.can.map(({ name, title }) => (
                    <li key={name}>{say(title)}</li>
                  ))}
                </ul>
              </details>
              <EngineSource engine={engine} />
            </div>
            <InstallButton engine={engine} />
          </li>
        ))}
      </ul>
    </section>
  );
}
