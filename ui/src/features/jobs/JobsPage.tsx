import { Page } from "@/components/Page";
export default function JobsPage(_: { id?: string; name?: string; task?: string; kb?: string; doc?: string }) {
  return <Page title="JobsPage">{null}</Page>;
}
