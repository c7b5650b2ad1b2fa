import { Field } from "@/components/Field";
import { useI18n, type Key } from "@/lib/i18n";
import type { Offered } from "./offered";

interface ModelChoiceProps {
  label: string;
  offered: readonly Offered[];
  value: string;
  onChange: (name: string) => void;
}

export function ModelChoice({ label, offered, value, onChange }: ModelChoiceProps) {
  const { t } = useI18n();
  const model = offered.find(({ name }) => name === value);
  const said = (one: Offered) => {
    const name = one.parent ? t("play.adapterOf", { name: one.name, parent: one.parent }) : one.name;
    return [name, one.engine, t(`model.state.${one.state}` as Key)].filter(Boolean).join(" · ");
  };
  return (
    <Field label={label} hint={model && model.state !== "ready" ? t("play.willStart") : undefined}>
      {(props) => (
        <select {...props} value={value} onChange={(event) => onChange(event.target.value)}>
          {offered.map((one) => (
            <option key={one.name} value={one.name}>
              {said(one)}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}
