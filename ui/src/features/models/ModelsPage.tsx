import { Page } from "@/components/Page";
export default function ModelsPage(_: { id?: string; name?: string; task?: string; kb?: string; doc?: string }) {
  return <Page title="ModelsPage">{null}</Page>;
}
