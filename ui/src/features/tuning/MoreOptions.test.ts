import { describe, expect, it } from "vitest";
import { fitting, USUAL } from "./MoreOptions";

describe("options of a run", () => {
  const asked = { ...USUAL, dora: true, rslora: true, launch: "fsdp2", nproc: 4 } as const;

  it("are sent as they were chosen where the run takes them", () => {
    expect(fitting(asked, "sft", "lora")).toEqual(asked);
    expect(fitting({ ...asked, launch: "one" }, "sft", "lora").nproc).toBeNull();
  });

  it("are not sent where another choice has hidden them since", () => {
    expect(fitting(asked, "sft", "full")).toMatchObject({ dora: false, rslora: false, launch: "fsdp2" });
    expect(fitting(asked, "sft", "qlora")).toMatchObject({ dora: true, launch: "one", nproc: null });
    expect(fitting(asked, "grpo", "lora")).toMatchObject({ launch: "one", nproc: null });
    expect(fitting({ ...asked, launch: "ddp" }, "dpo", "qlora")).toMatchObject({ launch: "ddp", nproc: 4 });
  });
});
