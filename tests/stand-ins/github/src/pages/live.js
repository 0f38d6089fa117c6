// Reloads the page and replaces only the parts marked as live, so that forms keep their input.
"use strict";
setInterval(async () => {
  if (document.hidden) return;
  try {
    const response = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!response.ok) return;
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    for (const old of document.querySelectorAll("[data-live]")) {
      const next = fresh.getElementById(old.id);
      if (!next || next.innerHTML === old.innerHTML) continue;
      const open = [...old.querySelectorAll("details[open]")].map((one) => one.id);
      old.replaceChildren(...next.childNodes);
      for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    }
  } catch {
    // The stand-in was stopped; the page stays as it is.
  }
}, 1500);
