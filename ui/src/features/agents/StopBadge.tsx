import { Badge } from "@/components/Badge";
import { useI18n, type Key } from "@/lib/i18n";
import type { AgentRun } from "./api";

/** How a run ended; nothing while it has not. */
export function StopBadge({ run }: { run: AgentRun }) {
  const { t } = useI18n();
  const stop = run.ending?.stop;
  if (typeof stop !== "string") return null;
  return (
    <Badge tone={stop === "answered" ? "ok" : "warn"} dot>
      {t(`agents.stop.${stop}` as Key)}
    </Badge>
  );
}
