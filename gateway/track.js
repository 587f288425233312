"use strict";
// The code stays in this page and in request bodies: never in an address, a title or anything that is stored.
const at = (id) => document.getElementById(id);
let code = "";

function say(text, wrong) {
  at("said").textContent = text;
  at("said").classList.toggle("wrong", Boolean(wrong));
}

async function ask(path, body) {
  const answer = await fetch(path, {
    method: "POST", headers: {"Content-Type": "application/json"}, credentials: "omit", cache: "no-store",
    body: JSON.stringify(body),
  });
  if (answer.ok) return answer;
  let detail = "系统暂时无法回应,请稍后再试。 No answer for now; try again later.";
  try {
    const problem = await answer.json();
    detail = (problem.violations || []).map((one) => one.message).join("\n") || problem.detail || detail;
  } catch { /* not a problem document */ }
  throw new Error(detail);
}

async function tell(button, deed) {
  button.disabled = true;
  try {
    say("");
    await deed();
  } catch (error) {
    say(error instanceof TypeError ? "网络不通,请稍后再试。 The network does not answer." : error.message, true);
  } finally {
    button.disabled = false;
  }
}

function line(tag, text, day) {
  const item = document.createElement(tag);
  if (day) {
    const time = document.createElement("time");
    time.dateTime = time.textContent = day;
    item.append(time);
  }
  item.append(text);
  return item;
}

function show(found) {
  at("stage").textContent = found.stage;
  at("stage-en").textContent = found.stage_en;
  at("office").textContent = found.office.title + (found.office.telephone ? ` 电话 ${found.office.telephone}` : "");
  at("clock").textContent = found.clock ? found.clock.text : "目前没有计时中的期限";
  at("clock").className = {COLOUR_AMBER: "amber", COLOUR_RED: "red"}[found.clock && found.clock.colour] || "";
  at("steps").replaceChildren(...found.steps.map((one) => line("li", one.text, one.day)));
  at("next").replaceChildren(...found.next.map((one) => line("li", one.text + (one.until ? `,截止 ${one.until}` : ""))));
  const can = new Set(found.next.map((one) => one.step));
  at("read").hidden = !can.has("NEXT_STEP_READ_DOCUMENTS");
  at("rate").hidden = !can.has("NEXT_STEP_EVALUATE");
  at("add").hidden = !can.has("NEXT_STEP_ADD_MATERIAL");
  at("shown").hidden = at("more").hidden = false;
}

const OUTCOMES = {
  OUTCOME_SUPPORTED: "支持", OUTCOME_EXPLAINED: "解释说明", OUTCOME_NOT_SUPPORTED: "不支持", OUTCOME_SETTLED: "调解达成协议",
};

function paper(one) {
  const shown = document.createElement("article");
  shown.append(line("h3", one.title));
  for (const text of [
    one.day && `日期:${one.day}`, OUTCOMES[one.outcome] && `处理结果:${OUTCOMES[one.outcome]}`, one.content,
    one.legal_basis && `法律依据:${one.legal_basis}`,
  ]) if (text) shown.append(line("p", text));
  return shown;
}

function proof() {
  const typed = at("proof").value.trim();
  if (!/^[0-9]{4,8}$/.test(typed)) {
    at("proof").focus();
    throw new Error("请填写登记手机号的后四位,或自设的 4 至 8 位数字密码。");
  }
  return typed;
}

async function look() {
  at("shown").hidden = at("more").hidden = true;
  at("papers").replaceChildren();
  code = at("code").value;
  show(await (await ask("/v1/track", {public_code: code})).json());
  at("stage").tabIndex = -1;
  at("stage").focus();
}

async function save(body) {
  let answer, name = "slip.pdf";
  try {
    answer = await ask("/v1/track:slip", {...body, format: "PAPER_FORMAT_PDF"});
  } catch {
    answer = await ask("/v1/track:slip", {...body, format: "PAPER_FORMAT_HTML"});
    name = "slip.html";
  }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  say("回执已下载,打开即可打印。");
}

at("look").addEventListener("submit", (event) => {
  event.preventDefault();
  tell(event.submitter || at("look").querySelector("button"), look);
});
at("read").addEventListener("click", (event) => tell(event.target, async () => {
  const found = await (await ask("/v1/track:documents", {public_code: code, proof: proof()})).json();
  at("papers").replaceChildren(line("p", `信访编号 ${found.case_number} · ${found.subject}`), ...found.documents.map(paper));
}));
at("print").addEventListener("click", (event) => tell(event.target, async () => {
  const body = {public_code: code};
  if (at("proof").value.trim()) body.proof = proof();
  await save(body);
}));
at("rate").addEventListener("submit", (event) => {
  event.preventDefault();
  tell(event.submitter, async () => {
    const satisfaction = new FormData(at("rate")).get("rating");
    show(await (await ask("/v1/track:evaluate", {
      public_code: code, proof: proof(), satisfaction, comment: at("comment").value,
    })).json());
    say("已收到您的评价,谢谢。");
  });
});
let attempt = crypto.randomUUID ? crypto.randomUUID() : "";
at("add").addEventListener("submit", (event) => {
  event.preventDefault();
  tell(event.submitter, async () => {
    attempt = attempt || uuid();
    const body = {public_code: code, proof: proof(), request_id: attempt, content: at("content").value};
    show(await (await ask("/v1/track:addMaterial", body)).json());
    attempt = "";
    at("content").value = "";
    say("已收到您补充的材料。");
  });
});

function uuid() {
  // randomUUID is for secure pages only; a hall's own network may have none.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  return [...bytes].map((one) => one.toString(16).padStart(2, "0")).join("").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

function fromSlip() {
  // The QR's code stands behind the #, which is not sent to any server; it is taken out of the address at once.
  const typed = decodeURIComponent(location.hash.slice(1));
  if (!typed || typed.length > 60) return;
  history.replaceState(null, "", location.pathname);
  at("code").value = typed;
  tell(at("look").querySelector("button"), look);
}
addEventListener("hashchange", fromSlip);
fromSlip();
