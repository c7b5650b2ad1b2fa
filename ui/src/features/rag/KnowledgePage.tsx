import { FolderPlus, LibraryBig, PackageOpen, Upload } from "lucide-react";
import { useRef, useState } from "react";
import { Link, useLocation } from "wouter";
import { Button } from "@/components/Button";
import { Page } from "@/components/Page";
import { Empty, ErrorPanel, Skeleton } from "@/components/states";
import { ago, bytes, number } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import { useKbs } from "@/lib/queries";
import type { KnowledgeBase } from "@/lib/types";
import { DamagedKb } from "./DamagedKb";
import { DropVeil, useFileDrop } from "./FileDrop";
import { isShared } from "./files";
import { KbDialog } from "./KbDialog";
import css from "./KnowledgePage.module.css";
import { useAddFiles } from "./useAddFiles";
import { useImportKb } from "./useImportKb";

/** All knowledge bases. Files dropped here become a new one. */
export default function KnowledgePage() {
  const { t } = useI18n();
  const [, go] = useLocation();
  const { data, error, refetch, isPending } = useKbs();
  const [making, setMaking] = useState<readonly File[] | null>(null);
  const picker = useRef<HTMLInputElement>(null);
  const sharedFile = useRef<HTMLInputElement>(null);
  const add = useAddFiles();
  const taking = useImportKb();
  const over = useFileDrop((files) => {
    const shared = files.filter(isShared);
    shared.forEach(taking.start);
    if (shared.length < files.length) setMaking(files.filter((file) => !isShared(file)));
  });

  const made = (kb: KnowledgeBase) => {
    const files = making ?? [];
    setMaking(null);
    if (files.length) void add(kb.id, files);
    go(`/knowledge/${kb.id}?tab=documents`);
  };
  return (
    <Page
      title={t("rag.title")}
      lead={t("rag.lead")}
      actions={
        <>
          <Button
            icon={PackageOpen}
            busy={taking.busy}
            title={t("rag.importHint")}
            onClick={() => sharedFile.current?.click()}
          >
            {t("rag.import")}
          </Button>
          <Button tone="primary" icon={FolderPlus} onClick={() => setMaking([])}>
            {t("rag.new")}
          </Button>
          <input
            ref={sharedFile}
            type="file"
            accept=".zip"
            hidden
            data-testid="import-kb"
            onChange={(event) => {
              const file = event.target.files?.[0];
              event.target.value = "";
              if (file) taking.start(file);
            }}
          />
        </>
      }
    >
      {error && <ErrorPanel error={error} retry={() => void refetch()} />}
      {isPending && <Skeleton lines={4} height={40} />}
      {data?.length === 0 && (
        <div className={css.drop}>
          <Empty icon={LibraryBig} title={t("rag.empty")} hint={t("rag.emptyHint")}>
            <Button icon={Upload} onClick={() => picker.current?.click()}>
              {t("rag.addFiles")}
            </Button>
          </Empty>
          <input
            ref={picker}
            type="file"
            multiple
            hidden
            data-testid="new-kb-files"
            onChange={(event) => setMaking([...(event.target.files ?? [])])}
          />
        </div>
      )}
      <ul className={css.grid}>
        {data?.map((kb) => (
          <li key={kb.id}>
            <Card kb={kb} />
          </li>
        ))}
      </ul>
      <KbDialog
        key={making ? making.length : "closed"}
        open={making !== null}
        files={making ?? []}
        onClose={() => setMaking(null)}
        onDone={made}
      />
      {taking.dialog}
      {over && <DropVeil text={t("rag.dropNew")} />}
    </Page>
  );
}

function Card({ kb }: { kb: KnowledgeBase }) {
  const { t, lang } = useI18n();
  if (kb.error)
    return (
      <div className={css.card} data-bad>
        <span className={css.spine} aria-hidden />
        <h2>{kb.name}</h2>
        <DamagedKb kb={kb} error={kb.error} />
      </div>
    );
  return (
    <Link href={`/knowledge/${kb.id}`} className={css.card}>
      <span className={css.spine} aria-hidden />
      <h2>{kb.name}</h2>
      {kb.description && <p>{kb.description}</p>}
      <dl>
        <div>
          <dt>{t("rag.documents")}</dt>
          <dd>{number(kb.num_documents, lang)}</dd>
        </div>
        <div>
          <dt>{t("rag.trace.passage")}</dt>
          <dd>{number(kb.num_chunks, lang)}</dd>
        </div>
      </dl>
      <small>
        {bytes(kb.size_bytes)} · {t("rag.updated", { when: ago(kb.updated_at, lang) })}
      </small>
    </Link>
  );
}
