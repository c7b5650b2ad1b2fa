import { FileQuestion, FileUp, FolderUp } from "lucide-react";
import { useRef } from "react";
import { Link, useLocation } from "wouter";
import { Button } from "@/components/Button";
import { Page } from "@/components/Page";
import { Empty, ErrorPanel, Skeleton } from "@/components/states";
import { ago } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import { useKbs } from "@/lib/queries";
import { useOpenFiles } from "./api";
import { useSayRejected } from "./rejected";
import css from "./Docqa.module.css";

/** Files become a knowledge base of their own; what was opened before stands below. */
export default function StartPage() {
  const { t, lang } = useI18n();
  const [, go] = useLocation();
  const kbs = useKbs();
  const open = useOpenFiles();
  const sayRejected = useSayRejected();
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const take = (chosen: FileList | null) => {
    if (!chosen?.length) return;
    open.mutate(
      { files: [...chosen] },
      {
        onSuccess: ({ id, rejected }) => {
          sayRejected(rejected);
          go(`/docqa/${id}`);
        },
      },
    );
  };
  return (
    <Page title={t("docqa.title")} lead={t("docqa.lead")}>
      <div className={css.start}>
        <Empty icon={FileQuestion} title={t("docqa.empty")} hint={t("docqa.noneHint")}>
          <Button tone="primary" icon={FileUp} busy={open.isPending} onClick={() => files.current?.click()}>
            {t("docqa.files")}
          </Button>
          <Button icon={FolderUp} disabled={open.isPending} onClick={() => folder.current?.click()}>
            {t("docqa.folder")}
          </Button>
        </Empty>
      </div>
      <input
        ref={files}
        type="file"
        multiple
        hidden
        data-testid="docqa-files"
        onChange={({ target }) => take(target.files)}
      />
      <input
        ref={folder}
        type="file"
        hidden
        {...{ webkitdirectory: "" }}
        data-testid="docqa-folder"
        onChange={({ target }) => take(target.files)}
      />
      {open.error && <ErrorPanel error={open.error} />}
      {kbs.error && <ErrorPanel error={kbs.error} retry={() => void kbs.refetch()} />}
      {kbs.isPending && <Skeleton lines={3} height={30} />}
      {!!kbs.data?.length && (
        <section className={css.before}>
          <h2>{t("docqa.before")}</h2>
          <ul>
            {kbs.data
              .filter((kb) => !kb.error)
              .map((kb) => (
                <li key={kb.id}>
                  <Link href={`/docqa/${kb.id}`}>{kb.name}</Link>
                  <small>
                    {t("docqa.count", { n: kb.num_documents })} · {ago(kb.updated_at, lang)}
                  </small>
                </li>
              ))}
          </ul>
        </section>
      )}
    </Page>
  );
}
