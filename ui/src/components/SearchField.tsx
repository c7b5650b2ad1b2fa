import { Search } from "lucide-react";
import { controlClass } from "@/components/Field";
import css from "./SearchField.module.css";

interface SearchFieldProps {
  label: string;
  value: string;
  onChange: (value: string) => void;
}

export function SearchField({ label, value, onChange }: SearchFieldProps) {
  return (
    <div className={css.search}>
      <Search size={15} aria-hidden />
      <input
        type="search"
        className={controlClass}
        aria-label={label}
        placeholder={label}
        value={value}
        onChange={(event) => onChange(event.target.value)}
      />
    </div>
  );
}
