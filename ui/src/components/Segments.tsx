import { ToggleGroup } from "radix-ui";
import css from "./Segments.module.css";

interface SegmentsProps<V extends string> {
  label: string;
  value: V;
  onChange: (value: V) => void;
  options: readonly { value: V; label: string }[];
}

/** A choice of a few, all in sight. */
export function Segments<V extends string>({ label, value, onChange, options }: SegmentsProps<V>) {
  return (
    <ToggleGroup.Root
      type="single"
      className={css.segments}
      aria-label={label}
      value={value}
      onValueChange={(next) => next && onChange(next as V)}
    >
      {options.map((option) => (
        <ToggleGroup.Item key={option.value} value={option.value}>
          {option.label}
        </ToggleGroup.Item>
      ))}
    </ToggleGroup.Root>
  );
}
