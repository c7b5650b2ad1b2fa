import { CircleAlert, CircleCheck, Info } from "lucide-react";
import { dismiss, useToasts, type Toast } from "@/lib/toast";
import css from "./Toasts.module.css";

const ICONS = { ok: CircleCheck, note: Info, bad: CircleAlert };

function Icon({ tone }: Pick<Toast, "tone">) {
  const Sign = ICONS[tone];
  return <Sign size={16} aria-hidden />;
}

export function Toasts() {
  const toasts = useToasts();
  return (
    <div className={css.toasts} role="status" aria-live="polite">
      {toasts.map(({ id, tone, text }) => (
        <button type="button" key={id} className={css.toast} data-tone={tone} onClick={() => dismiss(id)}>
          <Icon tone={tone} />
          {text}
        </button>
      ))}
    </div>
  );
}
