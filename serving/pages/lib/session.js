// Who is logged in, as pages need it. The cookie itself is out of any script's reach, so that the browser
// notes until when there is one: a page asks nothing that it knows the answer of.

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

export async function logOut() {
  localStorage.removeItem(NOTE);
  await fetch(SESSION, { method: "DELETE" });
  location.replace("/login");
}
