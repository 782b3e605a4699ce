// Who is logged in, as pages need it. The cookie itself is out of any script's reach, so that the browser
// notes until when there is one: a page asks nothing that it knows the answer of.

import { ask } from "./ask.js";

const SESSION = "/api/v1/session";
const NOTE = "meterbeat-session-until";

// Returns { ok, body }: of the session and the page to go to, else of the problem.
export async function logIn(token, next) {
  const answer = await fetch(SESSION, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ token, next }),
  });
  const body = await answer.json();
  if (answer.ok) localStorage.setItem(NOTE, body.expires_at);
  return { ok: answer.ok, body };
}

// Returns the session, null where there is none.
export async function session(next) {
  if (!(Date.parse(localStorage.getItem(NOTE)) > Date.now())) return null;
  const answer = await fetch(next ? `${SESSION}?next=${encodeURIComponent(next)}` : SESSION);
  if (answer.ok) return answer.json();
  if (answer.status === 401) localStorage.removeItem(NOTE);
  return null;
}

// Ends the session and leaves for the login. Returns null, or the problem where it did not end: as the cookie stays, so
// does its note. A session that the server does not know has ended.
export async function logOut() {
  const { ok, status, body } = await ask(SESSION, { method: "DELETE", anonymous: true });
  if (!ok && status !== 401) return body;
  localStorage.removeItem(NOTE);
  location.replace("/login");
  return null;
}
