import { Page } from "@/components/Page";
export default function KbPage(_: { id?: string; name?: string; task?: string; kb?: string; doc?: string }) {
  return <Page title="KbPage">{null}</Page>;
}
