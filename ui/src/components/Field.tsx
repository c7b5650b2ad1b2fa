import { useId, type ReactNode } from "react";
import css from "./Field.module.css";

interface ControlProps {
  id: string;
  className: string;
  "aria-describedby"?: string;
  "aria-invalid"?: boolean;
}

interface FieldProps {
  label: string;
  hint?: ReactNode;
  error?: string | null;
  children: (props: ControlProps) => ReactNode;
}

/** A labelled control; the label, hint and error are tied to whatever `children` renders. */
export function Field({ label, hint, error, children }: FieldProps) {
  const id = useId();
  const said = hint || error ? `${id}-said` : undefined;
  return (
    <div className={css.field}>
      <label htmlFor={id}>{label}</label>
      {children({ id, className: css.control ?? "", "aria-describedby": said, "aria-invalid": !!error || undefined })}
      {said && (
        <small id={said} data-error={!!error || undefined}>
          {error || hint}
        </small>
      )}
    </div>
  );
}

export const controlClass = css.control ?? "";
