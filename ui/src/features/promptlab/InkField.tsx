import { pieces } from "./pieces";
import css from "./Promptlab.module.css";

interface InkFieldProps {
  id: string;
  value: string;
  onChange: (value: string) => void;
  rows?: number;
  "aria-describedby"?: string;
}

/** A text field in which `{{variables}}` are marked: the field is see-through, and a marked copy lies below it. */
export function InkField({ value, onChange, rows = 2, ...rest }: InkFieldProps) {
  return (
    <div className={css.ink}>
      <div aria-hidden>
        {pieces(value).map((piece, place) => (piece.isVariable ? <mark key={place}>{piece.text}</mark> : piece.text))}
        {"\n"}
      </div>
      <textarea
        {...rest}
        rows={rows}
        spellCheck={false}
        value={value}
        onChange={(event) => onChange(event.target.value)}
      />
    </div>
  );
}
