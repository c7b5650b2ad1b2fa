// Everything that comes from outside is put in as text, never as HTML.
const WORDS = {
  title: ["Ask your documents", "向文档提问"],
  add: ["Add files", "添加文件"],
  ask: ["Ask", "提问"],
  reading: ["Reading…", "正在读取…"],
  searching: ["Searching…", "正在查找…"],
  none: ["Add a file first.", "请先添加文件。"],
  refused: ["The documents do not say.", "文档中没有提到。"],
  summarise: ["Summarise", "概括"],
  summarising: ["Summarising…", "正在概括…"],
  remove: ["Delete", "删除"],
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

function button(text, act) {
  const made = Object.assign(make("button", text), { type: "button" });
  made.addEventListener("click", act);
  return made;
}

async function call(path, options) {
  const reply = await fetch(path, options);
  if (!reply.ok) throw new Error((await reply.json().catch(() => ({}))).detail ?? `HTTP ${reply.status}`);
  return reply;
}

const json = async (path, options) => (await call(path, options)).json();
const tell = (said) => (at("state").textContent = said ? String(said.message ?? said) : "");
const wait = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

async function refresh() {
  for (;;) {
    const documents = await json("/api/documents");
    at("documents").replaceChildren(
      ...documents.map(({ id, name, status }) =>
        make(
          "li",
          "",
          status === "ready" ? button(name, () => open(id).catch(tell)) : make("span", `${name} · ${status}`),
          Object.assign(button("×", () => remove(id)), { ariaLabel: `${t("remove")} ${name}` }),
        ),
      ),
    );
    const waiting = documents.some(({ status }) => status === "queued" || status === "ingesting");
    tell(waiting ? t("reading") : documents.length ? "" : t("none"));
    if (!waiting) return;
    await wait(1);
  }
}

const remove = (id) => call(`/api/documents/${id}`, { method: "DELETE" }).then(refresh).catch(tell);

at("file").addEventListener("change", async ({ target }) => {
  const body = new FormData();
  for (const file of target.files) body.append("files", file, file.webkitRelativePath || file.name);
  target.value = "";
  try {
    const { rejected } = await json("/api/documents", { method: "POST", body });
    await refresh();
    if (rejected.length) tell(rejected.map(({ name, error }) => `${name}: ${error.message}`).join(" "));
  } catch (error) {
    tell(error);
  }
});

/** Shows a document, with code points `start` to `end` marked. */
async function open(id, start = -1, end = -1) {
  const { name, text } = await json(`/api/documents/${id}`);
  const points = Array.from(text); // offsets count code points, JavaScript's strings UTF-16 units
  const piece = (from, to) => points.slice(from, to).join("");
  at("name").textContent = name;
  at("text").replaceChildren(
    ...(start < 0
      ? [text]
      : [piece(0, start), make("mark", piece(start, end)), piece(end, points.length)]),
  );
  at("text").querySelector("mark")?.scrollIntoView({ block: "center" });
  at("summarise").hidden = false;
  at("summarise").onclick = () => summarise(id, true).catch(tell);
  if (at("summary").dataset.of !== id) await summarise(id, false);
}

async function summarise(id, begin) {
  const path = `/api/documents/${id}/summary`;
  at("summary").dataset.of = id;
  at("summary").replaceChildren();
  if (begin) await call(path, { method: "POST" });
  while (at("summary").dataset.of === id) {
    const { summary } = await json(path);
    if (!summary) return;
    const { run, job } = summary;
    if (job?.status === "failed") throw new Error(job.error?.message ?? "failed");
    tell(run.done ? "" : t("summarising"));
    const sentences = run.result.summary?.sentences ?? [];
    at("summary").replaceChildren(
      ...sentences.map(({ text, place }) =>
        make("li", "", place ? button(text, () => open(id, place.start, place.end).catch(tell)) : make("span", text)),
      ),
    );
    if (run.done || job?.status === "cancelled") return;
    await wait(1.5);
  }
}

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

function sources(citations) {
  const cited = citations.filter((one) => one.cited);
  const show = ({ doc_id, start, end, quote_start, quote_end }) =>
    open(doc_id, quote_start ?? start, quote_end ?? end).catch(tell);
  return make("p", "", ...cited.map((one) => button(`[${one.n}] ${one.doc_name}`, () => show(one))));
}

at("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  const send = at("ask").querySelector("button");
  const question = at("question").value;
  const said = make("p", t("searching"));
  const card = make("article", "", make("h2", question), said);
  at("answers").prepend(card);
  send.disabled = true;
  try {
    const headers = { "Content-Type": "application/json" };
    const reply = await call("/api/ask", { method: "POST", headers, body: JSON.stringify({ question }) });
    let text = "";
    for await (const { event: name, data } of events(reply)) {
      if (name === "error") throw new Error(data.error.message);
      if (name === "delta") said.textContent = text += data.text;
      if (name === "done") {
        said.textContent = data.refused ? t("refused") : data.answer;
        card.append(sources(data.citations));
        const first = data.citations.find((one) => one.cited);
        if (first) await open(first.doc_id, first.quote_start ?? first.start, first.quote_end ?? first.end);
      }
    }
    at("question").value = "";
  } catch (error) {
    said.textContent = String(error.message ?? error);
  } finally {
    send.disabled = false;
  }
});

refresh().catch(tell);
