import { PencilLine } from "lucide-react";
import { useState } from "react";
import { Examples } from "@/components/AskLine";
import { Button, Spinner } from "@/components/Button";
import { ErrorPanel, Skeleton } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { EditCard } from "./EditCard";
import { useEdits, usePropose, type Repo } from "./api";
import css from "./Coder.module.css";

/** A wish in words, and the changes that came of it, the newest first. */
export function EditCode({ repo }: { repo: Repo }) {
  const { t } = useI18n();
  const [wish, setWish] = useState("");
  const [symbol, setSymbol] = useState("");
  const edits = useEdits(repo.id);
  const propose = usePropose(repo.id);
  const submit = (instruction: string) => {
    if (!instruction.trim() || propose.isPending) return;
    propose.mutate(
      { instruction: instruction.trim(), symbol: symbol.trim() || null },
      { onSuccess: ({ status }) => status === "proposed" && setWish("") },
    );
  };
  const example = t("coder.editExample");
  return (
    <div>
      <form
        className={css.wish}
        onSubmit={(event) => {
          event.preventDefault();
          submit(wish);
        }}
      >
        <textarea
          rows={2}
          value={wish}
          onChange={(event) => setWish(event.target.value)}
          aria-label={t("coder.wish")}
          placeholder={t("coder.wish")}
          maxLength={4000}
          data-testid="coder-wish"
        />
        <div className={css.wishLine}>
          <input
            value={symbol}
            onChange={(event) => setSymbol(event.target.value)}
            aria-label={t("coder.wishSymbol")}
            placeholder={t("coder.wishSymbol")}
            maxLength={300}
          />
          <Button tone="primary" icon={PencilLine} type="submit" busy={propose.isPending} disabled={!wish.trim()}>
            {t("coder.propose")}
          </Button>
        </div>
      </form>
      {repo.name === "tinyshop" && edits.data?.length === 0 && !propose.isPending && (
        <Examples texts={[example]} onChoose={submit} />
      )}
      {propose.isPending && (
        <p className={css.waiting}>
          <Spinner /> {t("coder.proposing")}
        </p>
      )}
      {propose.error && <ErrorPanel error={propose.error} />}
      {edits.error && <ErrorPanel error={edits.error} retry={() => void edits.refetch()} />}
      {edits.isPending && <Skeleton lines={2} height={40} />}
      {edits.data?.length === 0 && !propose.isPending && <p className={css.hint}>{t("coder.noEdits")}</p>}
      {edits.data?.map((edit) => (
        <EditCard key={edit.id} repo={repo.id} edit={edit} />
      ))}
    </div>
  );
}
