import { ChevronLeft, ChevronRight, Pencil, RefreshCw } from "lucide-react";
import { useState } from "react";
import { Button, CopyButton, IconButton } from "@/components/Button";
import { Sources } from "@/components/Cite";
import { Logo } from "@/components/Logo";
import { Thought } from "@/components/Thought";
import { Markdown } from "@/components/Markdown";
import { ErrorPanel } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { splitThought } from "@/lib/thinking";
import type { Message } from "@/lib/types";
import { Attached } from "./Attached";
import css from "./MessageView.module.css";
import { ReadAloud } from "./ReadAloud";
import { Steps } from "./Steps";

interface Shared {
  message: Message;
  /** Ids of all versions of this message, oldest first. */
  versions: readonly string[];
  onVersion: (id: string) => void;
  /** While an answer streams nothing else may be asked. */
  locked: boolean;
}

export function Question({
  message,
  versions,
  onVersion,
  locked,
  onEdit,
}: Shared & { onEdit: (content: string) => void }) {
  const { t } = useI18n();
  const [draft, setDraft] = useState<string | null>(null);
  if (draft !== null) {
    const send = () => {
      if (!draft.trim()) return;
      setDraft(null);
      onEdit(draft.trim());
    };
    return (
      <form
        className={css.editor}
        onSubmit={(event) => {
          event.preventDefault();
          send();
        }}
      >
        <textarea
          autoFocus
          aria-label={t("chat.edit")}
          rows={Math.min(10, draft.split("\n").length + 1)}
          value={draft}
          onChange={(event) => setDraft(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Escape") setDraft(null);
            if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
              event.preventDefault();
              send();
            }
          }}
        />
        <div className={css.editorFoot}>
          <Button small onClick={() => setDraft(null)}>
            {t("do.cancel")}
          </Button>
          <Button small tone="primary" type="submit" disabled={!draft.trim()}>
            {t("chat.editSend")}
          </Button>
        </div>
      </form>
    );
  }
  return (
    <article className={css.question} aria-label={t("chat.you")}>
      {message.attachments.length > 0 && <Attached files={message.attachments} />}
      <p>{message.content}</p>
      <div className={css.tools}>
        <CopyButton text={message.content} />
        <IconButton
          small
          icon={Pencil}
          label={t("chat.edit")}
          disabled={locked}
          onClick={() => setDraft(message.content)}
        />
        <Versions id={message.id} versions={versions} onVersion={onVersion} locked={locked} />
      </div>
    </article>
  );
}

export function Answer({
  message,
  versions,
  onVersion,
  locked,
  grounded,
  searching,
  onAgain,
}: Shared & { grounded: boolean; searching: boolean; onAgain: () => void }) {
  const { t, say } = useI18n();
  const { status, content, citations, error, finish_reason, usage } = message;
  const live = status === "streaming" && locked;
  const written = usage?.completion_tokens ?? (message.steps.length ? usage?.total_tokens : undefined);
  const told = splitThought(content); // of a server that does not tell thoughts apart
  const thought = message.thought || told.thought;
  // The passages were read and none was used: the answer is a refusal, which is no failure.
  const refused = grounded && status === "complete" && citations.length > 0 && !citations.some(({ cited }) => cited);
  return (
    <article className={css.answer} aria-label={message.model ?? "Zhilu"} aria-busy={live}>
      <span className={css.face} data-live={live || undefined}>
        <Logo size={26} />
      </span>
      <div className={css.body}>
        {thought && <Thought text={thought} open={live && !told.answer} seconds={message.thought_seconds} />}
        <Steps steps={message.steps} run={message.run_id} live={live} />
        {told.answer && (
          <div className={refused ? css.refused : undefined}>
            <Markdown text={told.answer} streaming={live} citations={citations} />
            {refused && <p className={css.refusedWhy}>{t("answer.refusedWhy", { n: citations.length })}</p>}
          </div>
        )}
        {message.notes.map((note) => (
          <p key={note.en} className={css.note}>
            {say(note)}
          </p>
        ))}
        {live && !content && !thought && message.steps.at(-1)?.state !== "waiting" && (
          <p className={css.waiting}>{t(searching && !citations.length ? "chat.searching" : "answer.answering")}…</p>
        )}
        {status === "stopped" && (
          <p className={css.note}>{t(finish_reason === "interrupted" ? "answer.interrupted" : "answer.stopped")}</p>
        )}
        {finish_reason === "length" && status === "complete" && <p className={css.note}>{t("chat.cut")}</p>}
        {isEnd(finish_reason) && status === "complete" && <p className={css.note}>{t(`chat.end.${finish_reason}`)}</p>}
        {status === "error" && (
          <ErrorPanel title={t("answer.failed")} error={error} retry={locked ? undefined : onAgain} />
        )}
        {!live && <Sources citations={citations} />}
        {!live && (
          <div className={css.tools}>
            {told.answer && <CopyButton text={told.answer} />}
            {told.answer && <ReadAloud text={told.answer} />}
            <IconButton small icon={RefreshCw} label={t("chat.regenerate")} disabled={locked} onClick={onAgain} />
            <Versions id={message.id} versions={versions} onVersion={onVersion} locked={locked} />
            <span className={css.facts}>
              {message.model}
              {written ? ` · ${t("chat.tokens", { n: written })}` : ""}
            </span>
          </div>
        )}
      </div>
    </article>
  );
}

/** How work with tools can end without an answer. */
const ENDS = ["steps", "tokens", "seconds", "stuck", "cut"] as const;
const isEnd = (reason: string | null): reason is (typeof ENDS)[number] => ENDS.some((one) => one === reason);

interface VersionsProps {
  id: string;
  versions: readonly string[];
  onVersion: (id: string) => void;
  locked: boolean;
}

function Versions({ id, versions, onVersion, locked }: VersionsProps) {
  const { t } = useI18n();
  if (versions.length < 2) return null;
  const at = versions.indexOf(id);
  const step = (by: number) => {
    const next = versions[at + by];
    if (next !== undefined) onVersion(next);
  };
  return (
    <span className={css.versions} role="group" aria-label={t("chat.version", { n: at + 1, of: versions.length })}>
      <IconButton
        small
        icon={ChevronLeft}
        label={t("chat.prev")}
        disabled={locked || at === 0}
        onClick={() => step(-1)}
      />
      {at + 1}/{versions.length}
      <IconButton
        small
        icon={ChevronRight}
        label={t("chat.next")}
        disabled={locked || at === versions.length - 1}
        onClick={() => step(1)}
      />
    </span>
  );
}
