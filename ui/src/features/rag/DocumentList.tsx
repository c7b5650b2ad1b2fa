import { FileText, RotateCw, Trash2, Upload } from "lucide-react";
import { useState } from "react";
import { Link } from "wouter";
import { Badge, type BadgeTone } from "@/components/Badge";
import { Button, IconButton } from "@/components/Button";
import { Confirm } from "@/components/Dialog";
import { Progress } from "@/components/Progress";
import { Empty, ErrorPanel, Skeleton, useErrorText } from "@/components/states";
import { ago, bytes, number } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import { useJobs } from "@/lib/queries";
import type { Document, Job, KnowledgeBase } from "@/lib/types";
import { useDeleteDocument, useDocuments, useRetryDocument } from "./api";
import css from "./DocumentList.module.css";

const TONES: Record<Document["status"], BadgeTone> = {
  queued: "neutral",
  ingesting: "info",
  ready: "ok",
  failed: "bad",
  replaced: "neutral",
};

export function DocumentList({ kb, onAdd }: { kb: KnowledgeBase; onAdd: () => void }) {
  const { t } = useI18n();
  const { data, error, refetch, isPending } = useDocuments(kb.id);
  const jobs = useJobs().data ?? [];
  const remove = useDeleteDocument(kb.id);
  const [removing, setRemoving] = useState<Document | null>(null);
  if (error) return <ErrorPanel error={error} retry={() => void refetch()} />;
  if (isPending) return <Skeleton lines={5} height={36} />;
  if (!data.length) {
    return (
      <Empty icon={Upload} title={t("rag.docsEmpty")} hint={t("rag.emptyHint")}>
        <Button onClick={onAdd}>{t("rag.addFiles")}</Button>
      </Empty>
    );
  }
  return (
    <>
      <ul className={css.list}>
        {data.map((doc) => (
          <Row
            key={doc.id}
            kb={kb.id}
            doc={doc}
            job={jobs.find(({ id }) => id === doc.job_id)}
            onRemove={() => setRemoving(doc)}
          />
        ))}
      </ul>
      <Confirm
        open={removing !== null}
        onClose={() => setRemoving(null)}
        title={t("rag.deleteDoc")}
        hint={t("rag.deleteDocHint", { name: removing?.name ?? "" })}
        verb={t("do.delete")}
        busy={remove.isPending}
        onConfirm={() => removing && remove.mutate(removing.id, { onSuccess: () => setRemoving(null) })}
      />
    </>
  );
}

interface RowProps {
  kb: string;
  doc: Document;
  job: Job | undefined;
  onRemove: () => void;
}

function Row({ kb, doc, job, onRemove }: RowProps) {
  const { t, say, lang } = useI18n();
  const errorText = useErrorText();
  const retry = useRetryDocument(kb);
  const reading = doc.status === "ingesting";
  const facts = [
    bytes(doc.size_bytes),
    doc.num_pages ? t("rag.pages", { n: doc.num_pages }) : null,
    doc.num_chars ? t("rag.chars", { n: number(doc.num_chars, lang) }) : null,
    doc.num_chunks ? t("rag.numChunks", { n: number(doc.num_chunks, lang) }) : null,
    ago(doc.added_at, lang),
  ];
  // Of a document that is ready, the error says which pages were not read.
  const failure = doc.error && doc.status !== "ingesting" ? errorText(doc.error) : null;
  const needsOcr = (doc.error as { code?: string } | null)?.code === "needs_ocr";
  return (
    <li className={css.row} data-status={doc.status}>
      <FileText size={20} aria-hidden className={css.icon} />
      <div className={css.body}>
        {doc.status === "ready" ? (
          <Link href={`/knowledge/${kb}/documents/${doc.id}`} className={css.name}>
            {doc.name}
          </Link>
        ) : (
          <span className={css.name}>{doc.name}</span>
        )}
        <span className={css.facts}>{facts.filter(Boolean).join(" · ")}</span>
        {failure && (
          <p className={css.failure}>
            {failure.text} {failure.fix && <code>{failure.fix}</code>}
          </p>
        )}
        {reading && job && (
          <div className={css.progress}>
            <Progress value={job.progress || null} label={doc.name} />
            <small>{[say(job.stage), job.detail].filter(Boolean).join(" · ")}</small>
          </div>
        )}
      </div>
      <Badge tone={needsOcr ? "warn" : TONES[doc.status]} dot live={reading}>
        {needsOcr && doc.status === "failed" ? t("rag.needsOcr") : t(`rag.status.${doc.status}`)}
      </Badge>
      <span className={css.tools}>
        {failure && (
          <IconButton
            small
            icon={RotateCw}
            label={t("do.retry")}
            disabled={retry.isPending}
            onClick={() => retry.mutate(doc.id)}
          />
        )}
        <IconButton small icon={Trash2} label={t("do.delete")} onClick={onRemove} />
      </span>
    </li>
  );
}
