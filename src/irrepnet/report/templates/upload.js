"use strict";
(() => {
  const form = document.getElementById("upload");
  const file = form.elements.namedItem("file");
  const drop = form.querySelector(".drop");
  const state = document.getElementById("state");
  const said = state.textContent;
  const send = () => {
    if (file.files.length && file.files[0].size > 1e6 * file.dataset.most)
      state.textContent = `${file.files[0].name}: larger than ${file.dataset.most} MB`;
    else if (file.files.length) form.requestSubmit();
  };
  const over = shown => drop.classList.toggle("over", shown);
  file.addEventListener("change", send);
  form.addEventListener("submit", () => { state.textContent = `${file.files[0].name}: being looked at …`; });
  addEventListener("pageshow", () => { state.textContent = said; });
  addEventListener("dragover", event => { event.preventDefault(); over(true); });
  addEventListener("dragleave", event => { if (!event.relatedTarget) over(false); });
  addEventListener("drop", event => {
    event.preventDefault();
    over(false);
    if (event.dataTransfer.files.length) {
      file.files = event.dataTransfer.files;
      send();
    }
  });
})();
