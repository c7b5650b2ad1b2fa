import { FileText, Image, Paperclip, X } from "lucide-react";
import { useRef } from "react";
import { IconButton, Spinner } from "@/components/Button";
import { number } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import type { Attached as File_ } from "@/lib/types";
import css from "./Attached.module.css";
import type { Files } from "./files";

/** The files of a question that was sent, and how much of each the model was shown. */
export function Attached({ files }: { files: File_[] }) {
  const { t, lang } = useI18n();
  return (
    <ul className={css.files}>
      {files.map(({ id, name, kind, num_chars, shown }) => {
        const part = shown !== undefined && shown < num_chars;
        const size = t("chat.chars", { n: number(num_chars, lang) });
        const said = part ? t("chat.shownPart", { shown: number(shown, lang), n: number(num_chars, lang) }) : size;
        return (
          <li key={id} title={said} data-part={part || undefined}>
            <KindIcon kind={kind} />
            <span>{name}</span>
            <small>{part ? `${number(shown, lang)} / ${number(num_chars, lang)}` : size}</small>
          </li>
        );
      })}
    </ul>
  );
}

/** The files that will go with the question that is being written. */
export function FileChips({ files }: { files: Files }) {
  const { t, lang, say } = useI18n();
  if (!files.chosen.length) return null;
  return (
    <ul className={css.files} data-testid="attached">
      {files.chosen.map(({ key, name, read }) => (
        <li key={key} aria-busy={!read} aria-label={read ? undefined : t("chat.reading", { name })}>
          {read ? <KindIcon kind={read.kind} /> : <Spinner size={14} />}
          <span>{name}</span>
          {read && (
            <small title={read.notes?.map((note) => say(note as { en: string; zh: string })).join(" ")}>
              {t("chat.chars", { n: number(read.num_chars, lang) })}
            </small>
          )}
          <IconButton small icon={X} label={t("chat.remove", { name })} onClick={() => files.remove(key)} />
        </li>
      ))}
    </ul>
  );
}

export function AttachButton({ onFiles }: { onFiles: (files: File[]) => void }) {
  const { t } = useI18n();
  const picker = useRef<HTMLInputElement>(null);
  return (
    <>
      <IconButton icon={Paperclip} label={t("chat.attach")} onClick={() => picker.current?.click()} />
      <input
        ref={picker}
        type="file"
        multiple
        hidden
        data-testid="chat-files"
        onChange={(event) => {
          onFiles([...(event.target.files ?? [])]);
          event.target.value = "";
        }}
      />
    </>
  );
}

function KindIcon({ kind }: { kind: string }) {
  const Icon = kind.startsWith("image/") ? Image : FileText;
  return <Icon size={14} aria-hidden />;
}
