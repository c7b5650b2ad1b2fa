// Signing in, asking, and saying whether it helped. All text of documents is set as text, never as HTML.
const WORDS = {
  en: { title: "Knowledge", name: "Name", password: "Password", in: "Sign in", out: "Sign out", ask: "Ask", with: "Sign in with ", good: "Helped", bad: "Did not help", noted: "Noted." },
  zh: { title: "知识库", name: "用户名", password: "密码", in: "登录", out: "退出", ask: "提问", with: "登录方式：", good: "有帮助", bad: "没有帮助", noted: "已记录。" },
};
const lang = navigator.language.startsWith("zh") ? "zh" : "en";
const t = WORDS[lang];
const $ = (id) => document.getElementById(id);
document.documentElement.lang = lang;
document.querySelectorAll("[data-t]").forEach((e) => (e.textContent = t[e.dataset.t]));

async function api(path, body) {
  const sent = body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const reply = await fetch(`/api/${path}`, sent);
  if (!reply.ok) throw new Error((await reply.json().catch(() => ({}))).detail ?? reply.statusText);
  return reply.status === 204 ? null : reply.json();
}

async function show() {
  const me = await api("me");
  $("in").hidden = !!me.person;
  $("ask").hidden = $("out").hidden = !me.person;
  $("who").textContent = me.person?.shown ?? "";
  $("oidc").hidden = !me.oidc;
  $("oidc").textContent = t.with + me.oidc;
}

function attempt(work) {
  return async (event) => {
    event?.preventDefault();
    $("state").textContent = "";
    try {
      await work();
    } catch (error) {
      $("state").textContent = error.message;
    }
  };
}

$("in").onsubmit = attempt(async () => {
  await api("sign-in", { name: $("name").value, password: $("password").value });
  $("password").value = "";
  await show();
});
$("out").onclick = attempt(async () => {
  await api("sign-out", {});
  $("answers").replaceChildren();
  await show();
});
$("oidc").onclick = attempt(async () => location.assign((await api("oidc/begin", {})).url));
$("question").oninput = attempt(async () => {
  const found = await api(`suggestions?text=${encodeURIComponent($("question").value)}`);
  $("known").replaceChildren(...found.map((value) => Object.assign(document.createElement("option"), { value })));
});

$("ask").onsubmit = attempt(async () => {
  const question = $("question").value.trim();
  const card = document.createElement("article");
  const text = document.createElement("p");
  card.append(Object.assign(document.createElement("h2"), { textContent: question }), text);
  $("answers").prepend(card);
  const reply = await fetch("/api/ask", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ question }) });
  if (!reply.ok) throw new Error((await reply.json()).detail);
  let rest = "";
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    const frames = (rest + piece.value).split("\n\n");
    rest = frames.pop();
    for (const frame of frames) {
      const name = frame.match(/^event: (.*)$/m)?.[1];
      const data = JSON.parse(frame.match(/^data: (.*)$/m)?.[1] ?? "{}");
      if (name === "delta") text.textContent += data.text;
      if (name === "error") text.textContent = data.error.message;
      if (name === "done") finish(card, text, data);
    }
  }
});

function finish(card, text, { answer, citations, trace_id }) {
  text.textContent = answer;
  for (const cite of citations.filter(({ cited }) => cited)) {
    const quote = document.createElement("details");
    quote.append(Object.assign(document.createElement("summary"), { textContent: `[${cite.n}] ${cite.doc_name}` }), cite.text);
    card.append(quote);
  }
  const row = Object.assign(document.createElement("div"), { className: "row" });
  for (const [rating, label] of [[1, t.good], [-1, t.bad]]) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: label });
    button.onclick = attempt(async () => {
      await api(`questions/${trace_id}/feedback`, { rating });
      row.textContent = t.noted;
    });
    row.append(button);
  }
  card.append(row);
}

async function begin() {
  const said = new URLSearchParams(location.search);
  if (location.pathname === "/signed-in") {
    history.replaceState(null, "", "/"); // a code in the history is good for nobody
    await api("oidc/finish", Object.fromEntries([...said].filter(([name]) => ["code", "state", "error", "iss"].includes(name))));
  }
}
attempt(async () => {
  try {
    await begin();
  } finally {
    await show();
  }
})();
