import { LogIn } from "lucide-react";
import { useState } from "react";
import { Button } from "@/components/Button";
import { controlClass, Field } from "@/components/Field";
import { ErrorPanel } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { beginOidc, useChange, type Me } from "./api";
import css from "./Enterprise.module.css";

/** Name and password, the way to the provider, and at the very first the account of an admin. */
export function SignIn({ me }: { me: Me }) {
  const { t } = useI18n();
  const change = useChange();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [away, setAway] = useState<unknown>(null);
  const leave = async () => {
    try {
      window.location.assign((await beginOidc()).url);
    } catch (error) {
      setAway(error);
    }
  };
  const path = me.empty ? "/set-up" : "/sign-in";
  return (
    <form
      className={css.signIn}
      onSubmit={(event) => {
        event.preventDefault();
        change.mutate({ method: "post", path, body: { name: name.trim(), password } });
      }}
    >
      <h2>{t(me.empty ? "know.setUp" : "know.signIn")}</h2>
      {me.empty && <p className={css.quiet}>{t("know.setUpHint")}</p>}
      <Field label={t("know.name")}>
        {(props) => (
          <input
            {...props}
            value={name}
            autoComplete="username"
            maxLength={64}
            required
            onChange={(event) => setName(event.target.value)}
          />
        )}
      </Field>
      <Field label={t("know.password")} hint={me.empty ? t("know.passwordHint") : undefined}>
        {(props) => (
          <input
            {...props}
            className={controlClass}
            type="password"
            value={password}
            autoComplete={me.empty ? "new-password" : "current-password"}
            required
            onChange={(event) => setPassword(event.target.value)}
          />
        )}
      </Field>
      <div className={css.line}>
        <Button tone="primary" icon={LogIn} type="submit" busy={change.isPending}>
          {t(me.empty ? "know.setUp" : "know.signIn")}
        </Button>
        {me.oidc && <Button onClick={() => void leave()}>{t("know.with", { name: me.oidc })}</Button>}
      </div>
      {change.error && <ErrorPanel error={change.error} />}
      {away != null && <ErrorPanel error={away} />}
    </form>
  );
}
