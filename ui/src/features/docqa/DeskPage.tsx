import { ArrowLeft, FilePlus2 } from "lucide-react";
import { useRef } from "react";
import { Link, useLocation, useSearchParams } from "wouter";
import { Button, Spinner } from "@/components/Button";
import { PassageHref } from "@/components/Cite";
import { ErrorPanel, Skeleton } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { useDesk, useDocuments, useOpenFiles, isWaiting } from "./api";
import { AskColumn } from "./AskColumn";
import { DocumentPane } from "./DocumentPane";
import { citationHref } from "./places";
import { useSayRejected } from "./rejected";
import css from "./Docqa.module.css";

/** Questions and answers on the left, the document with the place of an answer on the right. */
export default function DeskPage({ kb }: { kb: string }) {
  const { t } = useI18n();
  const [, go] = useLocation();
  const [params] = useSearchParams();
  const desk = useDesk(kb);
  const documents = useDocuments(kb);
  const open = useOpenFiles();
  const sayRejected = useSayRejected();
  const input = useRef<HTMLInputElement>(null);
  const ready = documents.data?.filter(({ status }) => status === "ready") ?? [];
  const waiting = documents.data?.filter(isWaiting).length ?? 0;
  const failed = documents.data?.filter(({ status }) => status === "failed") ?? [];
  const shown = params.get("doc") ?? ready[0]?.id ?? "";
  const error = desk.error ?? documents.error;
  if (error) return <div className={css.desk}>{<ErrorPanel error={error} />}</div>;
  if (!desk.data) return <div className={css.desk}>{<Skeleton lines={8} />}</div>;
  return (
    <PassageHref value={citationHref}>
      <div className={css.desk}>
        <title>{`${desk.data.name} · Zhilu 指路`}</title>
        <header className={css.head}>
          <div>
            <Link href="/docqa" className={css.back}>
              <ArrowLeft size={15} aria-hidden /> {t("docqa.title")}
            </Link>
            <h1>{desk.data.name}</h1>
          </div>
          {waiting > 0 && (
            <p role="status" className={css.hint}>
              <Spinner size={13} /> {t("docqa.readingNow", { n: waiting })}
            </p>
          )}
          <Button small icon={FilePlus2} busy={open.isPending} onClick={() => input.current?.click()}>
            {t("docqa.add")}
          </Button>
          <input
            ref={input}
            type="file"
            multiple
            hidden
            data-testid="docqa-add"
            onChange={({ target }) => {
              const files = [...(target.files ?? [])];
              target.value = "";
              if (files.length) open.mutate({ kb, files }, { onSuccess: ({ rejected }) => sayRejected(rejected) });
            }}
          />
        </header>
        {open.error && <ErrorPanel error={open.error} />}
        {failed.map((one) => (
          <ErrorPanel key={one.id} title={t("docqa.failed", { name: one.name })} error={one.error} />
        ))}
        <div className={css.panes}>
          <AskColumn kb={kb} name={desk.data.name} canAsk={ready.length > 0} onPlace={(href) => go(href)} />
          {shown ? (
            <DocumentPane key={shown} kb={kb} doc={shown} documents={ready} params={params} />
          ) : (
            <p className={css.hint}>{t(waiting ? "docqa.notYet" : "docqa.none")}</p>
          )}
        </div>
      </div>
    </PassageHref>
  );
}
