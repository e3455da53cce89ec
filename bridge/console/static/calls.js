/* Live calls: clocks, order and search of the table, levels and the end of a call's course. Without this script the
   same addresses do the same, once. Every word comes from the page. */
"use strict";
(() => {
  const { body } = document;
  const byId = (id) => document.getElementById(id);

  // ---- clocks: data-since is the seconds that had gone by when the piece of the page was made ----------------------
  const begins = new WeakMap();
  const two = (number) => String(number).padStart(2, "0");
  const tick = () => {
    for (const clock of document.querySelectorAll("[data-since]")) {
      if (!begins.has(clock)) begins.set(clock, Date.now() - 1000 * Number(clock.dataset.since));
      const gone = Math.max(0, Math.floor((Date.now() - begins.get(clock)) / 1000));
      const [hours, minutes, seconds] = [Math.floor(gone / 3600), Math.floor(gone / 60) % 60, gone % 60];
      const words = hours ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
      if (clock.textContent !== words) clock.textContent = words;
    }
  };
  setInterval(tick, 1000);
  tick();

  // ---- the table: order and search, in the address too ------------------------------------------------------------
  const table = byId("calls-table");
  const rowsOf = () => [...byId("calls").rows];
  const find = byId("find");
  const nothing = byId("nothing-fits");
  let sort = table?.dataset.sort ?? "";

  const order = () => {
    if (!sort) return;
    const name = sort.replace("-", "");
    const turn = sort.startsWith("-") ? -1 : 1;
    const key = (row) => row.querySelector(`td.${name}`)?.dataset.by ?? "";
    const compare = (one, other) => name === "since" ? Number(one) - Number(other) : one.localeCompare(other, undefined, { numeric: true });
    const rows = rowsOf();
    const sorted = rows.map((row) => [key(row), row]).sort(([one], [other]) => turn * compare(one, other)).map(([, row]) => row);
    sorted.forEach((row, place) => {  // what stands right stays: no flicker, no lost focus
      const there = byId("calls").rows[place];
      if (there !== row) there.before(row);
    });
  };
  const sift = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rowsOf()) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += row.hidden ? 0 : 1;
    }
    nothing.hidden = shown > 0 || !rowsOf().length;
    nothing.textContent = nothing.dataset.words.replace("{words}", find.value);
  };
  const remember = () => {
    const query = new URLSearchParams();
    if (find.value) query.set("q", find.value);
    if (sort) query.set("sort", sort);
    history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
  };
  if (table) {
    table.tHead.addEventListener("click", (event) => {
      const head = event.target.closest("th");
      if (!head || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      const { name } = head.dataset;
      sort = sort === name ? `-${name}` : name;
      for (const one of table.tHead.rows[0].cells) one.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", sort.startsWith("-") ? "descending" : "ascending");
      order();
      remember();
    });
    find.addEventListener("input", () => { sift(); remember(); });
    find.form.addEventListener("submit", (event) => event.preventDefault());
  }

  // ---- a call: its end stays in view, and how loud it is ----------------------------------------------------------
  const entries = byId("entries");
  const follow = byId("follow");
  const toEnd = () => { if (entries && follow?.checked) entries.scrollTop = entries.scrollHeight; };
  if (follow) {
    byId("follow-label").hidden = false;
    follow.addEventListener("change", toEnd);
    entries.addEventListener("wheel", () => { follow.checked = entries.scrollHeight - entries.scrollTop - entries.clientHeight < 40; }, { passive: true });
    toEnd();
  }
  body.addEventListener("htmx:sseBeforeMessage", (event) => {
    if (event.detail.type !== "levels") return;
    event.preventDefault();
    const levels = JSON.parse(event.detail.data);
    for (const who of ["caller", "agent"]) {
      const meter = byId(`level-${who}`);
      if (meter) meter.value = levels[who] ?? 0;
    }
  });
  body.addEventListener("htmx:sseMessage", () => {
    if (table) { sift(); order(); }
    toEnd();
    tick();
  });
})();
