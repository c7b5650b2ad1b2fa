import { Page } from "@/components/Page";
export default function DocumentPage(_: { id?: string; name?: string; task?: string; kb?: string; doc?: string }) {
  return <Page title="DocumentPage">{null}</Page>;
}
