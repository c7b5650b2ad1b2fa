import { useEffect, useRef, useState } from "react";
import { Link, useLocation } from "wouter";
import { Spinner } from "@/components/Button";
import { Page } from "@/components/Page";
import { ErrorPanel } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { finishOidc } from "./api";

const NAMED = ["code", "state", "error", "iss"] as const;

/** Where the provider sends the browser back to: what it appended to the address is handed to the server, once. */
export default function SignedIn() {
  const { t } = useI18n();
  const [, go] = useLocation();
  const [error, setError] = useState<unknown>(null);
  const begun = useRef(false);
  useEffect(() => {
    if (begun.current) return;
    begun.current = true;
    const said = new URLSearchParams(window.location.search);
    const answer = Object.fromEntries(NAMED.flatMap((name) => (said.has(name) ? [[name, said.get(name) ?? ""]] : [])));
    window.history.replaceState(null, "", window.location.pathname); // a code in the history is good for nobody
    finishOidc(answer).then(() => go("/enterprise"), setError);
  }, [go]);
  return (
    <Page title={t("know.title")}>
      {error == null ? (
        <p>
          <Spinner /> {t("know.signingIn")}
        </p>
      ) : (
        <>
          <ErrorPanel error={error} />
          <Link href="/enterprise">{t("know.back")}</Link>
        </>
      )}
    </Page>
  );
}
