import { ImagePlus, Info, Send } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { Button } from "@/components/Button";
import { Field } from "@/components/Field";
import { ErrorPanel } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { useLook, type PictureAnswer } from "./api";
import { DropBox } from "./DropBox";
import { Missing } from "./Missing";
import type { Ability } from "@/lib/voice";
import css from "./Media.module.css";

const KINDS = "image/png,image/jpeg,image/gif,image/webp";

export function LookTab({ ability }: { ability: Ability }) {
  const { t } = useI18n();
  const [picture, setPicture] = useState<{ file: File; url: string } | null>(null);
  const [question, setQuestion] = useState("");
  const look = useLook();
  const take = (file: File) => {
    look.reset();
    setPicture({ file, url: URL.createObjectURL(file) });
  };
  const latest = useRef(take);
  useEffect(() => {
    latest.current = take;
  });
  useEffect(() => {
    const paste = (event: ClipboardEvent) => {
      const file = [...(event.clipboardData?.files ?? [])].find(({ type }) => type.startsWith("image/"));
      if (!file) return;
      event.preventDefault();
      latest.current(file);
    };
    window.addEventListener("paste", paste);
    return () => window.removeEventListener("paste", paste);
  }, []);
  const url = picture?.url;
  useEffect(() => () => void (url && URL.revokeObjectURL(url)), [url]);
  return (
    <>
      {!ability.ready && (
        <Missing ability={ability} title={t("media.missing.look")} hint={t("media.missing.lookHint")} />
      )}
      <form
        className={css.card}
        onSubmit={(event) => {
          event.preventDefault();
          if (picture && question.trim()) look.mutate({ file: picture.file, question });
        }}
      >
        <DropBox
          accept={KINDS}
          icon={ImagePlus}
          label={t("media.choosePicture")}
          hint={t("media.dropPicture")}
          busy={look.isPending}
          onFile={take}
          testid="media-picture"
        />
        {picture && (
          <img className={css.picture} src={picture.url} alt={t("media.picture", { name: picture.file.name })} />
        )}
        <Field label={t("media.question")}>
          {(props) => (
            <input
              {...props}
              value={question}
              maxLength={2000}
              placeholder={t("media.questionExample")}
              onChange={(event) => setQuestion(event.target.value)}
            />
          )}
        </Field>
        <div className={css.row}>
          <Button
            type="submit"
            tone="primary"
            icon={Send}
            busy={look.isPending}
            disabled={!picture || question.trim() === ""}
          >
            {t("media.ask")}
          </Button>
        </div>
        {look.error && <ErrorPanel error={look.error} />}
      </form>
      {look.data && <Answer found={look.data} />}
    </>
  );
}

function Answer({ found }: { found: PictureAnswer }) {
  const { t } = useI18n();
  return (
    <section className={css.card} data-testid="media-answer" aria-live="polite">
      <p className={css.answer}>{found.answer || t("media.noAnswer")}</p>
      <p className={css.way} data-way={found.way}>
        <Info size={15} aria-hidden />
        <span>
          {t(`media.way.${found.way}`)} <small>{found.model}</small>
        </span>
      </p>
      {found.text && (
        <details>
          <summary>{t("media.ocrText")}</summary>
          <pre className={css.read}>{found.text}</pre>
        </details>
      )}
    </section>
  );
}
