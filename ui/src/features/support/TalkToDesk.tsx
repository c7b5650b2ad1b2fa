import { RotateCcw, Send } from "lucide-react";
import { useEffect, useRef, useState, type FormEvent } from "react";
import { useQuery } from "@tanstack/react-query";
import { Button, Spinner } from "@/components/Button";
import { ErrorPanel } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { endAs, getWidgetDesk, openContact, rateAs, sayAs, useChange, useCustomerLines, type Mine } from "./api";
import css from "./Support.module.css";

/** The desk as a customer has it, with the same requests as the widget on a site. */
export function TalkToDesk({ desk }: { desk: string }) {
  const [visit, setVisit] = useState(0);
  return <Talk key={visit} desk={desk} onAgain={() => setVisit(visit + 1)} />;
}

function Talk({ desk, onAgain }: { desk: string; onAgain: () => void }) {
  const { t, lang } = useI18n();
  const [mine, setMine] = useState<Mine | null>(null);
  const [text, setText] = useState("");
  const lines = useCustomerLines(desk, mine);
  const end = useRef<HTMLDivElement>(null);
  const greeting = useQuery({
    queryKey: ["support", desk, "greeting", lang],
    queryFn: ({ signal }) => getWidgetDesk(desk, signal),
  });
  const say = useChange(async (said: string) => {
    const contact = mine ?? (await openContact(desk));
    setMine(contact);
    return sayAs(desk, contact, said);
  });
  const finish = useChange(() => (mine ? endAs(desk, mine) : Promise.resolve(null)));
  const rate = useChange((rating: number) => (mine ? rateAs(desk, mine, rating) : Promise.resolve(null)));
  const isOver = lines.some(({ what }) => what === "closed");
  const isRated = lines.some(({ what }) => what === "rated");
  useEffect(() => {
    end.current?.scrollIntoView({ block: "nearest" });
  }, [lines.length, say.isPending]);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!text.trim() || say.isPending) return;
    say.mutate(text.trim());
    setText("");
  };
  return (
    <>
      <div className={css.talk}>
        <div className={css.lines} role="log" aria-live="polite">
          {greeting.data && (
            <div className={css.line} data-role="bot">
              {greeting.data.greeting}
            </div>
          )}
          {lines
            .filter((line) => line.text)
            .map((line) => (
              <div key={line.id} className={css.line} data-role={line.role}>
                {line.text}
                {line.sources.length > 0 && <small>{t("support.sources", { names: line.sources.join(", ") })}</small>}
              </div>
            ))}
          {say.isPending && (
            <div className={css.line} data-role="event">
              <Spinner /> {t("support.thinking")}
            </div>
          )}
          {isOver && !isRated && (
            <div className={css.stars}>
              {[1, 2, 3, 4, 5].map((n) => (
                <button key={n} type="button" aria-label={t("support.rate", { n })} onClick={() => rate.mutate(n)}>
                  ★
                </button>
              ))}
            </div>
          )}
          {isRated && (
            <div className={css.line} data-role="event">
              {t("support.thanks")}
            </div>
          )}
          <div ref={end} />
        </div>
        {!isOver && (
          <form className={css.form} onSubmit={submit}>
            <input
              value={text}
              maxLength={2000}
              placeholder={t("support.write")}
              aria-label={t("support.write")}
              onChange={(event) => setText(event.target.value)}
              data-testid="support-message"
            />
            <Button tone="primary" icon={Send} type="submit" disabled={!text.trim() || say.isPending}>
              {t("support.send")}
            </Button>
          </form>
        )}
      </div>
      {(say.error ?? finish.error ?? rate.error) && <ErrorPanel error={say.error ?? finish.error ?? rate.error} />}
      {mine && (
        <div className={css.bar}>
          {!isOver && (
            <Button small onClick={() => finish.mutate(undefined)}>
              {t("support.end")}
            </Button>
          )}
          <Button small icon={RotateCcw} onClick={onAgain}>
            {t("support.again")}
          </Button>
        </div>
      )}
    </>
  );
}
