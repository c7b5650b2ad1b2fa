import { CircleAlert, RotateCw, type LucideIcon } from "lucide-react";
import type { ReactNode } from "react";
import { Button, CopyButton } from "@/components/Button";
import { ApiError } from "@/lib/api";
import { useI18n } from "@/lib/i18n";
import type { ErrorDetail, Text } from "@/lib/types";
import css from "./states.module.css";

/** Grey bars where content will stand, so that nothing jumps when it comes. */
export function Skeleton({ lines = 3, height = 16 }: { lines?: number; height?: number }) {
  const { t } = useI18n();
  return (
    <div className={css.skeleton} role="status" aria-label={t("state.loading")}>
      {Array.from({ length: lines }, (_, line) => (
        <i key={line} style={{ height, width: `${100 - ((line * 23) % 40)}%` }} />
      ))}
    </div>
  );
}

interface EmptyProps {
  icon?: LucideIcon;
  title: string;
  hint?: ReactNode;
  children?: ReactNode;
}

export function Empty({ icon: Icon, title, hint, children }: EmptyProps) {
  return (
    <div className={css.empty}>
      {Icon && (
        <span className={css.emptyIcon}>
          <Icon size={24} aria-hidden />
        </span>
      )}
      <h2>{title}</h2>
      {hint && <p>{hint}</p>}
      {children && <div className={css.emptyActions}>{children}</div>}
    </div>
  );
}

/** Any error the server or the wire can give, in the reader's language, with its fix as text. */
export function useErrorText() {
  const { say, t } = useI18n();
  return (error: unknown): { text: string; fix: string | null } => {
    if (error == null) return { text: "", fix: null };
    if (error instanceof ApiError) return { text: say(error.detail.messages) || error.message, fix: error.detail.fix };
    if (error instanceof Error) return { text: error.message, fix: null };
    if (typeof error === "string") return { text: error, fix: null };
    if (typeof error === "object" && "en" in error) return { text: say(error as Text), fix: null };
    const detail = error as Partial<ErrorDetail>;
    return { text: say(detail.messages) || detail.message || t("state.error"), fix: detail.fix ?? null };
  };
}

export function ErrorPanel({ error, retry, title }: { error: unknown; retry?: () => void; title?: string }) {
  const { t } = useI18n();
  const { text, fix } = useErrorText()(error);
  return (
    <div className={css.error} role="alert">
      <CircleAlert size={18} aria-hidden />
      <div className={css.errorBody}>
        <strong>{title ?? t("state.error")}</strong>
        <p>{text}</p>
        {fix && <FixLine fix={fix} />}
      </div>
      {retry && (
        <Button small icon={RotateCw} onClick={retry}>
          {t("do.retry")}
        </Button>
      )}
    </div>
  );
}

/** The next command, ready to copy. */
export function FixLine({ fix, bare }: { fix: string; bare?: boolean }) {
  const { t } = useI18n();
  return (
    <div className={css.fix}>
      {!bare && <span>{t("state.fix")}</span>}
      <span className={css.command}>
        <code>{fix}</code>
        <CopyButton text={fix} />
      </span>
    </div>
  );
}
