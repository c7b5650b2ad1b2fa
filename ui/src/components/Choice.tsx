import { RadioGroup } from "radix-ui";
import type { ReactNode } from "react";
import css from "./Choice.module.css";

interface ChoiceProps {
  label: string;
  value: string;
  onChange: (value: string) => void;
  children: ReactNode;
}

/** One of several, each with room for its reasons; arrow keys move. */
export function Choice({ label, value, onChange, children }: ChoiceProps) {
  return (
    <RadioGroup.Root className={css.group} aria-label={label} value={value} onValueChange={onChange}>
      {children}
    </RadioGroup.Root>
  );
}

interface OptionProps {
  value: string;
  title: ReactNode;
  disabled?: boolean;
  children?: ReactNode;
  /** Beside the option, not part of it: a button there does not choose it. */
  action?: ReactNode;
}

export function Option({ value, title, disabled, children, action }: OptionProps) {
  return (
    <div className={css.option} data-disabled={disabled || undefined}>
      <RadioGroup.Item value={value} disabled={disabled} className={css.item} data-option={value}>
        <span className={css.ring} aria-hidden>
          <RadioGroup.Indicator className={css.dot} />
        </span>
        <span className={css.words}>
          <span className={css.title}>{title}</span>
          {children && <span className={css.more}>{children}</span>}
        </span>
      </RadioGroup.Item>
      {action}
    </div>
  );
}
