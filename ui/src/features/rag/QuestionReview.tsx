import { Check, Download, Pencil, Plus, Trash2, Upload } from "lucide-react";
import { useRef, useState } from "react";
import { Badge } from "@/components/Badge";
import { Button, IconButton } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Field } from "@/components/Field";
import { useErrorText } from "@/components/states";
import { download } from "@/lib/api";
import { useI18n } from "@/lib/i18n";
import { toast } from "@/lib/toast";
import type { BoardQuestion, QuestionList } from "@/lib/types";
import { acts, useQuestionAct } from "./board";
import css from "./Scoreboard.module.css";

/** The question set: what the model proposed is accepted, edited or deleted here; own questions are added. */
export function QuestionReview({ kb, list }: { kb: string; list: QuestionList }) {
  const { t } = useI18n();
  const errorText = useErrorText();
  const act = useQuestionAct(kb);
  const picker = useRef<HTMLInputElement>(null);
  const [editing, setEditing] = useState<BoardQuestion | "new" | null>(null);
  const proposed = list.questions.filter((one) => one.status === "proposed");
  const does = (what: () => Promise<unknown>) =>
    act.mutate(what, { onError: (error) => toast(errorText(error).text, "bad") });
  return (
    <section aria-label={t("rag.board.questions")}>
      <h2 className={css.title}>
        {t("rag.board.questions")}{" "}
        <small>
          {t("rag.board.counts", { accepted: list.questions.length - proposed.length, proposed: proposed.length })}
        </small>
      </h2>
      {proposed.length > 0 && <p className={css.lead}>{t("rag.board.review")}</p>}
      <div className={css.tools}>
        {proposed.length > 0 && (
          <Button
            small
            icon={Check}
            onClick={() =>
              does(
                acts.accept(
                  kb,
                  proposed.map(({ id }) => id), // of this set: those to train with are read elsewhere
                ),
              )
            }
          >
            {t("rag.board.acceptAll")}
          </Button>
        )}
        <Button small icon={Plus} onClick={() => setEditing("new")}>
          {t("rag.board.add")}
        </Button>
        <Button small icon={Upload} onClick={() => picker.current?.click()}>
          {t("rag.board.import")}
        </Button>
        {list.questions.length > 0 && (
          <Button small icon={Download} onClick={() => void download(`/kbs/${kb}/questions/export`, "questions.jsonl")}>
            {t("rag.board.export")}
          </Button>
        )}
        <input
          ref={picker}
          type="file"
          accept=".jsonl,.ndjson,.json,.txt"
          hidden
          data-testid="import-questions"
          onChange={(event) => {
            const file = event.target.files?.[0];
            event.target.value = "";
            if (file) void file.text().then((text) => does(acts.take(kb, text)));
          }}
        />
      </div>
      <ul className={css.rows}>
        {list.questions.map((one) => (
          <li key={one.id} className={css.row}>
            <span className={css.words}>
              <b>{one.question}</b>
              <small>
                {one.answers.join(" | ") || one.doc_name || t("rag.board.noAnswer")}
                {one.quote && ` — “${one.quote}”`}
              </small>
            </span>
            {one.status === "proposed" && <Badge tone="info">{t(`rag.board.status.${one.status}`)}</Badge>}
            {one.status === "proposed" && (
              <IconButton
                small
                icon={Check}
                label={t("rag.board.accept")}
                onClick={() => does(acts.accept(kb, [one.id]))}
              />
            )}
            <IconButton small icon={Pencil} label={t("rag.board.edit")} onClick={() => setEditing(one)} />
            <IconButton small icon={Trash2} label={t("do.delete")} onClick={() => does(acts.remove(kb, one.id))} />
          </li>
        ))}
      </ul>
      {editing && (
        <QuestionDialog
          question={editing === "new" ? null : editing}
          onClose={() => setEditing(null)}
          onSave={(question, answers) => {
            does(
              editing === "new" ? acts.add(kb, question, answers) : acts.change(kb, editing.id, { question, answers }),
            );
            setEditing(null);
          }}
        />
      )}
    </section>
  );
}

interface QuestionDialogProps {
  question: BoardQuestion | null;
  onClose: () => void;
  onSave: (question: string, answers: string[]) => void;
}

function QuestionDialog({ question, onClose, onSave }: QuestionDialogProps) {
  const { t } = useI18n();
  const [text, setText] = useState(question?.question ?? "");
  const [answers, setAnswers] = useState(question?.answers.join("\n") ?? "");
  return (
    <Dialog
      open
      onClose={onClose}
      title={t(question ? "rag.board.edit" : "rag.board.add")}
      onSubmit={() =>
        text.trim() &&
        onSave(
          text.trim(),
          answers
            .split("\n")
            .map((one) => one.trim())
            .filter(Boolean),
        )
      }
      actions={
        <>
          <Button onClick={onClose}>{t("do.cancel")}</Button>
          <Button tone="primary" type="submit" disabled={!text.trim()}>
            {t("do.save")}
          </Button>
        </>
      }
    >
      <Field label={t("rag.board.question")}>
        {(props) => <input {...props} autoFocus value={text} onChange={(event) => setText(event.target.value)} />}
      </Field>
      <Field label={t("rag.board.answer")} hint={t("rag.board.answerHint")}>
        {(props) => (
          <textarea {...props} rows={3} value={answers} onChange={(event) => setAnswers(event.target.value)} />
        )}
      </Field>
    </Dialog>
  );
}
