/* What the pages do by themselves besides htmx: clocks that run, a sound and a notification for what is new.
   Every word comes from the page (bridge/console/texts.py). Nothing needs this script to decide about a request. */
"use strict";
(() => {
  const { body } = document;
  const title = document.title;
  const byId = (id) => document.getElementById(id);

  // ---- clocks: data-left is the seconds that were left when the piece of the page was made -------------------------
  const ends = new WeakMap();
  const tick = () => {
    for (const clock of document.querySelectorAll("[data-left]")) {
      if (!ends.has(clock)) ends.set(clock, Date.now() + 1000 * Number(clock.dataset.left));
      const left = Math.max(0, Math.ceil((ends.get(clock) - Date.now()) / 1000));
      const words = left ? `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}` : body.dataset.over;
      if (clock.textContent !== words) clock.textContent = words;
      clock.classList.toggle("soon", left <= 20);
    }
  };
  setInterval(tick, 500);
  tick();

  // ---- what waits: the number in the title, and alerts for what was not there before ----------------------------------
  const waiting = () => [...document.querySelectorAll("article[data-alert]")];
  const known = new Set(waiting().map((card) => card.id));
  const alerts = byId("alerts");
  const wanted = (name) => localStorage.getItem(name) === "on";
  let audio = null;

  const beep = () => {
    if (!audio || audio.state !== "running") return;
    const volume = audio.createGain();
    volume.connect(audio.destination);
    volume.gain.setValueAtTime(0.0001, audio.currentTime);
    volume.gain.exponentialRampToValueAtTime(0.25, audio.currentTime + 0.02);
    volume.gain.exponentialRampToValueAtTime(0.0001, audio.currentTime + 0.5);
    for (const [at, hertz] of [[0, 660], [0.16, 880]]) {
      const tone = audio.createOscillator();
      tone.frequency.value = hertz;
      tone.connect(volume);
      tone.start(audio.currentTime + at);
      tone.stop(audio.currentTime + at + 0.3);
    }
  };
  const arm = () => {  // browsers let a page sound only after somebody has touched it
    if (!wanted("sound")) return;
    audio = audio || new AudioContext();
    if (audio.state === "suspended") audio.resume();
  };
  const tell = (card) => {
    const words = body.dataset.arrived.replace("{tool}", card.dataset.tool);
    byId("announce").textContent = words;
    if (wanted("sound")) beep();
    if (wanted("notify") && window.Notification && Notification.permission === "granted") {
      try {
        const note = new Notification(words, { tag: card.id });
        note.onclick = () => { window.focus(); byId(card.id)?.scrollIntoView(); byId(card.id)?.focus(); };
      } catch { /* Chrome on Android has none outside of a service worker; the sound and the title are there */ }
    }
  };
  const look = () => {
    for (const card of waiting()) {
      if (known.has(card.id)) continue;
      known.add(card.id);
      if (alerts) tell(card);
    }
    const count = Number(byId("count-pending")?.textContent ?? 0);
    document.title = count ? `(${count}) ${title}` : title;
    tick();
  };
  if (alerts) {
    alerts.hidden = false;
    const sound = byId("alert-sound");
    const notify = byId("alert-notify");
    sound.checked = wanted("sound");
    notify.checked = wanted("notify") && window.Notification?.permission === "granted";
    notify.disabled = !window.Notification;
    sound.addEventListener("change", () => {
      localStorage.setItem("sound", sound.checked ? "on" : "off");
      arm();
      if (sound.checked && audio) audio.resume().then(beep);
    });
    notify.addEventListener("change", async () => {
      if (notify.checked && (await Notification.requestPermission()) !== "granted") {
        notify.checked = false;
        byId("announce").textContent = notify.title = alerts.dataset.denied;
      }
      localStorage.setItem("notify", notify.checked ? "on" : "off");
    });
    for (const event of ["pointerdown", "keydown"]) body.addEventListener(event, arm);
  }

  // ---- the forms of a card further down, as soon as it comes near (card.html says why) --------------------------------
  const near = new IntersectionObserver((seen) => {
    for (const { isIntersecting, target } of seen) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      for (const forms of target.querySelectorAll("template.later")) forms.replaceWith(forms.content);
      htmx.process(target);
    }
  }, { rootMargin: "200% 0px" });
  for (const forms of document.querySelectorAll("template.later")) near.observe(forms.closest("article"));

  // ---- a card that changes keeps what is being typed in it, and never goes back -------------------------------------
  const drafts = new Map();
  const fields = (card) => card.querySelectorAll("input:not([type=hidden]), textarea, select");
  const nameOf = (field) => `${field.form?.getAttribute("action")} ${field.name} ${field.type === "radio" ? field.value : ""}`;
  const binding = (card) => card.querySelector("[name=binding]")?.value;
  const keep = (card) => {
    const typed = new Map();
    for (const field of fields(card)) typed.set(nameOf(field), field.type === "radio" ? field.checked : field.value);
    const focus = card.contains(document.activeElement) && document.activeElement.name ? nameOf(document.activeElement) : "";
    const open = [...card.querySelectorAll("details")].map((one) => one.open);
    drafts.set(card.id, { typed, focus, open, binding: binding(card) });
  };
  const restore = (card) => {
    const draft = drafts.get(card.id);
    drafts.delete(card.id);
    if (!draft || !card.querySelector(".decide, .settle")) return;
    const same = draft.binding === binding(card);  // what is to be approved in another form is typed anew
    for (const field of fields(card)) {
      if (!draft.typed.has(nameOf(field)) || (field.name.startsWith("argument.") && !same)) continue;
      if (field.type === "radio") field.checked = draft.typed.get(nameOf(field));
      else field.value = draft.typed.get(nameOf(field));
      if (nameOf(field) === draft.focus) field.focus({ preventScroll: true });
    }
    card.querySelectorAll("details").forEach((one, place) => { one.open = Boolean(draft.open[place]); });
  };
  const isOlder = (card, version) => Number(version ?? 0) < Number(card.dataset.version ?? 0);
  body.addEventListener("htmx:oobBeforeSwap", ({ detail }) => {
    if (!detail.target?.matches("article.card")) return;
    if (isOlder(detail.target, detail.fragment.querySelector("article")?.dataset.version)) detail.shouldSwap = false;
    else keep(detail.target);
  });
  body.addEventListener("htmx:oobAfterSwap", ({ detail }) => {
    const card = byId(detail.target?.id);
    if (card?.matches("article.card")) restore(card);
  });
  body.addEventListener("htmx:beforeSwap", ({ detail }) => {
    if (!detail.target?.matches("article.card")) return;
    const version = /data-version="(\d+)"/.exec(detail.serverResponse ?? "");
    if (version && isOlder(detail.target, version[1])) detail.shouldSwap = false;
  });

  // ---- htmx's events ---------------------------------------------------------------------------------------------
  const show = (id, on) => { const banner = byId(id); if (banner) banner.hidden = !on; };
  body.addEventListener("htmx:sseOpen", () => show("offline", false));
  body.addEventListener("htmx:sseError", () => show("offline", true));
  body.addEventListener("htmx:sseMessage", look);
  body.addEventListener("htmx:beforeRequest", () => show("failed", false));
  body.addEventListener("htmx:responseError", () => show("failed", true));
  body.addEventListener("htmx:sendError", () => show("failed", true));
  body.addEventListener("htmx:afterSwap", (event) => {
    look();
    const id = event.detail.target?.id;
    if (id && id.startsWith("r-")) byId(id)?.focus();
  });
  look();
})();
