// Server-sent events while the page is seen. Where they break or fall silent, `instead` is asked every few seconds.

const INSTEAD_MS = 5000;
const REOPEN_MS = 10000;
const SILENT_MS = 20000;

// Calls shown(data) for each event of a name; instead() asks once by other means.
export function follow(url, name, shown, instead) {
  let source = null;
  let heardAt = Date.now();
  let reopenAt = 0;

  function open() {
    close();
    source = new EventSource(url);
    source.addEventListener(name, (event) => {
      heardAt = Date.now();
      shown(JSON.parse(event.data));
    });
    source.addEventListener("open", () => { heardAt = Date.now(); });
    // The browser itself tries again after a break, with the id it saw last; after a refusal it does not.
    source.addEventListener("error", () => {
      if (source?.readyState === EventSource.CLOSED) reopenAt = Date.now() + REOPEN_MS;
    });
  }

  function close() {
    source?.close();
    source = null;
  }

  function watch() {
    if (document.hidden) return;
    const broken = source?.readyState !== EventSource.OPEN;
    if (broken || Date.now() - heardAt > SILENT_MS) instead();
    if (source?.readyState === EventSource.CLOSED && Date.now() > reopenAt) open();
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("online", open);
  // A page that leaves gives its place back at once.
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && open());
  setInterval(watch, INSTEAD_MS);
  open();
}
