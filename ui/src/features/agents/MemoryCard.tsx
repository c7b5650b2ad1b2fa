import { Plus, X } from "lucide-react";
import { useState } from "react";
import { Button, IconButton } from "@/components/Button";
import { ErrorPanel } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import css from "./Agents.module.css";
import { useFacts, useForget, useKeep } from "./api";

/** What is kept of earlier conversations: read, added to, deleted. */
export function MemoryCard() {
  const { t } = useI18n();
  const { data, error } = useFacts();
  const [text, setText] = useState("");
  const keep = useKeep();
  const forget = useForget();
  if (error) return null; // who does not sit at this machine has no memory here
  const submit = () => keep.mutate(text.trim(), { onSuccess: () => setText("") });
  return (
    <details className={css.memory}>
      <summary>{t("agents.memory", { n: data?.length ?? 0 })}</summary>
      <p className={css.hint}>{t("agents.memoryHint")}</p>
      {!!data?.length && (
        <ul className={css.kept}>
          {data.map((fact) => (
            <li key={fact.id}>
              <span>{fact.text}</span>
              <IconButton
                small
                icon={X}
                label={t("agents.forget", { fact: fact.text })}
                onClick={() => forget.mutate(fact.id)}
              />
            </li>
          ))}
        </ul>
      )}
      <form
        className={css.keep}
        onSubmit={(event) => {
          event.preventDefault();
          if (text.trim()) submit();
        }}
      >
        <input
          aria-label={t("agents.fact")}
          placeholder={t("agents.factExample")}
          maxLength={400}
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        <Button small icon={Plus} type="submit" busy={keep.isPending} disabled={!text.trim()}>
          {t("agents.keep")}
        </Button>
      </form>
      {(keep.error ?? forget.error) && <ErrorPanel error={keep.error ?? forget.error} />}
    </details>
  );
}
