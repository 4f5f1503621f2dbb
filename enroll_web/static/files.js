// Ticking entries of a folder: all at once, how many, and nothing is sent while nothing is ticked. Without it the
// page works all the same: the server looks again at what is ticked.

"use strict";

for (const form of document.querySelectorAll("form.ticked")) {
  const boxes = [...form.querySelectorAll("input[name=id]")];
  const all = form.querySelector("[data-all]");
  const said = form.querySelector("[data-none]");
  const ticked = () => boxes.filter((box) => box.checked).length;

  const show = () => {
    all.checked = ticked() === boxes.length;
    all.indeterminate = ticked() > 0 && !all.checked;
    said.textContent = ticked() ? `${ticked()} / ${boxes.length}` : "";
  };

  all.hidden = false;
  all.addEventListener("change", () => {
    for (const box of boxes) box.checked = all.checked;
  });
  form.addEventListener("change", show);
  form.addEventListener("submit", (event) => {
    const question = event.submitter?.dataset.confirm;
    if (!ticked()) said.textContent = said.dataset.none;
    if (!ticked() || (question && !confirm(question))) event.preventDefault();
  });
  addEventListener("pageshow", show); // a browser keeps ticks on the way back
}
