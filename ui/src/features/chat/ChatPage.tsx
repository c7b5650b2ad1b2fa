import { Page } from "@/components/Page";
export default function ChatPage(_: { id?: string; name?: string; task?: string; kb?: string; doc?: string }) {
  return <Page title="ChatPage">{null}</Page>;
}
