import { FlaskConical, Play, Square } from "lucide-react";
import { useLocation } from "wouter";
import { Badge, type BadgeTone } from "@/components/Badge";
import { Button } from "@/components/Button";
import { useErrorText } from "@/components/states";
import { useI18n, type Key } from "@/lib/i18n";
import { useStartModel } from "@/lib/queries";
import { toast } from "@/lib/toast";
import type { Model, ModelState } from "@/lib/types";
import { useStopModel } from "./api";

const TONES: Record<ModelState, BadgeTone> = { ready: "ok", starting: "info", failed: "bad", stopped: "neutral" };

/** Where its files came from, as a key of the texts. */
export function originOf({ embedded, source }: Model): Key {
  return embedded ? "models.embedded" : (`models.from.${source}` as Key);
}

export function StateBadge({ state }: { state: ModelState }) {
  const { t } = useI18n();
  return (
    <Badge tone={TONES[state]} dot live={state === "starting"}>
      {t(`model.state.${state}`)}
    </Badge>
  );
}

export function SwitchButton({ model: { name, state } }: { model: Model }) {
  const { t } = useI18n();
  const errorText = useErrorText();
  const start = useStartModel();
  const stop = useStopModel();
  const onError = (error: unknown) => toast(errorText(error).text, "bad");
  if (state === "ready" || state === "starting") {
    return (
      <Button small icon={Square} busy={stop.isPending} onClick={() => stop.mutate(name, { onError })}>
        {t("models.stop")}
      </Button>
    );
  }
  return (
    <Button small icon={Play} busy={start.isPending} onClick={() => start.mutate(name, { onError })}>
      {t("models.start")}
    </Button>
  );
}

/** To the playground, with this model chosen. */
export function TryLink({ name }: { name: string }) {
  const { t } = useI18n();
  const [, go] = useLocation();
  return (
    <Button small icon={FlaskConical} onClick={() => go(`/playground?model=${encodeURIComponent(name)}`)}>
      {t("models.try")}
    </Button>
  );
}
