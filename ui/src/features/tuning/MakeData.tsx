import { Check, Pencil, Quote, Trash2 } from "lucide-react";
import { useState } from "react";
import { Badge } from "@/components/Badge";
import { Button, IconButton } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Field } from "@/components/Field";
import { JobLine } from "@/components/JobLine";
import { ErrorPanel } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { isActive } from "@/lib/jobs";
import { useJobs, useKbs } from "@/lib/queries";
import type { BoardQuestion } from "@/lib/types";
import css from "./MakeData.module.css";
import { asRows, useMakePairs, usePairAct, usePairs, useSavePairs } from "./pairs";

/** Question and answer pairs from a knowledge base: made by the running model, read and mended here, then kept as a dataset. */
export function MakeData({ onClose }: { onClose: () => void }) {
  const { t } = useI18n();
  const kbs = useKbs().data ?? [];
  const [chosen, setChosen] = useState<string | null>(null);
  const [count, setCount] = useState("20");
  const [name, setName] = useState("");
  const kb = chosen ?? kbs[0]?.id ?? "";
  const make = useMakePairs(kb);
  const job = (useJobs().data ?? []).find(({ id }) => id === make.data?.id);
  const running = !!job && isActive(job);
  const pairs = usePairs(kb, running);
  const act = usePairAct(kb);
  const save = useSavePairs();
  const list = (pairs.data ?? []).filter(({ answers }) => answers.length > 0);
  const proposed = list.filter(({ status }) => status === "proposed");
  const accepted = list.filter(({ status }) => status === "accepted");
  const failed = make.error ?? act.error ?? save.error ?? pairs.error;
  return (
    <Dialog
      open
      shape="wide"
      onClose={onClose}
      title={t("tune.make.title")}
      hint={t("tune.make.hint")}
      actions={
        <>
          <input
            className={css.name}
            aria-label={t("tune.make.name")}
            placeholder={t("tune.make.name")}
            maxLength={100}
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
          <Button
            tone="primary"
            busy={save.isPending}
            disabled={accepted.length === 0 || !name.trim()}
            onClick={() => save.mutate({ name: name.trim(), rows: asRows(accepted) }, { onSuccess: onClose })}
          >
            {t("tune.make.save", { n: accepted.length })}
          </Button>
        </>
      }
    >
      {kbs.length === 0 ? (
        <p>{t("tune.make.noKb")}</p>
      ) : (
        <div className={css.ask}>
          <Field label={t("tune.make.kb")}>
            {(props) => (
              <select {...props} value={kb} onChange={(event) => setChosen(event.target.value)}>
                {kbs.map(({ id, name: said }) => (
                  <option key={id} value={id}>
                    {said}
                  </option>
                ))}
              </select>
            )}
          </Field>
          <Field label={t("tune.make.count")}>
            {(props) => (
              <input
                {...props}
                type="number"
                min={1}
                max={500}
                value={count}
                onChange={(event) => setCount(event.target.value)}
              />
            )}
          </Field>
          <Button
            busy={make.isPending || running}
            disabled={!kb || !(Number(count) >= 1)}
            onClick={() => make.mutate(Number(count))}
          >
            {t("tune.make.make")}
          </Button>
        </div>
      )}
      {failed && <ErrorPanel error={failed} />}
      {job && (running || job.status === "failed") && <JobLine job={job} />}
      {job?.status === "done" && Number(job.result?.made) < Number(job.params.count) && (
        <p role="status">
          {t("tune.make.fewer", { made: String(job.result?.made), wanted: String(job.params.count) })}
        </p>
      )}
      {proposed.length > 0 && (
        <p className={css.review}>
          {t("tune.make.review")}{" "}
          <Button small icon={Check} onClick={() => act.mutate({ kind: "accept", ids: proposed.map(({ id }) => id) })}>
            {t("tune.make.acceptAll")}
          </Button>
        </p>
      )}
      <ul className={css.pairs}>
        {list.map((pair) => (
          <Pair
            key={pair.id}
            pair={pair}
            onAccept={() => act.mutate({ kind: "accept", ids: [pair.id] })}
            onRemove={() => act.mutate({ kind: "remove", id: pair.id })}
            onChange={(question, answer) => act.mutate({ kind: "change", id: pair.id, question, answer })}
          />
        ))}
      </ul>
    </Dialog>
  );
}

interface PairProps {
  pair: BoardQuestion;
  onAccept: () => void;
  onRemove: () => void;
  onChange: (question: string, answer: string) => void;
}

function Pair({ pair, onAccept, onRemove, onChange }: PairProps) {
  const { t } = useI18n();
  const [draft, setDraft] = useState<{ question: string; answer: string } | null>(null);
  const answer = pair.answers[0] ?? "";
  const quote = (pair.quote ?? "").replace(/\s+/g, " ").trim();
  if (draft) {
    const done = () => {
      if (draft.question.trim() && draft.answer.trim()) onChange(draft.question.trim(), draft.answer.trim());
      setDraft(null);
    };
    return (
      <li className={css.pair}>
        <textarea
          aria-label={t("tune.make.question")}
          rows={2}
          value={draft.question}
          onChange={(event) => setDraft({ ...draft, question: event.target.value })}
        />
        <textarea
          aria-label={t("tune.make.answer")}
          rows={2}
          value={draft.answer}
          onChange={(event) => setDraft({ ...draft, answer: event.target.value })}
        />
        <span className={css.tools}>
          <Button small onClick={() => setDraft(null)}>
            {t("do.cancel")}
          </Button>
          <Button small tone="primary" onClick={done}>
            {t("do.save")}
          </Button>
        </span>
      </li>
    );
  }
  return (
    <li className={css.pair} data-status={pair.status}>
      <b>{pair.question}</b>
      <span>{answer}</span>
      {quote && (
        <small>
          {pair.doc_name} · “{quote}”
        </small>
      )}
      <span className={css.tools}>
        {pair.status === "proposed" && <Badge tone="info">{t("tune.make.proposed")}</Badge>}
        {pair.status === "proposed" && (
          <IconButton small icon={Check} label={t("tune.make.accept")} onClick={onAccept} />
        )}
        {quote && quote !== answer && (
          <IconButton
            small
            icon={Quote}
            label={t("tune.make.sentence")}
            onClick={() => onChange(pair.question, quote)}
          />
        )}
        <IconButton
          small
          icon={Pencil}
          label={t("tune.make.edit")}
          onClick={() => setDraft({ question: pair.question, answer })}
        />
        <IconButton small icon={Trash2} label={t("do.delete")} onClick={onRemove} />
      </span>
    </li>
  );
}
