import css from "./Progress.module.css";

/** A bar; `value` 0 to 1, null while how far it is cannot be known. */
export function Progress({ value, label }: { value: number | null; label: string }) {
  const percent = value === null ? null : Math.round(Math.min(1, Math.max(0, value)) * 100);
  return (
    <div
      className={css.track}
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={percent ?? undefined}
      data-unknown={percent === null || undefined}
    >
      <i style={{ width: percent === null ? "35%" : `${percent}%` }} />
    </div>
  );
}
