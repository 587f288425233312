"use strict";
// What is typed here goes into the body of one request and nowhere else.
const at = (id) => document.getElementById(id);
let requestId = "", proof = "";

function say(text, wrong) {
  at("said").textContent = text;
  at("said").classList.toggle("wrong", Boolean(wrong));
  if (text) at("said").scrollIntoView({block: "nearest"});
}

async function ask(path, body) {
  const answer = await fetch(path, {
    method: body ? "POST" : "GET", credentials: "omit", cache: "no-store",
    ...(body && {headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)}),
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
  if (button) button.disabled = true;
  try {
    say("");
    await deed();
  } catch (error) {
    say(error instanceof TypeError ? "网络不通,请稍后再试。 The network does not answer." : error.message, true);
  } finally {
    if (button) button.disabled = false;
  }
}

async function divisions(parent) {
  const found = [];
  let token = "";
  do {
    const query = new URLSearchParams({page_size: 200, ...(parent && {parent_code: parent}), ...(token && {page_token: token})});
    const page = await (await ask(`/v1/petitions:filingDivisions?${query}`)).json();
    found.push(...page.divisions);
    token = page.next_page_token;
  } while (token);
  return found;
}

function choices(select, first, found) {
  select.replaceChildren(new Option(first, ""), ...found.map((one) => new Option(one.title, one.code)));
}

let known = [];
async function load() {
  known = await divisions("");
  const codes = new Set(known.map((one) => one.code));
  const district = known.find((one) => !codes.has(one.parent_code));
  const towns = known.filter((one) => district && one.parent_code === district.code);
  choices(at("town"), towns.length ? "请选择" : district ? district.title : "请选择", towns.length ? towns : []);
  if (district) at("town").append(new Option(`${district.title}(不清楚或涉及多处)`, district.code));
}

at("town").addEventListener("change", () => {
  const of = at("town").value;
  choices(at("village"), "不清楚", known.filter((one) => one.parent_code === of && of !== "" && !isTown(one)));
});
const isTown = (one) => ["street", "town", "town_like"].includes(one.level);

at("kind").addEventListener("change", () => {
  const must = at("kind").value !== "PETITION_CLASS_SUGGESTION";
  at("name").required = at("phone").required = must;
});

function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  return [...bytes].map((one) => one.toString(16).padStart(2, "0")).join("").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

function written() {
  const person = {name: at("name").value, phone: at("phone").value, address: at("address").value};
  const given = Object.values(person).some((text) => text.trim());
  return {
    request_id: requestId, petition_class: at("kind").value, division_code: at("village").value || at("town").value,
    representatives: given ? [person] : [], subject: at("subject").value, content: at("content").value,
    ...(at("pin").value && {pin: at("pin").value}), notice_read: at("notice").checked, website: at("website").value,
  };
}

// The same body again gets the same answer; a corrected one is a new request.
let sent = "";
at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  tell(event.submitter, async () => {
    const now = JSON.stringify({...written(), request_id: ""});
    if (now !== sent) requestId = uuid();
    sent = now;
    const found = await (await ask("/v1/petitions:file", written())).json();
    proof = at("pin").value || at("phone").value.replace(/\D/g, "").slice(-4);
    at("number").textContent = found.case_number;
    at("office").textContent = found.office.title;
    at("clock").textContent = found.clock ? found.clock.text : "";
    at("code").textContent = found.public_code;
    at("follow").href = `/track#${encodeURIComponent(found.public_code)}`;
    at("form").hidden = true;
    at("form").reset();
    at("done").hidden = false;
    at("done-title").focus();
  });
});

at("print").addEventListener("click", (event) => tell(event.target, async () => {
  const body = {public_code: at("code").textContent, ...(proof && {proof})};
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
}));

tell(null, load);
