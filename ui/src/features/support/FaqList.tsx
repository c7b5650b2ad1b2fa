import { MessageCircleQuestion, Pencil, Plus, Trash2 } from "lucide-react";
import { useState, type FormEvent } from "react";
import { Badge } from "@/components/Badge";
import { Button, IconButton } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Field } from "@/components/Field";
import { Empty, ErrorPanel, Skeleton } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { matchFaqs, removeFaq, saveFaq, useChange, useFaqs, type Faq, type FaqWish } from "./api";
import css from "./Support.module.css";

interface FaqListProps {
  desk: string;
  /** Begun elsewhere: a question that had no answer. */
  wish: FaqWish | null;
  onDone: () => void;
}

export function FaqList({ desk, wish, onDone }: FaqListProps) {
  const { t, lang } = useI18n();
  const faqs = useFaqs(desk);
  const remove = useChange(removeFaq(desk));
  const [edited, setEdited] = useState<Faq | "new" | null>(null);
  const open = edited ?? (wish ? "new" : null);
  const close = () => {
    setEdited(null);
    onDone();
  };
  return (
    <>
      <div className={css.bar}>
        <Button tone="primary" icon={Plus} onClick={() => setEdited("new")}>
          {t("support.addFaq")}
        </Button>
      </div>
      <Matching desk={desk} />
      {faqs.error && <ErrorPanel error={faqs.error} retry={() => void faqs.refetch()} />}
      {remove.error && <ErrorPanel error={remove.error} />}
      {faqs.isPending && <Skeleton lines={4} height={60} />}
      {faqs.data?.length === 0 && <Empty icon={MessageCircleQuestion} title={t("support.noFaqs")} />}
      <div className={css.faqs}>
        {faqs.data?.map((faq) => (
          <article key={faq.id} className={css.faq}>
            <header>
              <h3>{questionIn(faq, lang)}</h3>
              {!!faq.num_used && <small>{t("support.used", { n: faq.num_used })}</small>}
              <IconButton small icon={Pencil} label={t("support.editFaq")} onClick={() => setEdited(faq)} />
              <IconButton small icon={Trash2} label={t("do.delete")} onClick={() => remove.mutate(faq.id)} />
            </header>
            <small>
              {faq.questions
                .filter((question) => question !== questionIn(faq, lang))
                .slice(0, 5)
                .join(" · ")}
            </small>
            <p>{faq.answers[lang] ?? Object.values(faq.answers)[0]}</p>
          </article>
        ))}
      </div>
      {open && (
        <FaqDialog desk={desk} faq={open === "new" ? null : open} wish={open === "new" ? wish : null} onClose={close} />
      )}
    </>
  );
}

const isChinese = (text: string) => /[\u4e00-\u9fff]/.test(text);
const questionIn = (faq: Faq, lang: string): string =>
  faq.questions.find((question) => isChinese(question) === (lang === "zh")) ?? faq.questions[0] ?? "";

/** Which answers a question comes near to, before a customer asks it. */
function Matching({ desk }: { desk: string }) {
  const { t, lang } = useI18n();
  const [question, setQuestion] = useState("");
  const look = useChange(matchFaqs(desk));
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (question.trim()) look.mutate(question.trim());
  };
  return (
    <section>
      <form className={css.form} onSubmit={submit}>
        <input
          value={question}
          maxLength={2000}
          placeholder={t("support.match")}
          aria-label={t("support.match")}
          onChange={(event) => setQuestion(event.target.value)}
        />
        <Button type="submit" busy={look.isPending}>
          {t("support.matchButton")}
        </Button>
      </form>
      {look.error && <ErrorPanel error={look.error} />}
      {look.data?.length === 0 && <p>{t("support.noMatch")}</p>}
      <ul className={css.plain}>
        {look.data?.slice(0, 4).map(({ entry, score, sure }) => (
          <li key={entry.id}>
            {questionIn(entry, lang)}
            <span>
              {score.toFixed(2)}{" "}
              <Badge tone={sure ? "ok" : "neutral"}>{sure ? t("support.sure") : t("support.unsure")}</Badge>
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

interface FaqDialogProps {
  desk: string;
  faq: Faq | null;
  wish: FaqWish | null;
  onClose: () => void;
}

function FaqDialog({ desk, faq, wish, onClose }: FaqDialogProps) {
  const { t } = useI18n();
  const save = useChange(saveFaq(desk));
  const [questions, setQuestions] = useState((faq ?? wish)?.questions.join("\n") ?? "");
  const [en, setEn] = useState(faq?.answers.en ?? "");
  const [zh, setZh] = useState(faq?.answers.zh ?? "");
  const submit = () =>
    save.mutate(
      { id: faq?.id ?? null, questions: questions.split("\n").filter((line) => line.trim()), answers: { en, zh } },
      { onSuccess: onClose },
    );
  return (
    <Dialog
      open
      shape="wide"
      onClose={onClose}
      title={faq ? t("support.editFaq") : t("support.addFaq")}
      onSubmit={submit}
      actions={
        <Button tone="primary" type="submit" busy={save.isPending}>
          {t("do.save")}
        </Button>
      }
    >
      <Field label={t("support.questions")} hint={t("support.questionsHint")}>
        {(props) => (
          <textarea {...props} rows={5} value={questions} onChange={(event) => setQuestions(event.target.value)} />
        )}
      </Field>
      <Field label={t("support.answerEn")}>
        {(props) => <textarea {...props} rows={3} value={en} onChange={(event) => setEn(event.target.value)} />}
      </Field>
      <Field label={t("support.answerZh")}>
        {(props) => <textarea {...props} rows={3} value={zh} onChange={(event) => setZh(event.target.value)} />}
      </Field>
      {save.error && <ErrorPanel error={save.error} />}
    </Dialog>
  );
}
