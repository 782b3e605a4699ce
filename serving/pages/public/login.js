// The login: a link's token after the # reaches no server and no log, only this script, which trades it for
// a cookie that no script can read.

import { byId } from "../lib/dom.js";
import { logIn, session } from "../lib/session.js";
import { schemeChoice } from "../lib/theme.js";

const WORDS = {
  "token-expired": "This token has ended. Ask for a new one.",
  "token-invalid": "This token is not valid here. Is it copied whole?",
};
const next = new URLSearchParams(location.search).get("next");

byId("main").setAttribute("aria-busy", "false");
byId("tools").append(schemeChoice());
byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  enter(byId("token").value.trim());
});
// A link that is opened while this page is shown changes nothing but the part after the #.
window.addEventListener("hashchange", enterByLink);
if (!enterByLink()) goOnIfLoggedIn();

function enterByLink() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return false;
  // Neither the address line nor the history keeps it.
  history.replaceState(null, "", location.pathname + location.search);
  enterOrAsk(token);
  return true;
}

// A link may have been laid out by anybody: it makes nobody somebody else without being asked to.
async function enterOrAsk(token) {
  const known = await session(null).catch(() => null);
  if (!known || known.subject === subjectOf(token)) {
    enter(token);
    return;
  }
  byId("token").value = token;
  show(`You are logged in as ${known.subject}. Log in to go on as ${subjectOf(token) ?? "whom this link is for"} instead.`);
}

// Whom a token says that it is for; the server alone knows whether that is so.
function subjectOf(token) {
  try {
    return JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"))).sub ?? null;
  } catch {
    return null;
  }
}

async function enter(token) {
  busy(true);
  byId("trouble").hidden = true;
  try {
    const { ok, body } = await logIn(token, next);
    if (ok) {
      location.replace(body.go);
      return;
    }
    show(WORDS[body.type.split(":").pop()] ?? `${body.detail.charAt(0).toUpperCase()}${body.detail.slice(1)}.`);
  } catch {
    show("Meterbeat did not answer. Try again.");
  }
  busy(false);
  byId("token").focus();
}

// A link on another site's page comes without the cookie, which this page's own request has.
async function goOnIfLoggedIn() {
  const known = await session(next).catch(() => null);
  if (known?.go) location.replace(known.go);
}

function busy(waiting) {
  const button = byId("login").querySelector("button");
  button.disabled = waiting;
  button.textContent = waiting ? "Logging in…" : "Log in";
}

function show(words) {
  byId("trouble").textContent = words;
  byId("trouble").hidden = false;
}
