// Light or dark, as somebody chose. Not a module: it runs before anything is drawn, so that no other colours flash.

try {
  document.documentElement.style.colorScheme = localStorage.getItem("meterbeat-scheme") ?? "";
} catch {
  // Storage is forbidden: the system's scheme it is.
}
