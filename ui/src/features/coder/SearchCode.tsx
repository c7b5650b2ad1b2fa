import { useDeferredValue, useState } from "react";
import { Button } from "@/components/Button";
import { ErrorPanel } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { CallerList, PlaceButton } from "./AnswerCard";
import type { Place } from "./FileDialog";
import { useCallers, useSearch, useSymbols, type Repo } from "./api";
import css from "./Coder.module.css";

/** Symbols by name, pieces of code by words, and who calls a symbol. No model is asked. */
export function SearchCode({ repo, onOpen }: { repo: Repo; onOpen: (place: Place) => void }) {
  const { t } = useI18n();
  const [words, setWords] = useState("");
  const [called, setCalled] = useState("");
  const wanted = useDeferredValue(words.trim());
  const symbols = useSymbols(repo.id, wanted);
  const hits = useSearch(repo.id, wanted);
  const callers = useCallers(repo.id, called);
  const error = symbols.error ?? hits.error ?? callers.error;
  return (
    <div>
      <div className={css.ask}>
        <input
          value={words}
          onChange={(event) => {
            setWords(event.target.value);
            setCalled("");
          }}
          aria-label={t("coder.search")}
          placeholder={t("coder.search")}
          maxLength={200}
          data-testid="coder-search"
        />
      </div>
      {error && <ErrorPanel error={error} />}
      {wanted && symbols.data?.length === 0 && hits.data?.length === 0 && <p>{t("coder.noHits")}</p>}
      {!!symbols.data?.length && (
        <>
          <h4>{t("coder.symbols")}</h4>
          <ul className={css.places}>
            {symbols.data.map((one) => (
              <li key={`${one.path}:${one.start}`}>
                <PlaceButton place={one} onOpen={onOpen} /> <code>{one.qualname}</code>{" "}
                <Button small tone="ghost" onClick={() => setCalled(one.name)}>
                  {t("coder.whoCalls")}
                </Button>
                {called === one.name && callers.data && (
                  <>
                    {callers.data.length === 0 && <small>{t("coder.noCallers")}</small>}
                    <CallerList callers={callers.data} onOpen={onOpen} />
                  </>
                )}
              </li>
            ))}
          </ul>
        </>
      )}
      {!!hits.data?.length && (
        <>
          <h4>{t("coder.pieces")}</h4>
          <ul className={css.places}>
            {hits.data.map((one) => (
              <li key={`${one.path}:${one.start}`}>
                <PlaceButton place={one} onOpen={onOpen} /> <small>{one.symbol}</small>
              </li>
            ))}
          </ul>
        </>
      )}
    </div>
  );
}
