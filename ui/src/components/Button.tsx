import { Check, Copy, LoaderCircle, type LucideIcon } from "lucide-react";
import { useState, type ComponentProps } from "react";
import { Tip } from "@/components/Tip";
import { useI18n } from "@/lib/i18n";
import css from "./Button.module.css";

type Tone = "primary" | "plain" | "ghost" | "danger";

interface ButtonProps extends ComponentProps<"button"> {
  tone?: Tone;
  small?: boolean;
  icon?: LucideIcon;
  busy?: boolean;
}

export function Button({
  tone = "plain",
  small,
  icon: Icon,
  busy,
  children,
  className,
  disabled,
  ...rest
}: ButtonProps) {
  return (
    <button
      type="button"
      {...rest}
      disabled={disabled || busy}
      className={[css.button, css[tone], small && css.small, className].filter(Boolean).join(" ")}
    >
      {busy ? <LoaderCircle size={15} className={css.spin} aria-hidden /> : Icon && <Icon size={15} aria-hidden />}
      {children}
    </button>
  );
}

interface IconButtonProps extends ComponentProps<"button"> {
  label: string;
  icon: LucideIcon;
  small?: boolean;
  active?: boolean;
}

/** A button without words: `label` is its name for screen readers and its tooltip. */
export function IconButton({ label, icon: Icon, small, active, className, ...rest }: IconButtonProps) {
  return (
    <Tip text={label}>
      <button
        type="button"
        aria-label={label}
        data-active={active || undefined}
        {...rest}
        className={[css.icon, small && css.small, className].filter(Boolean).join(" ")}
      >
        <Icon size={small ? 15 : 18} aria-hidden />
      </button>
    </Tip>
  );
}

export function CopyButton({ text, label, small = true }: { text: string; label?: string; small?: boolean }) {
  const { t } = useI18n();
  const [done, setDone] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setDone(true);
    setTimeout(() => setDone(false), 1600);
  };
  return (
    <IconButton
      small={small}
      icon={done ? Check : Copy}
      label={done ? t("do.copied") : (label ?? t("do.copy"))}
      onClick={copy}
    />
  );
}

export function Spinner({ size = 16 }: { size?: number }) {
  const { t } = useI18n();
  return <LoaderCircle size={size} className={css.spin} role="status" aria-label={t("state.loading")} />;
}
