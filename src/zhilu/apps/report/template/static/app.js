// Everything that comes from outside is put in as text, never as HTML.
const WORDS = {
  title: ["Ask a table", "向表格提问"],
  table: ["Table", "表格"],
  add: ["Add a file", "添加文件"],
  sample: ["Add a sample", "添加示例"],
  ask: ["Ask", "提问"],
  writing: ["Writing queries…", "正在编写查询…"],
  unsure: ["The queries disagree: no answer.", "几条查询结果不一致，不给出回答。"],
  failed: ["No query could run.", "没有能运行的查询。"],
  none: ["Add a table first.", "请先添加表格。"],
  query: ["The query", "查询语句"],
};
const zh = navigator.language.startsWith("zh");
const t = (key) => WORDS[key][zh ? 1 : 0];
const at = (id) => document.getElementById(id);
document.documentElement.lang = zh ? "zh-CN" : "en";
document.title = t("title");
for (const one of document.querySelectorAll("[data-t]")) one.textContent = t(one.dataset.t);
at("question").setAttribute("aria-label", t("ask"));

function make(tag, text = "", ...children) {
  const made = document.createElement(tag);
  made.textContent = text;
  made.append(...children);
  return made;
}

async function call(path, options) {
  const reply = await fetch(path, options);
  if (!reply.ok) throw new Error((await reply.json().catch(() => ({}))).detail ?? `HTTP ${reply.status}`);
  return reply;
}

const tell = (error) => (at("state").textContent = error ? String(error.message ?? error) : "");

async function refresh(chosen) {
  const sources = await (await call("/api/sources")).json();
  at("source").replaceChildren(...sources.map(({ id, name }) => Object.assign(make("option", name), { value: id })));
  if (chosen) at("source").value = chosen;
  tell(sources.length ? "" : t("none"));
}

async function add(path, body) {
  try {
    await refresh((await (await call(path, { method: "POST", body })).json()).id);
  } catch (error) {
    tell(error);
  }
}

at("file").addEventListener("change", ({ target }) => {
  const body = new FormData();
  body.append("file", target.files[0]);
  target.value = "";
  add("/api/sources", body);
});
at("sample").addEventListener("click", () => add(`/api/samples/${zh ? "school" : "shop"}`));

/** The events of a stream, as {event, data}. */
async function* events(reply) {
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ; ) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const lines = block.split("\n");
      const field = (name) => lines.find((line) => line.startsWith(name))?.slice(name.length).trim() ?? "";
      yield { event: field("event:"), data: JSON.parse(field("data:") || "null") };
    }
  }
}

function card(section) {
  const kept = section.sentences.filter((one) => one.is_kept).map((one) => one.text);
  const said = section.status === "answered" ? kept.join(" ") : t(section.status);
  const made = make("article", "", make("h2", section.question), make("p", said));
  const { result } = section;
  if (result) {
    const head = make("tr", "", ...result.columns.map((name) => make("th", name)));
    const rows = result.rows.slice(0, 50).map((row) => make("tr", "", ...row.map((cell) => make("td", cell ?? ""))));
    const grid = make("div", "", make("table", "", make("thead", "", head), make("tbody", "", ...rows)));
    grid.className = "grid";
    made.append(grid);
  }
  if (section.sql) made.append(make("details", "", make("summary", t("query")), make("pre", section.sql)));
  return made;
}

at("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  const source = at("source").value;
  if (!source) return tell(t("none"));
  const button = at("ask").querySelector("button");
  button.disabled = true;
  tell(t("writing"));
  try {
    const body = JSON.stringify({ question: at("question").value });
    const headers = { "Content-Type": "application/json" };
    const reply = await call(`/api/sources/${encodeURIComponent(source)}/ask`, { method: "POST", headers, body });
    for await (const { event: name, data } of events(reply)) {
      if (name === "error") throw new Error(data.error.message);
      if (name === "done") at("answers").prepend(card(data));
    }
    tell("");
  } catch (error) {
    tell(error);
  } finally {
    button.disabled = false;
  }
});

refresh().catch(tell);
