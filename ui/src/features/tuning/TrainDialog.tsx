import { useState } from "react";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Field } from "@/components/Field";
import { ErrorPanel } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { useModels } from "@/lib/queries";
import type { Method, Objective, Run } from "@/lib/types";
import { useEstimate, useRuns, useStartRun, type Wish } from "./api";
import { EstimateLine } from "./EstimateLine";
import { fitting, MoreOptions, USUAL } from "./MoreOptions";
import { isRewarded, METHODS, OBJECTIVES, REWARDS } from "./objectives";

interface TrainDialogProps {
  data: string;
  kind: string;
  onClose: () => void;
  onStarted: (run: Run) => void;
}

/** What a button below has brought stands at the end of a long form. */
const intoView = (shown: HTMLElement | null) => shown?.scrollIntoView({ block: "nearest" });

export function TrainDialog({ data, kind, onClose, onStarted }: TrainDialogProps) {
  const { t } = useI18n();
  const models = (useModels().data ?? []).filter((model) => model.supported && model.kind === "chat");
  const start = useStartRun();
  const estimate = useEstimate();
  const [chosen, setChosen] = useState<string | null>(null);
  const [name, setName] = useState("");
  const [epochs, setEpochs] = useState("");
  const objectives = OBJECTIVES[kind] ?? ["sft"];
  const [objective, setObjective] = useState<Objective>(objectives[0] ?? "sft");
  const [reward, setReward] = useState<string>(REWARDS[0]);
  const [method, setMethod] = useState<Method>("lora");
  const [options, setOptions] = useState(USUAL);
  const methods = METHODS(objective);
  const taken = methods.includes(method) ? method : "lora";
  const fitted = fitting(options, objective, taken);
  const model = chosen ?? models.find(({ embedded }) => embedded)?.name ?? models[0]?.name ?? "";
  const judges = (useRuns().data ?? []).filter(
    ({ config, outcome }) => outcome && config.objective === "reward" && config.model === model,
  );
  const wish: Wish = {
    name: name.trim() || null,
    model,
    data,
    epochs: epochs ? Number(epochs) : null,
    objective,
    method: taken,
    reward: isRewarded(objective) ? reward : null,
    ...fitted,
  };
  const train = () => start.mutate(wish, { onSuccess: ({ run }) => onStarted(run) });
  return (
    <Dialog
      open
      onClose={onClose}
      title={t("tune.trainOn", { name: data })}
      hint={t("tune.trainHint")}
      onSubmit={train}
      actions={
        <>
          <Button onClick={onClose}>{t("do.cancel")}</Button>
          <Button busy={estimate.isPending} disabled={!model} onClick={() => estimate.mutate(wish)}>
            {t("tune.estimate")}
          </Button>
          <Button tone="primary" type="submit" busy={start.isPending} disabled={!model}>
            {t("tune.train")}
          </Button>
        </>
      }
    >
      <Field label={t("tune.base")}>
        {(props) => (
          <select {...props} value={model} onChange={(event) => setChosen(event.target.value)}>
            {models.map(({ name }) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        )}
      </Field>
      <Field label={t("tune.method")}>
        {(props) => (
          <select {...props} value={taken} onChange={(event) => setMethod(event.target.value as Method)}>
            {methods.map((one) => (
              <option key={one} value={one}>
                {t(`tune.method.${one}`)}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Field label={t("tune.objective")}>
        {(props) => (
          <select {...props} value={objective} onChange={(event) => setObjective(event.target.value as Objective)}>
            {objectives.map((one) => (
              <option key={one} value={one}>
                {t(`tune.objective.${one}`)}
              </option>
            ))}
          </select>
        )}
      </Field>
      {isRewarded(objective) && (
        <Field label={t("tune.reward")}>
          {(props) => (
            <select {...props} value={reward} onChange={(event) => setReward(event.target.value)}>
              {REWARDS.map((one) => (
                <option key={one} value={one}>
                  {t(`tune.reward.${one}`)}
                </option>
              ))}
              {judges.map(({ name: judge }) => (
                <option key={judge} value={`run:${judge}`}>
                  {t("tune.reward.run", { name: judge })}
                </option>
              ))}
            </select>
          )}
        </Field>
      )}
      <Field label={t("tune.name")}>
        {(props) => <input {...props} maxLength={100} value={name} onChange={(event) => setName(event.target.value)} />}
      </Field>
      <Field label={t("tune.epochs")}>
        {(props) => (
          <input
            {...props}
            type="number"
            min={0.1}
            step="any"
            value={epochs}
            onChange={(event) => setEpochs(event.target.value)}
          />
        )}
      </Field>
      <MoreOptions options={fitted} objective={objective} method={taken} onChange={setOptions} />
      {estimate.data && (
        <div ref={intoView}>
          <EstimateLine id={estimate.data.id} />
        </div>
      )}
      {(start.error ?? estimate.error) && (
        <div ref={intoView}>
          <ErrorPanel error={start.error ?? estimate.error} />
        </div>
      )}
    </Dialog>
  );
}
