import { FilePlus2, LockKeyhole, RefreshCw, Trash2 } from "lucide-react";
import { useRef, useState } from "react";
import { Button, IconButton } from "@/components/Button";
import { Confirm } from "@/components/Dialog";
import { Empty, ErrorPanel, Skeleton, useErrorText } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { useAddDocuments, useChange, useDocuments, useLookAgain, type KnowledgeDocument, type Me } from "./api";
import css from "./Enterprise.module.css";

/** What the person may read; an editor adds and deletes documents, and has the sources read again. */
export function DocumentsTab({ me }: { me: Me }) {
  const { t } = useI18n();
  const documents = useDocuments();
  const change = useChange();
  const [leaving, setLeaving] = useState<KnowledgeDocument | null>(null);
  const isEditor = me.person?.role !== "reader";
  if (documents.error) return <ErrorPanel error={documents.error} />;
  if (!documents.data) return <Skeleton lines={5} />;
  if (me.kbs.length === 0) return <Empty icon={LockKeyhole} title={t("know.nothing")} hint={t("know.nothingHint")} />;
  return (
    <div className={css.column}>
      {me.kbs.map((kb) => (
        <section key={String(kb.id)}>
          <h2>{String(kb.name)}</h2>
          {isEditor && Boolean(kb.whole) && (
            <div className={css.line}>
              <AddFiles kb={String(kb.id)} name={String(kb.name)} there={documents.data} />
              <Button
                small
                icon={RefreshCw}
                onClick={() => change.mutate({ method: "post", path: `/kbs/${String(kb.id)}/sync` })}
              >
                {t("know.sync", { name: String(kb.name) })}
              </Button>
            </div>
          )}
          <ul className={css.rows}>
            {documents.data
              .filter(({ kb_id }) => kb_id === kb.id)
              .map((one) => (
                <li key={one.doc_id}>
                  <span>{one.name}</span>
                  <small>
                    {t("know.version", { n: one.version })} · {one.added_at.slice(0, 10)}
                    {one.source && ` · ${one.source}`}
                  </small>
                  {isEditor && Boolean(kb.whole) && (
                    <IconButton
                      small
                      icon={Trash2}
                      label={t("know.removeDoc", { name: one.name })}
                      onClick={() => setLeaving(one)}
                    />
                  )}
                </li>
              ))}
          </ul>
        </section>
      ))}
      {change.error && <ErrorPanel error={change.error} />}
      {leaving && (
        <Confirm
          open
          title={t("know.removeDoc", { name: leaving.name })}
          hint={t("know.removeDocHint")}
          verb={t("do.delete")}
          onConfirm={() => {
            change.mutate({ method: "delete", path: `/kbs/${leaving.kb_id}/documents/${leaving.doc_id}` });
            setLeaving(null);
          }}
          onClose={() => setLeaving(null)}
        />
      )}
    </div>
  );
}

interface AddFilesProps {
  kb: string;
  name: string;
  there: readonly KnowledgeDocument[];
}

function AddFiles({ kb, name, there }: AddFilesProps) {
  const { t } = useI18n();
  const input = useRef<HTMLInputElement>(null);
  const add = useAddDocuments();
  const errorText = useErrorText();
  const label = t("know.addFiles", { name });
  const coming = (add.data?.added ?? []).filter((one) => !there.some((d) => d.kb_id === kb && d.name === one));
  useLookAgain(coming.length > 0);
  return (
    <>
      <Button small icon={FilePlus2} busy={add.isPending} onClick={() => input.current?.click()}>
        {label}
      </Button>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        aria-label={label}
        onChange={(event) => {
          const files = [...(event.target.files ?? [])];
          if (files.length > 0) add.mutate({ kb, files });
          event.target.value = "";
        }}
      />
      {coming.length > 0 && <small role="status">{t("know.added", { names: coming.join(", ") })}</small>}
      {add.data?.rejected.map((one) => (
        <small key={one.name} role="alert" className={css.bad}>
          {one.name}: {errorText(one.error).text}
        </small>
      ))}
      {add.error && <ErrorPanel error={add.error} />}
    </>
  );
}
