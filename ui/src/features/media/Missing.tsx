import { FixLine } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import type { Ability } from "@/lib/voice";
import css from "./Media.module.css";

/** Why something can't be done here yet, and the one command that brings what is missing. */
export function Missing({ ability, title, hint }: { ability: Ability; title: string; hint?: string }) {
  const { say } = useI18n();
  return (
    <section className={css.missing} role="status">
      <strong>{title}</strong>
      <p>
        {say(ability.why)} {hint}
      </p>
      {ability.fix && <FixLine fix={ability.fix} />}
    </section>
  );
}
