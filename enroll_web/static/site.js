// Copying and printing what is on the page. Without it the page says all the same: the buttons are not shown.
// What is shown once is not shown again by a browser that keeps pages for its back button.

"use strict";

for (const button of document.querySelectorAll("[data-copy]")) {
  const source = document.getElementById(button.dataset.copy);
  if (!source || !navigator.clipboard) continue;
  const words = [...button.childNodes];
  button.hidden = false;
  button.addEventListener("click", async () => {
    const lines = source.querySelectorAll("li");
    const text = lines.length ? Array.from(lines, (line) => line.textContent.trim()).join("\n") : source.textContent;
    try {
      await navigator.clipboard.writeText(text);
      say(button, button.dataset.copied);
    } catch {
      getSelection().selectAllChildren(source);
      say(button, button.dataset.marked);
    }
    setTimeout(() => say(button, ...words), 4000);
  });
}

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}

addEventListener("pageshow", (event) => {
  if (event.persisted) location.replace(location.pathname + location.search);
});

function say(button, ...words) {
  button.setAttribute("aria-live", "polite");
  button.replaceChildren(...words);
}
