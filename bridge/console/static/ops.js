/* What is asked for again by itself does not change under the finger or the cursor of who uses it just then. */
"use strict";
document.addEventListener("htmx:beforeRequest", (event) => {
  const piece = event.detail.elt;
  if (!piece.hasAttribute("data-calm")) return;
  if (piece.contains(document.activeElement) || piece.querySelector("details[open]")) event.preventDefault();
});
