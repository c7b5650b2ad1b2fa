import { FileAudio, Mic, Square, Trash2, X } from "lucide-react";
import { useEffect, useState } from "react";
import { Link, useLocation, useSearchParams } from "wouter";
import { Button, IconButton } from "@/components/Button";
import { controlClass } from "@/components/Field";
import { JobLine } from "@/components/JobLine";
import { ErrorPanel, Skeleton } from "@/components/states";
import { ago, bytes } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import { isActive } from "@/lib/jobs";
import { useJobs } from "@/lib/queries";
import { useAddRecording, useDeleteRecording, useRecording, useRecordings } from "./api";
import { clock } from "./clock";
import { DropBox } from "./DropBox";
import { Missing } from "./Missing";
import { RecordingView } from "./RecordingView";
import { useRecorder } from "@/lib/recorder";
import type { Ability } from "@/lib/voice";
import css from "./Media.module.css";

/** Local time, without marks that a file's name may not hold. */
const stamp = () => new Date().toLocaleString("sv").slice(0, 16).replace(":", ".");

export function ListenTab({ hear }: { hear: Ability }) {
  const { t } = useI18n();
  const [, go] = useLocation();
  const [params] = useSearchParams();
  const id = params.get("recording") ?? "";
  const recording = useRecording(id);
  const job = useJobOf(id);
  return (
    <>
      {hear.ready ? (
        <Bring onAdded={(added) => go(`/media/listen?recording=${added}`)} />
      ) : (
        <Missing ability={hear} title={t("media.missing.hear")} />
      )}
      {job && (isActive(job) || job.status !== "done") && (
        <div className={css.card}>
          <JobLine job={job} />
        </div>
      )}
      {recording.error && <ErrorPanel error={recording.error} />}
      {id && recording.isPending && <Skeleton lines={4} height={24} />}
      {recording.data && <RecordingView key={id} recording={recording.data} working={!!job && isActive(job)} />}
      <Shelf chosen={id} onGone={() => go("/media/listen")} />
    </>
  );
}

function useJobOf(id: string) {
  return (useJobs().data ?? []).find(({ kind, params }) => kind === "transcribe" && params.id === id);
}

/** A recording comes from the microphone or from a file. */
function Bring({ onAdded }: { onAdded: (id: string) => void }) {
  const { t } = useI18n();
  const [language, setLanguage] = useState("");
  const add = useAddRecording();
  const send = (file: File) => add.mutate({ file, language }, { onSuccess: (job) => onAdded(String(job.params.id)) });
  const mic = useRecorder(send, () => t("media.recorded", { when: stamp() }));
  return (
    <section className={css.card}>
      <DropBox
        accept="audio/*,video/*"
        icon={FileAudio}
        label={t("media.chooseSound")}
        hint={t("media.dropSound")}
        busy={add.isPending}
        onFile={send}
        testid="media-sound"
      >
        {mic.since === null ? (
          <Button tone="primary" icon={Mic} disabled={add.isPending} onClick={() => void mic.start()}>
            {t("media.record")}
          </Button>
        ) : (
          <>
            <Button tone="primary" icon={Square} onClick={() => mic.stop(true)}>
              {t("media.recording")}
            </Button>
            <Elapsed since={mic.since} />
            <IconButton small icon={X} label={t("media.discard")} onClick={() => mic.stop(false)} />
          </>
        )}
      </DropBox>
      {mic.trouble && (
        <p className={css.trouble} role="alert">
          {t(`mic.${mic.trouble.kind}`, { said: mic.trouble.said })}
        </p>
      )}
      {add.error && <ErrorPanel error={add.error} />}
      <div className={css.row}>
        <label className={css.choice}>
          <span>{t("media.language")}</span>
          <select className={controlClass} value={language} onChange={(event) => setLanguage(event.target.value)}>
            <option value="">{t("media.language.auto")}</option>
            <option value="zh">中文</option>
            <option value="en">English</option>
          </select>
        </label>
        <small className={css.hint}>{t("media.kept")}</small>
      </div>
    </section>
  );
}

function Elapsed({ since }: { since: number }) {
  const [now, setNow] = useState(since);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 250);
    return () => clearInterval(timer);
  }, []);
  return (
    <span className={css.elapsed} role="timer">
      <i aria-hidden /> {clock((now - since) / 1000)}
    </span>
  );
}

function Shelf({ chosen, onGone }: { chosen: string; onGone: () => void }) {
  const { t, lang } = useI18n();
  const recordings = useRecordings();
  const jobs = useJobs().data ?? [];
  const remove = useDeleteRecording();
  const working = (id: string) =>
    jobs.some((job) => job.kind === "transcribe" && job.params.id === id && isActive(job));
  return (
    <section>
      <h2 className={css.heading}>{t("media.recordings")}</h2>
      {recordings.error && <ErrorPanel error={recordings.error} />}
      {remove.error && <ErrorPanel error={remove.error} />}
      {recordings.data?.length === 0 && <p className={css.hint}>{t("media.noRecordings")}</p>}
      <ul className={css.shelf}>
        {recordings.data?.map((one) => (
          <li key={one.id} data-chosen={one.id === chosen || undefined}>
            <Link href={`/media/listen?recording=${one.id}`}>{one.name}</Link>
            <small>
              {[one.duration ? clock(one.duration) : "", bytes(one.size_bytes), ago(one.created_at, lang)]
                .filter(Boolean)
                .join(" · ")}
            </small>
            <IconButton
              small
              icon={Trash2}
              label={t("media.delete", { name: one.name })}
              disabled={working(one.id) || remove.isPending}
              onClick={() => remove.mutate(one.id, { onSuccess: () => one.id === chosen && onGone() })}
            />
            {one.text && <p>{one.text}</p>}
          </li>
        ))}
      </ul>
    </section>
  );
}
