import { CircleAlert, CircleCheck } from "lucide-react";
import { dismiss, useToasts } from "@/lib/toast";
import css from "./Toasts.module.css";

export function Toasts() {
  const toasts = useToasts();
  return (
    <div className={css.toasts} role="status" aria-live="polite">
      {toasts.map(({ id, tone, text }) => (
        <button type="button" key={id} className={css.toast} data-tone={tone} onClick={() => dismiss(id)}>
          {tone === "ok" ? <CircleCheck size={16} aria-hidden /> : <CircleAlert size={16} aria-hidden />}
          {text}
        </button>
      ))}
    </div>
  );
}
