import { X } from "lucide-react";
import { Dialog as Radix } from "radix-ui";
import type { FormEvent, ReactNode } from "react";
import { Button, IconButton } from "@/components/Button";
import { useI18n } from "@/lib/i18n";
import css from "./Dialog.module.css";

interface DialogProps {
  open: boolean;
  onClose: () => void;
  title: string;
  hint?: ReactNode;
  children?: ReactNode;
  /** "panel" slides in from the right and takes the whole height; "menu" does so from the left. */
  shape?: "box" | "wide" | "panel" | "menu";
  actions?: ReactNode;
  /** Makes the dialog a form; return nothing, close it yourself. */
  onSubmit?: () => void;
}

/** Where nothing inside asked for the focus the dialog takes it, not its close button. */
function focusWhole(event: Event) {
  event.preventDefault();
  (event.currentTarget as HTMLElement | null)?.focus();
}

export function Dialog({ open, onClose, title, hint, children, shape = "box", actions, onSubmit }: DialogProps) {
  const { t } = useI18n();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onSubmit?.();
  };
  const inside = (
    <>
      <div className={css.body}>{children}</div>
      {actions && <div className={css.actions}>{actions}</div>}
    </>
  );
  return (
    <Radix.Root open={open} onOpenChange={(next) => !next && onClose()}>
      <Radix.Portal>
        <Radix.Overlay className={css.veil} />
        <Radix.Content
          className={`${css.content} ${css[shape]}`}
          aria-describedby={undefined}
          onOpenAutoFocus={focusWhole}
        >
          <header className={css.head}>
            <div className={css.words}>
              <Radix.Title className={css.title}>{title}</Radix.Title>
              {hint && <Radix.Description className={css.hint}>{hint}</Radix.Description>}
            </div>
            <Radix.Close asChild>
              <IconButton icon={X} label={t("do.close")} />
            </Radix.Close>
          </header>
          {onSubmit ? (
            <form onSubmit={submit} className={css.form}>
              {inside}
            </form>
          ) : (
            inside
          )}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}

interface ConfirmProps {
  open: boolean;
  onClose: () => void;
  title: string;
  hint?: ReactNode;
  verb: string;
  busy?: boolean;
  onConfirm: () => void;
}

/** Asks before something is gone for good; the safe way out has the focus. */
export function Confirm({ open, onClose, title, hint, verb, busy, onConfirm }: ConfirmProps) {
  const { t } = useI18n();
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title={title}
      hint={hint}
      actions={
        <>
          <Button onClick={onClose} autoFocus>
            {t("do.cancel")}
          </Button>
          <Button tone="danger" busy={busy} onClick={onConfirm}>
            {verb}
          </Button>
        </>
      }
    />
  );
}
